"""Layers made of layers: residual, parallel and repeated blocks."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import final

from mirada.arch.layers import ActivationName, Layer
from mirada.arch.shapes import Volume
from mirada.arch.sliding import Refusal

__all__ = ["Block", "Branch", "Parallel", "Repeat", "Residual"]


@dataclass(frozen=True)
class Block(Layer):
    """A layer that holds others. `chains` are what it runs; `join` makes one volume of what they give."""

    @property
    @abstractmethod
    def chains(self) -> tuple[Branch, ...]:
        """What is run on the input of the block, each a sequence of layers; one after the other where `is_serial`."""

    @property
    def body_chain(self) -> Branch | None:
        """The chain whose layers stand directly in the block, without a heading of their own."""
        return None

    @property
    def is_serial(self) -> bool:
        """Whether each chain takes what the one before gave, instead of the input of the block."""
        return False

    @abstractmethod
    def join(self, volumes: tuple[Volume, ...]) -> Volume:
        """One volume from those that the chains give. Raises `Refusal` where they do not go together."""

    def volume(self, given: Volume) -> Volume:
        volumes: list[Volume] = []
        for chain in self.chains:
            volumes.append(chain.volume(volumes[-1] if self.is_serial and volumes else given))
        return self.join(tuple(volumes))


@final
@dataclass(frozen=True)
class Branch(Layer):
    """A sequence of layers inside a block; without layers it hands on its input."""

    layers: tuple[Layer, ...] = ()

    def volume(self, given: Volume) -> Volume:
        for layer in self.layers:
            given = layer.volume(given)
        return given


@final
@dataclass(frozen=True)
class Residual(Block):
    """The sum of what its layers give and of its shortcut, then an activation (He et al. 2015, equation 1 and 2)."""

    body: tuple[Layer, ...]
    shortcut: Branch = Branch("SHORTCUT")
    activation: ActivationName = "relu"

    @cached_property
    def body_chain(self) -> Branch:
        return Branch("BODY", self.body)

    @property
    def chains(self) -> tuple[Branch, ...]:
        return self.body_chain, self.shortcut

    def join(self, volumes: tuple[Volume, ...]) -> Volume:
        body, shortcut = volumes
        if body != shortcut:
            ways = "its input" if not self.shortcut.layers else "its shortcut"
            raise Refusal(
                "cannot add its two ways",
                f"its layers give {body}, {ways} {shortcut}: a sum needs two equal volumes",
                _shortcut_that_fits(body, shortcut),
            )
        return body


@final
@dataclass(frozen=True)
class Parallel(Block):
    """Branches side by side on the same input, joined along the depth (Szegedy et al. 2014, section 4)."""

    branches: tuple[Branch, ...]

    @property
    def chains(self) -> tuple[Branch, ...]:
        return self.branches

    def join(self, volumes: tuple[Volume, ...]) -> Volume:
        width, height = volumes[0].width, volumes[0].height
        if any((v.width, v.height) != (width, height) for v in volumes):
            raise Refusal(
                "cannot join its branches",
                "; ".join(f"{b.name} gives {v}" for b, v in zip(self.branches, volumes, strict=True)),
                "branches are joined along the depth: width and height must be equal",
            )
        return Volume(width, height, sum(v.depth for v in volumes))


@final
@dataclass(frozen=True)
class Repeat(Block):
    """The same layers `times` times one after the other, each time with weights of its own."""

    times: int
    body: tuple[Layer, ...]

    @property
    def chains(self) -> tuple[Branch, ...]:
        return tuple(Branch(str(i + 1), self.body) for i in range(self.times))

    @property
    def is_serial(self) -> bool:
        return True

    def join(self, volumes: tuple[Volume, ...]) -> Volume:
        return volumes[-1]


def _shortcut_that_fits(body: Volume, shortcut: Volume) -> str:
    strides = -(-shortcut.width // body.width), -(-shortcut.height // body.height)
    for stride in sorted(set(strides)):
        if -(-shortcut.width // stride) == body.width and -(-shortcut.height // stride) == body.height:
            at = f" at stride {stride}, rounding floor" if stride > 1 else ""
            return f"fits: SHORTCUT: CONV {body.depth} 1x1 filters{at}"
    return "width and height of the two ways must be made equal first"
