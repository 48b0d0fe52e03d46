"""The single changes of TrivialAugment, in its wide space, and those of them that no matrix can make.

Mueller and Hutter 2021, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation". Other than there,
contrast is changed about the middle grey and not about the mean of the picture, so that it is a matrix as the others; a
shift is a share of the side, not 32 pixels whatever the size; strengths lie anywhere and not on 31 steps; and what is
outside of the picture is as the preparation has it, not black.

Does not know: random numbers, preparations, policies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mirada.image import colour, geometry

__all__ = ["CHANGES", "Tone", "toned", "trivial"]

Kind = Literal["posterise", "solarise", "autocontrast", "equalise", "sharpness"]
CHANGES: Final = (
    *("identity", "shear x", "shear y", "shift x", "shift y", "turn", "brightness", "saturation", "contrast"),
    *("sharpness", "posterise", "solarise", "autocontrast", "equalise"),
)
SHEAR, SHIFT, TURN, FACTOR, BITS = 0.99, 1 / 7, 135.0, 0.99, 6
"""At most: slope, share of the side (32 of 224 pixels), degrees, change of a factor, bits that are lost."""


@dataclass(frozen=True)
class Tone:
    """A change of the levels.

    Attributes:
        kind: which.
        amount: of posterise the bits that are kept, of solarise the level from which on levels are inverted, of
            sharpness the factor; of others nothing.
    """

    kind: Kind
    amount: float = 0.0


def trivial(
    change: str, strength: float, size_wh: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], Tone | None]:
    """One change: of the geometry about the centre of the view (3, 3), of the colour (3, 4), or of the tone.

    Args:
        change: one of `CHANGES`.
        strength: from -1 to 1; 0 is no change, and of what has no direction the sign says nothing. Autocontrast and
            equalise have no strength.
        size_wh: of the view.
    """
    shape, light = np.eye(3), colour.chained()
    tone: Tone | None = None
    match change:
        case "shear x":
            shape = geometry.sheared(strength * SHEAR, 0)
        case "shear y":
            shape = geometry.sheared(0, strength * SHEAR)
        case "shift x":
            shape = geometry.shifted(strength * SHIFT * size_wh[0], 0)
        case "shift y":
            shape = geometry.shifted(0, strength * SHIFT * size_wh[1])
        case "turn":
            shape = geometry.turned(strength * TURN)
        case "brightness":
            light = colour.brightness(1 + strength * FACTOR)
        case "saturation":
            light = colour.saturation(1 + strength * FACTOR)
        case "contrast":
            light = colour.contrast(1 + strength * FACTOR)
        case "sharpness":
            tone = Tone("sharpness", 1 + strength * FACTOR)
        case "posterise":
            tone = Tone("posterise", 8 - round(abs(strength) * BITS))
        case "solarise":
            tone = Tone("solarise", 256 * (1 - abs(strength)))
        case "autocontrast" | "equalise":
            tone = Tone("autocontrast" if change == "autocontrast" else "equalise")
    return shape, light, tone


def toned(pixels: NDArray[np.uint8], tone: Tone) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) or (H, W) after a change of the levels."""
    levels = np.arange(256)
    match tone.kind:
        case "posterise":
            lost = 8 - int(tone.amount)
            return _by_table(pixels, levels >> lost << lost)
        case "solarise":
            return _by_table(pixels, np.where(levels >= tone.amount, 255 - levels, levels))
        case "sharpness":
            return _sharper(pixels, tone.amount)
        case "autocontrast":
            return _by_channel(_stretched, pixels)
        case "equalise":
            return _by_channel(_equal, pixels)


def _by_table(pixels: NDArray[np.uint8], table: NDArray[np.integer]) -> NDArray[np.uint8]:
    return np.asarray(cv2.LUT(pixels, table.astype(np.uint8)), np.uint8)


def _by_channel(
    change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], pixels: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    if pixels.ndim == 2:
        return change(pixels)
    return np.asarray(cv2.merge([change(np.asarray(plane, np.uint8)) for plane in cv2.split(pixels)]), np.uint8)


def _stretched(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The darkest level becomes 0, the brightest 255."""
    low, high = int(plane.min()), int(plane.max())
    if low == high:
        return plane
    return _by_table(plane, np.rint((np.arange(256) - low) * (255 / (high - low))).clip(0, 255).astype(np.int64))


def _equal(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """All levels about as often."""
    return np.asarray(cv2.equalizeHist(plane), np.uint8)


def _sharper(pixels: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Differences from the smoothed picture times a factor; the outermost pixels stay."""
    kernel = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
    smooth = np.asarray(cv2.filter2D(pixels, -1, kernel), np.uint8)
    smooth[[0, -1]], smooth[:, [0, -1]] = pixels[[0, -1]], pixels[:, [0, -1]]
    return np.asarray(cv2.addWeighted(pixels, factor, smooth, 1 - factor, 0), np.uint8)
