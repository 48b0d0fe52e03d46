"""Changes of colour as 3 x 4 matrices: (R', G', B') = M (R, G, B, 1), in levels from 0 to 255.

Does not know: random numbers, where a pixel lies.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LUMINANCE",
    "brightness",
    "chained",
    "contrast",
    "hue",
    "lighter",
    "lighting",
    "recoloured",
    "saturation",
    "undone",
]

Matrix = NDArray[np.float64]

LUMINANCE: Final = np.array([0.299, 0.587, 0.114])
"""The share of red, green and blue in the luminance (ITU-R BT.601)."""
MIDDLE: Final = 127.5
"""The level about which contrast is changed."""
_YIQ: Final = np.array([LUMINANCE, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
"""From RGB to luminance and two axes of colour (FCC 1953, NTSC)."""
_KEPT, _COSINE, _SINE = (
    np.insert(np.linalg.inv(_YIQ) @ np.array(turn) @ _YIQ, 3, 0.0, axis=1)
    for turn in (
        [[1, 0, 0], [0, 0, 0], [0, 0, 0]],
        [[0, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0, 0, 0], [0, 0, 1], [0, -1, 0]],
    )
)
"""Of a rotation about the grey axis: what stays, and what its cosine and its sine are multiplied by, (3, 4) each."""
_SAME: Final = np.eye(3, 4)
_GREY: Final = np.array([[*LUMINANCE, 0.0]] * 3)
_PRINCIPAL: Final = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
"""Columns: the principal directions of the colours of ImageNet, for `lighting`."""
_SPREAD: Final = np.array([0.2175, 0.0188, 0.0045])
"""What belongs to them, in units where white is 1: the paper gives none of these numbers, those are of fb.resnet.torch.
"""


def brightness(factor: float) -> Matrix:
    """All levels times a factor."""
    return np.array([[factor, 0.0, 0.0, 0.0], [0.0, factor, 0.0, 0.0], [0.0, 0.0, factor, 0.0]])


def lighter(levels: float) -> Matrix:
    """So many levels added to all."""
    return np.array([[1.0, 0.0, 0.0, levels], [0.0, 1.0, 0.0, levels], [0.0, 0.0, 1.0, levels]])


def contrast(factor: float) -> Matrix:
    """Differences from the middle grey times a factor."""
    levels = (1 - factor) * MIDDLE
    return np.array([[factor, 0.0, 0.0, levels], [0.0, factor, 0.0, levels], [0.0, 0.0, factor, levels]])


def saturation(factor: float) -> Matrix:
    """Differences from the grey of the same luminance times a factor; 0 makes the picture grey."""
    return np.asarray(factor * _SAME + (1 - factor) * _GREY)


def hue(degrees: float) -> Matrix:
    """Colours turned about the grey axis, the luminance kept: a rotation of I and Q in YIQ.

    Above 0 red goes towards yellow, and yellow towards green: the way in which angles of hue are counted.
    """
    radians = math.radians(degrees)
    return np.asarray(_KEPT + math.cos(radians) * _COSINE + math.sin(radians) * _SINE)


def lighting(amounts: NDArray[np.floating]) -> Matrix:
    """AlexNet's change of the intensity and colour of the light (Krizhevsky et al. 2012, section 4.1).

    Args:
        amounts: (3,), how much of each principal direction, normally distributed with a standard deviation of 0.1.
    """
    return _matrix(np.eye(3), 255 * (_PRINCIPAL @ (_SPREAD * amounts)))


def chained(*changes: Matrix) -> Matrix:
    """One matrix for several changes, the first of them first. What lies between is not cut off at 0 and 255."""
    if not changes:
        return _SAME.copy()
    whole = changes[0]
    for change in changes[1:]:
        whole = change[:, :3] @ whole
        whole[:, 3] += change[:, 3]
    return whole


def undone(change: Matrix) -> Matrix:
    """The change that leads back.

    Raises:
        ValueError: there is none, such as from grey.
    """
    linear = change[:, :3]
    if not np.linalg.cond(linear) < 1e6:
        raise ValueError("a change that loses colours cannot be undone")
    back = np.linalg.inv(linear)
    return _matrix(back, -back @ change[:, 3])


def recoloured(pixels: NDArray[np.uint8], change: Matrix) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) RGB or (H, W) grey after a change of colour, cut off at 0 and 255, right to within one level.

    Grey pixels are given the luminance of what they would become.
    """
    if pixels.ndim == 2:
        change = np.array([[LUMINANCE @ change[:, :3].sum(axis=1), LUMINANCE @ change[:, 3]]])
    return np.asarray(cv2.transform(pixels, change), np.uint8)


def _matrix(linear: NDArray[np.floating], offset: NDArray[np.floating] | float = 0.0) -> Matrix:
    matrix = np.empty((3, 4))
    matrix[:, :3], matrix[:, 3] = linear, offset
    return matrix
