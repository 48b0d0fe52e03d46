"""Labels, boxes and masks check their shapes when they are made, and cannot be changed after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest

from mirada import Boxes, Label, Mask

CORNERS = np.array([[0.0, 1.0, 4.0, 5.0], [2.0, 2.0, 2.0, 3.0]])
IDS = np.array([0, 3])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Label("pear", -1), "class_id counts from 0, got -1"),
        (lambda: Label("pear", 0, 1.5), r"a probability lies in \[0, 1\], got 1.5"),
        (lambda: Label("pear", 0, float("nan")), r"a probability lies in \[0, 1\], got nan"),
        (lambda: Boxes(CORNERS[:, :3], IDS), r"boxes_xyxy must be \(N, 4\), got \(2, 3\)"),
        (lambda: Boxes(CORNERS, IDS[:1]), r"class_ids must be \(2,\), got \(1,\)"),
        (lambda: Boxes(CORNERS, IDS, np.ones((2, 1))), r"probabilities must be \(2,\), got \(2, 1\)"),
        (lambda: Boxes(CORNERS[:, ::-1], IDS), "a box must have left <= right and top <= bottom"),
        (lambda: Mask(np.zeros((2, 3, 1), np.uint8)), r"a mask is \(H, W\), got \(2, 3, 1\)"),
        (lambda: Mask(np.zeros((2, 3))), "a mask holds integers, got float64"),
    ],
)
def test_what_has_another_shape_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        make()


def test_what_fits_is_kept() -> None:
    assert len(Boxes(CORNERS, IDS, np.array([0.5, 1.0]))) == 2
    assert len(Boxes(np.zeros((0, 4)), np.zeros(0, np.int64))) == 0
    assert Mask(np.zeros((2, 3), np.uint16), ignore_id=255).size_wh == (3, 2)
    assert Label("pear", 3) == Label("pear", 3, None)


@pytest.mark.parametrize("value", [Label("pear", 3), Boxes(CORNERS, IDS), Mask(np.zeros((1, 1), np.int64))])
def test_none_of_them_can_be_changed(value: object) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(value, fields(value)[0].name, None)  # type: ignore[arg-type]
