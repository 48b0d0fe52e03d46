"""What a rung would take, and whether there is time for it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mirada.backbone.body import Body
from mirada.learn.rows import FIRST_RATE

if TYPE_CHECKING:
    from mirada.learn.rung import RungRecipe
    from mirada.learn.tail import Tail

__all__ = ["FINISH_SECONDS", "VIEWS", "Budget", "Estimate", "deepest_in_time", "in_time"]

VIEWS = 3
"""Of each training image: the picture as it is prepared, and two that are changed at random."""
ENOUGH_EPOCHS = 0.5
"""The share of its epochs that makes a deeper rung worth more than a shallower one."""
FEWEST_EPOCHS = 3
"""With time for fewer a rung is not begun."""
FINISH_SECONDS = 4.0, 7.0
"""The least and the most that is set aside for starting and ending the program, saving, converting and testing the
result, besides running the network."""
FINISH_IMAGES = 1_300
"""As many images a processor runs through the built-in network in the time that this takes: it is as slow at both."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """A rung that may be begun, and what it takes.

    Attributes:
        recipe: with all its epochs.
        views: of each training image.
        extraction: seconds to run the images up to the stages, at most: some may be kept. Of a rung that is done again,
            those to judge the mean.
        epoch: seconds of the steps of an epoch.
        validation: seconds to look at the validation images.
        judged: the share of the epochs after which that is done, where time does not end it before.
    """

    recipe: RungRecipe
    views: int
    extraction: float
    epoch: float
    validation: float
    judged: float = 1.0

    def seconds(self, share: float = 1.0) -> float:
        """Of the rung, with this share of its epochs."""
        return self.extraction + share * self.recipe.epochs * self._whole_epoch

    def epochs_within(self, seconds: float) -> float:
        """How many of the epochs there is time for, the last one perhaps in part."""
        return min(self.recipe.epochs, seconds / self._whole_epoch)

    @property
    def _whole_epoch(self) -> float:
        return self.epoch + self.judged * self.validation


@dataclass(eq=False)
class Budget:
    """The time that there is for everything.

    Args:
        deadline: of `time.perf_counter()`; infinite where there is none.
        body: the network.
        tail: makes the trained end of so many stages.
        to_judge: how many images are run through the network after the last rung.
        classes: how many there are to tell apart.

    Attributes:
        rate: images a second through the whole network, decoding included.
    """

    deadline: float
    body: Body
    tail: Callable[[int], Tail]
    to_judge: int
    classes: int
    rate: float = FIRST_RATE
    _step_seconds: dict[int, float] = field(default_factory=dict)

    @property
    def is_limited(self) -> bool:
        """Whether there is a deadline."""
        return not math.isinf(self.deadline)

    @property
    def last_step(self) -> float:
        """When training must end, of `time.perf_counter()`: calibration and the test come after it."""
        least, most = FINISH_SECONDS
        return self.deadline - min(max(least, FINISH_IMAGES / self.rate), most) - self.to_judge / self.rate

    def seconds_left(self) -> float:
        """Until training must end."""
        return self.last_step - time.perf_counter()

    def estimate(
        self,
        stages: int,
        images: int,
        val_images: int,
        *,
        is_first_view_kept: bool,
        is_trial: bool = False,
        is_repeat: bool = False,
        most_views: int = VIEWS,
    ) -> Estimate:
        """What a rung will take, measured on a few steps and on the images run so far.

        Args:
            stages: how many of the last are trained.
            images, val_images: how many there are to learn from, and to be judged by.
            is_first_view_kept: whether their first view need not be run for these stages.
            is_trial: whether the rung is only tried.
            is_repeat: whether it is done again: what its images give is kept, and the mean of its runs is judged too.
            most_views: of each training image.
        """
        from mirada.engine.process import prepare_process
        from mirada.learn.rung import first_judged, rung_recipe, step_seconds, trial_recipe

        prepare_process()
        place = len(self.body.stages) - stages
        recipe = (trial_recipe if is_trial else rung_recipe)(images, stages, self.classes)
        views = 1 if is_trial else min(most_views, recipe.epochs)
        runs = views * images + val_images - (images + val_images if is_first_view_kept else 0)
        if stages not in self._step_seconds:
            self._step_seconds[stages] = step_seconds(
                self.tail(stages), self.body.input_shape(place), recipe.batch_size
            )
        step = self._step_seconds[stages]
        steps = -(-images // recipe.batch_size)
        validation = step / recipe.batch_size / 2 * val_images  # forward is less than half of a step
        work = np.cumsum([stage.multiply_adds for stage in self.body.stages])
        shorter = (1 + work[place - 1] / work[-1]) / 2 if place else 1.0  # of the time, half goes with the work
        judged = 1 - (first_judged(recipe.epochs, self.is_limited) - 1) / recipe.epochs
        before = validation if is_repeat else shorter * runs / self.rate
        return Estimate(recipe, views, before, step * steps, validation, judged)


def in_time(estimate: Callable[[int], Estimate], seconds_left: Callable[[], float]) -> tuple[Estimate, float]:
    """What a rung takes, and how many epochs there is time for; with one view of each image if else too few.

    Too few are none.

    Args:
        estimate: what it takes with at most so many views of each image.
    """
    for most_views in (VIEWS, 1):
        found = estimate(most_views)
        epochs = found.epochs_within(seconds_left() - found.extraction)
        if epochs >= min(FEWEST_EPOCHS, found.recipe.epochs):
            return found, epochs
    return found, 0.0


def deepest_in_time(
    depths: Sequence[int], rung: Callable[[int], Estimate], trial: Callable[[int], Estimate], seconds: float
) -> int:
    """The deepest rung for which there is time, at least the first; 0 where there is time to try each before.

    Args:
        depths: to choose from, rising.
        rung, trial: what each takes in full, and to be tried.
        seconds: that are left.
    """
    trials, full, depth = 0.0, 0.0, 0
    for stages in depths:
        if full * ENOUGH_EPOCHS > seconds:  # one stage more takes longer still
            break
        estimate = rung(stages)
        if depth and estimate.seconds(ENOUGH_EPOCHS) > seconds:
            break
        depth, full = stages, estimate.seconds()
        trials += trial(stages).seconds()
    return 0 if trials + full <= seconds else depth
