"""How alike two pictures are: by what is in them, and by what is where; and how alike any two of a collection are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirada.search.places import alike, unit, unpacked

__all__ = ["FEWEST", "SHARES", "background", "likeness", "share_below"]

WEIGHT: Final = 2.0
"""How much the places count, the vectors counting 1; chosen on the training photos of grocery_store."""
SHARES: Final = (0.0, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)
"""Of the pairs of a collection, for which `background` tells how alike they are."""
FEWEST: Final = 30
"""Images from which random pairs tell something."""
OTHERS: Final = 50
"""With how many others each image that was drawn is compared."""


def likeness(
    cosines: NDArray[np.float32], query: NDArray[np.float32] | None, kept: Sequence[bytes | None]
) -> NDArray[np.float32]:
    """How alike a picture is to others, 1 for the same: (N,).

    Args:
        cosines: (N,) of the vectors.
        query: the places of the picture (P, E), or None.
        kept: the places of the others, as they are kept.
    """
    have = [places for places in kept if places is not None]
    if query is None or not have:
        return cosines
    return np.asarray((cosines + WEIGHT * alike(query, unpacked(have))) / (1 + WEIGHT), np.float32)


def background(vectors: NDArray[np.float32], kept: Sequence[bytes | None]) -> list[float] | None:
    """How alike random pairs are: the likeness below which each of `SHARES` of the pairs lies; None for a few images.

    Args:
        vectors: (N, D), each of length 1, drawn and ordered at random.
        kept: their places, as they are kept.
    """
    if len(vectors) < FEWEST:
        return None
    steps = np.arange(1, min(OTHERS, (len(vectors) - 1) // 2) + 1)  # no pair twice
    found = []
    for i, own in enumerate(kept):
        others = (i + steps) % len(vectors)
        query = None if own is None else unit(own)
        found.append(likeness(vectors[others] @ vectors[i], query, [kept[int(other)] for other in others]))
    return [float(value) for value in np.quantile(np.concatenate(found), SHARES)]


def share_below(values: Sequence[float], value: float) -> float:
    """The share of random pairs that are less alike.

    Args:
        values: what `background` told.
    """
    return float(np.interp(value, values, SHARES))
