"""From a listing with random weights to a trained network: gradient descent."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from mirada.arch import Architecture
from mirada.arch.build import build
from mirada.backbone.network import arrays_of
from mirada.engine.process import prepare_process
from mirada.errors import UsageError
from mirada.image import Preparation
from mirada.image.policy import Policy
from mirada.learn.fit import fit
from mirada.learn.job import Job, failures_json
from mirada.learn.pixels import Pixels, read_pixels
from mirada.learn.recipes import Recipe, recipe_for
from mirada.model import Model

__all__ = ["train_from_scratch"]


def train_from_scratch(
    job: Job, architecture: Architecture, settings: dict[str, Any], policy: Policy | None = None
) -> Model:
    """A listing with random weights, trained by gradient descent; how is in its `training`.

    Args:
        settings: what replaces numbers of the recipe.
        policy: what random views change; None for a small shift.
    """
    _check_gives_scores(architecture, len(job.dataset.class_names))
    listed, classes = architecture.output.depth, len(job.dataset.class_names)
    architecture = architecture.with_classes(classes)
    recipe = recipe_for(len(job.parts.train), **settings, policy=policy)
    preparation = _preparation_for(architecture)
    train_pixels = read_pixels(
        job.samples("train"), preparation, stage="reading the training images", progress=job.progress
    )
    job.check_all_classes(train_pixels.class_ids, train_pixels.failures)
    val_pixels = read_pixels(
        job.samples("val"), preparation, stage="reading the validation images", progress=job.progress
    )
    preparation = _normalising(train_pixels)
    train_pixels, val_pixels = (replace(p, preparation=preparation) for p in (train_pixels, val_pixels))
    torch.manual_seed(job.seed)
    module: nn.Module = build(architecture)
    prepare_process(architecture.multiply_adds * recipe.batch_size)
    history = fit(module, train_pixels, val_pixels, job.task, recipe, seed=job.seed, progress=job.progress)
    learnt: dict[str, Any] = {
        "method": "gradient descent from random weights",
        "recipe": recipe.json(),
        "epochs_done": len(history),
        "history": [asdict(epoch) | {"seconds": round(epoch.seconds, 2)} for epoch in history],
        "unreadable": failures_json((*train_pixels.failures, *val_pixels.failures)),
        "notes": [
            *([_replaced(listed, classes)] if listed != classes else []),
            *([_stopped(len(history), recipe)] if len(history) < recipe.epochs else []),
        ],
    }
    return Model(architecture, arrays_of(module), preparation, job.task, training=learnt)


def _replaced(listed: int, classes: int) -> str:
    return f"The listing ends in {listed:,} class scores; the last layer was made anew with {classes:,}, one a class."


def _stopped(epochs: int, recipe: Recipe) -> str:
    return (
        f"Training ended after {epochs} of {recipe.epochs} epochs, by Ctrl-C or because the loss was no longer a "
        "number; the best epoch was kept."
    )


def _preparation_for(architecture: Architecture) -> Preparation:
    """Stretch the whole picture to the input of the network, so that nothing is cut off."""
    width, height, depth = architecture.input.width, architecture.input.height, architecture.input.depth
    if depth not in (1, 3):
        raise UsageError(f"the network takes {depth} channels: images have 1 (grey) or 3 (RGB)")
    one = (0.0,) * depth, (1.0,) * depth
    return Preparation((width, height), "stretch", channels=1 if depth == 1 else 3, mean=one[0], std=one[1])


def _normalising(train: Pixels) -> Preparation:
    """The preparation with the mean and standard deviation of the training pixels, channel by channel."""
    order = np.random.default_rng(0).permutation(len(train))[:2_000]  # enough for two digits
    count, total, squares = 0, np.zeros(()), np.zeros(())
    for pixels, _ in train.batches(order, 16):  # a few at a time: float64 takes eight times the memory of pixels
        values = pixels / 255
        count += values[..., 0].size
        total = total + values.sum(axis=(0, 1, 2))
        squares = squares + np.square(values).sum(axis=(0, 1, 2))
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
