"""The two photographs that scikit-learn carries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mirada.carried import carried
from mirada.image.decode import decode

__all__ = ["photographs"]


def photographs() -> list[NDArray[np.uint8]]:
    """A temple and a flower: each (427, 640, 3)."""
    return [decode(carried("images", name)) for name in ("china.jpg", "flower.jpg")]
