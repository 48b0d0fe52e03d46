"""All that is random in one view of a picture, drawn before, and what it does to pixels, boxes and masks alike.

| step | what                                                                         | module        |
|------|------------------------------------------------------------------------------|---------------|
| 1    | geometry: one matrix, one resampling of the original pixels                  | `resample.py` |
| 2    | colour: one matrix                                                           | `colour.py`   |
| 3    | tone: posterise, solarise, autocontrast, equalise, sharpness                 | `tone.py`     |
| 4    | blur, noise, JPEG, erasing                                                   | here          |

Does not know: random numbers, policies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeVar, cast

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from mirada.annotations import Boxes, Label, Labels, Mask
from mirada.image import colour, geometry
from mirada.image.resample import Border, resampled, resampled_ids
from mirada.image.tone import Tone, toned

__all__ = ["LEAST_VISIBLE", "NOISE", "Draw"]

LEAST_VISIBLE: Final = 0.3
"""The share of a box that must be seen in a view, else it is dropped."""
NOISE: Final = 1 << 20
"""Numbers from which noise is taken, beginning anywhere."""
NOISE_STEPS: Final = 32
"""To a standard deviation: noise is kept in whole numbers."""

Truth = TypeVar("Truth", bound=Label | Labels | Boxes | Mask | None)


@dataclass(frozen=True, eq=False)
class Draw:
    """All that is random in a view.

    Attributes:
        source_wh: width and height of the picture, in pixels.
        size_wh: of the view.
        matrix: (3, 3), from coordinates of the picture to those of the view, of which every place lies before the eye;
            see `mirada.image.geometry`.
        colour: (3, 4); see `mirada.image.colour`.
        border: what is seen outside of the picture.
        fill: the level that fills what is outside or erased.
        tone: another change of the levels, or None.
        blur: standard deviation in pixels of the view, or 0.
        noise: standard deviation in levels, or 0.
        noise_from: where in the table of noise it begins, 0 to `NOISE`.
        quality: of JPEG, 1 to 100, or None.
        erased_xyxy: a part of the view that is erased, in whole pixels, or None.
    """

    source_wh: tuple[int, int]
    size_wh: tuple[int, int]
    matrix: NDArray[np.float64]
    colour: NDArray[np.float64]
    border: Border
    fill: int
    tone: Tone | None = None
    blur: float = 0.0
    noise: float = 0.0
    noise_from: int = 0
    quality: int | None = None
    erased_xyxy: tuple[int, int, int, int] | None = None

    def pixels(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The view.

        Args:
            image: uint8, RGB (H, W, 3) or grey (H, W), of the size it was drawn for.

        Returns:
            uint8, (h, w, 3) or (h, w), C-contiguous, never a view of `image`.

        Raises:
            ValueError: the picture is of another size.
        """
        self._check(image.shape[1], image.shape[0])
        view = resampled(image, self.matrix, self.size_wh, self.border, self.fill)
        view = colour.recoloured(view, self.colour)
        if self.tone is not None:
            view = toned(view, self.tone)
        if self.blur:
            view = _blurred(view, self.blur)
        if self.noise:
            view = _noisy(view, self.noise, self.noise_from)
        if self.quality is not None:
            view = _compressed(view, self.quality)
        if self.erased_xyxy is not None:
            left, top, right, bottom = self.erased_xyxy
            view[top:bottom, left:right] = self.fill
        return view

    def boxes(self, boxes: Boxes, *, least_visible: float = LEAST_VISIBLE) -> Boxes:
        """The boxes of the view: around what is seen of each box, dropped where too little of one is seen.

        Args:
            boxes: of the picture.
            least_visible: the share of the area that must be seen, neither outside nor erased.
        """
        seen, shares = geometry.seen_boxes(self.matrix, boxes.boxes_xyxy, self.size_wh)  # (N, 4), (N,)
        if self.erased_xyxy is not None:
            shares *= 1 - _shares_inside(seen, np.array(self.erased_xyxy))
        kept = np.flatnonzero((shares >= least_visible) & (shares > 0))
        return boxes.chosen(kept).at(seen[kept])

    def mask(self, mask: Mask) -> Mask:
        """The mask of the view: of each pixel the class of the nearest pixel of the picture.

        What is outside is mirrored where the picture is. Else it is not labelled where the mask has an `ignore_id`, and
        without one as at the edge. What is erased is not labelled, and without an `ignore_id` keeps its class.

        Raises:
            ValueError: the mask is not of the size of the picture.
        """
        self._check(*mask.size_wh)
        moved = resampled_ids(mask.class_ids, self.matrix, self.size_wh, self.border, mask.ignore_id)
        if mask.ignore_id is not None and self.erased_xyxy is not None:
            left, top, right, bottom = self.erased_xyxy
            moved[top:bottom, left:right] = mask.ignore_id
        return Mask(moved, mask.ignore_id)

    def truth(self, truth: Truth) -> Truth:
        """What is true of the view: labels stay, boxes and masks are moved."""
        if isinstance(truth, Boxes):
            return cast("Truth", self.boxes(truth))
        if isinstance(truth, Mask):
            return cast("Truth", self.mask(truth))
        if truth is None or isinstance(truth, Label | Labels):
            return truth
        raise TypeError(f"expected labels, boxes or a mask that was read, got {type(truth).__name__}")

    def undone(self, view: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture that a view came from, as far as geometry and colour can be undone; black where it was not seen.

        Raises:
            ValueError: the change of colour lost colours.
        """
        recoloured = colour.recoloured(view, colour.undone(self.colour))
        return resampled(recoloured, geometry.inverse(self.matrix), self.source_wh, "fill", 0)

    def _check(self, width: int, height: int) -> None:
        if (width, height) != self.source_wh:
            raise ValueError(f"drawn for a picture of {self.source_wh} pixels, got {(width, height)}")


def _shares_inside(boxes_xyxy: NDArray[np.float64], part_xyxy: NDArray[np.int64]) -> NDArray[np.float64]:
    """How much of the area of boxes (N, 4) lies inside a part (4,): (N,)."""
    low, high = np.maximum(boxes_xyxy[:, :2], part_xyxy[:2]), np.minimum(boxes_xyxy[:, 2:], part_xyxy[2:])
    areas = np.prod(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], axis=1)
    return np.asarray(np.prod(np.maximum(high - low, 0), axis=1) / np.maximum(areas, 1e-12))


def _blurred(view: NDArray[np.uint8], deviation: float) -> NDArray[np.uint8]:
    """By a Gaussian, cut off at three standard deviations."""
    kernel = cv2.getGaussianKernel(2 * math.ceil(3 * deviation) + 1, deviation)
    return np.asarray(cv2.sepFilter2D(view, -1, kernel, kernel), np.uint8)


def _noisy(view: NDArray[np.uint8], deviation: float, begin: int) -> NDArray[np.uint8]:
    table, end = _noise(), begin + view.size
    if end > NOISE:  # it goes on from the beginning
        around = np.concatenate([table[begin:], table[: min(begin, end - NOISE)]])
        table = np.resize(around, view.size)
    else:
        table = table[begin:end]
    steps = deviation / NOISE_STEPS
    return np.asarray(cv2.addWeighted(view, 1.0, table.reshape(view.shape), steps, -128 * steps), np.uint8)


@cache
def _noise() -> NDArray[np.uint8]:
    """Normally distributed numbers about 128: to draw them anew for each view takes as long as all the rest."""
    numbers = np.random.default_rng(0).standard_normal(NOISE, np.float32)
    return np.rint(numbers * NOISE_STEPS + 128).clip(0, 255).astype(np.uint8)


def _compressed(view: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    if view.ndim == 2:
        written = simplejpeg.encode_jpeg(np.ascontiguousarray(view[:, :, np.newaxis]), quality, "GRAY")
        return np.asarray(simplejpeg.decode_jpeg(written, "GRAY")[:, :, 0], np.uint8)
    return np.asarray(simplejpeg.decode_jpeg(simplejpeg.encode_jpeg(view, quality, "RGB", "420"), "RGB"), np.uint8)
