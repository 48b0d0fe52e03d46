"""Pixels moved by a matrix: one bilinear resampling, of averages where the picture shrinks.

| it shrinks (each axis) | what is read                                                                   |
|------------------------|--------------------------------------------------------------------------------|
| up to 1.43 times       | the picture: bilinear between its pixels                                       |
| up to 2 times          | the picture, lightly smoothed, so that fine patterns do not become coarse ones |
| more                   | the picture halved, until what is left is less than 2 times                    |

A view that is upright and made of whole pixels is cut and resized, as `Preparation.pixels` does it: where it grows,
half a pixel at the edges of the cut repeats what is next to it. Any other view is warped.

Does not know: random numbers, colours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mirada.image import geometry

__all__ = ["Border", "resampled", "resampled_ids"]

Border = Literal["reflect", "fill"]
"""What is seen outside of the picture: its mirror image, or one level. Only the second suits boxes."""
SMOOTHED_FROM: Final = 1.43
"""Times that the picture shrinks. Below, smoothing costs more time than it mends."""
MARGIN: Final = 2
"""Pixels beyond what a view sees that are read too, for the interpolation at its edges."""


def resampled(
    image: NDArray[np.uint8],
    matrix: NDArray[np.float64],
    size_wh: tuple[int, int],
    border: Border,
    fill: int,
) -> NDArray[np.uint8]:
    """A view of a picture.

    Args:
        image: uint8, RGB (H, W, 3) or grey (H, W).
        matrix: (3, 3), from coordinates of the picture to those of the view.
        size_wh: of the view.
        border: what is seen outside of the picture.
        fill: the level there, with "fill".

    Returns:
        uint8, (h, w, 3) or (h, w), new and C-contiguous.
    """
    w, h = size_wh
    rows = matrix.tolist()
    is_upright = not (rows[0][1] or rows[1][0] or rows[2][0] or rows[2][1])
    across = _span(rows[0][0], rows[0][2], image.shape[1], w, border) if is_upright else None
    down = _span(rows[1][1], rows[1][2], image.shape[0], h, border) if is_upright else None
    if across is None or down is None:
        return _warped(image, matrix, size_wh, border, fill)
    if across.fills < w or down.fills < h:
        inside = geometry.shifted(-across.to_begin, -down.to_begin) @ matrix
        view = np.full((h, w, *image.shape[2:]), fill, np.uint8)
        view[down.to_begin : down.to_end, across.to_begin : across.to_end] = resampled(
            image, inside, (across.fills, down.fills), "reflect", fill
        )
        return view
    if across.shrinks < 2 and down.shrinks < 2:  # so that nothing is to be halved
        return _resized(image, across, down, size_wh)
    return _warped(image, matrix, size_wh, "reflect", fill)  # nothing outside is seen, but for the interpolation


def resampled_ids(
    ids: NDArray[np.integer],
    matrix: NDArray[np.float64],
    size_wh: tuple[int, int],
    border: Border,
    fill: int | None,
) -> NDArray[np.integer]:
    """A view of numbers of which none lies between two others: of each place the nearest pixel.

    Args:
        ids: (H, W) integers of at most 32 bits.
        matrix, size_wh, border: as of `resampled`.
        fill: what is outside, with "fill"; None for what is nearest.

    Returns:
        (h, w), of the type of `ids`.
    """
    edge = cv2.BORDER_REFLECT if border == "reflect" else cv2.BORDER_REPLICATE if fill is None else cv2.BORDER_CONSTANT
    kind = ids.dtype if ids.dtype in (np.uint8, np.uint16, np.int16) else np.dtype(np.int32)  # what OpenCV knows
    moved = cv2.warpPerspective(
        np.ascontiguousarray(ids, kind), _centred(matrix), size_wh, None, cv2.INTER_NEAREST, edge, (float(fill or 0),)
    )
    return np.asarray(moved, ids.dtype)


def _centred(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same map as OpenCV counts: from the centre of the first pixel."""
    return geometry.about(matrix, -0.5, -0.5)


