"""Images -> vectors: the network that an index was made with, ready to run.

Does not know: tables, how near two vectors are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mirada.backbone import BUILTIN, Backbone, find
from mirada.backbone.body import Body
from mirada.engine import Engine, Program, open_engine
from mirada.engine.engine import Outputs, Tag
from mirada.engine.process import give_back_freed_memory
from mirada.errors import ModelError, UsageError
from mirada.image import Preparation
from mirada.search.embedding import Maker, check_same_maker
from mirada.search.places import GRID, Projection, crops

if TYPE_CHECKING:
    from torch import nn

    from mirada.arch import Architecture
    from mirada.model import Model

__all__ = ["Embedder", "Seen", "embedder", "embedder_of"]


@dataclass(frozen=True, eq=False)
class Seen:
    """What the network gives of one picture.

    Attributes:
        vector: (D,) float32, of length 1: what is in it.
        places: (P, E) float32, each of length 1: what is where; None where the network is not asked for it.
    """

    vector: NDArray[np.float32]
    places: NDArray[np.float32] | None


@dataclass(frozen=True)
class Part:
    """An output of the program.

    Attributes:
        layer: where it is taken from.
        pooling: how its places are put together.
    """

    layer: str
    pooling: str


_LEARNT: Final[dict[str, Projection]] = {}
"""What was learnt in this process, by the key of the maker."""
DEFAULT: Final = (Part("blocks.3", "grid7"), Part("maps", "middle"))
"""Of the built-in network: its places, then what is in the picture; chosen by benchmarks/retrieval.py."""


class Embedder:
    """Makes vectors of pictures.

    Args:
        maker: what it is.
        program: what is run; it gives a vector, and before it, perhaps, the places.
        projection: what is made of the places; None: learnt when it is asked for.
    """

    def __init__(self, maker: Maker, program: Program, projection: Projection | None = None) -> None:
        self.maker, self.program = maker, program
        if projection is not None:
            self.projection = projection

    @cached_property
    def engine(self) -> Engine:
        """What runs the network."""
        return open_engine(self.program)

    def with_projection(self, projection: Mapping[str, Any] | None) -> Embedder:
        """The same, that makes of the places what `Projection.to_json` told; None where there are none."""
        if projection is not None:
            self.projection = Projection.from_json(projection)
        return self

    def rest(self) -> None:
        """Give the memory of the network back, until something is to be seen again."""
        self.__dict__.pop("engine", None)
        give_back_freed_memory()

    @cached_property
    def projection(self) -> Projection | None:
        """What is made of the places; None where there are none."""
        if not self.maker.has_places:
            return None
        if self.maker.key not in _LEARNT:
            stretched = replace(self.maker.preparation, fit="stretch", zoom=1.0)
            outputs = self.engine.stream((None, stretched.pixels(crop)) for crop in crops())
            maps = np.stack([_places(given[0]) for _, given in outputs if given is not None])
            _LEARNT[self.maker.key] = Projection.learnt(maps)
        return _LEARNT[self.maker.key]

    def pixels(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture as the network takes it."""
        return self.maker.preparation.pixels(image)

    def stream(self, items: Iterable[tuple[Tag, NDArray[np.uint8] | None]]) -> Iterator[tuple[Tag, Seen | None]]:
        """What is seen of prepared pictures, in their order; see `Engine.stream`."""
        projection = self.projection
        for tag, outputs in self.engine.stream(items):
            yield tag, None if outputs is None else _seen(outputs, projection)

    def see(self, images: Sequence[NDArray[np.uint8]]) -> list[Seen]:
        """What is seen of decoded pictures."""
        return [seen for _, seen in self.stream((None, self.pixels(image)) for image in images) if seen is not None]


