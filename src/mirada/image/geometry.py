"""Maps of the plane as 3 x 3 matrices, and what they do to points and boxes.

A point (x, y) goes to (X / Z, Y / Z) with (X, Y, Z) = M (x, y, 1); maps are chained by the matrix product, the first of
them on the right. Coordinates are continuous: pixel i has its centre at i + 0.5, and y points down.

Does not know: pixels, random numbers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "about",
    "inverse",
    "mirrored",
    "moved_points",
    "scaled",
    "seen_boxes",
    "sheared",
    "shifted",
    "tilted",
    "turned",
]

Matrix = NDArray[np.float64]
Point = tuple[float, float]


def shifted(x: float, y: float) -> Matrix:
    """To the right by x, down by y."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def scaled(x: float, y: float) -> Matrix:
    """Each axis by its factor."""
    return np.array([[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, 1.0]])


def turned(degrees: float) -> Matrix:
    """Clockwise, as one sees it."""
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def sheared(x: float, y: float) -> Matrix:
    """Lines that stood upright lean by x (a slope), lines that lay flat by y."""
    return np.array([[1.0, x, 0.0], [y, 1.0, 0.0], [0.0, 0.0, 1.0]])


def mirrored(*, x: bool, y: bool) -> Matrix:
    """Left to right, and upside down."""
    return scaled(-1.0 if x else 1.0, -1.0 if y else 1.0)


def tilted(x: float, y: float) -> Matrix:
    """Seen at a slant: what lies at (x', y') is 1 + x x' + y y' times as far away."""
    return np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [x, y, 1.0]])


def about(matrix: Matrix, x: float, y: float) -> Matrix:
    """The same map with (x, y) in the place of the origin."""
    return shifted(x, y) @ matrix @ shifted(-x, -y)


def inverse(matrix: Matrix) -> Matrix:
    """The way back."""
    return np.asarray(np.linalg.inv(matrix), np.float64)


def moved_points(matrix: Matrix, points: ArrayLike) -> NDArray[np.float64]:
    """Where points (..., 2) go. They must lie before the eye: Z above 0."""
    points = np.asarray(points, np.float64)
    moved = points @ matrix[:2, :2].T + matrix[:2, 2]
    return np.asarray(moved / (points @ matrix[2, :2] + matrix[2, 2])[..., np.newaxis])


def seen_boxes(
    matrix: Matrix, boxes_xyxy: NDArray[np.floating], size_wh: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a view shows of boxes.

    Args:
        matrix: from the picture to the view; every place of the view lies before the eye.
        boxes_xyxy: (N, 4) in the picture.
        size_wh: of the view.

    Returns:
        The smallest boxes (N, 4) around the parts that are seen, inside 0..w and 0..h; and the share of the area of
        each box that is seen, measured in the picture, (N,). Where that is 0, the box is 0.
    """
    boxes = np.asarray(boxes_xyxy, np.float64)
    seen, shares = np.zeros_like(boxes), np.zeros(len(boxes))
    w, h = size_wh
    most = np.array([w, h], np.float64)
    corners = np.insert(boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2), 2, 1.0, axis=2) @ matrix.T  # (N, 4, 3)
    moved, depth = corners[:, :, :2], corners[:, :, 2:]
    is_whole = ((moved >= 0) & (moved <= most * depth)).all(axis=(1, 2))  # never behind the eye, where depth is below 0
    has_area = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    is_whole &= has_area
    moved = moved[is_whole] / depth[is_whole]
    seen[is_whole], shares[is_whole] = np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1), 1.0

    window = moved_points(inverse(matrix), [[0, 0], [w, 0], [w, h], [0, h]])
    is_near = ((boxes[:, :2] < window.max(axis=0)) & (boxes[:, 2:] > window.min(axis=0))).all(axis=1)
    polygon = [(x, y) for x, y in window.tolist()]
    parts = {i: _cut(polygon, boxes[i].tolist()) for i in np.flatnonzero(is_near & has_area & ~is_whole).tolist()}
    parts = {i: part for i, part in parts.items() if _area(part) > 0}
    if parts:
        cut = list(parts)
        shares[cut] = [_area(part) for part in parts.values()] / np.prod(boxes[cut, 2:] - boxes[cut, :2], axis=1)
        ends = moved_points(matrix, [point for part in parts.values() for point in part]).clip(0, most)
        first = np.cumsum([0, *map(len, parts.values())])[:-1]
        seen[cut] = np.concatenate([np.minimum.reduceat(ends, first), np.maximum.reduceat(ends, first)], axis=1)
    return seen, shares


def _cut(polygon: list[Point], box_xyxy: list[float]) -> list[Point]:
    """The part of a convex polygon that lies in a box: one side of the box after the other (Sutherland and Hodgman)."""
    left, top, right, bottom = box_xyxy
    for axis, edge, sign in ((0, left, 1.0), (0, right, -1.0), (1, top, 1.0), (1, bottom, -1.0)):
        inside = [sign * (point[axis] - edge) for point in polygon]
        kept: list[Point] = []
        for i, (one, depth) in enumerate(zip(polygon, inside, strict=True)):
            before, before_depth = polygon[i - 1], inside[i - 1]
            if (depth > 0) != (before_depth > 0):  # the edge is crossed
                share = before_depth / (before_depth - depth)
                kept.append((before[0] + share * (one[0] - before[0]), before[1] + share * (one[1] - before[1])))
            if depth > 0:
                kept.append(one)
        polygon = kept
    return polygon


def _area(polygon: list[Point]) -> float:
    """By the shoelace formula, whichever way round."""
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True))) / 2
