"""`mirada layers`: the table of any network, from a listing or from a torch module."""

from __future__ import annotations

from pathlib import Path

from mirada.arch import Volume, parse_volume
from mirada.arch.table import Table, table
from mirada.backbone.catalog import BUILTIN, read_architecture
from mirada.errors import UsageError

__all__ = ["layers"]


def layers(network: str | Path, *, input: Volume | str | None = None) -> Table:
    """The table of a network: what each layer does to the volume, its parameters, multiply-adds and receptive field.

    Args:
        network: a network of the zoo, a listing FILE.net, `-` for standard input, `timm:NAME`, `torchvision:NAME` or
            `efficientnet-lite0`.
        input: another input than the network's own, as a volume or as text: "224x224x3".

    Raises:
        UsageError: nothing is called so, or the input is no volume.
        ArchitectureError: the listing cannot be read, a layer does not fit, or the module cannot be run on this input.

    >>> layers("lenet5").parameters
    61706
    """
    name = str(network)
    if isinstance(input, str):
        input = _volume(input)
    if name == BUILTIN or name.startswith(("timm:", "torchvision:")):
        from mirada.backbone.trace import trace  # imports torch, which a listing does not need

        return trace(name, input)
    return table(read_architecture(name, input=input))


def _volume(text: str) -> Volume:
    volume = parse_volume(text)
    if volume is None or volume.is_vector:
        raise UsageError(f"the input {text} is not a volume: write width x height x depth, such as 224x224x3")
    return volume
