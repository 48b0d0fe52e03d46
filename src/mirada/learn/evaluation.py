"""How good a model is: its answers against the truth, with the interval that the number of images allows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirada.data import PARTS, Dataset, Part, Sample, prepared_batches, read
from mirada.data.manifest import content_hashes
from mirada.data.samples import some
from mirada.engine import BATCH_SIZES
from mirada.errors import DataError, ImageError, UsageError
from mirada.model import Model, load
from mirada.progress import Progress, silent

__all__ = ["Answer", "ClassScore", "Evaluation", "accuracy_interval", "evaluate", "evaluate_samples"]


def accuracy_interval(right: int, images: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share (Clopper and Pearson 1934): it holds the truth at least `level` of the time.

    >>> [round(x, 4) for x in accuracy_interval(98, 100)]
    [0.9296, 0.9976]
    """
    from scipy.stats import beta

    rest = (1 - level) / 2
    low = float(beta.ppf(rest, right, images - right + 1)) if right > 0 else 0.0
    high = float(beta.ppf(1 - rest, right + 1, images - right)) if right < images else 1.0
    return low, high


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said of one image with a known class.

    Attributes:
        path: the key of the sample.
        truth: its class.
        label: the class the model gives.
        probability: of that class.
    """

    path: str
    truth: str
    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class: how many images it has, and how the model does on them.

    Attributes:
        images: of this class.
        precision: share of the images called so that are so; None where none was called so.
        recall: share of the images of this class that were called so; None where there are none.
    """

    name: str
    images: int
    precision: float | None
    recall: float | None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model's answers on labelled images, and what follows from them.

    Attributes:
        part: "train", "val", "test", or "unseen" where the images are in no part of the model's.
        class_names: the model's.
        answers: in the order of the samples.
        confusion: (K, K) int64: rows are true classes, columns the answers.
        failures: images that could not be read.
        notes: plain sentences about what was left out.
    """

    part: str
    class_names: tuple[str, ...]
    answers: tuple[Answer, ...]
    confusion: NDArray[np.int64]
    failures: tuple[ImageError, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """How many could be read."""
        return int(self.confusion.sum())

    @property
    def right(self) -> int:
        """How many answers are right."""
        return int(np.trace(self.confusion))

    @property
    def accuracy(self) -> float:
        """Share of the answers that is right."""
        return self.right / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy; see `accuracy_interval`."""
        return accuracy_interval(self.right, self.images)

    @property
    def commonest_share(self) -> float:
        """Share of the images that are of the commonest class: the accuracy of always naming it."""
        return int(self.confusion.sum(axis=1).max()) / self.images

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that have images: each class counts alike."""
        recalls = [score.recall for score in self.classes if score.recall is not None]
        return float(np.mean(recalls))

    @property
    def classes(self) -> list[ClassScore]:
        """Precision and recall of each class, in the order of the class ids."""
        true, called = self.confusion.sum(axis=1), self.confusion.sum(axis=0)
        hits = np.diagonal(self.confusion)
        return [
            ClassScore(
                name,
                int(true[k]),
                float(hits[k] / called[k]) if called[k] else None,
                float(hits[k] / true[k]) if true[k] else None,
            )
            for k, name in enumerate(self.class_names)
        ]

    def summary(self) -> dict[str, Any]:
        """The figures that are saved with a model, as plain values."""
        return {
            "images": self.images,
            "right": self.right,
            "unreadable": len(self.failures),
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.interval),
            "balanced_accuracy": self.balanced_accuracy,
        }

    def json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return {
            "part": self.part,
            **self.summary(),
            "classes": [
                {"name": c.name, "images": c.images, "precision": c.precision, "recall": c.recall} for c in self.classes
            ],
            "confusion": self.confusion.tolist(),
            "failures": [{"path": error.name, "error": error.reason} for error in self.failures],
            "notes": list(self.notes),
            "answers": [
                {"path": a.path, "truth": a.truth, "label": a.label, "probability": a.probability} for a in self.answers
            ],
        }


def evaluate(
    model: Model | str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    part: Part | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Compare a model's answers with the labels of a data set.

    Without `part`, the images that the model has never seen count: the test part where the data set has one or where
    the model's manifest names one, else every image that was not in its training or validation.

    Args:
        model: from `train` or `load`, or the directory of one.
        data: anything that `mirada.data.read` understands.
        part: a part of the data set's own, or of the model's manifest.

    Raises:
        DataError: no image is left to count, or the data set has a class that the model does not know.
        ModelError: the directory holds no whole model.
        UsageError: `part` is no part.
    """
    if part is not None and part not in PARTS:
        raise UsageError(f"{part} is no part of a data set: the parts are {', '.join(PARTS)}")
    if not isinstance(model, Model):
        model = load(model)
    dataset = read(data, is_learnt_from=False)
    _check_classes(model, dataset)
    samples, name, notes = _choose(model, dataset, part)
    return evaluate_samples(model, samples, name, notes=notes, progress=progress)


