"""Which vectors are nearest: all compared, exactly.

Does not know: images, tables.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Nearest", "nearest"]

CHUNK: Final = 16_384
"""Vectors that are compared at a time."""


class Nearest:
    """The nearest of queries among vectors that are told some at a time.

    Args:
        queries: (Q, D), each of length 1.
        k: how many, at least 1; fewer where not so many were told.

    Attributes:
        ids: (Q, k) int64, the nearest first; of equals the lower id.
        cosines: (Q, k) float32.
    """

    def __init__(self, queries: NDArray[np.float32], k: int) -> None:
        self._queries, self._k = queries, k
        self.ids = np.zeros((len(queries), 0), np.int64)
        self.cosines = np.zeros((len(queries), 0), np.float32)

    def tell(self, ids: NDArray[np.int64], vectors: NDArray[np.floating]) -> None:
        """More vectors.

        Args:
            ids: (n,).
            vectors: (n, D), each of length 1.
        """
        own = self._queries @ np.asarray(vectors, np.float32).T  # (Q, n)
        both = np.concatenate([self.ids, np.broadcast_to(ids, own.shape)], axis=1)
        self.ids, self.cosines = _first(both, np.concatenate([self.cosines, own], axis=1), self._k)


def nearest(
    vectors: NDArray[np.floating],
    queries: NDArray[np.float32],
    k: int,
    allowed: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k nearest of each query, the nearest first; of equals the one that comes first.

    Args:
        vectors: (N, D) float16 or float32, each of length 1.
        queries: (Q, D), each of length 1.
        k: how many, at least 1; fewer where there are not so many.
        allowed: (N,) which vectors may be found; None for all.

    Returns:
        Places (Q, k) and cosines (Q, k).
    """
    places = np.arange(len(vectors)) if allowed is None else np.flatnonzero(allowed)
    found = Nearest(queries, k)
    for begin in range(0, len(places), CHUNK):
        chosen = places[begin : begin + CHUNK]
        is_all = len(chosen) == chosen[-1] - chosen[0] + 1
        found.tell(chosen, vectors[chosen[0] : chosen[-1] + 1] if is_all else vectors[chosen])
    return found.ids, found.cosines


def _first(
    places: NDArray[np.int64], cosines: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k largest of each row, the largest first, equals by their place."""
    if cosines.shape[1] > 4 * k:  # most are out of the question: sort the rest only
        limit = np.partition(cosines, cosines.shape[1] - k, axis=1)[:, [cosines.shape[1] - k]]
        width = int((cosines >= limit).sum(axis=1).max())
        near = np.argsort(-(cosines >= limit).astype(np.int8), axis=1, kind="stable")[:, :width]
        places, cosines = np.take_along_axis(places, near, 1), np.take_along_axis(cosines, near, 1)
    order = np.lexsort((places, -cosines), axis=1)[:, :k]
    return np.take_along_axis(places, order, 1), np.take_along_axis(cosines, order, 1)
