"""Networks by name: listings of the zoo or a file, and pretrained backbones.

`catalog` says what a name stands for, `tables` gives its table, `weights` knows where weights come from, `network`
builds the torch module, `trace` looks into a module that no listing describes.
"""

from typing import TYPE_CHECKING

from mirada.backbone.catalog import BUILTIN, Backbone, find, read_architecture
from mirada.lazy import loaded_when_used

if TYPE_CHECKING:
    from mirada.backbone.tables import layers

__all__ = ["BUILTIN", "Backbone", "find", "layers", "read_architecture"]

# A backbone that predicts shows no table.
if not TYPE_CHECKING:  # which would take any name for one of this package
    __getattr__ = loaded_when_used(__name__, {"layers": "mirada.backbone.tables"})
