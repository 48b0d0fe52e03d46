"""`mirada train`: from a data set to a saved, evaluated model."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mirada.arch import Architecture
from mirada.arch.build import build
from mirada.backbone import BUILTIN, Backbone, find
from mirada.backbone.network import BackboneClassifier, preparation_of, pretrained_backbone
from mirada.data import Dataset, Sample, Split, prepared_batches, read, split
from mirada.engine import BATCH_SIZES, TorchEngine, prepare_process
from mirada.errors import DataError, ImageError, UsageError
from mirada.image import Preparation
from mirada.learn.evaluation import evaluate_samples
from mirada.learn.fit import fit
from mirada.learn.head import fit_head
from mirada.learn.pixels import Pixels, read_pixels
from mirada.learn.recipes import Recipe, recipe_for
from mirada.model import Model
from mirada.model.store import check_new
from mirada.progress import Progress, silent
from mirada.tasks import Classify

__all__ = ["check_place", "train"]


def train(
    data: str | os.PathLike[str],
    network: str | os.PathLike[str] = BUILTIN,
    *,
    out: str | os.PathLike[str] | None = None,
    seed: int = 0,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    weights: str | os.PathLike[str] | None = None,
    progress: Progress = silent,
) -> Model:
    """Train a classifier and evaluate it, once, on images it has never seen.

    A pretrained backbone keeps its weights; its last layer is re-initialised for the classes and trained (transfer
    learning). A listing is trained from scratch.

    Args:
        data: class folders, train/val/test folders, a CSV file, a folder of MNIST's IDX files, or "digits".
        network: "efficientnet-lite0" (pretrained, built in), a network of the zoo or a listing FILE.net (from scratch),
            or "timm:NAME" (pretrained, downloaded).
        out: where to save the model, a new directory; None does not save it.
        seed: decides the split, the initial weights, and the order of the images.
        epochs, batch_size, learning_rate: take the place of the recipe's; from scratch only.
        weights: a safetensors file of pretrained weights for "timm:NAME".
        progress: told how far it is.

    Ctrl-C ends training early and keeps the best epoch so far; while a pretrained network is run it ends everything;
    during the evaluation it leaves a model without a score.

    Raises:
        DataError, ArchitectureError, UsageError, ModelError, TrainingError: see `mirada.errors`.
    """
    if out is not None:
        check_place(Path(out), Path(data))
    source = find(os.fspath(network))
    if not 0 <= seed < 2**32:
        raise UsageError(f"the seed must be from 0 to {2**32 - 1:,}, got {seed}")
    settings = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    _check_options(source, settings, weights is not None)
    dataset = read(data)
    parts = split(dataset, seed=seed)
    torch.manual_seed(seed)
    begin = time.perf_counter()
    job = _Job(dataset, parts, seed, progress)
    if isinstance(source, Backbone):
        model, learnt = _transfer(job, source, Path(weights) if weights is not None else None)
    else:
        model, learnt = _from_scratch(job, source, settings)
    learnt["seconds"] = round(time.perf_counter() - begin, 2)
    model = replace(model, manifest=parts.manifest, training=_record(job, learnt))
    try:
        model = _evaluated(model, job)
    except KeyboardInterrupt:  # what was learnt is not lost with the score
        note = "Evaluation was stopped: there is no score on test."
        model = replace(model, training=model.training | {"notes": [*model.training["notes"], note]})
    return model if out is None else model.save(out)


def check_place(out: Path, data: Path) -> None:
    """Refuse a place where a new model of this data cannot be written, before any work is done.

    Nothing is written into a data set: a model there would be read as a class the next time.

    Raises:
        UsageError: something exists at `out`, its folder cannot be written to, or it lies inside the data.
    """
    check_new(out)
    if data.is_dir() and out.absolute().resolve().is_relative_to(data.resolve()):
        raise UsageError(
            f"{out} lies inside the data {data}, where nothing is written: give a place outside it with -o"
        )


def _check_options(source: Architecture | Backbone, settings: dict[str, Any], has_weights: bool) -> None:
    """Refuse what contradicts itself before anything is read."""
    given = [name for name, value in settings.items() if value is not None]
    if isinstance(source, Backbone) and given:
        raise UsageError(
            f"--{given[0].replace('_', '-')} is for training a listing from scratch, such as --from lenet5: "
            f"{source.name} keeps its weights, and its new last layer is solved for, not stepped to"
        )
    if has_weights and (isinstance(source, Architecture) or source.is_builtin):
        other = "its own are built in" if isinstance(source, Backbone) else "a listing starts from scratch"
        raise UsageError(f"--weights is for a pretrained network, such as --from timm:resnet18; {other}")
    if isinstance(source, Architecture):
        recipe_for(1, **settings)


@dataclass(frozen=True)
class _Job:
    """What both ways of training are given."""

    dataset: Dataset
    parts: Split
    seed: int
    progress: Progress

    @property
    def task(self) -> Classify:
        return Classify(self.dataset.class_names)

    def samples(self, part: Sequence[int]) -> list[Sample]:
        """The samples at these positions."""
        return [self.dataset.samples[i] for i in part]


def _transfer(job: _Job, backbone: Backbone, weights: Path | None) -> tuple[Model, dict[str, Any]]:
    """Frozen features, and a new last layer for the classes."""
    job.progress("loading the network", 0, None)
    prepare_process()
    body, features = pretrained_backbone(backbone, weights)
    preparation = preparation_of(backbone)
    engine = TorchEngine(body, preparation)
    train_features, train_ids, failures = _features(job, engine, job.parts.train, "training")
    val_features, val_ids, val_failures = _features(job, engine, job.parts.val, "validation")
    _check_all_classes(job, train_ids, (*failures, *val_failures))
    job.progress("training the last layer", 0, None)
    head = fit_head(train_features, train_ids, val_features, val_ids, len(job.dataset.class_names))
    module = BackboneClassifier(body, features, len(job.dataset.class_names))
    with torch.no_grad():
        module.head.weight.copy_(torch.from_numpy(head.weight))
        module.head.bias.copy_(torch.from_numpy(head.bias))
    learnt: dict[str, Any] = {
        "method": "logistic regression on the features of the frozen network",
        "inverse_strength": head.chosen,
        "trials": [asdict(trial) for trial in head.trials],
        "unreadable": _failures_json((*failures, *val_failures)),
    }
    return Model(backbone, module, preparation, job.task), learnt


def _features(
    job: _Job, engine: TorchEngine, part: Sequence[int], name: str
) -> tuple[NDArray[np.float32], NDArray[np.int64], tuple[ImageError, ...]]:
    """The features (N, F) and classes (N,) of a part's readable images."""
    samples = job.samples(part)
    rows: list[NDArray[np.float32]] = []
    ids: list[int] = []
    failures: list[ImageError] = []
    for batch in prepared_batches(samples, engine.preparation, BATCH_SIZES[-1]):
        failures += [error for _, error in batch.failures]
        if len(batch):
            rows.append(engine(batch.pixels))
            ids += [label.class_id for i in batch.indices if (label := samples[i].label) is not None]
        job.progress(f"features of the {name} images", len(ids) + len(failures), len(samples))
    features = np.concatenate(rows) if rows else np.zeros((0, 1), np.float32)
    return features, np.array(ids, np.int64), tuple(failures)


