"""A network of torch, cut into consecutive stages: the output of one is the input of the next, and nothing else is.

The module is traced once into its sequence of operations. It may be cut wherever only the value just made is still
needed; it is cut where the part of the network changes (`blocks.5`, `layer4`). Stages that would add little work to the
later ones are joined to them, so that each step deeper is worth taking.

Does not know: training, where images come from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from mirada.errors import ArchitectureError

__all__ = ["Stage", "cut", "path_of", "traced"]

GROWTH = 1.3
"""How many times the work of the later stages must grow by a stage, for it to be one of its own."""


@dataclass(frozen=True, eq=False)
class Stage:
    """One of the consecutive pieces of a network.

    Attributes:
        name: the first part of the network that it holds, such as "blocks.5".
        module: (N, ...) -> (N, ...); its parameters are those of the whole network, under the same names.
        multiply_adds: of its convolutions and linear layers, for one image.
        output_shape: for one image, (D, H, W) or (K,).
    """

    name: str
    module: fx.GraphModule
    multiply_adds: int
    output_shape: tuple[int, ...]


def cut(module: nn.Module, input_shape: tuple[int, int, int]) -> tuple[Stage, ...]:
    """The stages of a network, from its input to its output. One after the other they compute what the module does.

    Args:
        module: takes (N, C, h, w).
        input_shape: (C, h, w).

    Raises:
        ArchitectureError: it cannot be traced, since its way depends on its values.
    """
    graph, recorder = _recorded(module.eval(), input_shape)
    nodes = [node for node in graph.nodes if node.op != "output"]
    return tuple(
        Stage(piece.name, _graph_module(module, nodes, piece), piece.work, recorder.shapes[nodes[piece.end - 1].name])
        for piece in _joined(_pieces(module, nodes, recorder))
    )


def traced(module: nn.Module, input_shape: tuple[int, int, int]) -> tuple[fx.Graph, dict[str, tuple[int, ...]]]:
    """The operations of a network, and the shape that each tensor has for one image, by the name of its operation.

    Args:
        module: takes (N, C, h, w).
        input_shape: (C, h, w).

    Raises:
        ArchitectureError: it cannot be traced, since its way depends on its values.
    """
    graph, recorder = _recorded(module.eval(), input_shape)
    return graph, recorder.shapes


def path_of(node: fx.Node) -> str:
    """The dotted name of the module that an operation stands in; "" for the network itself."""
    if node.op == "call_module":
        return str(node.target)
    stack = [str(name) for name, _ in (node.meta.get("nn_module_stack") or {}).values()]
    return stack[-1] if stack else ""


def _recorded(module: nn.Module, input_shape: tuple[int, int, int]) -> tuple[fx.Graph, _Recorder]:
    try:
        graph = _Tracer().trace(module)
    except (TypeError, ValueError, RuntimeError, AttributeError, fx.proxy.TraceError) as error:
        raise ArchitectureError(f"the network cannot be cut into stages: {error}") from error
    recorder = _Recorder(fx.GraphModule(module, graph))
    try:
        with torch.no_grad():
            recorder.run(torch.zeros(1, *input_shape))
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        raise ArchitectureError(f"the network cannot be run on {input_shape} by its stages: {error}") from error
    return graph, recorder


class _Tracer(fx.Tracer):
    """Sees layers of torch and timm as wholes, and what is made of them as a sequence."""

    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        if isinstance(module, (nn.Sequential, nn.ModuleList)):
            return False
        is_layer_of_timm = module.__module__.startswith("timm.layers") and not any(
            isinstance(inner, (nn.Conv2d, nn.Linear)) for inner in module.children()
        )
        return isinstance(module, nn.Conv2d) or module.__module__.startswith("torch.nn") or is_layer_of_timm

    def call_module(self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Look into a module; where its way depends on its values, take it as a whole."""
        before, stack = set(self.graph.nodes), self.module_stack.copy()
        try:
            return super().call_module(m, forward, args, kwargs)
        except fx.proxy.TraceError:
            for node in reversed([node for node in self.graph.nodes if node not in before]):
                self.graph.erase_node(node)
            self.module_stack.clear()
            self.module_stack.update(stack)
            return self.create_proxy("call_module", self.path_of_module(m), args, kwargs)


