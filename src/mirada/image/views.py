"""Random views of a picture for training: a little moved, turned, scaled, mirrored, lighter or darker.

The random numbers of a view are drawn once; all geometry is one matrix and one resampling of the original pixels.
View 0 is the picture as the preparation gives it, without any change.
"""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mirada.image.prepare import Preparation

__all__ = ["VIEWS_VERSION", "view_pixels"]

VIEWS_VERSION = 1
"""One more where the same numbers would give other pixels."""

SCALE, ASPECT, TURN, SHIFT, CONTRAST, LIGHT = 0.25, 0.1, 10.0, 0.35, 0.25, 20.0
"""At most: log scale, log of the ratio of the sides, degrees, share of what the crop leaves over, log contrast, levels.
"""


def view_pixels(image: NDArray[np.uint8], preparation: Preparation, seed: int, number: int) -> NDArray[np.uint8]:
    """A view of a picture, of the size that a network takes.

    Args:
        image: uint8, RGB (H, W, 3) or grey (H, W).
        preparation: whose framing the view varies: what it crops, pads or stretches.
        seed: of the random numbers, at least 0.
        number: which view; 0 is `preparation.pixels(image)`.

    Returns:
        uint8, (h, w, channels).
    """
    if number == 0:
        return preparation.pixels(image)
    rng = np.random.default_rng([seed, number])
    height, width = image.shape[:2]
    w, h = preparation.size_wh
    matrix = _moved(preparation.to_network_matrix(width, height), preparation, rng, width, height)
    along_x, along_y = (min(1.0, float(scale)) for scale in np.linalg.norm(matrix[:, :2], axis=0))
    if min(along_x, along_y) < 0.7:  # average first: sampling alone would skip pixels
        size = max(1, round(width * along_x)), max(1, round(height * along_y))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        matrix[:, :2] *= np.array([width / size[0], height / size[1]])
    border = cv2.BORDER_CONSTANT if preparation.fit == "pad" else cv2.BORDER_REFLECT_101
    centres = np.array([0.5, 0.5])  # OpenCV counts from the centre of the first pixel
    matrix[:, 2] += matrix[:, :2] @ centres - centres
    fill = (preparation.pad_value,) * 3
    warped = cv2.warpAffine(image, matrix, (w, h), flags=cv2.INTER_LINEAR, borderMode=border, borderValue=fill)
    toned = _toned(np.asarray(warped, np.uint8), rng)
    return replace(preparation, fit="stretch", zoom=1.0).pixels(toned)


def _moved(
    matrix: NDArray[np.float64], preparation: Preparation, rng: np.random.Generator, width: int, height: int
) -> NDArray[np.float64]:
    """The matrix of the centre view, followed by a random change about the centre of the network's input."""
    w, h = preparation.size_wh
    scale, aspect = math.exp(rng.uniform(-SCALE, SCALE)), math.exp(rng.uniform(-ASPECT, ASPECT) / 2)
    angle = math.radians(rng.uniform(-TURN, TURN))
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    over_x = max(0.0, width * matrix[0, 0] - w) + 0.1 * w  # pixels of the network's input that lie outside
    over_y = max(0.0, height * matrix[1, 1] - h) + 0.1 * h
    shift = np.array([rng.uniform(-SHIFT, SHIFT) * over_x, rng.uniform(-SHIFT, SHIFT) * over_y])
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    change = turn @ np.diag([mirror * scale * aspect, scale / aspect])
    centre = np.array([w / 2, h / 2])
    moved = np.empty((2, 3))
    moved[:, :2] = change @ matrix[:, :2]
    moved[:, 2] = change @ (matrix[:, 2] - centre + shift) + centre
    return moved


def _toned(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Another contrast about middle grey, and another brightness."""
    contrast, light = math.exp(rng.uniform(-CONTRAST, CONTRAST)), rng.uniform(-LIGHT, LIGHT)
    table = ((np.arange(256) - 127.0) * contrast + 127.0 + light).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(pixels, table), np.uint8)
