"""Vectors -> places in a rectangle of cells, so that what is alike lies together and nothing lies on anything else.

t-SNE (van der Maaten and Hinton 2008) lays the vectors out on a plane; each is then given a cell of its own, so that
the sum of the squared ways there is smallest (a linear assignment).

Does not know: images, pages.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["laid_out"]

DIMENSIONS: Final = 50
SAME: Final = 1e-5
"""Vectors that differ by less are one: t-SNE has nothing to go by."""
ASPECT: Final = 1.6
"""Width of the rectangle by its height."""


def laid_out(vectors: NDArray[np.float32], seed: int = 0) -> tuple[NDArray[np.int64], tuple[int, int]]:
    """A cell for each vector.

    Args:
        vectors: (N, D), each of length 1.

    Returns:
        Columns and rows (N, 2), no two the same, and how many columns and rows there are.
    """
    count = len(vectors)
    columns = max(1, math.ceil(math.sqrt(ASPECT * count)))
    rows = max(1, math.ceil(count / columns))
    plane = _on_plane(vectors, seed)
    spread = np.maximum(plane.max(axis=0) - plane.min(axis=0), 1e-9)
    at = (plane - plane.min(axis=0)) / spread * [columns - 1, rows - 1]  # (N, 2)
    cells = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
    from scipy.optimize import linear_sum_assignment

    ways = ((at[:, None, :] - cells[None, :, :]) ** 2).sum(axis=-1).astype(np.float32)
    _, taken = linear_sum_assignment(ways)
    return cells[taken], (columns, rows)


def _on_plane(vectors: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    """(N, D) -> (N, 2)."""
    if len(vectors) < 5 or float(np.ptp(vectors, axis=0).max()) < SAME:
        return np.stack([np.arange(len(vectors), dtype=np.float64), np.zeros(len(vectors))], axis=1)
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    kept = min(DIMENSIONS, *vectors.shape)
    main = PCA(kept, random_state=seed).fit_transform(vectors)
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    plane = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(main)
    return np.asarray(plane, np.float64)
