"""Transfer learning as a ladder: the head, then the last stage, then one stage more, as far as it pays.

Rung 0 solves for a new head on the features of the frozen network, and chooses the preparation. Every further rung
trains the last stages and the head from kept activations; what lies before the cut is never run again. How many stages
is found by short trials, one stage more each time, as long as that lowers the calibrated validation loss by enough to
be worth its time; the last depth that did is then trained in full, going on from its trial where that is the best so
far. A rung is kept where its loss is clearly below the best so far. All others begin with the pretrained stages:
measured on held-out images, that is as good as beginning with the rung before, or better. Where a limit of time leaves
room, the rung in full is done again with other random numbers, and the weights of the runs are averaged.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mirada.backbone.body import Body
from mirada.errors import ArchitectureError, DataError, TrainingError, UsageError
from mirada.learn.depths import Options, depths
from mirada.learn.ends import Ends
from mirada.learn.estimate import VIEWS, Budget, Estimate, deepest_in_time, in_time
from mirada.learn.first_rung import FirstRung
from mirada.learn.job import Answers, Job, failures_json
from mirada.learn.losses import best_tried, is_clear, is_worth_another_trial, leaves_little
from mirada.learn.rows import Rows, Stores, prune_activations
from mirada.learn.scores import paired_test
from mirada.learn.standing import Standing, judged, trained_json, val_json
from mirada.model import Model
from mirada.model.model import UNFINISHED
from mirada.words import duration, last_stages

if TYPE_CHECKING:
    from mirada.learn.rung import Inputs
    from mirada.learn.tail import Tail

__all__ = ["climb"]

LEAST_SECONDS = 6.0
"""With less left at the beginning there is a new head alone."""


def climb(
    job: Job, body: Body, options: Options, save: Callable[[Model], None], begun: Model | None = None
) -> tuple[Model, Answers | None]:
    """Climb the ladder.

    Args:
        job: what to learn from.
        body: the pretrained network.
        options: how far.
        save: called with the model after each rung, with the best so far.
        begun: what an interrupted run had saved: the climb goes on from there.

    Returns:
        The best model, not yet calibrated or evaluated (how it was made is in its `training`), and what it answered for
        the validation samples when its rung was judged by them; None where that was in an earlier process.

    Raises:
        UsageError: more stages are asked for than there are; there is no room to keep activations.
        DataError: no training image of a class can be read, or validation images cannot be read any more.
    """
    ladder = _Ladder(job, body, options, save)
    try:
        return ladder.climbed(begun)
    finally:
        ladder.stores.close()


class _Ladder:
    """One climb.

    Attributes:
        standing: the best so far; None before rung 0.
    """

    def __init__(self, job: Job, body: Body, options: Options, save: Callable[[Model], None]) -> None:
        self.job, self.body, self.options, self.save = job, body, options, save
        self.notes: list[str] = []
        self.rungs: list[dict[str, Any]] = []
        self.learnt: dict[str, Any] = {"method": "transfer: the ladder", "policy": options.policy.to_json()}
        self.stores = Stores()
        self.train = Rows(job, "train", self.stores, options.policy)
        self.val = Rows(job, "val", self.stores)
        self.first = FirstRung(job, body, self.train, self.val)
        self.ends = Ends(body, self.first.mild_head)
        classes = len(job.dataset.class_names)
        self.budget = Budget(options.deadline, body, self.ends.pretrained, len(job.parts.test), classes)
        self.standing: Standing | None = None

    def climbed(self, begun: Model | None) -> tuple[Model, Answers | None]:
        """The whole way."""
        stages = self._depths()
        self.first.taps = tuple(place for d in reversed(stages) if (place := len(self.body.stages) - d) > 0)
        if begun is None:
            self._head()
        else:
            self._resume(begun)
        self.budget.rate = self.train.rate
        was_stopped = False
        try:
            self._climb(stages)
        except KeyboardInterrupt:
            was_stopped = True
            self.notes.append("Training was stopped by Ctrl-C: the best rung so far was kept.")
        except TrainingError as error:
            if self.options.retrain != "auto" and not self._in_full:
                raise TrainingError(f"{error}. Train less: --retrain head, with another name for -o") from error
            self.notes.append(f"{error}: the best rung before was kept.")
        if self._is_enough():
            self.notes.append(f"The climb ended: at least the {self.options.until:.1%} asked for are right on val.")
        if was_stopped or self.rungs[-1].get("was_stopped", False):
            self.job.progress("stopped; testing the best so far (Ctrl-C again: no test)", 0, None)
        self.stores.close(delete=True)
        prune_activations()
        logits = None if self.standing is None else self.standing.val_logits
        # One that became unreadable after the last rung is asked for again, to be named.
        answers = None if logits is None or len(logits) != len(self.val) else self.val.answered(logits)
        return self._recorded(is_finished=True), answers

    def _climb(self, allowed: Sequence[int]) -> None:
        """Above the head: trials, where the depth is to be found and there is time, and then that rung in full."""
        if allowed and not self._in_full and not self._is_over():
            depth = allowed[0] if self.options.retrain != "auto" else self._depth(allowed)
            if depth and not self._is_over():
                self._rung(depth)
        while self._is_repeated():
            self._rung(self._in_full[0]["stages"], run=len(self._in_full) + 1)

    def _depth(self, allowed: Sequence[int]) -> int:
        """How many stages are to be trained in full; 0 for none."""
        if not len(self.val):
            self.notes.append("No validation image can be read: only the head was trained.")
            return 0
        if leaves_little(self.rungs[0]["val"]):
            self.learnt["is_head_enough"] = True
            self.notes.append(
                "The head alone has all validation images right and is nearly certain of each: there is little to gain "
                "by more layers. --retrain 2 trains them all the same."
            )
            return 0
        return self._in_haste(allowed) or self._found_by_trials(allowed)

    def _is_repeated(self) -> bool:
        """Whether the rung in full is to be done once more: it was kept, more can be gained, and time was given."""
        last, val = self.rungs[-1], self.rungs[-1]["val"]
        if not self.budget.is_limited or not self._in_full or last["is_trial"] or not last["is_kept"]:
            return False
        if val is None or leaves_little(val) or self._is_over():
            return False
        return self._estimate(last["stages"], is_repeat=True).seconds() < self.budget.seconds_left()

    def _found_by_trials(self, allowed: Sequence[int]) -> int:
        """The depth that the trials speak for; where there can be one trial only, which says little, its depth."""
        if len(allowed) > 1:
            self._try(allowed)
        tried = self._tried
        return allowed[0] if len(tried) <= 2 else list(tried)[best_tried(list(tried.values()))]

    def _try(self, allowed: Sequence[int]) -> None:
        """One stage more each time, as long as that is worth it."""
        for stages in allowed:
            if not any(rung["stages"] == stages for rung in self.rungs):
                needed = self._estimate(stages, is_trial=True).seconds() + self._estimate(stages).seconds()
                if needed > self.budget.seconds_left():
                    self.notes.append(f"There was no time to try {last_stages(stages)}.")
                    break
                self._rung(stages, is_trial=True)
            if self._is_over() or not is_worth_another_trial(list(self._tried.values())):
                break

    def _in_haste(self, allowed: Sequence[int]) -> int:
        """The deepest rung for which there is time, at least the first; 0 where there is time to try each before."""
        if not self.budget.is_limited:
            return 0
        depth = deepest_in_time(
            allowed, self._estimate, lambda stages: self._estimate(stages, is_trial=True), self.budget.seconds_left()
        )
        if depth and len(allowed) > 1:
            self.notes.append("There was no time to try how many stages are best.")
        return depth

    @property
    def _in_full(self) -> list[dict[str, Any]]:
        """The rungs that were no trials."""
        return [rung for rung in self.rungs if rung["stages"] and not rung["is_trial"]]

    @property
    def _tried(self) -> dict[int, float]:
        """The loss of the head and of each trial, by their numbers of stages."""
        return {rung["stages"]: rung["val"]["loss"] for rung in self.rungs if rung["is_trial"] or not rung["stages"]}

    def _head(self) -> None:
        begin = time.perf_counter()
        model, val_logits = self.first.solved()
        self.learnt |= self.first.learnt
        self.notes += self.first.notes
        parameters = sum(model.state[f"head.{name}"].size for name in ("weight", "bias"))
        self._stands("head", 0, parameters, begin, model, val_logits)

    # The rungs above

    def _depths(self) -> list[int]:
        """How many of the last stages a rung may train."""
        retrain = self.options.retrain
        if retrain == "head":
            return []
        if retrain == "auto" and not len(self.val):
            self.notes.append(
                "Without validation images nothing tells whether more layers help: only the head was trained."
            )
            return []
        if self.budget.is_limited and self.budget.seconds_left() < LEAST_SECONDS:
            self.notes.append("There was no time for more than the head.")
            return []
        self.job.progress("loading torch", 0, None)
        try:
            return depths(self.body, retrain)
        except ArchitectureError as error:
            if retrain != "auto":
                raise UsageError(f"--retrain {retrain}: {error}; only --retrain head can be done") from error
            self.notes.append(f"Only the head was trained: {error}.")
            return []

    def _rung(self, stages: int, *, is_trial: bool = False, run: int = 1) -> None:
        """Train the last `stages` stages, unless there is no time for it; after the first run, take the mean of all."""
        from mirada.learn.rung import fit_tail, val_logits

        assert self.standing is not None
        begin = time.perf_counter()
        place = len(self.body.stages) - stages
        estimate, epochs = in_time(
            lambda views: self._estimate(stages, is_trial=is_trial, is_repeat=run > 1, most_views=views),
            self.budget.seconds_left,
        )
        if not epochs:
            self.notes.append(
                f"There was no time to train {last_stages(stages)}: that takes about {duration(estimate.seconds())}."
            )
            return
        if estimate.views < min(VIEWS, estimate.recipe.epochs) and not is_trial:
            self.notes.append("There was time for one view of each image only.")
        stage = f"trying {last_stages(stages)}" if is_trial else last_stages(stages)
        stage += f", run {run}" if run > 1 else ""
        self.job.progress(f"{stage}: about {duration(estimate.seconds(epochs / estimate.recipe.epochs))}", 0, None)
        what = f"{stage}: activations of the"
        train = self.train.inputs(self.body, self.first.preparation, place, estimate.views, f"{what} training images")
        val = self.val.inputs(self.body, self.first.preparation, place, 1, f"{what} validation images")
        recipe = replace(estimate.recipe, epochs=max(1, math.ceil(estimate.epochs_within(self.budget.seconds_left()))))
        tail = self._begun_tail(stages, train, recipe.start_spread)
        climbed = fit_tail(
            tail,
            train,
            val,
            recipe,
            class_weights=self.first.class_weights,
            seed=((run - 1) * 2**32 + self.job.seed) * 100 + stages,  # seeds end below 2**32
            deadline=self.budget.last_step - estimate.validation * min(run, 2),  # the mean is judged too
            stage=f"{stage}: training",
            progress=self.job.progress,
        )
        why = climbed.shortfall(estimate.recipe.epochs, recipe.epochs)
        if why is not None:
            self.notes.append(f"{why} {stage}: {len(climbed.epochs)} of {estimate.recipe.epochs} epochs.")
        if run > 1:
            tail = self.ends.averaged(self.standing.model, tail, 1 / run)
            climbed = replace(climbed, val_logits=val_logits(tail, val))
        self._stands(
            self.body.stages[place].name,
            stages,
            sum(p.numel() for p in tail.parameters() if p.requires_grad),
            begin,
            self.ends.put_on(self.standing.model, tail),
            climbed.val_logits,
            trained_json(climbed, recipe, estimate.views, is_trial=is_trial, runs=run),
            is_asked_for=why is None and run == 1 and self.options.retrain != "auto",
        )

    def _estimate(
        self, stages: int, *, is_trial: bool = False, is_repeat: bool = False, most_views: int = VIEWS
    ) -> Estimate:
        return self.budget.estimate(
            stages,
            len(self.train),
            len(self.val),
            is_first_view_kept=len(self.body.stages) - stages in self.first.taps,
            is_trial=is_trial,
            is_repeat=is_repeat,
            most_views=most_views,
        )

    def _begun_tail(self, stages: int, train: Inputs, spread: float) -> Tail:
        """As a trial left it, where that is the best so far; else as pretrained, with a head of this spread."""
        from mirada.learn.rung import scale_head

        assert self.standing is not None
        best = [rung for rung in self.rungs if rung["is_kept"]][-1]
        if best["is_trial"] and best["stages"] == stages:
            return self.ends.of(self.standing.model, stages)
        tail = self.ends.pretrained(stages)
        scale_head(tail, train, spread)
        return tail

    # What is better, and what is written down

    def _is_over(self) -> bool:
        """Whether the climb was ended early, or the best so far is as good as was asked for."""
        return bool(self.rungs[-1].get("was_stopped", False)) or self._is_enough()

    def _is_enough(self) -> bool:
        assert self.standing is not None
        right, until = self.standing.val_right, self.options.until
        return until is not None and len(right) > 0 and float(right.mean()) >= until

    def _stands(
        self,
        name: str,
        stages: int,
        parameters: int,
        begin: float,
        model: Model,
        val_logits: NDArray[np.float32],
        trained: dict[str, Any] | None = None,
        *,
        is_asked_for: bool = False,
    ) -> None:
        """Record a rung, and save the better of it and what stood before; what was asked for is kept in any case."""
        before = self.standing
        losses, right = judged(val_logits, self.val.class_ids)
        if before is not None and len(losses) != len(before.val_losses):
            gone = ", ".join(str(failure) for failure in self.val.failures[-3:])
            raise DataError(f"validation images that could be read before cannot be read any more: {gone}")
        is_better = before is None or not len(losses) or is_clear(before.val_losses - losses)
        if trained is not None and trained["is_trial"]:  # a stage that is not worth its time is not kept either
            is_better &= best_tried([*self._tried.values(), float(losses.mean())]) == len(self._tried)
        if not is_better and is_asked_for and before is not None:
            word = "worse" if is_clear(losses - before.val_losses) else "not clearly better"
            self.notes.append(f"On val this is {word} than the head alone: --retrain head is quicker.")
            is_better = True
        self.rungs.append(
            {
                "name": name,
                "stages": stages,
                "parameters": parameters,
                "seconds": round(time.perf_counter() - begin, 2),
                "val": val_json(losses, right),
                "p_value": None if before is None or not len(right) else paired_test(right, before.val_right),
                "is_kept": bool(is_better),
                "is_trial": False,
            }
            | (trained or {})
        )
        self.standing = Standing(model, losses, right, val_logits) if is_better or before is None else before
        self.standing = replace(self.standing, model=self._recorded(is_finished=False))
        self.save(self.standing.model)

    def _recorded(self, *, is_finished: bool) -> Model:
        """The best so far, with how it came about."""
        standing = self.standing
        assert standing is not None
        learnt = self.learnt | {
            "rungs": list(self.rungs),
            "unreadable": failures_json((*self.train.failures, *self.val.failures)),
            "notes": [*self.train.notes, *self.notes],  # some come up at each rung: `train` keeps each once
        }
        if not is_finished:
            losses, right = standing.val_losses.tolist(), standing.val_right.tolist()
            learnt[UNFINISHED] = {"val_losses": losses, "val_right": right, "rate": self.train.rate}
        return replace(standing.model, training=learnt)

    def _resume(self, begun: Model) -> None:
        """Stand where an interrupted climb stood."""
        learnt = {name: value for name, value in begun.training.items() if name not in (UNFINISHED, "key")}
        self.rungs, self.notes = list(learnt.pop("rungs")), [*learnt.pop("notes"), *self.notes]
        self.learnt = learnt
        self.notes.append("This went on with an interrupted training, whose time is not counted.")
        self.first.taken_up(begun.preparation)
        climbing = begun.training[UNFINISHED]
        self.train.rate = climbing["rate"]  # so few images were run now that nothing was measured
        self.standing = Standing(begun, np.array(climbing["val_losses"]), np.array(climbing["val_right"], bool))
