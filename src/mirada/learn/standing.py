"""Where a climb stands: the best model so far, and how a rung is compared with it and written down."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mirada.learn.losses import calibrated_losses
from mirada.learn.scores import share_interval
from mirada.model import Model

if TYPE_CHECKING:
    from mirada.learn.rung import Climbed, RungRecipe

__all__ = ["Standing", "judged", "trained_json", "val_json"]


@dataclass(frozen=True, eq=False)
class Standing:
    """The best so far: a model, its loss on each validation image, and which of them it has right.

    Attributes:
        val_logits: (M, K) its class scores for them, as its rung gave them; None for one that an earlier process left.
    """

    model: Model
    val_losses: NDArray[np.float64]
    val_right: NDArray[np.bool_]
    val_logits: NDArray[np.float32] | None = None


def judged(logits: NDArray[np.float32], class_ids: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Calibrated cross entropy (M,) and correctness (M,) of each image, for class scores (M, K)."""
    if not len(class_ids):
        return np.zeros(0), np.zeros(0, bool)
    return calibrated_losses(logits, class_ids), logits.argmax(axis=1) == class_ids


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


def trained_json(climbed: Climbed, recipe: RungRecipe, views: int, *, is_trial: bool, runs: int) -> dict[str, Any]:
    """How a rung was trained, as plain values."""
    history = [asdict(epoch) for epoch in climbed.epochs]
    return {
        "recipe": recipe.json(),
        "views": views,
        "history": history,
        "was_stopped": climbed.was_stopped,
        "is_trial": is_trial,
        "runs": runs,
    }
