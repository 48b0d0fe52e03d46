"""The output of any layer of a network, by its name: what comes after it is left out.

Names are those of the listing (`FC7`, `RESIDUAL2.SHORTCUT.CONV1`) or of torch's modules (`blocks.4`, `layer3.1.conv2`).

Does not know: training, where images come from, how layers are pooled.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import fx, nn

from mirada.backbone.stages import path_of, traced
from mirada.errors import UsageError
from mirada.words import nearest_words

__all__ = ["MAPS", "up_to"]

MAPS = "maps"
"""Stands for the activation maps that the network's own average over places is given."""


def up_to(module: nn.Module, layers: Sequence[str], input_shape: tuple[int, int, int]) -> nn.Module:
    """A module that gives the outputs of some layers: (N, C, h, w) -> one tensor (N, ...) a layer.

    Args:
        module: the whole network.
        layers: their names, or `MAPS`.
        input_shape: (C, h, w).

    Raises:
        ArchitectureError: the network cannot be traced.
        UsageError: it has no such layer; names those that are near.
    """
    graph, shapes = traced(module, input_shape)
    nodes = [node for node in graph.nodes if node.name in shapes]
    taken = [_maps(nodes, shapes) if layer == MAPS else _last_of(nodes, layer) for layer in layers]
    short = fx.Graph()
    values: dict[fx.Node, fx.Node] = {}
    short.graph_copy(graph, values)
    short.output(tuple(values[node] for node in taken))
    made = fx.GraphModule(module, short)
    made.graph.eliminate_dead_code()
    made.recompile()
    return made.eval()


def _last_of(nodes: Sequence[fx.Node], layer: str) -> fx.Node:
    """The last operation inside a layer."""
    inside = [node for node in nodes if f"{path_of(node)}.".startswith(f"{layer}.")]
    if inside:
        return inside[-1]
    names = {".".join(path.split(".")[:depth]) for node in nodes if (path := path_of(node)) for depth in (1, 2, 3)}
    near = nearest_words(layer, names) or sorted(names, key=lambda name: (name.count("."), name))[:12]
    raise UsageError(f"the network has no layer {layer!r}; there are {', '.join(near)} and others")


def _maps(nodes: Sequence[fx.Node], shapes: dict[str, tuple[int, ...]]) -> fx.Node:
    """The last operation that gives activation maps of more than one place."""
    found = [node for node in nodes if len(shapes[node.name]) == 3 and min(shapes[node.name][1:]) > 1]
    if not found:
        raise UsageError("the network has no activation maps")
    return found[-1]
