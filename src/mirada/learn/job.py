"""What every way of training is given: the data in its parts, the seed, whom to tell how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirada.data import Dataset, Part, Sample, Split
from mirada.errors import DataError, ImageError
from mirada.progress import Progress
from mirada.tasks import Classify

__all__ = ["Answers", "Job", "failures_json"]

Answers = list[tuple[Sample, NDArray[np.float32] | ImageError]]
"""Samples with their class scores (K,), or with the reason why they have none."""


@dataclass(frozen=True)
class Job:
    """A data set, divided, to learn from.

    Attributes:
        dataset: all samples.
        parts: which are for what.
        seed: of everything that is drawn.
        progress: told how far the work is.
    """

    dataset: Dataset
    parts: Split
    seed: int
    progress: Progress

    @property
    def task(self) -> Classify:
        """What is asked, not yet calibrated."""
        return Classify(self.dataset.class_names)

    def samples(self, part: Part) -> list[Sample]:
        """The samples of a part."""
        return [self.dataset.samples[i] for i in self.parts.parts[part]]

    def contents(self, part: Part) -> list[str | None]:
        """The SHA-256 of each of them; None where the file cannot be read."""
        return [entry.sha256 for entry in self.parts.manifest.parts[part]]

    def class_ids(self, part: Part) -> NDArray[np.int64]:
        """Their classes, (N,)."""
        return np.array([label.class_id for sample in self.samples(part) if (label := sample.label)], np.int64)

    def check_all_classes(self, class_ids: NDArray[np.int64], failures: Sequence[ImageError]) -> None:
        """Refuse where no training image of a class could be read.

        Args:
            class_ids: of the training images that could be read.
            failures: those that could not.
        """
        absent = sorted(set(range(len(self.dataset.class_names))) - set(class_ids.tolist()))
        for class_id in absent:
            keys = {s.key for s in self.samples("train") if s.label is not None and s.label.class_id == class_id}
            first = next((error for error in failures if error.name in keys), None)
            if first is not None:
                raise DataError(
                    f"not one training image of the class '{self.dataset.class_names[class_id]}' can be read; the "
                    f"first that cannot: {first}"
                )


def failures_json(failures: Sequence[ImageError]) -> list[dict[str, str]]:
    """Images that could not be read, as plain values."""
    return [{"path": error.name, "error": error.reason} for error in failures]