def evaluate_samples(
    model: Model, samples: list[Sample], part: str, *, notes: tuple[str, ...] = (), progress: Progress = silent
) -> Evaluation:
    """Compare a model's answers with the labels of samples. Raises DataError where not one can be read."""
    ids = {name: k for k, name in enumerate(model.class_names)}
    confusion = np.zeros((len(ids), len(ids)), np.int64)
    answers: list[Answer] = []
    failures: list[ImageError] = []
    for batch in prepared_batches(samples, model.preparation, BATCH_SIZES[-1]):
        failures += [error for _, error in batch.failures]
        labels = model.task.annotations(model.scores_of(batch.pixels), 1) if len(batch) else []
        for index, (label,) in zip(batch.indices, labels, strict=True):
            truth = samples[index].label
            assert truth is not None
            assert label.probability is not None
            confusion[ids[truth.name], label.class_id] += 1
            answers.append(Answer(samples[index].key, truth.name, label.name, label.probability))
        progress(f"evaluating on {part}", len(answers) + len(failures), len(samples))
    if not answers:
        reason = f"the first: {failures[0]}" if failures else "there is none"
        raise DataError(f"no image is left to evaluate on: {reason}")
    return Evaluation(part, model.class_names, tuple(answers), confusion, tuple(failures), notes)


def _check_classes(model: Model, dataset: Dataset) -> None:
    unknown = [name for name in dataset.class_names if name not in model.class_names]
    if unknown:
        raise DataError(
            f"{dataset.where} has classes that the model does not know: {some(unknown)}. "
            f"It knows {some(model.class_names)}"
        )


def _choose(model: Model, dataset: Dataset, part: Part | None) -> tuple[list[Sample], str, tuple[str, ...]]:
    """The samples to evaluate on, what they are called, and what to say about those left out."""
    hashes = content_hashes(dataset.samples)
    known = _parts_by_content(model)
    seen = [known.get(content or "") for content in hashes]
    if part is None and all(sample.part != "test" for sample in dataset.samples):
        return _unseen(dataset, seen)
    wanted = part or "test"
    chosen = [i for i, sample in enumerate(dataset.samples) if _part(sample, seen[i]) == wanted]
    if not chosen:
        raise DataError(f"{dataset.where} has no {wanted} part, and the model's split names none of its images")
    learnt = sum(seen[i] in ("train", "val") for i in chosen) if wanted == "test" else 0
    note = f"{learnt:,} of these images were, byte for byte, used to make the model: the score flatters it."
    return [dataset.samples[i] for i in chosen], wanted, (note,) * bool(learnt)


def _part(sample: Sample, by_model: Part | None) -> Part | None:
    """The part that the data set gives; what it calls train, or leaves open, the model's split may have divided."""
    return by_model if by_model and sample.part in (None, "train") else sample.part


def _unseen(dataset: Dataset, seen: Sequence[Part | None]) -> tuple[list[Sample], str, tuple[str, ...]]:
    """Every sample that was in neither training nor validation; "test" where the model's split calls all of them so."""
    chosen = [i for i, part in enumerate(seen) if part not in ("train", "val")]
    if not chosen:
        raise DataError(f"all images of {dataset.where} were used to make the model: a score on them says nothing")
    is_test = all(seen[i] == "test" for i in chosen)
    left_out = len(seen) - len(chosen)
    note = f"{left_out:,} images were used to make the model and are left out."
    return (
        [dataset.samples[i] for i in chosen],
        "test" if is_test else "unseen",
        (note,) * (left_out > 0),
    )


def _parts_by_content(model: Model) -> dict[str, Part]:
    """The part that the model's manifest gives to each content, training before the others."""
    found: dict[str, Part] = {}
    if model.manifest is not None:
        for part in PARTS:
            for entry in model.manifest.parts.get(part, ()):
                if entry.sha256:
                    found.setdefault(entry.sha256, part)
    return found
