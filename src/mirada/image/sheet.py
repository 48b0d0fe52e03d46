"""Views of a picture side by side, with what is true of them drawn in: to see what a policy does before training by it.

Does not know: files, names of classes.
"""

from __future__ import annotations

import colorsys
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mirada.annotations import Boxes, Label, Labels, Mask
from mirada.image.augment import draw_view
from mirada.image.policy import POLICIES, Policy
from mirada.image.prepare import Preparation, with_channels
from mirada.image.resample import Border

__all__ = ["GAP", "class_colour", "sheet"]

GAP: Final = 4
"""White pixels between two views."""
COVER: Final = 0.4
"""How much of the picture the colours of a mask hide."""
DARK: Final = 0.4
"""What is left of the picture where a mask says nothing."""
STEP: Final = (5**0.5 - 1) / 2
"""Of hue, from one class to the next, in circles: the golden section keeps any few neighbours apart."""
SHADES: Final = ((0.8, 1.0), (0.8, 1.0), (0.6, 0.7))
"""Saturation and value, in turn."""


def sheet(
    image: NDArray[np.uint8],
    truth: Label | Labels | Boxes | Mask | None,
    policy: Policy,
    preparation: Preparation,
    seed: int,
    rows: int,
    columns: int,
) -> NDArray[np.uint8]:
    """The prepared picture itself, top left, and then its views 1, 2, 3, ... as training sees them, but for mixing.

    Args:
        image: uint8, RGB (H, W, 3) or grey (H, W).
        truth: boxes are drawn, masks laid over it, each class in its colour; what is not labelled is dark, and class 0,
            in most sets the background, as it is. Where there are boxes, what is outside of the picture is filled: no
            box is around what its mirror image would show.
        policy: what may change.
        preparation: the framing, and the size of a view.
        seed: of the random numbers, at least 0.
        rows: of views, at least 1.
        columns: likewise.

    Returns:
        uint8, (rows (h + 4) - 4, columns (w + 4) - 4, 3) RGB: between views there are four white pixels.
    """
    width, height = preparation.size_wh
    whole = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, np.uint8)
    border: Border | None = "fill" if isinstance(truth, Boxes) else None
    source_wh = image.shape[1], image.shape[0]
    for number in range(rows * columns):
        changes = policy if number else POLICIES["none"]
        draw = draw_view(changes, preparation, source_wh, seed, max(1, number), border=border)
        view = with_channels(draw.pixels(image), preparation.channels) if number else preparation.pixels(image)
        left, top = number % columns * (width + GAP), number // columns * (height + GAP)
        cell = whole[top : top + height, left : left + width]
        cell[:] = view  # (h, w, 1 or 3)
        _draw_truth(cell, draw.truth(truth))
    return whole


def class_colour(class_id: int) -> tuple[int, int, int]:
    """Red, green and blue of a class, 0 to 255: unlike those of the classes before and after it."""
    saturation, value = SHADES[class_id % len(SHADES)]
    red, green, blue = colorsys.hsv_to_rgb(class_id * STEP % 1, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def _draw_truth(cell: NDArray[np.uint8], truth: Label | Labels | Boxes | Mask | None) -> None:
    """Draw what is true of a view into it (h, w, 3)."""
    if isinstance(truth, Boxes):
        line = max(1, round(min(cell.shape[:2]) / 150))
        drawn = np.ascontiguousarray(cell)
        corners = np.rint(truth.boxes_xyxy).astype(int).tolist()
        for (left, top, right, bottom), class_id in zip(corners, truth.class_ids.tolist(), strict=True):
            around = left, top, max(1, right - left), max(1, bottom - top)
            cv2.rectangle(drawn, around, class_colour(class_id), line)
        cell[:] = drawn
    elif isinstance(truth, Mask):
        for class_id in np.unique(truth.class_ids).tolist():
            there = truth.class_ids == class_id
            if class_id == truth.ignore_id or class_id < 0:
                cell[there] = DARK * cell[there]
            elif class_id > 0:
                cell[there] = (1 - COVER) * cell[there] + COVER * np.array(class_colour(class_id))
