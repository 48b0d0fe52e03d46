"""Networks by name: listings of the zoo or a file, and pretrained backbones.

`catalog` says what a name stands for, `tables` gives its table, `weights` knows where weights come from, `network`
builds the torch module, `trace` looks into a module that no listing describes.
"""

from mirada.backbone.catalog import BUILTIN, Backbone, find, read_architecture
from mirada.backbone.tables import layers

__all__ = ["BUILTIN", "Backbone", "find", "layers", "read_architecture"]
