"""The learning rate of every step."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

from mirada.learn.recipes import Recipe

__all__ = ["Rates"]

WARM_UP: Final = 0.1
"""The share of the steps in which the rate of the schedule "cosine" rises."""


@dataclass
class Rates:
    """The schedule of a recipe, and where it stands.

    Attributes:
        recipe: with its number of epochs.
        steps_an_epoch: how many.
        divided: how often the rate was divided, by the schedule "plateau".
        best_error: the lowest validation error so far.
        waited: epochs since then, or since the rate was divided.
    """

    recipe: Recipe
    steps_an_epoch: int
    divided: int = 0
    best_error: float = math.inf
    waited: int = 0

    def rate(self, epoch: int, step: int) -> float:
        """That of a step, from 0, of an epoch, from 1."""
        recipe = self.recipe
        assert recipe.epochs is not None
        match recipe.schedule:
            case "cosine":
                done, steps = (epoch - 1) * self.steps_an_epoch + step, recipe.epochs * self.steps_an_epoch
                return recipe.learning_rate * _cosine(done, steps)
            case "plateau":
                return recipe.learning_rate / recipe.divide_by**self.divided
            case "steps":
                factor = next((factor for begin, factor in sorted(recipe.factors, reverse=True) if epoch >= begin), 1.0)
                return recipe.learning_rate * factor
            case "constant":
                return recipe.learning_rate

    def is_over(self, error: float | None) -> bool:
        """What the validation error of an epoch means for the next; whether there is none.

        Args:
            error: the share that is wrong; None where there are no validation images, and the rate stays.
        """
        if self.recipe.schedule != "plateau" or error is None:
            return False
        if error < self.best_error:
            self.best_error, self.waited = error, 0
            return False
        self.waited += 1
        if self.waited < self.recipe.patience:
            return False
        self.divided, self.waited = self.divided + 1, 0
        return self.divided > self.recipe.divisions

    def to_json(self) -> dict[str, Any]:
        """Where it stands, as plain values."""
        content = asdict(self)
        return {name: content[name] for name in ("divided", "best_error", "waited")}

    def restore(self, values: dict[str, Any]) -> None:
        """Go on from there."""
        self.divided, self.best_error, self.waited = values["divided"], values["best_error"], values["waited"]


def _cosine(step: int, steps: int) -> float:
    warm_up = max(1, int(steps * WARM_UP))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))
