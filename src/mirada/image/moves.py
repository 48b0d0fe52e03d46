"""Views of many small pictures together, by policies that only move pixels: what `view_pixels` gives, several times as
fast.

A view of a small picture costs Python more than the picture itself costs OpenCV. So the numbers are drawn as for single
views, one generator a view, and the arithmetic with them is done for all views at once.

Does not know: batches, how a network is trained.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mirada.image.augment import view_pixels
from mirada.image.policy import Policy
from mirada.image.prepare import Preparation
from mirada.image.resample import SMOOTHED_FROM

__all__ = ["SMALL", "moved_views", "only_moves"]

SMALL: Final = 64 * 64
"""Pixels of a picture up to which this pays."""
NUMBERS: Final = 9
"""That `drawn` of `mirada.image.augment` draws first: where the part lies (2), scale, aspect, mirror, flip, shear (2),
turn.
"""


def only_moves(policy: Policy) -> bool:
    """Whether views of a policy are the pixels of the picture in other places, and nothing else."""
    moves: dict[str, Any] = dict.fromkeys(("scale", "aspect", "shift", "slide", "turn", "shear", "mirror", "flip"), 0.0)
    return replace(policy, name="", mixup=0.0, cutmix=0.0, **moves) == Policy("")


def moved_views(
    pictures: NDArray[np.uint8], preparation: Preparation, policy: Policy, seeds: Sequence[int], number: int
) -> NDArray[np.uint8]:
    """A view of each picture, within a level of what `view_pixels` gives.

    Args:
        pictures: (n, H, W, C) uint8, with the channels that a network takes.
        preparation: whose framing the views vary.
        policy: what may change; `only_moves` of it must be true.
        seeds: of the random numbers of each picture.
        number: which view, at least 1.

    Returns:
        (n, h, w, C) uint8.
    """
    n, side_y, side_x, channels = pictures.shape
    (w, h), rng = preparation.size_wh, random.Random()
    drawn = np.empty((n, NUMBERS))
    for row, seed in zip(drawn, seeds, strict=True):
        rng.seed(seed << 64 | number)
        row[:] = [rng.random() for _ in range(NUMBERS)]
    base = preparation.to_network_matrix(side_x, side_y)  # (2, 3)
    left_over = np.maximum(0.0, np.array([side_x, side_y]) * base[:, :2].diagonal() - (w, h))
    within = 2 * drawn - 1
    begin = base[:, 2] + within[:, :2] * (policy.shift / 2 * left_over + policy.slide * np.array([w, h]))  # (n, 2)
    turned = _linear(policy, drawn, within)  # (n, 2, 2)
    centre = np.array([w / 2, h / 2])
    matrices = np.empty((n, 2, 3))
    matrices[:, :, :2] = turned @ base[:, :2]
    matrices[:, :, 2] = (turned @ (begin - centre)[:, :, np.newaxis])[:, :, 0] + centre
    matrices[:, :, 2] += matrices[:, :, :2].sum(axis=2) / 2 - 0.5  # OpenCV counts from the centre of the first pixel
    shrinks = np.hypot(*np.moveaxis(np.linalg.inv(matrices[:, :, :2]), 2, 0)).max(axis=1)  # (n,) times
    edge = cv2.BORDER_CONSTANT if preparation.fit == "pad" else cv2.BORDER_REFLECT
    fill = (preparation.pad_value,) * 4
    views = np.empty((n, h, w, channels), np.uint8)
    for i, (picture, matrix, shrink) in enumerate(zip(pictures, matrices, shrinks.tolist(), strict=True)):
        if shrink >= SMOOTHED_FROM:  # more than interpolation is needed
            source = picture if channels == 3 else picture[:, :, 0]
            views[i] = view_pixels(source, preparation, policy, seeds[i], number)
        else:
            cv2.warpAffine(picture, matrix, (w, h), views[i], cv2.INTER_LINEAR, edge, fill)
    return views


def _linear(policy: Policy, drawn: NDArray[np.float64], within: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is changed about the centre, (n, 2, 2): mirrored and scaled, then sheared, then turned."""
    scale, aspect = np.exp(policy.scale * within[:, 2]), np.exp(policy.aspect * within[:, 3] / 2)
    x = np.where(drawn[:, 4] < policy.mirror, -1.0, 1.0) * scale * aspect
    y = np.where(drawn[:, 5] < policy.flip, -1.0, 1.0) * scale / aspect
    lean_x, lean_y = np.tan(np.radians(policy.shear * within[:, 6:8])).T
    sheared = np.array([[x, lean_x * y], [lean_y * x, y]])  # (2, 2, n)
    angle = np.radians(policy.turn * within[:, 8])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(np.einsum("ijn,jkn->nik", turn, sheared))