class _Recorder(fx.Interpreter):
    """Runs a graph, and keeps the shape of each value and the multiply-adds of each layer."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.work: dict[str, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run one operation."""

        def count(layer: nn.Module, given: Any, output: Tensor) -> None:
            weight = layer.get_parameter("weight")
            self.work[n.name] = self.work.get(n.name, 0) + output[0].numel() * weight[0].numel()

        parts = self.module.get_submodule(str(n.target)).modules() if n.op == "call_module" else ()
        hooks = [part.register_forward_hook(count) for part in parts if isinstance(part, (nn.Conv2d, nn.Linear))]
        try:
            value = super().run_node(n)
        finally:
            for hook in hooks:
                hook.remove()
        if isinstance(value, Tensor):
            self.shapes[n.name] = tuple(value.shape[1:])
        return value


@dataclass(frozen=True)
class _Piece:
    """Operations from `begin` up to `end`, without it, between two places where the network may be cut."""

    name: str
    begin: int
    end: int
    work: int
    may_stand_alone: bool


def _pieces(module: nn.Module, nodes: Sequence[fx.Node], recorder: _Recorder) -> list[_Piece]:
    """The operations divided wherever the part of the network changes and only one value is still needed."""
    parts = [_part(module, node) for node in nodes]
    ends = [end for end in _cut_places(nodes, recorder) if end == len(nodes) or parts[end - 1] != parts[end]]
    pieces, begin = [], 1  # after the placeholder
    for end in ends:
        inside = range(begin, end)
        pieces.append(
            _Piece(
                next((parts[i][0] for i in inside if parts[i][0]), ""),
                begin,
                end,
                sum(recorder.work.get(nodes[i].name, 0) for i in inside),
                any(parts[i][1] for i in inside) and any(_learns(module, nodes[i]) for i in inside),
            )
        )
        begin = end
    return pieces


def _cut_places(nodes: Sequence[fx.Node], recorder: _Recorder) -> Iterator[int]:
    """The numbers of operations after which only the last one's value is still needed, and is a tensor."""
    place = {node: i for i, node in enumerate(nodes)}
    needed_until = 0
    for i, node in enumerate(nodes):
        if i > 0 and needed_until <= i and node.name in recorder.shapes:
            yield i + 1
        needed_until = max(needed_until, *(place.get(user, len(nodes)) for user in node.users), 0)


def _part(module: nn.Module, node: fx.Node) -> tuple[str, bool]:
    """The part of the network that an operation belongs to, and whether it is large enough to be a stage.

    Lists without a number in their name (`blocks`, `stages`, `features`) are looked into: their members are the parts.
    """
    names, child, depth = [name for name in path_of(node).split(".") if name], module, 0
    while depth < len(names):
        child = child.get_submodule(names[depth])
        depth += 1
        if not isinstance(child, (nn.Sequential, nn.ModuleList)) or names[depth - 1][-1].isdigit():
            break
    return ".".join(names[:depth]), depth > 1 or any(True for _ in child.children())


def _learns(module: nn.Module, node: fx.Node) -> bool:
    return node.op == "call_module" and any(True for _ in module.get_submodule(str(node.target)).parameters())


def _joined(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Pieces -> stages. From the end, pieces are gathered until one may stand alone and the work has grown enough."""
    stages: list[_Piece] = []
    gathered: _Piece | None = None
    later = 0
    for i in range(len(pieces) - 1, -1, -1):
        piece = pieces[i]
        gathered = piece if gathered is None else replace(piece, end=gathered.end, work=piece.work + gathered.work)
        has_grown = gathered.work > 0 and later + gathered.work >= GROWTH * later
        if i == 0 or (piece.may_stand_alone and has_grown):
            stages.insert(0, gathered)
            later, gathered = later + gathered.work, None
    return stages


def _graph_module(module: nn.Module, nodes: Sequence[fx.Node], piece: _Piece) -> fx.GraphModule:
    """The operations of a piece as a module; it shares its layers with the whole network."""
    graph = fx.Graph()
    copies = {nodes[piece.begin - 1]: graph.placeholder("x")}
    for node in nodes[piece.begin : piece.end]:
        copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(copies[nodes[piece.end - 1]])
    return fx.GraphModule(module, graph)
