"""From a listing with random weights to a trained network, or to several that are averaged: gradient descent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from mirada.arch import Architecture
from mirada.arch.build import build
from mirada.backbone.network import arrays_of
from mirada.engine.precision import training_dtype
from mirada.engine.process import prepare_process
from mirada.engine.torch_engine import default_device
from mirada.errors import DataError, UsageError
from mirada.image import Preparation
from mirada.image.prepare import Fit
from mirada.learn.find_rate import RateTest, find_rate
from mirada.learn.fit import fit
from mirada.learn.job import Job, failures_json
from mirada.learn.journal import Epoch
from mirada.learn.pixels import Pixels, in_batches, read_pixels
from mirada.learn.place import NOWHERE, Place
from mirada.learn.ranks import Ranks, join_ranks
from mirada.learn.recipes import Recipe
from mirada.learn.start import initialise
from mirada.model import Model
from mirada.model.model import State
from mirada.progress import Progress

__all__ = ["train_from_scratch", "with_precision"]

MUCH_WORK = 1_000_000_000
"""Multiply-adds of a batch from which bfloat16 is faster where a processor has it: below, converting costs more."""


def train_from_scratch(
    job: Job, architecture: Architecture, recipe: Recipe, place: Place = NOWHERE, *, finds_rate: bool = False
) -> Model:
    """A listing with random weights, trained by gradient descent; how is in its `training`.

    Args:
        recipe: how.
        place: where it is kept while it goes on; what an interrupted run has left there is taken up.
        finds_rate: whether the learning rate is found by trying it out.
    """
    _check_gives_scores(architecture, len(job.dataset.class_names))
    listed, classes = architecture.output.depth, len(job.dataset.class_names)
    architecture = architecture.with_classes(classes).with_dropout(recipe.dropout)
    ranks = join_ranks()
    train, val = _pixels_of(job, architecture, recipe)
    recipe = with_precision(recipe.for_images(len(train)), architecture)
    assert recipe.batch_size is not None
    prepare_process(architecture.multiply_adds * recipe.batch_size)
    test: RateTest | None = None
    if finds_rate:
        test = find_rate(_begun(architecture, recipe, job.seed)[0], train, job.task, recipe, progress=job.progress)
        recipe = recipe.with_values(learning_rate=test.rate)
    with place.held():
        trained = _trained(job, architecture, recipe, place, ranks, train, val)
    members, histories = trained.states, trained.histories
    learnt: dict[str, Any] = {
        "method": "gradient descent from random weights",
        "recipe": recipe.json(),
        "epochs_done": len(histories[-1]),
        "history": _history_json(histories[0]),
        "unreadable": failures_json((*train.failures, *val.failures)),
        "notes": [
            *([_replaced(listed, classes)] if listed != classes else []),
            *trained.notes,
            *([_fewer(len(members), recipe)] if len(members) < recipe.ensemble else []),
        ],
    }
    if test is not None:
        learnt["rate_test"] = test.json()
    if len(members) > 1:
        learnt["histories"] = [_history_json(history) for history in histories]
    return Model(
        architecture,
        members[0] if len(members) == 1 else _together(members),
        train.preparation if recipe.crops > 1 else _seen(train),
        job.task,
        training=learnt,
        members=len(members),
        crops=recipe.crops,
    )


@dataclass(frozen=True)
class _Trained:
    """The networks that were trained, one or several.

    Attributes:
        states: the weights of each.
        histories: how it went, epoch by epoch.
        notes: what should be said of it.
    """

    states: list[State] = field(default_factory=list)
    histories: list[list[Epoch]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _trained(
    job: Job, architecture: Architecture, recipe: Recipe, place: Place, ranks: Ranks, train: Pixels, val: Pixels
) -> _Trained:
    """One network after the other; Ctrl-C ends them all, and leaves out a later one that has no epoch yet."""
    trained = _Trained()
    was_interrupted = False

    def interrupt() -> None:
        nonlocal was_interrupted
        was_interrupted = True

    for member in range(recipe.ensemble):
        seed = (job.seed + member) % 2**32
        module, unknown = _begun(architecture, recipe, seed)
        if unknown and member == 0:
            trained.notes.append(f"Of the layers whose biases start from 1 there is no {', '.join(unknown)}.")
        name = "" if recipe.ensemble == 1 else f"network {member + 1} of {recipe.ensemble}: "
        try:
            with ranks.together():
                history = fit(
                    module,
                    train,
                    val,
                    job.task,
                    recipe,
                    seed=seed,
                    progress=_named(job.progress, name),
                    checkpoint=place.checkpoint(member, is_writer=ranks.is_first),
                    journal=place.tables(member, recipe.ensemble) if ranks.is_first else None,
                    ranks=ranks,
                    on_interrupt=interrupt,
                    on_note=_noting(trained.notes, name),
                )
        except KeyboardInterrupt:
            if not trained.states:
                raise
            break
        trained.histories.append(history)
        trained.states.append(arrays_of(module))
        if was_interrupted:
            break
    return trained


def _begun(architecture: Architecture, recipe: Recipe, seed: int) -> tuple[nn.Module, tuple[str, ...]]:
    """A network with its initial weights, and the layers that the recipe names but that it has not."""
    torch.manual_seed(seed)
    module: nn.Module = build(architecture)
    return module, initialise(module, recipe)


def _together(members: Sequence[State]) -> State:
    return {f"{number}.{name}": array for number, state in enumerate(members) for name, array in state.items()}


def _history_json(history: Sequence[Epoch]) -> list[dict[str, Any]]:
    return [asdict(epoch) | {"seconds": round(epoch.seconds, 2)} for epoch in history]


def _pixels_of(job: Job, architecture: Architecture, recipe: Recipe) -> tuple[Pixels, Pixels]:
    """The training and the validation images, held as the recipe says, and seen as the network takes them."""
    preparation = _preparation_for(architecture, recipe)
    train = read_pixels(job.samples("train"), preparation, stage="reading the training images", progress=job.progress)
    job.check_all_classes(train.class_ids, train.failures)
    val = read_pixels(job.samples("val"), preparation, stage="reading the validation images", progress=job.progress)
    normalising = _normalising(train)
    input_wh = (architecture.input.width, architecture.input.height)
    seen = None if input_wh == preparation.size_wh else input_wh
    return replace(train, preparation=normalising, input_wh=seen), replace(val, preparation=normalising, input_wh=seen)


def with_precision(recipe: Recipe, architecture: Architecture) -> Recipe:
    """The recipe, with its batch size, with a number format in the place of "auto"."""
    if recipe.precision != "auto":
        return recipe
    assert recipe.batch_size is not None
    is_much = architecture.multiply_adds * recipe.batch_size >= MUCH_WORK
    is_native = training_dtype(default_device()) == torch.bfloat16
    return recipe.with_values(precision="bfloat16" if is_much and is_native else "float32")


def _replaced(listed: int, classes: int) -> str:
    return f"The listing ends in {listed:,} class scores; the last layer was made anew with {classes:,}, one a class."


def _fewer(members: int, recipe: Recipe) -> str:
    return f"Ctrl-C ended training after {members} of {recipe.ensemble} networks; these are averaged."


def _noting(told: list[str], name: str) -> Callable[[str], None]:
    """What keeps a note on a network; where there are several, its name is put before it."""
    return lambda note: told.append(f"{name.capitalize()}{note[0].lower()}{note[1:]}" if name else note)


def _named(progress: Progress, name: str) -> Progress:
    """The same progress, told of stages with a name before them."""

    def named(stage: str, done: int, total: int | None, note: str = "") -> None:
        progress(f"{name}{stage}", done, total, note)

    return named


def _preparation_for(architecture: Architecture, recipe: Recipe) -> Preparation:
    """Stretch the whole picture to the input of the network, so that nothing is cut off; or hold the middle of more."""
    width, height, depth = architecture.input.width, architecture.input.height, architecture.input.depth
    if depth not in (1, 3):
        raise UsageError(f"the network takes {depth} channels: images have 1 (grey) or 3 (RGB)")
    one = (0.0,) * depth, (1.0,) * depth
    held = round(width * recipe.held), round(height * recipe.held)
    fit: Fit = "stretch" if recipe.held == 1 else "crop"
    return Preparation(held, fit, channels=1 if depth == 1 else 3, mean=one[0], std=one[1])


def _seen(train: Pixels) -> Preparation:
    """How a picture is prepared so that a network sees the middle that it was judged by."""
    if train.input_wh is None:
        return train.preparation
    held, (width, _) = train.preparation, train.input_wh
    return replace(held, size_wh=train.input_wh, zoom=held.size_wh[0] / width)


def _normalising(train: Pixels) -> Preparation:
    """The preparation with the mean and standard deviation of the training pixels, channel by channel.

    Raises:
        DataError: all of them are of one colour, so that nothing can be learnt.
    """
    order = np.random.default_rng(0).permutation(len(train))[:2_000]  # enough for two digits
    count, total, squares = 0, np.zeros(()), np.zeros(())
    lowest, highest = 255, 0
    for pixels, _ in train.batches(in_batches(order, 16)):  # a few at a time: float64 takes eight times the memory
        values = pixels / 255
        count += values[..., 0].size
        total = total + values.sum(axis=(0, 1, 2))
        squares = squares + np.square(values).sum(axis=(0, 1, 2))
        lowest, highest = min(lowest, int(pixels.min())), max(highest, int(pixels.max()))
    if lowest == highest:
        raise DataError(
            f"every training image is of one colour, level {lowest} of 255 everywhere: there is nothing to learn from. "
            "mirada check looks at the files"
        )
    mean = total / count
    std = np.maximum(np.sqrt(np.maximum(squares / count - mean**2, 0)), 1 / 255)
    return replace(
        train.preparation,
        mean=tuple(round(float(m), 4) for m in mean),
        std=tuple(round(float(s), 4) for s in std),
    )


def _check_gives_scores(architecture: Architecture, classes: int) -> None:
    if not architecture.output.is_vector:
        raise UsageError(
            f"{architecture.name or 'the network'} ends in the volume [{architecture.output}], not in {classes} class "
            f"scores: end it with a line such as 'FC: {classes} neurons'"
        )
