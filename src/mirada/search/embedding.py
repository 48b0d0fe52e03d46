"""Vectors, and what made them: numbers of two makers are never compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirada.errors import UsageError
from mirada.image import Preparation

__all__ = ["Embedding", "Maker"]


@dataclass(frozen=True)
class Maker:
    """What makes a vector of an image: everything that decides its numbers.

    Attributes:
        network: a pretrained network, or the directory of a trained model, as the person named it.
        program: the key of the program that is run: the network, its weights, the layers, how they are pooled, and how
            pixels are normalised.
        layer: whose output is taken; None for what the network's makers call its features.
        preparation: how a picture is framed.
        has_places: whether what is seen at each place is kept as well.
        dimension: how many numbers a vector has.
    """

    network: str
    program: str
    layer: str | None
    preparation: Preparation
    has_places: bool
    dimension: int

    @cached_property
    def key(self) -> str:
        """SHA-256 of what decides the numbers; what the network is called does not."""
        content = {name: value for name, value in self.to_json().items() if name not in ("network", "layer")}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def __str__(self) -> str:
        return self.network if self.layer is None else f"{self.network}, layer {self.layer}"

    def to_json(self) -> dict[str, Any]:
        """As plain values. The inverse of `from_json`."""
        return asdict(self) | {"preparation": self.preparation.to_json()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Maker:
        """Read back what `to_json` gave."""
        return cls(**{**values, "preparation": Preparation.from_json(values["preparation"])})


@dataclass(frozen=True, eq=False)
class Embedding:
    """Vectors of images.

    Args:
        vectors: (N, D) float32, each of length 1.
        maker: what made them.

    Raises:
        ValueError: there is none, they are of another shape, or hold what is no number.
    """

    vectors: NDArray[np.float32]
    maker: Maker

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or self.vectors.shape[1] != self.maker.dimension:
            raise ValueError(f"vectors must be (N, {self.maker.dimension}), got {self.vectors.shape}")
        if not len(self.vectors) or not np.isfinite(self.vectors).all():
            raise ValueError("there must be a vector at least, and all its values must be numbers")

    def __len__(self) -> int:
        return len(self.vectors)


def check_same_maker(one: Maker, other: Maker) -> None:
    """Refuse to compare numbers that mean different things.

    Raises:
        UsageError: what made them differs; says in what.
    """
    if one.key == other.key:
        return
    differences = [
        name
        for name in ("network", "layer", "dimension", "preparation", "program")
        if getattr(one, name) != getattr(other, name)
    ]
    what = " and ".join(_WORDS[name] for name in differences if name != "program") or "the weights"
    raise UsageError(
        f"vectors of {one} are not to be compared with vectors of {other}: they differ in {what}\n"
        "  take the same network for both, or index the images anew"
    )


_WORDS = {
    "network": "the network",
    "layer": "the layer",
    "dimension": "the number of values",
    "preparation": "the preparation of the picture",
}