def embedder(source: str | os.PathLike[str] = BUILTIN, layer: str | None = None) -> Embedder:
    """What makes vectors by a network.

    Args:
        source: a pretrained network, or the directory of a trained model.
        layer: whose output to take, pooled over its places; None for the features of the network.

    Raises:
        UsageError: there is no such network or layer, or it is a listing that nobody trained.
        ModelError: the directory holds no whole model.
    """
    is_named = os.fspath(source) == BUILTIN or os.fspath(source).startswith(("timm:", "torchvision:"))
    if layer is not None and not layer:
        raise UsageError("a layer has a name, such as FC7")
    if not is_named and os.path.isdir(source):  # noqa: PTH112  which does not mind a name that is too long
        from mirada.model import load

        return _of_model(load(source), os.path.abspath(source), layer)  # noqa: PTH100  links stay as they are
    backbone = find(os.fspath(source))
    if not isinstance(backbone, Backbone):
        raise UsageError(f"{source} is a listing without weights: train it first, and give the directory of the model")
    body = Body(backbone)
    if layer is not None:
        parts: tuple[Part, ...] = (Part(layer, "mean"),)
    else:
        parts = DEFAULT if backbone.is_builtin else DEFAULT[-1:]
    return _of_parts(str(source), body.identity, lambda: body.module, body.preparation, parts, layer)


def embedder_of(maker: Maker, projection: Mapping[str, Any] | None) -> Embedder:
    """What makes the same vectors again.

    Args:
        projection: what is made of the places, as `Projection.to_json` gave it.

    Raises:
        UsageError: the network is not there, or has other weights now.
    """
    try:
        found = embedder(maker.network, maker.layer)
    except (ModelError, UsageError) as error:
        raise UsageError(f"what made the vectors of this index cannot be opened: {error}") from error
    check_same_maker(maker, found.maker)
    return found.with_projection(projection)


def _of_model(model: Model, network: str, layer: str | None) -> Embedder:
    if layer is None and isinstance(model.network, Backbone):
        return _made(network, None, model.preparation, model.program)
    if isinstance(model.network, Backbone):
        identity = model.body.identity
        return _of_parts(network, identity, lambda: model.body.module, model.preparation, _only(layer), layer)
    taken = layer or _last_hidden(model.network)
    return _of_parts(network, model.program.identity, lambda: model.module, model.preparation, _only(taken), layer)


def _only(layer: str | None) -> tuple[Part, ...]:
    return (Part(str(layer), "mean"),)


def _last_hidden(architecture: Architecture) -> str:
    """The layer whose output the class scores are made from, as in Krizhevsky et al. 2012, section 6.1."""
    names = [row.path for row in architecture.rows if row.layer is not None and row.depth == 0]
    return names[max(len(names) - 2, 0)]


def _of_parts(
    network: str,
    identity: dict[str, Any],
    module: Callable[[], nn.Module],
    preparation: Preparation,
    parts: Sequence[Part],
    layer: str | None,
) -> Embedder:
    width, height = preparation.size_wh

    def build() -> nn.Module:
        from mirada.backbone.layer import up_to
        from mirada.search.pooling import pooled

        layers = up_to(module(), [part.layer for part in parts], (preparation.channels, height, width))
        return pooled(layers, [part.pooling for part in parts])

    name = f"{network} for search" if layer is None else f"{network} up to {layer}"
    program = Program(name, identity | {"parts": [[part.layer, part.pooling] for part in parts]}, preparation, build)
    return _made(network, layer, preparation, program, has_places=len(parts) > 1)


def _made(
    network: str, layer: str | None, preparation: Preparation, program: Program, *, has_places: bool = False
) -> Embedder:
    """The embedder of a program; a grey picture tells how long its vectors are."""
    engine = open_engine(program)
    width, height = preparation.size_wh
    grey = np.full((1, height, width, preparation.channels), 127, np.uint8)
    dimension = int(np.size(engine(grey)[-1]))
    made = Embedder(Maker(network, program.key, layer, preparation, has_places, dimension), program)
    made.engine = engine
    return made


def _seen(outputs: Outputs, projection: Projection | None) -> Seen:
    return Seen(_scaled(outputs[-1]), None if projection is None else projection(_places(outputs[0])))


def _places(output: NDArray[np.floating]) -> NDArray[np.floating]:
    """An output of `grid7`, (P D), as (P, D)."""
    return output.reshape(GRID * GRID, -1)


def _scaled(vector: NDArray[np.floating]) -> NDArray[np.float32]:
    """The roots of the numbers, with their signs, made of length 1; zeros stay.

    A few large numbers no longer outweigh the rest (Perronnin, Sanchez and Mensink 2010, section 3.1, power 0.5).
    """
    flat = np.asarray(vector, np.float32).ravel()
    roots = np.sign(flat) * np.sqrt(np.abs(flat))
    return np.asarray(roots / np.float32(max(float(np.linalg.norm(roots)), 1e-12)), np.float32)
