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
    """Seconds in words.

    >>> duration(0.84), duration(45.9), duration(100), duration(9000)
    ('0.8 s', '46 s', '1.7 min', '2.5 h')
    """
    unit, size = ("s", 1) if seconds < 59.5 else ("min", 60) if seconds < 5_970 else ("h", 3_600)
    return f"{seconds / size:.{1 if seconds / size < 9.95 else 0}f} {unit}".replace(".0 ", " ")
