"""What training makes small."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor
from torch.nn import functional

from mirada.learn.recipes import Recipe
from mirada.tasks import Task

__all__ = ["criterion", "squared"]

Criterion = Callable[[Tensor, Tensor], Tensor]
"""Outputs (N, K) float32, and class ids (N,) or shares of the classes (N, K) -> the mean over the images."""


def criterion(task: Task, recipe: Recipe) -> Criterion:
    """The loss of a recipe: that of the task, unless it asks for another."""
    if recipe.loss == "squared":
        return squared
    if recipe.label_smoothing:
        return partial(functional.cross_entropy, label_smoothing=recipe.label_smoothing)
    return task.loss


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    """Half the squared distance to 1 for the true class and -1 for the others, summed over the classes, (N, K) -> ().

    Where targets are shares (N, K), to 2 times the share minus 1.
    """
    shares = functional.one_hot(targets, outputs.shape[1]) if targets.ndim == 1 else targets
    return 0.5 * (outputs - (2.0 * shares - 1.0)).square().sum(dim=1).mean()
