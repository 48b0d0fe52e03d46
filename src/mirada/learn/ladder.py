"""Transfer learning as a ladder: the head, then the last stage, then one stage more, as far as it pays.

Rung 0 solves for a new head on the features of the frozen network, and chooses the preparation. Every further rung
trains the last stages and the head from kept activations; what lies before the cut is never run again. How many stages
is found by short trials, one stage more each time, as long as that lowers the calibrated validation loss by enough to
be worth its time; the last depth that did is then trained in full. A rung is kept where its loss is clearly below the
best so far. Each begins with the pretrained stages: measured on held-out images, that is as good as beginning with the
rung before, or better.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mirada.backbone.body import Body
from mirada.data import Sample
from mirada.errors import ArchitectureError, ImageError, UsageError
from mirada.image import Preparation
from mirada.learn.estimate import Estimate, duration, last_stages
from mirada.learn.framing import FEWEST, TRAIN_IMAGES, VAL_IMAGES, choose_preparation, some_of_each
from mirada.learn.head import Head, fit_head
from mirada.learn.job import Job, failures_json
from mirada.learn.rows import Rows, Stores, prune_features
from mirada.learn.scores import paired_test
from mirada.learn.standing import Standing, is_clear, is_worth_a_stage, judged, trained_json, val_json
from mirada.model import Model
from mirada.model.model import State

if TYPE_CHECKING:
    from mirada.learn.tail import Tail

__all__ = ["Answers", "Options", "Retrain", "climb"]

Retrain = Literal["auto", "head", "all"] | int
"""How far to climb: as far as it pays, not at all, to the pixels, or the last N stages at once."""

Answers = list[tuple[Sample, NDArray[np.float32] | ImageError]]
"""Samples with their class scores (K,), or with the reason why they have none."""

VIEWS = 3
"""Of each training image: the picture as it is prepared, and two that are changed at random."""
UNBALANCED = 3.0
"""How many times as many images the largest class must have as the smallest for classes to be weighted."""
FEWEST_EPOCHS = 3
"""With time for fewer a rung is not begun."""
ENOUGH_EPOCHS = 0.5
"""The share of its epochs that makes a deeper rung worth more than a shallower one."""
DEEPEST = 2 / 3
"""The largest share of the network's multiply-adds that is retrained without being asked for by number."""
FINISH_SECONDS = 6.0
"""What starting the program, saving, converting and testing the result take, besides running the network."""


