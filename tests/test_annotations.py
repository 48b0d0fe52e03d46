"""Labels, boxes and masks check their shapes when they are made, and cannot be changed after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest

from mirada.annotations import Boxes, Label, Labels, Mask, Outline

CORNERS = np.array([[0.0, 1.0, 4.0, 5.0], [2.0, 2.0, 2.0, 3.0]])
IDS = np.array([0, 3])
TRIANGLE = (0.0, 0.0, 4.0, 0.5, 2.0, 3.0)


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
        (lambda: Boxes(CORNERS * np.nan, IDS), "a box must have left <= right and top <= bottom"),
        (lambda: Boxes(CORNERS, IDS, is_crowd=np.array([True])), r"is_crowd must be \(2,\), got \(1,\)"),
        (lambda: Boxes(CORNERS, IDS, outlines=(None,)), "there must be 2 outlines, got 1"),
        (lambda: Labels((Label("b", 1), Label("a", 0))), r"labels are distinct and ascend by class id, got \[1, 0\]"),
        (lambda: Labels((Label("a", 0), Label("a", 0))), r"labels are distinct and ascend by class id, got \[0, 0\]"),
        (lambda: Outline(), "an outline has either polygons or runs"),
        (lambda: Outline((TRIANGLE,), (6,), (2, 3)), "an outline has either polygons or runs"),
        (lambda: Outline((TRIANGLE, TRIANGLE[:4])), "a polygon has at least three corners, each with x and y"),
        (lambda: Outline((TRIANGLE[:5],)), "a polygon has at least three corners, each with x and y"),
        (lambda: Outline(((*TRIANGLE, 1.0),)), "a polygon has at least three corners, each with x and y"),
        (lambda: Outline(runs=(6,)), "runs need the size of the image"),
        (lambda: Outline(runs=(5,), size_wh=(2, 3)), "runs cover 5 pixels, the image has 2 x 3"),
        (lambda: Outline(runs=(8, -2), size_wh=(2, 3)), "runs cover 6 pixels, the image has 2 x 3"),
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
    assert Labels((Label("ant", 0), Label("cat", 2))).names == ("ant", "cat")
    assert Labels(()).names == ()
    assert Outline((TRIANGLE,)) == Outline((TRIANGLE,))


@pytest.mark.parametrize(
    ("runs", "bounds"),
    [
        ((1, 2, 9), (0, 1, 1, 3)),  # the second and third of the first column
        ((0, 1, 11), (0, 0, 1, 1)),
        ((0, 12), (0, 0, 4, 3)),
        ((4, 3, 5), (1, 0, 3, 3)),  # to the bottom of the second column, and the top of the third
        ((4, 1, 5, 1, 1), (1, 1, 4, 2)),
        ((1, 0, 1, 1, 9), (0, 2, 1, 3)),
        ((12,), None),
        ((3, 0, 9), None),
    ],
)
def test_the_box_around_runs(runs: tuple[int, ...], bounds: tuple[float, ...] | None) -> None:
    outline = Outline(runs=runs, size_wh=(4, 3))
    assert outline.bounds == bounds
    flat = np.repeat(np.arange(len(runs)) % 2, runs).reshape(4, 3).T  # (3, 4), column by column
    y, x = np.nonzero(flat)
    assert bounds == ((x.min(), y.min(), x.max() + 1, y.max() + 1) if len(x) else None)


def test_the_box_around_polygons() -> None:
    assert Outline((TRIANGLE,)).bounds == (0, 0, 4, 3)
    assert Outline((TRIANGLE, (1.0, -1.0, 9.0, 2.0, 1.0, 2.0))).bounds == (0, -1, 9, 3)


def test_some_of_the_boxes_in_another_order() -> None:
    outline = Outline((TRIANGLE,))
    boxes = Boxes(CORNERS, IDS, np.array([0.25, 1.0]), np.array([True, False]), (outline, None))
    for places in ([1, 0], np.array([1, 0])):
        chosen = boxes.chosen(places)
        assert chosen.boxes_xyxy.tolist() == CORNERS[::-1].tolist()
        assert chosen.class_ids.tolist() == [3, 0]
        assert chosen.probabilities is not None
        assert chosen.probabilities.tolist() == [1.0, 0.25]
        assert chosen.is_crowd is not None
        assert chosen.is_crowd.tolist() == [False, True]
        assert chosen.outlines == (None, outline)
    assert len(boxes.chosen([])) == 0
    plain = Boxes(CORNERS, IDS).chosen([1])
    assert (plain.probabilities, plain.is_crowd, plain.outlines) == (None, None, None)


def test_boxes_elsewhere_lose_their_outlines_alone() -> None:
    boxes = Boxes(CORNERS, IDS, None, np.array([True, False]), (Outline((TRIANGLE,)), None))
    moved = boxes.at(CORNERS + 1)
    assert moved.boxes_xyxy.tolist() == (CORNERS + 1).tolist()
    assert moved.class_ids is boxes.class_ids
    assert moved.is_crowd is boxes.is_crowd
    assert moved.outlines is None


FROZEN = [
    Label("pear", 3),
    Labels(()),
    Outline((TRIANGLE,)),
    Boxes(CORNERS, IDS),
    Mask(np.zeros((1, 1), np.int64)),
]


@pytest.mark.parametrize("value", FROZEN)
def test_none_of_them_can_be_changed(value: object) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(value, fields(value)[0].name, None)  # type: ignore[arg-type]