# Upright views of whole pixels


@dataclass(frozen=True)
class _Span:
    """Along one axis, whole pixels of the picture and those of the view that they fill; ends are exclusive."""

    begin: int
    end: int
    to_begin: int
    to_end: int
    is_mirrored: bool

    @property
    def fills(self) -> int:
        return self.to_end - self.to_begin

    @property
    def shrinks(self) -> float:
        return (self.end - self.begin) / self.fills


def _span(scale: float, shift: float, picture: int, view: int, border: Border) -> _Span | None:
    """What of a picture a view shows along an axis, where place x goes to scale x + shift; None if not whole pixels."""
    begin, end = sorted((-shift / scale, (view - shift) / scale))
    if border == "fill":
        begin, end = max(begin, 0.0), min(end, float(picture))
    to_begin, to_end = sorted((begin * scale + shift, end * scale + shift))
    places = (begin, end, to_begin, to_end)
    first, last, to_first, to_last = whole = tuple(round(place) for place in places)
    if max(abs(place - near) for place, near in zip(places, whole, strict=True)) > 1e-6:
        return None
    if not (0 <= first < last <= picture and to_first < to_last):
        return None
    return _Span(first, last, to_first, to_last, scale < 0)


def _resized(image: NDArray[np.uint8], across: _Span, down: _Span, size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    cut = image[down.begin : down.end, across.begin : across.end]
    cut = _smoothed(cut, (across.shrinks, down.shrinks), (0, 0))
    view = cv2.resize(cut, size_wh, interpolation=cv2.INTER_LINEAR)
    if across.is_mirrored or down.is_mirrored:
        view = cv2.flip(view, -1 if across.is_mirrored and down.is_mirrored else int(across.is_mirrored))
    return np.asarray(view, np.uint8)


# All others


def _warped(
    image: NDArray[np.uint8],
    matrix: NDArray[np.float64],
    size_wh: tuple[int, int],
    border: Border,
    fill: int,
) -> NDArray[np.uint8]:
    across, down = (
        _seen(*reach, side, border) for reach, side in zip(_reach(matrix, size_wh), image.shape[1::-1], strict=True)
    )
    edge = cv2.BORDER_REFLECT if border == "reflect" else cv2.BORDER_CONSTANT
    part = _halved(image[down.begin : down.end, across.begin : across.end], across, down, edge, fill)
    halvings = across.halvings, down.halvings
    part = _smoothed(part, (across.shrinks / 2 ** halvings[0], down.shrinks / 2 ** halvings[1]), halvings)
    grown = geometry.scaled(2 ** halvings[0], 2 ** halvings[1])
    whole = _centred(matrix @ geometry.shifted(across.begin, down.begin) @ grown)
    if part.ndim == 3:  # OpenCV moves four channels twice as fast as three
        part = np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2RGBA), np.uint8)
    if whole[2, 0] == 0 and whole[2, 1] == 0:
        view = cv2.warpAffine(part, whole[:2], size_wh, None, cv2.INTER_LINEAR, edge, (fill,) * 4)
    else:
        view = cv2.warpPerspective(part, whole, size_wh, None, cv2.INTER_LINEAR, edge, (fill,) * 4)
    return np.asarray(view if image.ndim == 2 else cv2.cvtColor(view, cv2.COLOR_RGBA2RGB), np.uint8)


@dataclass(frozen=True)
class _Seen:
    """Along one axis, the pixels of a picture that a view reads, and how they are read; the end is exclusive."""

    begin: int
    end: int
    beyond: int  # pixels beyond the last one that are seen, up to one mirror image of the picture
    shrinks: float

    @property
    def halvings(self) -> int:
        most = max(1, self.end - self.begin)  # what is one pixel is not halved
        return math.floor(math.log2(max(1.0, min(self.shrinks, most))))

    @property
    def padding(self) -> int:
        """Pixels to be added at the end, as many as are seen beyond it or more, so that halving comes out even.

        0 where it does so without: the border is where two halved pixels meet then, and may be added later.
        """
        block = 2**self.halvings
        over = -(self.end - self.begin) % block
        return over + block * math.ceil(self.beyond / block) if over else 0


