"""Two pictures -> how one lies on the other, and how alike their pixels are there.

Corners and blobs are described by SIFT (Lowe 2004), matched both ways with Lowe's ratio test (section 7.1), and
explained by one similarity transform, found by RANSAC. The picture is then laid over the other, and the pixels of both
are compared by their correlation, so that another brightness or contrast does not matter: once over the whole, and
square by square, for a label that differs is small beside a package that does not.

Does not know: files, networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Alignment", "Sketch", "align"]

SIDE: Final = 256
"""The longer side of the pictures that are compared."""
POINTS: Final = 400
RATIO: Final = 0.8
NEAR: Final = 4.0
"""Pixels by which a point may lie beside where the transform puts it."""
SQUARE: Final = 16
"""Side of the squares that are compared by themselves, in pixels."""
BLUR: Final = 1.2
FLAT: Final = 8.0
"""Standard deviation of the pixels of a square in which there is something, of 255."""
ALIKE: Final = 0.7
"""Correlation of squares that agree."""
LEAST_OVERLAP: Final = 0.2
"""The part of the smaller picture that must lie on the other for it to count."""
FEWEST: Final = 8
"""Matches that agree, from which a transform is believed."""
SAME_FRAME: Final = 0.97
"""Correlation and agreement of two pictures as they are, from which no points are looked for: that takes ten times as
long."""


class Sketch:
    """A small grey picture and its points.

    Args:
        image: upright RGB (H, W, 3) or grey (H, W), uint8.
    """

    def __init__(self, image: NDArray[np.uint8]) -> None:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
        scale = SIDE / max(grey.shape)
        size = max(8, round(grey.shape[1] * scale)), max(8, round(grey.shape[0] * scale))
        shrinks = scale < 1
        small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        low, high = _percentiles(small, (1, 99))
        stretched = (np.arange(256) - low) * (255 / max(high - low, 1))  # a dark picture has points too
        self.grey = np.asarray(cv2.LUT(small, stretched.clip(0, 255).astype(np.uint8)), np.uint8)

    @cached_property
    def points(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Places (P, 2), x and y, and descriptions (P, 128)."""
        found, descriptions = cv2.SIFT.create(POINTS).detectAndCompute(self.grey, None)
        if descriptions is None:
            return np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32)
        return np.array([point.pt for point in found], np.float32), np.asarray(descriptions, np.float32)


def _percentiles(levels: cv2.typing.MatLike, percents: Sequence[float]) -> NDArray[np.float64]:
    """As NumPy's, of levels of 8 bits: by counting, a tenth of the time."""
    below = np.cumsum(np.bincount(np.ravel(levels), minlength=256))
    places = (below[-1] - 1) * np.asarray(percents) / 100
    low, high = (np.searchsorted(below, side, side="right") for side in (np.floor(places), np.ceil(places)))
    return np.asarray(low + (high - low) * (places - np.floor(places)), np.float64)


@dataclass(frozen=True)
class Alignment:
    """How one picture lies on another.

    Attributes:
        correlation: of the pixels where both are, -1 to 1.
        agreement: the share of squares with something in them, in either, that correlate by themselves, 0 to 1.
        overlap: the part of the smaller picture that lies on the other, 0 to 1.
        matches: how many points agree; 0 where they were laid over each other as they are.
    """

    correlation: float
    agreement: float
    overlap: float
    matches: int


def align(one: Sketch, other: Sketch) -> Alignment:
    """Lay one picture over another, as they are or as their points say, whichever fits better."""
    plain = _compared(one, other, _stretched(one, other), 0)
    if min(plain.correlation, plain.agreement) >= SAME_FRAME:
        return plain
    matrix, matches = _matrix(one, other)
    if matrix is None:
        return plain
    moved = _compared(one, other, matrix, matches)
    if moved.overlap < LEAST_OVERLAP:  # a logo, a stamp, a watermark
        return plain
    return moved if (moved.correlation, moved.overlap) > (plain.correlation, 0.0) else plain


