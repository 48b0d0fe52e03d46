"""Which vectors are nearest: all compared, exactly.

Does not know: images, tables.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["nearest"]

CHUNK: Final = 16_384
"""Vectors that are compared at a time."""


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
    k = min(k, len(places))
    best = np.zeros((len(queries), 0), np.int64)
    cosines = np.zeros((len(queries), 0), np.float32)
    for begin in range(0, len(places), CHUNK):
        chosen = places[begin : begin + CHUNK]
        is_all = len(chosen) == chosen[-1] - chosen[0] + 1
        block = vectors[chosen[0] : chosen[-1] + 1] if is_all else vectors[chosen]
        own = queries @ np.asarray(block, np.float32).T  # (Q, n)
        best = np.concatenate([best, np.broadcast_to(chosen, own.shape)], axis=1)
        cosines = np.concatenate([cosines, own], axis=1)
        best, cosines = _first(best, cosines, k)
    return best, cosines


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
