"""How a network is trained from scratch: every number that `fit` needs, as data."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from mirada.errors import UsageError
from mirada.image.policy import Policy

__all__ = ["Recipe", "recipe_for"]


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training run.

    Args:
        epochs: how often every training image is seen.
        batch_size: images a step.
        learning_rate: the largest; it rises linearly for the first tenth of the steps, then falls along half a cosine
            to zero (Loshchilov and Hutter, "SGDR", 2016, equation 5, without restarts).
        weight_decay: decoupled, of AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2017); not on
            biases and normalisation.
        shift: each image is moved at random by up to this share of its width and height, the border filled with its
            edge pixels: a translation that leaves every label true. Only where there is no policy.
        policy: what random views change, see `mirada.image.policy`; None for the shift alone.
    """

    epochs: int
    batch_size: int
    learning_rate: float = 2e-3
    weight_decay: float = 5e-2
    shift: float = 1 / 16
    policy: Policy | None = None

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name.replace('_', ' ')} must be at least {least}, got {getattr(self, name)}")
        if not 0 < self.learning_rate < math.inf:
            raise UsageError(f"the learning rate must be a number above 0, got {self.learning_rate}")

    def json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self) | {"policy": None if self.policy is None else self.policy.to_json()}


def recipe_for(
    images: int,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    policy: Policy | None = None,
) -> Recipe:
    """The recipe for a number of training images, single values replaced by those that are given.

    The number of steps is kept near 2,500: a small set is seen more often.
    """
    size = (128 if images >= 5_000 else 32) if batch_size is None else batch_size
    steps = max(1, -(-images // max(size, 1)))
    recipe = Recipe(min(max(round(2_500 / steps), 10), 100) if epochs is None else epochs, size, policy=policy)
    return recipe if learning_rate is None else replace(recipe, learning_rate=learning_rate)
