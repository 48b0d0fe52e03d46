"""The loss of each image, and what is lower: how one model is compared with another on the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirada.learn.scores import fit_temperature
from mirada.tasks import softmax

__all__ = [
    "best_tried",
    "calibrated_losses",
    "cross_entropies",
    "is_clear",
    "is_worth_a_stage",
    "is_worth_another_trial",
    "leaves_little",
]


def cross_entropies(logits: NDArray[np.floating], class_ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """-log p of the true class, (N,), for class scores (N, K)."""
    chosen = softmax(logits)[np.arange(len(class_ids)), class_ids]
    return -np.log(np.maximum(chosen, 1e-300))


def calibrated_losses(logits: NDArray[np.floating], class_ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cross entropy (M,) of each image after temperature scaling fitted on these images.

    So models are compared by what they know, not by how loudly they say it.
    """
    if not len(class_ids):
        return np.zeros(0)
    return cross_entropies(logits / fit_temperature(logits, class_ids), class_ids)


def is_clear(gains: NDArray[np.float64]) -> bool:
    """Whether the mean gain in loss over the images is larger than its standard error.

    The best of a rung's epochs was chosen by the same images, so a gain that is smaller may well be luck.
    """
    return len(gains) > 1 and bool(gains.mean() > gains.std(ddof=1) / np.sqrt(len(gains)))


LITTLE_LOSS = 0.01
"""A quarter of the most that a stage is asked to save."""


def leaves_little(val: Mapping[str, Any]) -> bool:
    """Whether a rung has all validation images right and is nearly certain of each, so that little is left to gain.

    Args:
        val: its figures on them, see `mirada.learn.standing.val_json`.
    """
    return bool(val["right"] == val["images"] and val["loss"] < LITTLE_LOSS)


def is_worth_a_stage(before: float, loss: float) -> bool:
    """Whether a trial with one stage more has so much less loss than the one before that its time is well spent.

    Measured on grocery_store, 0.04 are nearly one point of accuracy, and one stage more takes half as long again. Where
    less than 0.16 is left, a quarter of it does.
    """
    return before - loss > min(0.04, before / 4)


def best_tried(losses: Sequence[float]) -> int:
    """Which depth the trials speak for: 0 for the head, 1 for the first trial, and so on.

    Any gain over the head is worth a rung, even one that may be luck: a trial is too short to show all of it.

    Args:
        losses: of the head, and of each trial, one stage deeper each time.
    """
    best = 0
    for i, loss in enumerate(losses):
        if is_worth_a_stage(losses[best], loss) if best else loss < losses[0]:
            best = i
    return best


def is_worth_another_trial(losses: Sequence[float]) -> bool:
    """Whether one stage more is to be tried: the last trial was the best, or the only one.

    The last stage alone changes so little in a short trial that its loss may miss that of the head by chance, where two
    stages would have won by far.
    """
    return len(losses) <= 2 or best_tried(losses) == len(losses) - 1