def _reach(
    matrix: NDArray[np.float64], size_wh: tuple[int, int]
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Along x and y, the first and the last place of a picture that a view sees, and how many times it shrinks there.

    Times are those in the middle of the view: where it is tilted, its far side shrinks more.
    """
    w, h = size_wh
    # Plain numbers: arrays of so few take three times as long.
    (xx, xy, x0), (yx, yy, y0), (zx, zy, z0) = geometry.inverse(matrix).tolist()

    def back(u: float, v: float) -> tuple[float, float, float]:
        depth = zx * u + zy * v + z0
        return (xx * u + xy * v + x0) / depth, (yx * u + yy * v + y0) / depth, depth

    xs, ys, depths = zip(back(0, 0), back(w, 0), back(w, h), back(0, h), strict=True)
    x, y, depth = back(w / 2, h / 2)
    shrinks_x = math.hypot(xx - x * zx, xy - x * zy) / abs(depth)  # pixels of the picture to one of the view
    shrinks_y = math.hypot(yx - y * zx, yy - y * zy) / abs(depth)
    if min(depths) <= 0:  # it reaches behind the eye: there is no end to what it sees
        return (-math.inf, math.inf, shrinks_x), (-math.inf, math.inf, shrinks_y)
    return (min(xs), max(xs), shrinks_x), (min(ys), max(ys), shrinks_y)


def _seen(first: float, last: float, shrinks: float, side: int, border: Border) -> _Seen:
    """What is read for a view that reaches from one place to another, what it sees in the mirror too."""
    margin = MARGIN * max(1.0, shrinks)
    low, high = first - margin, last + margin
    beyond = math.ceil(min(max(high - side, 0), side))
    if border == "reflect":
        low, high = min(low, 2 * side - high), max(high, -low)
    begin = math.floor(min(max(low, 0), side - 1))
    end = max(math.ceil(min(high, side)), begin + 1)
    return _Seen(begin, end, beyond, shrinks)


def _halved(part: NDArray[np.uint8], across: _Seen, down: _Seen, edge: int, fill: int) -> NDArray[np.uint8]:
    """Each side halved so many times, by averages; what is outside is added where it does not come out even."""
    if across.padding or down.padding:
        part = np.asarray(
            cv2.copyMakeBorder(part, 0, down.padding, 0, across.padding, edge, None, (fill,) * 4), np.uint8
        )
    times_x, times_y = across.halvings, down.halvings
    while times_x or times_y:
        size = part.shape[1] // (2 if times_x else 1), part.shape[0] // (2 if times_y else 1)
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
        times_x, times_y = max(0, times_x - 1), max(0, times_y - 1)
    return part


def _smoothed(part: NDArray[np.uint8], shrinks: tuple[float, float], halvings: tuple[int, int]) -> NDArray[np.uint8]:
    """Each pixel with a share of its neighbours, where sampling alone would show fine patterns as coarse ones.

    Args:
        shrinks: times along x and y that are left.
        halvings: that went before, and have smoothed as well.
    """
    if max(shrinks) < SMOOTHED_FROM:
        return part
    shares = [
        (0.03 if before else 0.06) * (times**2 - 1) if times >= SMOOTHED_FROM else 0.0
        for times, before in zip(shrinks, halvings, strict=True)
    ]
    along_x, along_y = (np.array([share, 1 - 2 * share, share]) for share in shares)
    return np.asarray(cv2.sepFilter2D(part, -1, along_x, along_y), np.uint8)
