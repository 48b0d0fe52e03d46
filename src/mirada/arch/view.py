"""How a value looks at the image: its receptive field and stride, carried along beside the volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mirada.arch.shapes import ONE, ZERO, Pair, Volume

__all__ = ["View", "Window"]


class Window(NamedTuple):
    """What one value of a layer looks at in the volume it is given.

    Attributes:
        filter: the (effective) extent; None where it looks at the whole volume.
        stride: how far the windows of two neighbouring values lie apart.
        pad: how far the first window begins before the volume.
    """

    filter: Pair | None = ONE
    stride: Pair = ONE
    pad: Pair = ZERO


@dataclass(frozen=True, slots=True)
class View:
    """The pixels that the first value of a volume depends on, and how far its neighbour's lie apart.

    Attributes:
        image: the volume of the input.
        first: the first column and row; below 0 where it begins in padding.
        receptive: how many columns and rows from there.
        stride: pixels between two neighbouring values.
        sees_all: whether every value depends on the whole image.
    """

    image: Volume
    first: Pair = ZERO
    receptive: Pair = ONE
    stride: Pair = ONE
    sees_all: bool = False

    def through(self, window: Window) -> View:
        """The view of a value of a layer with this window on the volume so far.

        A filter of F sees (F - 1) strides more; one that looks at a whole volume sees the whole image.
        """
        stride = Pair(self.stride.w * window.stride.w, self.stride.h * window.stride.h)
        if self.sees_all or window.filter is None:
            return View(self.image, ZERO, Pair(self.image.width, self.image.height), stride, sees_all=True)
        first = Pair(self.first.w - window.pad.w * self.stride.w, self.first.h - window.pad.h * self.stride.h)
        receptive = Pair(
            self.receptive.w + (window.filter.w - 1) * self.stride.w,
            self.receptive.h + (window.filter.h - 1) * self.stride.h,
        )
        return View(self.image, first, receptive, stride)

    @staticmethod
    def joined(views: Sequence[View]) -> View:
        """The view of a value made of one value of each: from the first pixel that any sees to the last."""
        some = views[0]
        if any(view.sees_all for view in views):
            return View(some.image, ZERO, Pair(some.image.width, some.image.height), some.stride, sees_all=True)
        first = Pair(min(v.first.w for v in views), min(v.first.h for v in views))
        end = Pair(max(v.first.w + v.receptive.w for v in views), max(v.first.h + v.receptive.h for v in views))
        return View(some.image, first, Pair(end.w - first.w, end.h - first.h), some.stride)
