"""Maps of the plane against calculations by hand and OpenCV; boxes against their pixels."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mirada.image import geometry

Matrix = NDArray[np.float64]
Box = tuple[float, ...]

numbers = st.floats(-50, 50)
points = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5)
maps = st.one_of(
    st.builds(geometry.shifted, numbers, numbers),
    st.builds(geometry.scaled, st.floats(0.3, 3), st.floats(0.3, 3)),
    st.builds(geometry.turned, st.floats(-180, 180)),
    st.builds(geometry.sheared, st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)),
    st.builds(lambda x, y: geometry.mirrored(x=x, y=y), st.booleans(), st.booleans()),
)


@pytest.mark.parametrize(
    ("matrix", "point", "expected"),
    [
        pytest.param(geometry.shifted(3, -4), (1, 1), (4, -3), id="shifted"),
        pytest.param(geometry.scaled(2, 0.5), (3, 4), (6, 2), id="scaled"),
        pytest.param(geometry.turned(90), (1, 0), (0, 1), id="right goes down: clockwise"),
        pytest.param(geometry.turned(30), (2, 0), (math.sqrt(3), 1), id="turned"),
        pytest.param(geometry.sheared(0.5, 0), (0, 2), (1, 2), id="upright lines lean"),
        pytest.param(geometry.sheared(0, 0.25), (4, 0), (4, 1), id="flat lines lean"),
        pytest.param(geometry.mirrored(x=True, y=False), (2, 3), (-2, 3), id="left to right"),
        pytest.param(geometry.mirrored(x=False, y=True), (2, 3), (2, -3), id="upside down"),
        pytest.param(geometry.tilted(0.5, 0), (2, 3), (1, 1.5), id="twice as far away"),
        pytest.param(geometry.tilted(0, -0.25), (2, 2), (4, 4), id="half as far away"),
        pytest.param(geometry.about(geometry.turned(180), 5, 6), (5, 8), (5, 4), id="about a point"),
    ],
)
def test_by_hand(matrix: Matrix, point: tuple[float, float], expected: tuple[float, float]) -> None:
    np.testing.assert_allclose(geometry.moved_points(matrix, point), expected, atol=1e-12)
    np.testing.assert_allclose(geometry.moved_points(geometry.inverse(matrix), expected), point, atol=1e-12)


def test_a_turn_is_that_of_opencv() -> None:
    """Which turns the other way round for a positive angle."""
    ours = geometry.about(geometry.turned(-25), 30, 40)
    np.testing.assert_allclose(ours[:2], cv2.getRotationMatrix2D((30, 40), 25, 1.0), atol=1e-12)


@given(chain=st.lists(maps, min_size=1, max_size=5), places=points)
def test_a_product_is_one_map_after_the_other(chain: list[Matrix], places: list[Box]) -> None:
    whole, moved = np.eye(3), np.array(places)
    for matrix in chain:
        whole, moved = matrix @ whole, geometry.moved_points(matrix, moved)
    np.testing.assert_allclose(geometry.moved_points(whole, places), moved, atol=1e-6)


def test_points_of_any_shape() -> None:
    places = np.arange(24.0).reshape(3, 2, 2, 2)
    moved = geometry.moved_points(geometry.tilted(0.01, 0.02), places)
    assert moved.shape == places.shape
    assert moved[1, 0, 1].tolist() == geometry.moved_points(geometry.tilted(0.01, 0.02), places[1, 0, 1]).tolist()


# Boxes

VIEW = (60, 40)
MIRRORED = geometry.about(geometry.mirrored(x=True, y=False), 30, 20)


def seen(matrix: Matrix, *boxes: Box) -> tuple[list[list[float]], list[float]]:
    found, shares = geometry.seen_boxes(matrix, np.array(boxes, np.float64).reshape(-1, 4), VIEW)
    return np.round(found, 9).tolist(), np.round(shares, 9).tolist()


@pytest.mark.parametrize(
    ("matrix", "box", "expected", "share"),
    [
        pytest.param(np.eye(3), (10, 10, 20, 30), [10, 10, 20, 30], 1, id="inside"),
        pytest.param(np.eye(3), (0, 0, 60, 40), [0, 0, 60, 40], 1, id="all of the view"),
        pytest.param(np.eye(3), (-10, 10, 30, 20), [0, 10, 30, 20], 0.75, id="cut at the left"),
        pytest.param(np.eye(3), (50, 30, 70, 50), [50, 30, 60, 40], 0.25, id="cut at a corner"),
        pytest.param(np.eye(3), (-10, -10, 70, 50), [0, 0, 60, 40], 0.5, id="larger than the view"),
        pytest.param(np.eye(3), (60, 0, 80, 40), [0, 0, 0, 0], 0, id="touches from outside"),
        pytest.param(np.eye(3), (100, 100, 120, 120), [0, 0, 0, 0], 0, id="outside"),
        pytest.param(np.eye(3), (10, 10, 10, 30), [0, 0, 0, 0], 0, id="without area"),
        pytest.param(geometry.scaled(2, 2), (10, 10, 20, 30), [20, 20, 40, 40], 0.5, id="scaled"),
        pytest.param(MIRRORED, (50, 0, 70, 10), [0, 0, 10, 10], 0.5, id="mirrored"),
        pytest.param(geometry.about(geometry.turned(90), 30, 20), (20, 15, 40, 25), [25, 10, 35, 30], 1, id="turned"),
    ],
)
def test_boxes_by_hand(matrix: Matrix, box: Box, expected: list[float], share: float) -> None:
    assert seen(matrix, box) == ([expected], [share])


def test_of_a_turned_box_only_what_is_seen_counts() -> None:
    """A square on its corner, of which the view shows the right half: the box is around the half alone."""
    boxes, shares = seen(geometry.shifted(0, 20) @ geometry.turned(45), (-10, -10, 10, 10))
    half = 10 * math.sqrt(2)
    assert boxes[0] == pytest.approx([0, 20 - half, half, 20 + half])
    assert shares == [0.5]


def test_what_lies_behind_the_eye_is_not_seen() -> None:
    """The horizon of this tilt is at x = -100: of a box across it the view shows what lies before the eye."""
    boxes, shares = seen(geometry.tilted(0.01, 0), (-200, 5, -120, 10), (-200, 0, 20, 10))
    assert boxes == [[0, 0, 0, 0], [0, 0, pytest.approx(20 / 1.2), 10]]
    assert shares == [0, pytest.approx(20 / 220)]


@pytest.mark.parametrize("box", [(20, 20, 20, 60), (20, 20, 60, 20), (20, 20, 20, 20), (40, 20, 30, 60)])
def test_boxes_without_an_area_are_never_seen(box: Box) -> None:
    for degrees in range(0, 90, 7):
        matrix = geometry.about(geometry.turned(degrees), 50, 50) @ geometry.tilted(0.001, 0.002)
        seen, shares = geometry.seen_boxes(matrix, np.array([box], float), (100, 100))
        assert (seen.tolist(), shares.tolist()) == ([[0.0] * 4], [0.0])


def test_no_boxes() -> None:
    boxes, shares = geometry.seen_boxes(np.eye(3), np.zeros((0, 4)), VIEW)
    assert (boxes.shape, shares.shape) == ((0, 4), (0,))


corners = st.tuples(st.floats(-40, 90), st.floats(-40, 90), st.floats(1, 90), st.floats(1, 90))


@given(
    steps=st.lists(maps, max_size=3),
    tilt=st.tuples(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4)),
    box=corners,
)
def test_the_box_is_around_what_is_seen(steps: list[Matrix], tilt: tuple[float, float], box: Box) -> None:
    """Against a grid of points in the box: those that are seen lie in the new box and reach near all of its sides."""
    matrix = np.eye(3)
    for step in [*steps, geometry.tilted(tilt[0] / 30, tilt[1] / 20)]:
        matrix = geometry.about(step, 30, 20) @ matrix
    left, top, width, height = box
    (found,), (share,) = geometry.seen_boxes(matrix, np.array([[left, top, left + width, top + height]]), VIEW)
    across, down = (np.linspace(0, 1, 201) for _ in range(2))
    grid = np.stack(np.meshgrid(left + width * across, top + height * down), axis=-1).reshape(-1, 2)
    is_ahead = grid @ matrix[2, :2] + matrix[2, 2] > 0
    moved = geometry.moved_points(matrix, grid[is_ahead])
    is_seen = ((moved >= 0) & (moved <= VIEW)).all(axis=1)
    assert abs(share - is_seen.sum() / len(grid)) < 0.02
    if share == 0:
        assert found.tolist() == [0, 0, 0, 0]
    elif is_seen.any():
        places = moved[is_seen]
        assert (places.min(axis=0) >= found[:2] - 1e-6).all()
        assert (places.max(axis=0) <= found[2:] + 1e-6).all()
    assert (found >= 0).all()
    assert (found <= [*VIEW, *VIEW]).all()


def drawn_polygon(points: Matrix) -> NDArray[np.bool_]:
    """Which pixels of the view have their centre in a polygon."""
    x, y = np.meshgrid(np.arange(VIEW[0]) + 0.5, np.arange(VIEW[1]) + 0.5)
    is_inside = np.zeros(x.shape, bool)
    for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0), strict=True):
        crosses = (y1 > y) != (y2 > y)
        with np.errstate(divide="ignore", invalid="ignore"):
            is_inside ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return is_inside


@pytest.mark.parametrize(
    "change",
    [
        lambda: geometry.turned(20),
        lambda: geometry.sheared(0.4, 0.1),
        lambda: geometry.tilted(0.3 / 30, -0.2 / 20),
        lambda: geometry.scaled(1.7, 1.4) @ geometry.turned(-35),
    ],
)
def test_the_box_fits_the_pixels(change: Callable[[], Matrix]) -> None:
    """Against the pixels that the moved box covers, within one pixel on every side."""
    matrix = geometry.about(change(), 30, 20)
    rng = np.random.default_rng(0)
    checked = 0
    for _ in range(50):
        low = rng.uniform((-10, -10), (50, 30))
        box = np.array([*low, *(low + rng.uniform(6, 25, 2))])
        (found,), (share,) = geometry.seen_boxes(matrix, box[None], VIEW)
        covered = drawn_polygon(geometry.moved_points(matrix, box[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2)))
        if not covered.any():
            assert share < 0.1
            continue
        rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
        around = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        if share > 0.3:
            assert (around - found)[:2].min() > -1
            assert (found - around)[2:].min() > -1
            checked += 1
    assert checked > 20
