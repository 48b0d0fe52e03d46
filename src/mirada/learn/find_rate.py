"""Which learning rate to begin with: a few steps with ever larger ones (Smith 2017, "Cyclical learning rates").

The rate grows from step to step by the same factor, from one that is too small for anything to one at which training
diverges. Where the smoothed loss is lowest, the rate is about to be too large: a tenth of it is proposed.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mirada.engine.torch_engine import default_device, normalised
from mirada.errors import TrainingError
from mirada.learn.batches import Batches
from mirada.learn.criterion import criterion
from mirada.learn.pixels import Pixels
from mirada.learn.ranks import ALONE
from mirada.learn.recipes import Recipe
from mirada.learn.update import clip, optimizer_of
from mirada.progress import Progress, silent
from mirada.tasks import Task

__all__ = ["RateTest", "find_rate"]

STEPS: Final = 100
RANGE: Final = {"adamw": (1e-6, 1.0), "sgd": (1e-5, 10.0)}
SMOOTH: Final = 0.9
"""Share of the earlier losses in the smoothed one."""
FALLS: Final = 0.98
"""The share of the first loss that must be reached."""
STOP: Final = 4.0
"""Times the smallest smoothed loss, from which the test ends."""


@dataclass(frozen=True, eq=False)
class RateTest:
    """What was tried.

    Attributes:
        rates: (n,) the rate of each step.
        losses: (n,) the smoothed loss after it.
        rate: the one that is proposed.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    rate: float

    def json(self) -> dict[str, Any]:
        """As plain values."""
        return {"rates": self.rates.tolist(), "losses": self.losses.tolist(), "rate": self.rate}


def find_rate(
    network: nn.Module,
    train: Pixels,
    task: Task,
    recipe: Recipe,
    *,
    seed: int = 0,
    device: torch.device | None = None,
    progress: Progress = silent,
) -> RateTest:
    """Try learning rates on a copy of a network, for at most 100 steps.

    Args:
        network: (N, C, h, w) float32 -> the outputs that the task judges; stays as it is.
        train: the training images; nothing else is looked at.
        task, recipe, seed, device: as of `mirada.learn.fit.fit`.
        progress: told after each step.

    Raises:
        TrainingError: no rate lets the loss fall.
    """
    recipe, device = recipe.for_images(len(train)), device or default_device()
    tried = copy.deepcopy(network).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer, loss_of = optimizer_of(tried, recipe), criterion(task, recipe)
    batches = Batches(train, task, recipe, seed, ALONE, skips_one=True)
    every = (batch for epoch in range(1, STEPS + 1) for batch in batches.of(epoch))
    low, high = RANGE[recipe.optimizer]
    rates, losses, mean = list[float](), list[float](), 0.0
    tried.train()
    torch.manual_seed(seed)
    for step, (pixels, targets, _) in zip(range(STEPS), every, strict=False):
        rate = low * (high / low) ** (step / (STEPS - 1))
        optimizer.rate = rate
        outputs = tried(normalised(torch.from_numpy(pixels).to(device), train.preparation))
        loss = loss_of(outputs.float(), torch.from_numpy(targets).to(device))
        mean = SMOOTH * mean + (1 - SMOOTH) * loss.item()
        smoothed = mean / (1 - SMOOTH ** (step + 1))
        if not math.isfinite(smoothed) or (losses and smoothed > STOP * min(losses)):
            break
        rates.append(rate)
        losses.append(smoothed)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        clip(tried, recipe)
        optimizer.step()
        progress("finding a learning rate", step + 1, STEPS, f"{rate:.1e}, loss {smoothed:.3f}")
    return RateTest(np.array(rates), np.array(losses), _proposed(rates, losses))


def _proposed(rates: list[float], losses: list[float]) -> float:
    """A tenth of the rate at which the loss is lowest, in two digits."""
    lowest = int(np.argmin(losses)) if losses else 0
    if not losses or losses[lowest] > FALLS * losses[0]:
        raise TrainingError("no learning rate lets the loss fall: look at the data with mirada check")
    return float(f"{rates[lowest] / 10:.2g}")
