"""What a picture looks like in 64 bits, so that copies in other sizes and qualities are found again.

The perceptual hash of Zauner (2010, section 3.2.1): the picture in grey, 32 x 32; of its discrete cosine transform the
64 lowest frequencies; a bit for each says whether it lies above their median.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["look", "looks_apart"]

SIZE, KEPT = 32, 8


def look(image: NDArray[np.uint8]) -> bytes:
    """The hash of an upright picture (H, W, 3) or (H, W): 8 bytes."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    while min(grey.shape) >= 4 * SIZE:  # by halves is many times as fast as at once
        height, width = (side // 2 for side in grey.shape)
        grey = cv2.resize(grey[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    small = cv2.resize(grey, (SIZE, SIZE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:KEPT, :KEPT].ravel()
    low[0] = 0.0  # the mean brightness says nothing of what is seen
    return np.packbits(low > np.median(low)).tobytes()


def looks_apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.int64]:
    """In how many of the 64 bits hashes differ.

    Args:
        one: (N, 8) uint8.
        other: (N, 8) uint8.

    Returns:
        (N,), 0 to 64.
    """
    return np.asarray(np.unpackbits(one ^ other, axis=-1).sum(axis=-1, dtype=np.int64))
