"""What an image is said to show: the same types for the truth of a data set and for a prediction.

All are frozen and check their shapes when they are made. Class ids count from 0 in the order of the sorted class names.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Boxes", "Label", "Labels", "Mask", "Outline"]


@dataclass(frozen=True, slots=True)
class Label:
    """One class for a whole image.

    Args:
        name: the class as the person wrote it.
        class_id: its place among the sorted class names, from 0.
        probability: in [0, 1] for a prediction; None for a truth.

    >>> Label("pear", 3, probability=0.9)
    Label(name='pear', class_id=3, probability=0.9)
    """

    name: str
    class_id: int
    probability: float | None = None

    def __post_init__(self) -> None:
        if self.class_id < 0:
            raise ValueError(f"class_id counts from 0, got {self.class_id}")
        if self.probability is not None and not 0.0 <= self.probability <= 1.0:
            raise ValueError(f"a probability lies in [0, 1], got {self.probability}")


@dataclass(frozen=True, slots=True)
class Labels:
    """Several classes, or none, for a whole image.

    Args:
        labels: one a class, by ascending class id.

    >>> Labels((Label("cat", 0), Label("dog", 2))).names
    ('cat', 'dog')
    """

    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        class_ids = [label.class_id for label in self.labels]
        if class_ids != sorted(set(class_ids)):
            raise ValueError(f"labels are distinct and ascend by class id, got {class_ids}")

    @property
    def names(self) -> tuple[str, ...]:
        """The classes as the person wrote them."""
        return tuple(label.name for label in self.labels)


@dataclass(frozen=True, slots=True)
class Outline:
    """Which pixels of an image belong to an object: as polygons, or as runs of pixels.

    Args:
        polygons: of each polygon the corners x1, y1, x2, y2, ... in pixels of the upright original.
        runs: or lengths of runs, first of pixels outside, in turn, column by column from the left (COCO's
            uncompressed run-length encoding).
        size_wh: with `runs`, width and height of the image.

    >>> Outline(runs=(2, 1, 3), size_wh=(2, 3)).bounds  # the third pixel of the first column
    (0.0, 2.0, 1.0, 3.0)
    """

    polygons: tuple[tuple[float, ...], ...] = ()
    runs: tuple[int, ...] = ()
    size_wh: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if bool(self.polygons) == bool(self.runs):
            raise ValueError("an outline has either polygons or runs")
        if any(len(polygon) < 6 or len(polygon) % 2 for polygon in self.polygons):
            raise ValueError("a polygon has at least three corners, each with x and y")
        if not self.runs:
            return
        if self.size_wh is None:
            raise ValueError("runs need the size of the image")
        width, height = self.size_wh
        if min(self.runs) < 0 or sum(self.runs) != width * height:
            raise ValueError(f"runs cover {sum(self.runs):,} pixels, the image has {width} x {height}")

    @property
    def bounds(self) -> tuple[float, float, float, float] | None:
        """The smallest box around it: left, top, right, bottom, the last two exclusive; None around no pixel."""
        if self.polygons:
            xs = [x for polygon in self.polygons for x in polygon[::2]]
            ys = [y for polygon in self.polygons for y in polygon[1::2]]
            return min(xs), min(ys), max(xs), max(ys)
        assert self.size_wh is not None
        height = self.size_wh[1]
        ends = list(itertools.accumulate(self.runs))
        inside = [(end - run, end - 1) for run, end in zip(self.runs[1::2], ends[1::2], strict=True) if run]
        if not inside:
            return None
        # A run that goes on in the next column touches the top and the bottom.
        rows = [(0, height - 1) if a // height < b // height else (a % height, b % height) for a, b in inside]
        top, bottom = min(row for row, _ in rows), max(row for _, row in rows)
        return float(inside[0][0] // height), float(top), float(inside[-1][1] // height + 1), float(bottom + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Axis-parallel boxes around the objects of an image.

    Args:
        boxes_xyxy: (N, 4), left, top, right, bottom in pixels of the upright original; right and bottom are exclusive.
        class_ids: (N,) integers.
        probabilities: (N,) in [0, 1] for predictions; None for truth.
        is_crowd: (N,) whether a box is around many objects (COCO's iscrowd), or an object that is not to be judged
            (VOC's difficult); None where no box is.
        outlines: of each object the pixels, or None where they are not known; None where of no object.
    """

    boxes_xyxy: NDArray[np.floating]
    class_ids: NDArray[np.integer]
    probabilities: NDArray[np.floating] | None = None
    is_crowd: NDArray[np.bool_] | None = None
    outlines: tuple[Outline | None, ...] | None = None

    def __post_init__(self) -> None:
        n = len(self.boxes_xyxy)
        if self.boxes_xyxy.shape != (n, 4):
            raise ValueError(f"boxes_xyxy must be (N, 4), got {self.boxes_xyxy.shape}")
        if self.class_ids.shape != (n,):
            raise ValueError(f"class_ids must be ({n},), got {self.class_ids.shape}")
        if self.probabilities is not None and self.probabilities.shape != (n,):
            raise ValueError(f"probabilities must be ({n},), got {self.probabilities.shape}")
        if self.is_crowd is not None and self.is_crowd.shape != (n,):
            raise ValueError(f"is_crowd must be ({n},), got {self.is_crowd.shape}")
        if self.outlines is not None and len(self.outlines) != n:
            raise ValueError(f"there must be {n} outlines, got {len(self.outlines)}")
        if not (
            self.boxes_xyxy[:, :2] <= self.boxes_xyxy[:, 2:]
        ).all():  # written so that "not a number" is refused too
            raise ValueError("a box must have left <= right and top <= bottom")

    def __len__(self) -> int:
        return len(self.boxes_xyxy)

    def chosen(self, places: Sequence[int] | NDArray[np.integer]) -> Boxes:
        """Some of them, in this order."""
        return Boxes(
            self.boxes_xyxy[places],
            self.class_ids[places],
            None if self.probabilities is None else self.probabilities[places],
            None if self.is_crowd is None else self.is_crowd[places],
            None if self.outlines is None else tuple(self.outlines[place] for place in places),
        )

    def at(self, boxes_xyxy: NDArray[np.floating]) -> Boxes:
        """The same objects elsewhere: outlines are left out, for these are where they were."""
        return replace(self, boxes_xyxy=boxes_xyxy, outlines=None)


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """A class for every pixel.

    Args:
        class_ids: (H, W) integers, in the pixels of the upright original.
        ignore_id: the value that means "not labelled", or None.
    """

    class_ids: NDArray[np.integer]
    ignore_id: int | None = None

    def __post_init__(self) -> None:
        if self.class_ids.ndim != 2:
            raise ValueError(f"a mask is (H, W), got {self.class_ids.shape}")
        if self.class_ids.dtype.kind not in "iu":
            raise ValueError(f"a mask holds integers, got {self.class_ids.dtype}")

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self.class_ids.shape
        return width, height
