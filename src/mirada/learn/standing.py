"""Where a climb stands: the best model so far, and how a rung is compared with it and written down."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mirada.learn.head import cross_entropies
from mirada.learn.scores import fit_temperature, share_interval
from mirada.model import Model

if TYPE_CHECKING:
    from mirada.learn.rung import Climbed, RungRecipe

__all__ = ["Standing", "is_clear", "is_worth_a_stage", "judged", "trained_json", "val_json"]


@dataclass(frozen=True, eq=False)
class Standing:
    """The best so far: a model, and its class scores on the validation images."""

    model: Model
    val_losses: NDArray[np.float64]
    val_right: NDArray[np.bool_]


def is_clear(gains: NDArray[np.float64]) -> bool:
    """Whether the mean gain in loss over the images is larger than its standard error.

    The best of a rung's epochs was chosen by the same images, so a gain that is smaller may well be luck.
    """
    return bool(gains.mean() > gains.std() / np.sqrt(len(gains)))


def is_worth_a_stage(before: float, loss: float) -> bool:
    """Whether a trial with one stage more has so much less loss than the one before that its time is well spent.

    Measured on grocery_store, 0.05 are about one point of accuracy, and one stage more takes half as long again. Where
    less than 0.2 is left, a quarter of it does.
    """
    return before - loss > min(0.05, before / 4)


def judged(logits: NDArray[np.float32], class_ids: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Calibrated cross entropy (M,) and correctness (M,) of each image, for class scores (M, K)."""
    if not len(class_ids):
        return np.zeros(0), np.zeros(0, bool)
    return cross_entropies(logits / fit_temperature(logits, class_ids), class_ids), logits.argmax(axis=1) == class_ids


def val_json(losses: NDArray[np.float64], right: NDArray[np.bool_]) -> dict[str, Any] | None:
    """The figures of a rung on the validation images, as plain values; None where there are none."""
    if not len(right):
        return None
    return {
        "images": len(right),
        "right": int(right.sum()),
        "accuracy": float(right.mean()),
        "accuracy_interval": list(share_interval(int(right.sum()), len(right))),
        "loss": float(losses.mean()),
    }


def trained_json(climbed: Climbed, recipe: RungRecipe, *, is_trial: bool) -> dict[str, Any]:
    """How a rung was trained, as plain values."""
    history = [asdict(epoch) for epoch in climbed.epochs]
    return {
        "recipe": recipe.json(),
        "history": history,
        "was_stopped": climbed.was_stopped,
        "is_trial": is_trial,
    }