def _from_scratch(job: _Job, architecture: Architecture, settings: dict[str, Any]) -> tuple[Model, dict[str, Any]]:
    """A listing with random weights, trained by gradient descent."""
    _check_gives_scores(architecture, len(job.dataset.class_names))
    listed, classes = architecture.output.depth, len(job.dataset.class_names)
    architecture = architecture.with_classes(classes)
    recipe = recipe_for(len(job.parts.train), **settings)
    preparation = _preparation_for(architecture)
    train_pixels = read_pixels(
        job.samples(job.parts.train), preparation, stage="reading the training images", progress=job.progress
    )
    _check_all_classes(job, train_pixels.class_ids, train_pixels.failures)
    val_pixels = read_pixels(
        job.samples(job.parts.val), preparation, stage="reading the validation images", progress=job.progress
    )
    preparation = _normalising(train_pixels)
    train_pixels, val_pixels = (replace(p, preparation=preparation) for p in (train_pixels, val_pixels))
    module: nn.Module = build(architecture)
    prepare_process(architecture.multiply_adds * recipe.batch_size)
    history = fit(module, train_pixels, val_pixels, job.task, recipe, seed=job.seed, progress=job.progress)
    learnt: dict[str, Any] = {
        "method": "gradient descent from random weights",
        "recipe": recipe.json(),
        "epochs_done": len(history),
        "history": [asdict(epoch) | {"seconds": round(epoch.seconds, 2)} for epoch in history],
        "unreadable": _failures_json((*train_pixels.failures, *val_pixels.failures)),
        "notes": [
            *([_replaced(listed, classes)] if listed != classes else []),
            *([_stopped(len(history), recipe)] if len(history) < recipe.epochs else []),
        ],
    }
    return Model(architecture, module, preparation, job.task), learnt


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


