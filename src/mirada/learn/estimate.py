"""What a rung would take, and the words in which it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mirada.learn.rung import RungRecipe

__all__ = ["Estimate", "duration", "last_stages"]


@dataclass(frozen=True, eq=False)
class Estimate:
    """A rung that may be begun, and what it takes.

    Attributes:
        recipe: with all its epochs.
        views: of each training image.
        extraction: seconds to run the images up to the stages, at most: some may be kept.
        epoch: seconds of the steps of an epoch.
        validation: seconds to look at the validation images, after every epoch.
    """

    recipe: RungRecipe
    views: int
    extraction: float
    epoch: float
    validation: float

    def seconds(self, share: float = 1.0) -> float:
        """Of the rung, with this share of its epochs."""
        return self.extraction + share * self.recipe.epochs * (self.epoch + self.validation)

    def epochs_within(self, seconds: float) -> float:
        """How many of the epochs there is time for, the last one perhaps in part."""
        return min(self.recipe.epochs, seconds / (self.epoch + self.validation))


def last_stages(stages: int) -> str:
    """That many of them, in words."""
    return "the last stage" if stages == 1 else f"the last {stages} stages"


def duration(seconds: float) -> str:
    """Seconds, or minutes where there are many."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
