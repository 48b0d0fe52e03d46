"""Rung 0 chooses the preparation: how much of the picture the network sees, and how the rest is made to fit.

On fine-grained photos this is worth as much as the network itself, and features cost little, so a few are tried on some
of the training images and judged on validation images. The search stops where the next one is not clearly better.

Judged by ridge regression to the classes, which has a closed form, and by the cross entropy of its temperature-scaled
scores: what counts is which preparation is best, not how good the head will be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirada.image import Preparation
from mirada.learn.losses import calibrated_losses, is_clear

__all__ = ["Frame", "Seen", "choose_preparation", "some_of_each"]

ZOOM_STEP = 1.25
"""How many times nearer the next zoom is."""
NEAREST = 3.0
RIDGE = 0.3
"""The penalty of the ridge regression, in units of the mean square length of the features."""
TRAIN_IMAGES, VAL_IMAGES = 300, 300
"""At most so many are looked at for a choice."""
FEWEST = 20
"""With fewer validation images nothing is chosen: the difference would be chance."""


@dataclass(frozen=True)
class Frame:
    """One preparation that was tried.

    Attributes:
        fit, zoom: of the preparation.
        val_loss: mean cross entropy of a head on its features, over the validation images looked at.
        val_accuracy: share of them that is right.
    """

    fit: str
    zoom: float
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True, eq=False)
class Seen:
    """What the frozen network gives for some images.

    Attributes:
        features: (N, F).
        class_ids: (N,).
    """

    features: NDArray[np.float32]
    class_ids: NDArray[np.int64]


def choose_preparation(
    usual: Preparation, seen: Callable[[Preparation, str], tuple[Seen, Seen]], classes: int
) -> tuple[Preparation, list[dict[str, Any]]]:
    """The preparation whose features separate the classes best, and what was tried, as plain values.

    The usual view is compared with one nearer; while nearer is better, it goes on, and the zoom at the lowest point of
    the parabola through the last three losses is taken. Else the whole picture is tried, stretched, and where that is
    better, padded. One replaces another where its loss is lower by more than the standard error of the difference,
    image by image. With fewer than `FEWEST` validation images the usual one stays.

    Args:
        usual: the preparation that the network's makers used.
        seen: a preparation, and its name for the progress -> the training and validation images looked at, those that
            can be read; the same each time.
        classes: K.
    """
    tried: list[Frame] = []

    def losses(preparation: Preparation) -> NDArray[np.float64]:
        name = f"crop {preparation.zoom:.2f}" if preparation.fit == "crop" else preparation.fit
        train, val = seen(preparation, name)
        if len(val.class_ids) < FEWEST:
            return np.zeros(0)
        logits = _ridge_scores(train, val.features, classes)
        found = calibrated_losses(logits, val.class_ids)
        accuracy = float((logits.argmax(axis=1) == val.class_ids).mean())
        tried.append(Frame(preparation.fit, round(preparation.zoom, 4), float(found.mean()), accuracy))
        return found

    best, best_losses = usual, losses(usual)
    if not len(best_losses):
        return usual, []
    for direction in (_nearer(usual), _whole(usual)):
        is_better = False
        for candidate in direction:
            found = losses(candidate)
            if not is_clear(best_losses - found):
                break
            best, best_losses, is_better = candidate, found, True
        if is_better:
            break
    if best.fit == "crop" and best != usual:
        best = replace(best, zoom=_lowest(tried[-3:], best.zoom))
    return best, [asdict(frame) for frame in tried]


def _ridge_scores(train: Seen, others: NDArray[np.float32], classes: int) -> NDArray[np.float64]:
    """Class scores (M, K) of other features by ridge regression on the classes, solved in the space of the images."""
    features = train.features
    mean = features.mean(axis=0)
    centred = (features - mean).astype(np.float64)
    products = centred @ centred.T  # (N, N)
    targets = np.eye(classes)[train.class_ids]
    penalty = RIDGE * np.trace(products) / len(products) * np.eye(len(products))
    solution = np.linalg.solve(products + penalty, targets - targets.mean(axis=0))
    scores: NDArray[np.float64] = (others - mean) @ (centred.T @ solution) + targets.mean(axis=0)
    return scores * classes  # of the size of class scores


def _lowest(frames: Sequence[Frame], otherwise: float) -> float:
    """The zoom at the vertex of the parabola through three losses, over the logarithm of the zoom."""
    if len(frames) < 3 or any(frame.fit != "crop" for frame in frames):
        return otherwise
    x, y = np.log([frame.zoom for frame in frames]), [frame.val_loss for frame in frames]
    curvature, slope, _ = np.polyfit(x, y, 2)
    if curvature <= 0:
        return otherwise
    return round(float(np.exp(np.clip(-slope / (2 * curvature), x[0], x[-1]))), 3)


def _nearer(usual: Preparation) -> Iterator[Preparation]:
    zoom = usual.zoom
    while usual.fit == "crop" and (zoom := zoom * ZOOM_STEP) <= NEAREST:
        yield replace(usual, zoom=zoom)


def _whole(usual: Preparation) -> Iterator[Preparation]:
    if usual.fit != "stretch":
        yield replace(usual, fit="stretch", zoom=1.0)
    if usual.fit != "pad":
        yield replace(usual, fit="pad", zoom=1.0)


def some_of_each(class_ids: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Positions of at most about `most` images, the classes in proportion and each at least once, evenly spread."""
    if len(class_ids) <= most:
        return np.arange(len(class_ids))
    chosen: list[int] = []
    for class_id in np.unique(class_ids):
        places = np.flatnonzero(class_ids == class_id)
        count = max(1, round(len(places) * most / len(class_ids)))
        chosen += places[np.linspace(0, len(places) - 1, count).round().astype(int)].tolist()
    return np.sort(np.array(chosen, np.int64))
