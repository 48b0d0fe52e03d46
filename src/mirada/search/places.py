"""The places of a picture: what can be seen where, compared place by place.

One vector for a whole picture says what is in it, not whether it is the same thing or the same spot. So activations of
an inner layer are kept for 7 x 7 places as well. Their numbers depend on each other, and a few outweigh the rest:
each place is moved to the mean and turned and stretched to the main directions in which such numbers vary, so that
all count alike (whitening: Jegou and Chum 2012). How alike two pictures are is then, for each place of one, the cosine
with the place of the other that it fits best, on average, the middle counting more (the sum of maxima of Khattab and
Zaharia 2020, equation 3).

What the main directions are is learnt from two photographs that come with scikit-learn, and kept with an index.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirada.image.photographs import photographs

__all__ = ["GRID", "Projection", "alike", "crops", "packed", "unit", "unpacked"]

GRID: Final = 7
KEPT: Final = 64
"""Directions of a place."""
SPREAD: Final = 0.6
"""Standard deviation with which places count, where the edge of the picture is 1 from its centre."""
CROPS: Final = 12
"""Of each size, from each photograph."""


@dataclass(frozen=True, eq=False)
class Projection:
    """The main directions of the numbers of a place.

    Attributes:
        mean: (D,) float32.
        basis: (D, E) float32; columns are directions divided by their standard deviation.
    """

    mean: NDArray[np.float32]
    basis: NDArray[np.float32]

    @classmethod
    def learnt(cls, maps: NDArray[np.floating]) -> Projection:
        """From the places of pictures: (N, P, D)."""
        places = np.asarray(maps, np.float64).reshape(-1, maps.shape[-1])
        mean = places.mean(axis=0)
        values, directions = np.linalg.eigh(np.cov(places.T, bias=True))
        main = np.argsort(-values)[: min(KEPT, places.shape[1])]
        scale = np.sqrt(np.maximum(values[main], 1e-6 * values.max() + 1e-12))
        return cls(mean.astype(np.float32), (directions[:, main] / scale).astype(np.float32))

    def __call__(self, maps: NDArray[np.floating]) -> NDArray[np.float32]:
        """Places (..., D) -> (..., E), each of length 1."""
        found = (np.asarray(maps, np.float32) - self.mean) @ self.basis
        return np.asarray(found / np.maximum(np.linalg.norm(found, axis=-1, keepdims=True), 1e-12), np.float32)

    def to_json(self) -> dict[str, Any]:
        """As plain values. The inverse of `from_json`."""
        return {
            name: [*array.shape, base64.b64encode(array.astype("<f4").tobytes()).decode()]
            for name, array in (("mean", self.mean), ("basis", self.basis))
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Projection:
        """Read back what `to_json` gave."""
        arrays = {}
        for name in ("mean", "basis"):
            *shape, text = values[name]
            arrays[name] = np.frombuffer(base64.b64decode(text), "<f4").reshape(shape).astype(np.float32)
        return cls(**arrays)


def packed(places: NDArray[np.float32]) -> bytes:
    """Places (P, E), each of length 1, in a byte a number."""
    return np.rint(places * 127).astype(np.int8).tobytes()


def unpacked(kept: list[bytes]) -> NDArray[np.int8]:
    """The places (N, P, E) of N pictures, 127 times as long."""
    return np.frombuffer(b"".join(kept), np.int8).reshape(len(kept), GRID * GRID, -1)


def unit(kept: bytes) -> NDArray[np.float32]:
    """The places (P, E) of one picture, each of length 1 again."""
    return np.asarray(unpacked([kept])[0] / np.float32(127), np.float32)


def alike(query: NDArray[np.float32], kept: NDArray[np.int8]) -> NDArray[np.float32]:
    """How alike a picture is to others by their places: (N,), 1 for itself.

    Args:
        query: (P, E), each place of length 1.
        kept: (N, P, E), as `unpacked`.
    """
    count, places, numbers = kept.shape
    others = kept.reshape(count * places, numbers).astype(np.float32) / 127  # (N P, E)
    best = (query @ others.T).reshape(len(query), count, places).max(axis=2)  # (P, N)
    return np.asarray(np.minimum(_weights() @ best, 1), np.float32)  # a byte a number is a little off


def crops() -> list[NDArray[np.uint8]]:
    """Squares of two photographs, from which the main directions are learnt."""
    rng = np.random.default_rng(0)
    squares = []
    for photograph in photographs():
        height, width = photograph.shape[:2]
        for side in (224, 300, min(height, width)):
            for _ in range(CROPS):
                top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
                squares.append(np.ascontiguousarray(photograph[top : top + side, left : left + side]))
    return squares


def _weights() -> NDArray[np.float32]:
    """How much each of the places counts: (P,), sums to 1."""
    line = np.array([math.exp(-0.5 * (x / SPREAD) ** 2) for x in np.linspace(-1, 1, GRID)])
    weights = np.outer(line, line).ravel()
    return np.asarray(weights / weights.sum(), np.float32)
