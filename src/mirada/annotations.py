"""What an image is said to show: the same types for the truth of a data set and for a prediction.

All are frozen and check their shapes when they are made. Class ids count from 0 in the order of the sorted class names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Boxes", "Label", "Mask"]


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


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Axis-parallel boxes around the objects of an image.

    Args:
        boxes_xyxy: (N, 4), left, top, right, bottom in pixels of the upright original; right and bottom are exclusive.
        class_ids: (N,) integers.
        probabilities: (N,) in [0, 1] for predictions; None for truth.
    """

    boxes_xyxy: NDArray[np.floating]
    class_ids: NDArray[np.integer]
    probabilities: NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        n = len(self.boxes_xyxy)
        if self.boxes_xyxy.shape != (n, 4):
            raise ValueError(f"boxes_xyxy must be (N, 4), got {self.boxes_xyxy.shape}")
        if self.class_ids.shape != (n,):
            raise ValueError(f"class_ids must be ({n},), got {self.class_ids.shape}")
        if self.probabilities is not None and self.probabilities.shape != (n,):
            raise ValueError(f"probabilities must be ({n},), got {self.probabilities.shape}")
        if n and (self.boxes_xyxy[:, 2:] < self.boxes_xyxy[:, :2]).any():
            raise ValueError("a box must have left <= right and top <= bottom")

    def __len__(self) -> int:
        return len(self.boxes_xyxy)


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
