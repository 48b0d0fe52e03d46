"""Batches of views of which each is mixed with another, and what is true of them.

| way | pixels | truth |
|---|---|---|
| mixup (Zhang et al. 2018, equation 1) | a share of one picture and the rest of another | shares of both classes |
| cutmix (Yun et al. 2019, equation 1) | a rectangle of one picture is put into another | by the areas that are seen |

Only for classification: of a mixed picture no box and no mask is true.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mirada.image.policy import Policy

__all__ = ["mixed"]


def mixed(
    pixels: NDArray[np.uint8], targets: NDArray[np.floating], policy: Policy, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A batch of which each view is mixed with the one before it, the first with the last, all by the same share.

    Args:
        pixels: (N, h, w, C) uint8.
        targets: (N, classes), each row sums to 1.
        policy: whose `mixup` and `cutmix` are used, one of them drawn where it has both; where both are 0, or there is
            but one view, nothing is mixed.
        rng: the random numbers.

    Returns:
        Pixels and targets of the same shapes; the arguments are not changed.
    """
    ways = [way for way, alpha in ((_mixup, policy.mixup), (_cutmix, policy.cutmix)) if alpha]
    targets = targets.astype(np.float32)
    if not ways or len(pixels) < 2:
        return pixels, targets
    way = ways[int(rng.integers(len(ways)))]
    alpha = policy.mixup if way is _mixup else policy.cutmix
    together, kept = way(pixels, float(rng.beta(alpha, alpha)), rng)
    return together, np.asarray(kept * targets + (1 - kept) * np.roll(targets, 1, axis=0), np.float32)


def _mixup(pixels: NDArray[np.uint8], kept: float, rng: np.random.Generator) -> tuple[NDArray[np.uint8], float]:
    """Pixels, and the share of the own picture."""
    rows = pixels.reshape(*pixels.shape[:2], -1)  # (N, h, w C)
    together = [cv2.addWeighted(own, kept, rows[i - 1], 1 - kept, 0) for i, own in enumerate(rows)]
    return np.asarray(together, np.uint8).reshape(pixels.shape), kept


def _cutmix(pixels: NDArray[np.uint8], kept: float, rng: np.random.Generator) -> tuple[NDArray[np.uint8], float]:
    """Pixels, and the share of the own picture."""
    height, width = pixels.shape[1:3]
    side = (1 - kept) ** 0.5
    across, down = round(width * side), round(height * side)
    left, top = int(rng.integers(width - across + 1)), int(rng.integers(height - down + 1))
    together = pixels.copy()
    together[:, top : top + down, left : left + across] = np.roll(
        pixels[:, top : top + down, left : left + across], 1, axis=0
    )
    return together, 1 - across * down / (width * height)