@dataclass(frozen=True)
class Options:
    """What was asked for.

    Args:
        retrain: how far to climb.
        deadline: of `time.perf_counter()`, for everything; infinite where there is none.
        until: the validation accuracy that is enough, 0 to 1; None for no such limit.
    """

    retrain: Retrain = "auto"
    deadline: float = math.inf
    until: float | None = None


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
        The best model, not yet calibrated or evaluated (how it was made is in its `training`), and what it answers for
        the validation samples, where its own engine was asked already.

    Raises:
        UsageError: more stages are asked for than there are; there is no room to keep activations.
        DataError: no training image of a class can be read.
    """
    ladder = _Ladder(job, body, options, save)
    try:
        return ladder.climbed(begun)
    finally:
        ladder.stores.close()


class _Ladder:
    """One climb."""

    def __init__(self, job: Job, body: Body, options: Options, save: Callable[[Model], None]) -> None:
        self.job, self.body, self.options, self.save = job, body, options, save
        self.classes = len(job.dataset.class_names)
        self.notes: list[str] = []
        self.rungs: list[dict[str, Any]] = []
        self.learnt: dict[str, Any] = {"method": "transfer: the ladder"}
        self.stores = Stores()
        self.train = Rows(job, "train", self.stores)
        self.val = Rows(job, "val", self.stores)
        self.first_taps: tuple[int, ...] = ()
        self._head_logits: NDArray[np.float32] | None = None
        self._mild_head: Head | None = None
        self._step_seconds: dict[int, float] = {}
        self._chosen = body.preparation

    def climbed(self, begun: Model | None) -> tuple[Model, Answers | None]:
        """The whole way."""
        depths = self._depths()
        self.first_taps = tuple(place for d in reversed(depths) if (place := len(self.body.stages) - d) > 0)
        standing = self._head() if begun is None else self._resumed(begun)
        try:
            standing = self._climbed(depths, standing)
        except KeyboardInterrupt:
            self.notes.append("Training was stopped by Ctrl-C: the best rung so far was kept.")
        self.stores.close(delete=True)
        prune_features()
        is_head = not [rung for rung in self.rungs if rung["is_kept"]][-1]["stages"]
        answers = self.val.answered(self._head_logits) if is_head and self._head_logits is not None else None
        return self._recorded(standing, is_finished=True), answers

    def _climbed(self, depths: Sequence[int], standing: Standing) -> Standing:
        """Above the head: trials, where the depth is to be found and there is time, and then one rung in full."""
        depth = depths[0] if depths else 0
        if depth and self.options.retrain == "auto" and not self._is_over(standing):
            depth = self._in_haste(depths)
            if not depth:
                standing = self._tried(depths, standing)
                depth = self._best_tried
        is_done = any(rung["stages"] and not rung["is_trial"] for rung in self.rungs)
        if not depth or is_done or self._is_over(standing):
            return standing
        return self._rung(depth, standing) or standing

    def _tried(self, depths: Sequence[int], standing: Standing) -> Standing:
        """One stage more each time, as long as that is worth it."""
        for stages in depths:
            if not any(rung["stages"] == stages for rung in self.rungs):
                estimate = self._estimate(stages, is_trial=True)
                if estimate.seconds() + self._estimate(stages).seconds() > self._seconds_left():
                    self.notes.append(f"There was no time to try {last_stages(stages)}.")
                    break
                standing = self._rung(stages, standing, is_trial=True) or standing
            if self._best_tried != stages or self._is_over(standing):
                break
        return standing

    def _in_haste(self, depths: Sequence[int]) -> int:
        """The deepest rung for which there is time; 0 where there is time to try each that is less deep before."""
        left, trials, full, depth = self._seconds_left(), 0.0, 0.0, 0
        for stages in depths if not math.isinf(left) else ():
            if full * ENOUGH_EPOCHS > left:  # one stage more takes longer still
                break
            estimate = self._estimate(stages)
            if depth and estimate.seconds(ENOUGH_EPOCHS) > left:
                break
            depth, full = stages, estimate.seconds()
            trials += self._estimate(stages, is_trial=True).seconds()
        if trials + full <= left:
            return 0
        self.notes.append("There was no time to try how many stages are best: the most that fitted were trained.")
        return depth

    @property
    def _best_tried(self) -> int:
        """How many stages the trials speak for, 0 for the head.

        Any gain over the head is worth a rung, even one that may be luck: a trial is too short to show all of it.
        """
        best, *trials = [rung for rung in self.rungs if rung["is_trial"] or not rung["stages"]]
        for trial in trials:
            before, loss = best["val"]["loss"], trial["val"]["loss"]
            if is_worth_a_stage(before, loss) if best["stages"] else loss < before:
                best = trial
        return int(best["stages"])

    # Rung 0

    def _head(self) -> Standing:
        begin = time.perf_counter()
        preparation = self._preparation()
        features, val_features = self._features(preparation)
        self.job.check_all_classes(self.train.class_ids, (*self.train.failures, *self.val.failures))
        self.job.progress("solving for the head", 0, None)
        weights = self._image_weights()
        head = fit_head(features, self.train.class_ids, val_features, self.val.class_ids, self.classes, weights=weights)
        state: State = {f"backbone.{name}": array for name, array in self.body.state.items()}
        state |= {"head.weight": head.weight, "head.bias": head.bias}
        model = Model(self.body.backbone, state, preparation, self.job.task)
        self.learnt |= {
            "inverse_strength": head.chosen,
            "trials": [asdict(trial) for trial in head.trials if len(self.val)],
        }
        self._mild_head, self._chosen = head.first or head, preparation
        logits = head(val_features)
        self._head_logits = None if self.first_taps else logits
        return self._stands("head", 0, head.weight.size + head.bias.size, begin, model, logits, None)

    def _features(self, preparation: Preparation) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Of the training and validation images; what the rungs above start from is kept on the way."""
        return (
            self.train.features(self.body, preparation, "features of the training images", self.first_taps),
            self.val.features(self.body, preparation, "features of the validation images", self.first_taps),
        )

    def _preparation(self) -> Preparation:
        """The preparation that the features of some images are best with."""
        usual = self.body.preparation
        if len(self.val) < FEWEST:
            return usual
        some = self.train.some(some_of_each(self.train.all_class_ids, TRAIN_IMAGES))
        some_val = self.val.some(some_of_each(self.val.all_class_ids, VAL_IMAGES))

        def features(preparation: Preparation, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            stage = f"choosing the view: {'as usual' if preparation == usual else name}"
            return some.features(self.body, preparation, stage), some_val.features(self.body, preparation, stage)

        chosen, tried = choose_preparation(usual, features, some.class_ids, some_val.class_ids, self.classes)
        self.train.rate = some.rate
        self.learnt["preparations_tried"] = tried
        return chosen

    def _image_weights(self) -> NDArray[np.float32] | None:
        weights = self._class_weights()
        return None if weights is None else weights[self.train.class_ids]

    def _class_weights(self) -> NDArray[np.float32] | None:
        """So that classes count alike where their sizes are far apart; 1 on average over the images."""
        counts = np.bincount(self.train.class_ids, minlength=self.classes)
        if counts.max() < UNBALANCED * max(counts.min(), 1):
            return None
        weights = len(self.train) / (self.classes * np.maximum(counts, 1))
        self.notes.append(
            f"The largest class has {counts.max():,} training images, the smallest {counts.min():,}: images were "
            "weighted so that all classes count alike."
        )
        return weights.astype(np.float32)

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
        if not math.isinf(self.options.deadline) and self._seconds_left() < FINISH_SECONDS:
            self.notes.append("There was no time for more than the head.")
            return []
        self.job.progress("loading torch", 0, None)
        try:
            count = len(self.body.stages)
        except ArchitectureError as error:
            if retrain != "auto":
                raise UsageError(f"--retrain {retrain}: {error}; only --retrain head can be done") from error
            self.notes.append(f"Only the head was trained: {error}.")
            return []
        if isinstance(retrain, int) and not 1 <= retrain <= count:
            raise UsageError(f"--retrain {retrain}: {self.body.backbone.name} has {count} stages, give 1 to {count}")
        if retrain != "auto":
            return [count if retrain == "all" else retrain]
        work = np.cumsum([stage.multiply_adds for stage in reversed(self.body.stages)])
        return list(range(1, max(1, int((work <= DEEPEST * work[-1]).sum())) + 1))

    def _rung(self, stages: int, standing: Standing, *, is_trial: bool = False) -> Standing | None:
        """Train the last `stages` stages; the best so far, or None where there is no time for the rung."""
        from mirada.learn.rung import fit_tail, scale_head

        begin = time.perf_counter()
        place = len(self.body.stages) - stages
        name, preparation = self.body.stages[place].name, self._chosen
        estimate = self._estimate(stages, is_trial=is_trial)
        epochs = estimate.epochs_within(self._seconds_left() - estimate.extraction)
        if epochs < min(FEWEST_EPOCHS, estimate.recipe.epochs):
            self.notes.append(
                f"There was no time to train {last_stages(stages)}: that takes about {duration(estimate.seconds())}."
            )
            return None
        stage = f"trying {last_stages(stages)}" if is_trial else last_stages(stages)
        self.job.progress(f"{stage}: about {duration(estimate.seconds(epochs / estimate.recipe.epochs))}", 0, None)
        what = f"{stage}: activations of the"
        train = self.train.inputs(self.body, preparation, place, estimate.views, f"{what} training images")
        val = self.val.inputs(self.body, preparation, place, 1, f"{what} validation images")
        recipe = replace(estimate.recipe, epochs=max(1, math.ceil(estimate.epochs_within(self._seconds_left()))))
        tail = self._tail(stages)
        scale_head(tail, train, recipe.start_spread)
        climbed = fit_tail(
            tail,
            train,
            val,
            recipe,
            class_weights=self._class_weights(),
            seed=self.job.seed * 100 + stages,
            deadline=self.options.deadline - self._reserve() - estimate.validation,
            stage=f"{stage}: training",
            progress=self.job.progress,
        )
        if climbed.was_stopped:
            self.notes.append(
                f"Training {last_stages(stages)} was stopped by Ctrl-C, the best of {len(climbed.epochs)} epochs kept."
            )
        elif recipe.epochs < estimate.recipe.epochs:
            self.notes.append(
                f"There was time for {recipe.epochs} of the {estimate.recipe.epochs} epochs of {last_stages(stages)}."
            )
        model = self._with_tail(standing.model, tail)
        learnt = sum(p.numel() for p in tail.parameters() if p.requires_grad)
        trained = trained_json(climbed, recipe, is_trial=is_trial)
        return self._stands(name, stages, learnt, begin, model, climbed.val_logits, standing, trained)

    def _estimate(self, stages: int, *, is_trial: bool = False) -> Estimate:
        """What a rung will take, measured on a few steps and on the images run so far."""
        from mirada.engine.process import prepare_process
        from mirada.learn.rung import rung_recipe, step_seconds, trial_recipe

        prepare_process()
        place = len(self.body.stages) - stages
        recipe = (trial_recipe if is_trial else rung_recipe)(len(self.train), stages)
        views = 1 if is_trial else min(VIEWS, recipe.epochs)
        runs = views * len(self.train) + len(self.val)
        if place in self.first_taps:
            runs -= len(self.train) + len(self.val)
        if stages not in self._step_seconds:
            shape = self._input_shape(place)
            self._step_seconds[stages] = step_seconds(self._tail(stages), shape, recipe.batch_size)
        step = self._step_seconds[stages]
        steps = -(-len(self.train) // recipe.batch_size)
        validation = step / recipe.batch_size / 2 * len(self.val)  # forward is less than half of a step
        work = np.cumsum([stage.multiply_adds for stage in self.body.stages])
        shorter = (1 + work[place - 1] / work[-1]) / 2 if place else 1.0  # of the time, half goes with the work
        return Estimate(recipe, views, shorter * runs / self.train.rate, step * steps, validation)

    def _tail(self, stages: int) -> Tail:
        """The last stages as they were pretrained, and a head that is milder than the best for these features."""
        from mirada.engine.precision import training_dtype
        from mirada.learn.tail import Tail

        if self._mild_head is None:
            features, _ = self._features(self._chosen)
            ids, weights = self.train.class_ids, self._image_weights()
            self._mild_head = fit_head(features, ids, features[:0], ids[:0], self.classes, weights=weights)
        head = self._mild_head
        return Tail(self.body.stages[-stages:], head.weight, head.bias, training_dtype())

    def _with_tail(self, model: Model, tail: Tail) -> Model:
        state = self.body.state | tail.state()
        head = {f"head.{name}": p.detach().numpy().copy() for name, p in tail.head.named_parameters()}
        return replace(model, state={f"backbone.{name}": array for name, array in state.items()} | head)

    def _input_shape(self, place: int) -> tuple[int, ...]:
        if place:
            return self.body.stages[place - 1].output_shape
        width, height = self.body.preparation.size_wh
        return self.body.preparation.channels, height, width

    def _seconds_left(self) -> float:
        return self.options.deadline - self._reserve() - time.perf_counter()

    def _reserve(self) -> float:
        """What is kept of the time for calibration and the test."""
        images = len(self.job.parts.val) + len(self.job.parts.test)
        return FINISH_SECONDS + images / self.train.rate

    # What is better, and what is written down

    def _is_over(self, standing: Standing) -> bool:
        """Whether the climb was ended early, or the best so far is as good as was asked for."""
        return bool(self.rungs[-1].get("was_stopped", False)) or self._is_enough(standing)

    def _is_enough(self, standing: Standing) -> bool:
        right = float(standing.val_right.mean()) if len(standing.val_right) else 0.0
        if self.options.until is not None and right >= self.options.until:
            self.notes.append(
                f"The climb ended: {right:.1%} on val is at least the {self.options.until:.1%} asked for."
            )
            return True
        return False

    def _stands(
        self,
        name: str,
        stages: int,
        parameters: int,
        begin: float,
        model: Model,
        val_logits: NDArray[np.float32],
        before: Standing | None,
        trained: dict[str, Any] | None = None,
    ) -> Standing:
        """Record a rung, and save the better of it and what stood before."""
        losses, right = judged(val_logits, self.val.class_ids)
        is_better = before is None or not len(losses) or is_clear(before.val_losses - losses)
        if not is_better and self.options.retrain != "auto":
            self.notes.append("On val this is not clearly better than the head alone: --retrain head is quicker.")
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
        standing = Standing(model, losses, right) if is_better or before is None else before
        standing = replace(standing, model=self._recorded(standing, is_finished=False))
        self.save(standing.model)
        return standing

    def _recorded(self, standing: Standing, *, is_finished: bool) -> Model:
        learnt = self.learnt | {
            "rungs": list(self.rungs),
            "unreadable": failures_json((*self.train.failures, *self.val.failures)),
            "notes": [*self.train.notes, *self.notes],  # some come up at each rung: `train` keeps each once
        }
        if not is_finished:
            learnt["climbing"] = {"val_losses": standing.val_losses.tolist(), "val_right": standing.val_right.tolist()}
        return replace(standing.model, training=learnt)

    def _resumed(self, begun: Model) -> Standing:
        """Where an interrupted climb stood."""
        state = dict(begun.training)
        climbing = state.pop("climbing")
        self.rungs, self.notes = list(state.pop("rungs")), [*state.pop("notes"), *self.notes]
        self.learnt = state
        self._chosen = begun.preparation
        self._features(self._chosen)
        return Standing(begun, np.array(climbing["val_losses"]), np.array(climbing["val_right"], bool))
