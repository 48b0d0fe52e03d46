"""How good a model is: its answers against the truth, with the interval that the number of images allows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirada.data import PARTS, Dataset, Part, Sample, read
from mirada.data.manifest import content_hashes
from mirada.data.samples import some
from mirada.errors import DataError, ImageError, UsageError
from mirada.learn.scores import (
    balanced_accuracy,
    balanced_accuracy_interval,
    confusion_matrix,
    expected_calibration_error,
    share_interval,
)
from mirada.model import Model, load
from mirada.model.model import NOT_FINISHED
from mirada.progress import Progress, silent
from mirada.tasks import softmax

__all__ = ["Answer", "ClassScore", "Evaluation", "evaluate", "evaluate_samples", "evaluation_of"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said of one image with a known class.

    Attributes:
        path: the key of the sample.
        truth: its class.
        label: the class the model gives.
        probability: of that class, calibrated.
        uncalibrated: of that class, before temperature scaling.
    """

    path: str
    truth: str
    label: str
    probability: float
    uncalibrated: float

    @property
    def is_right(self) -> bool:
        """Whether the model is right."""
        return self.truth == self.label


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class: how many images it has, and how the model does on them.

    Attributes:
        images: of this class.
        precision: share of the images called so that are so; None where none was called so.
        recall: share of the images of this class that were called so; None where there are none.
        precision_interval, recall_interval: 95 %, see `mirada.learn.scores.share_interval`.
    """

    name: str
    images: int
    precision: float | None
    recall: float | None
    precision_interval: tuple[float, float]
    recall_interval: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model's answers on labelled images, and what follows from them.

    Attributes:
        part: "train", "val", "test", or "unseen" where the images are in no part of the model's.
        class_names: the model's.
        answers: in the order of the samples.
        confusion: (K, K) int64: rows are true classes, columns the answers.
        sure_from: the probability from which the model counts as sure, or None.
        failures: images that could not be read.
        notes: plain sentences about what was left out.
    """

    part: str
    class_names: tuple[str, ...]
    answers: tuple[Answer, ...]
    confusion: NDArray[np.int64]
    sure_from: float | None = None
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
        """The 95 % interval of the accuracy; see `mirada.learn.scores.share_interval`."""
        return share_interval(self.right, self.images)

    @property
    def commonest_share(self) -> float:
        """Share of the images that are of the commonest class: the accuracy of always naming it."""
        return int(self.confusion.sum(axis=1).max()) / self.images

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that have images: each class counts alike."""
        return balanced_accuracy(self.confusion)

    @property
    def balanced_interval(self) -> tuple[float, float]:
        """Its 95 % interval; see `mirada.learn.scores.balanced_accuracy_interval`."""
        return balanced_accuracy_interval(self.confusion)

    @property
    def calibration_error(self) -> float:
        """How far the probabilities are from the share of right answers; see `expected_calibration_error`."""
        return expected_calibration_error(np.array([a.probability for a in self.answers]), self.is_right)

    @property
    def uncalibrated_error(self) -> float:
        """The same before temperature scaling."""
        return expected_calibration_error(np.array([a.uncalibrated for a in self.answers]), self.is_right)

    @property
    def is_right(self) -> NDArray[np.bool_]:
        """(N,) whether each answer is right."""
        return np.array([answer.is_right for answer in self.answers])

    @property
    def sure(self) -> tuple[int, int] | None:
        """How many answers are sure, and how many of these right; None where the model knows no such limit."""
        if self.sure_from is None:
            return None
        sure = [answer for answer in self.answers if answer.probability >= self.sure_from]
        return len(sure), sum(answer.is_right for answer in sure)

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
                share_interval(int(hits[k]), int(called[k])),
                share_interval(int(hits[k]), int(true[k])),
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
            "balanced_accuracy_interval": list(self.balanced_interval),
            "calibration_error": self.calibration_error,
            "calibration_error_uncalibrated": self.uncalibrated_error,
            **({} if self.sure is None else {"sure": self.sure[0], "sure_and_right": self.sure[1]}),
        }

    def json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return {
            "part": self.part,
            **self.summary(),
            "classes": [asdict(score) for score in self.classes],
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

    Without `part`, the images that the model has never seen count: of the test part where the data set has one or where
    the model's manifest names one, else of all.

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
    if not model.is_finished:
        notes = (*notes, NOT_FINISHED)
    if model.engine.note:
        notes = (*notes, model.engine.note)
    return evaluate_samples(model, samples, name, notes=notes, progress=progress)


def evaluate_samples(
    model: Model, samples: list[Sample], part: str, *, notes: tuple[str, ...] = (), progress: Progress = silent
) -> Evaluation:
    """Compare a model's answers with the labels of samples. Raises DataError where not one can be read."""

    def answered() -> Iterator[tuple[Sample, NDArray[np.float32] | ImageError]]:
        for done, answer in enumerate(model.answers(samples), 1):
            progress(f"evaluating on {part}", done, len(samples))
            yield answer

    return evaluation_of(model, answered(), part, notes=notes)


def evaluation_of(
    model: Model,
    answered: Iterable[tuple[Sample, NDArray[np.float32] | ImageError]],
    part: str,
    *,
    notes: tuple[str, ...] = (),
) -> Evaluation:
    """What follows from class scores (K,) that a model gave for labelled samples, as from `Model.answers`.

    Raises:
        DataError: not one of the samples could be read.
    """
    ids = {name: k for k, name in enumerate(model.class_names)}
    read: list[tuple[str, str]] = []  # the key and the true class
    rows: list[NDArray[np.float32]] = []
    failures: list[ImageError] = []
    for sample, logits in answered:
        if isinstance(logits, ImageError):
            failures.append(logits)
        else:
            assert sample.label is not None
            read.append((sample.key, sample.label.name))
            rows.append(logits)
    if not rows:
        reason = f"the first: {failures[0]}" if failures else "there is none"
        raise DataError(f"no image is left to evaluate on: {reason}")
    scores = np.stack(rows)  # (N, K)
    named = scores.argmax(axis=1)
    calibrated, uncalibrated = (
        probabilities[np.arange(len(named)), named].tolist()
        for probabilities in (model.task.probabilities(scores), softmax(scores))
    )
    called = [model.class_names[class_id] for class_id in named.tolist()]
    answers = tuple(
        Answer(key, truth, name, probability, other)
        for (key, truth), name, probability, other in zip(read, called, calibrated, uncalibrated, strict=True)
    )
    confusion = confusion_matrix(np.array([ids[truth] for _, truth in read]), named, len(ids))
    return Evaluation(part, model.class_names, answers, confusion, model.task.sure_from, tuple(failures), notes)


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
    learnt = {i for i in chosen if seen[i] in ("train", "val")} if wanted == "test" else set[int]()
    note = f"{len(learnt):,} of these images were, byte for byte, used to make the model: the score flatters it."
    if part is None and learnt:
        note = f"Left out of the test part, because it was used to make the model: {len(learnt):,} of {len(chosen):,}."
        chosen = [i for i in chosen if i not in learnt]
        if not chosen:
            raise DataError(
                f"all images in the test part of {dataset.where} were used to make the model: a score on them says "
                "nothing; --part test counts them all the same"
            )
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