def _check_all_classes(job: _Job, class_ids: NDArray[np.int64], failures: Sequence[ImageError]) -> None:
    absent = sorted(set(range(len(job.dataset.class_names))) - set(class_ids.tolist()))
    for class_id in absent:
        keys = {sample.key for sample in job.samples(job.parts.train) if _class_id(sample) == class_id}
        first = next((error for error in failures if error.name in keys), None)
        if first is not None:
            raise DataError(
                f"not one training image of the class '{job.dataset.class_names[class_id]}' can be read; the first "
                f"that cannot: {first}"
            )


def _class_id(sample: Sample) -> int | None:
    return None if sample.label is None else sample.label.class_id


def _evaluated(model: Model, job: _Job) -> Model:
    """The model with its scores. A part of which nothing can be read gives a note, not a lost model."""
    scores, training = {}, dict(model.training)
    for part in ("val", "test"):
        samples = job.samples(job.parts.parts[part])
        if not samples:
            continue
        try:
            evaluation = evaluate_samples(model, samples, part, progress=job.progress)
        except DataError as error:
            training["notes"] = [*training["notes"], f"There is no score on {part}: {error}"]
            continue
        scores[part] = evaluation.summary()
        if part == "test" and evaluation.interval[0] <= evaluation.commonest_share:
            training["notes"] = [*training["notes"], _NOTHING_LEARNT]
        if part == "test":  # those of val are there already
            training["unreadable"] = [*training["unreadable"], *_failures_json(evaluation.failures)]
    return replace(model, scores=scores, training=training)


_NOTHING_LEARNT = (
    "On test the model is not clearly better than naming the commonest class each time: it may have learnt nothing, or "
    "the test part is too small to tell."
)


def _record(job: _Job, learnt: dict[str, Any]) -> dict[str, Any]:
    """What is said of the training in the model: what data, how, how long."""
    return {
        "data": {"name": job.dataset.name, "kind": job.dataset.kind},
        "images": {part: len(positions) for part, positions in job.parts.parts.items()},
        "seed": job.seed,
        **learnt,
        "notes": [*job.dataset.notes, *job.parts.notes, *_notes_on_sizes(job), *learnt.get("notes", ())],
    }


def _notes_on_sizes(job: _Job) -> list[str]:
    if job.parts.val:
        return []
    return ["There are too few images for a validation part: choices that it would make were left at their defaults."]


def _failures_json(failures: Sequence[ImageError]) -> list[dict[str, str]]:
    return [{"path": error.name, "error": error.reason} for error in failures]