def _stretched(one: Sketch, other: Sketch) -> NDArray[np.float64]:
    """The map that lays one whole picture on the other whole one."""
    (h, w), (height, width) = one.grey.shape, other.grey.shape
    across, down = width / w, height / h
    return np.array([[across, 0.0, (across - 1) / 2], [0.0, down, (down - 1) / 2]])  # OpenCV counts from pixel centres


def _matrix(one: Sketch, other: Sketch) -> tuple[NDArray[np.float64] | None, int]:
    """The similarity transform that the points agree on, and how many do."""
    (places, own), (places_there, there) = one.points, other.points
    if min(len(places), len(places_there)) < FEWEST:
        return None, 0
    squares = (own**2).sum(1)[:, None] + (there**2).sum(1)[None] - 2 * own @ there.T
    forth, back = _best(squares), _best(squares.T)
    pairs = [(i, j) for i, j in forth.items() if back.get(j) == i]
    if len(pairs) < FEWEST:
        return None, 0
    a, b = (np.array(side) for side in zip(*pairs, strict=True))
    cv2.setRNGSeed(0)
    matrix, inside = cv2.estimateAffinePartial2D(
        places[a], places_there[b], method=cv2.RANSAC, ransacReprojThreshold=NEAR, maxIters=1_000
    )
    matches = 0 if inside is None else int(inside.sum())
    if matrix is None or matches < FEWEST:
        return None, 0
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    return (np.asarray(matrix, np.float64), matches) if 0.1 < scale < 10 else (None, 0)


def _best(squares: NDArray[np.float32]) -> dict[int, int]:
    """For each point (a row) the most alike of the other picture, where it is clearly more alike than the next."""
    nearest = np.argpartition(squares, 1, axis=1)[:, :2]
    two = np.take_along_axis(squares, nearest, 1)
    first = two.argmin(axis=1)
    rows = np.arange(len(squares))
    is_clear = two[rows, first] < RATIO**2 * two[rows, 1 - first]
    return {int(i): int(nearest[i, first[i]]) for i in np.flatnonzero(is_clear)}


def _compared(one: Sketch, other: Sketch, matrix: NDArray[np.float64], matches: int) -> Alignment:
    """The correlation of the pixels where one, moved by the matrix, lies on the other."""
    height, width = other.grey.shape
    warped = cv2.warpAffine(one.grey, matrix, (width, height), flags=cv2.INTER_LINEAR)
    there = cv2.warpAffine(np.full_like(one.grey, 255), matrix, (width, height), flags=cv2.INTER_NEAREST) > 0
    area = float(abs(np.linalg.det(matrix[:, :2]))) * one.grey.size
    overlap = float(there.sum()) / max(1.0, min(area, float(other.grey.size)))
    if there.sum() < SQUARE**2:
        return Alignment(0.0, 0.0, overlap, matches)
    a, b = (cv2.GaussianBlur(grey, (0, 0), BLUR).astype(np.float64) for grey in (warped, other.grey))
    whole = _correlations(a[there][None], b[there][None])[0]
    inside = _squares(there).all(axis=1)
    own, there_ = _squares(a)[inside], _squares(b)[inside]
    says = np.maximum(own.std(axis=1), there_.std(axis=1)) > FLAT
    agreement = float((_correlations(own[says], there_[says]) > ALIKE).mean()) if says.any() else max(whole, 0.0)
    return Alignment(float(whole), agreement, min(1.0, overlap), matches)


def _squares(grey: NDArray[Any]) -> NDArray[Any]:
    """(H, W) -> the squares that go into it (N, SQUARE SQUARE)."""
    rows, columns = (n // SQUARE for n in grey.shape)
    cut = grey[: rows * SQUARE, : columns * SQUARE].reshape(rows, SQUARE, columns, SQUARE)
    return cut.transpose(0, 2, 1, 3).reshape(rows * columns, SQUARE * SQUARE)


def _correlations(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the rows of (N, P) and (N, P): (N,); 0 where one does not vary."""
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray(np.where(lengths > 1e-6, (a * b).sum(axis=1) / np.maximum(lengths, 1e-6), 0.0))
