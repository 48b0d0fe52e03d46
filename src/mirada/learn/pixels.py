"""The images of one part, prepared: held in memory where they fit, read again each epoch where they do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from mirada.data import Sample, load_all, prepared_batches
from mirada.data.threads import map_items
from mirada.errors import DataError, ImageError
from mirada.image import Preparation
from mirada.image.augment import view_pixels
from mirada.image.policy import Policy
from mirada.progress import Progress, silent

__all__ = ["MEMORY_BOUND", "Pixels", "read_pixels"]

MEMORY_BOUND = 4 * 2**30
"""Bytes of prepared pixels that are held in memory at most."""


@dataclass(frozen=True, eq=False)
class Pixels:
    """The readable samples of a part, in order.

    Attributes:
        samples: those that could be read.
        class_ids: (N,) int64, their true classes.
        preparation: how they were prepared.
        pixels: (N, h, w, C) uint8, or None where they are read again each epoch.
        failures: the key and the reason of each sample that could not be read.
    """

    samples: tuple[Sample, ...]
    class_ids: NDArray[np.int64]
    preparation: Preparation
    pixels: NDArray[np.uint8] | None
    failures: tuple[ImageError, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    def batches(
        self, order: NDArray[np.int64], batch_size: int
    ) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        """Pixels (n, h, w, C) uint8 and class ids (n,) of the samples in this order, `batch_size` at a time."""
        if self.pixels is not None:
            for i in range(0, len(order), batch_size):
                chosen = order[i : i + batch_size]
                yield self.pixels[chosen], self.class_ids[chosen]
            return
        samples = (self.samples[i] for i in order)
        for batch in prepared_batches(samples, self.preparation, batch_size):
            if len(batch):  # none where files went away after `read_pixels`
                yield batch.pixels, self.class_ids[order[batch.indices]]

    def views(
        self, order: NDArray[np.int64], batch_size: int, policy: Policy, seed: int, number: int
    ) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        """Random views (n, h, w, C) uint8 of the samples in this order, and class ids (n,), `batch_size` at a time.

        They are drawn from the pixels that are held, so what was cut off before is not seen; where none are held, from
        the pictures. What is random depends on the seed, the number and the sample, not on the order.

        Args:
            policy: what may change.
            seed: of the random numbers, at least 0.
            number: which views, at least 1.
        """
        whole = replace(self.preparation, fit="stretch", zoom=1.0)

        def view(i: int) -> tuple[int, NDArray[np.uint8] | None]:
            own = seed << 32 | i
            if self.pixels is not None:
                held = self.pixels[i]
                return i, view_pixels(held if held.shape[2] == 3 else held[:, :, 0], whole, policy, own, number)
            try:
                return i, view_pixels(self.samples[i].image(), self.preparation, policy, own, number)
            except ImageError:  # it went away after `read_pixels`
                return i, None

        with closing(map_items(view, order.tolist(), ahead=2 * batch_size)) as found:
            while batch := list(islice(found, batch_size)):
                kept = [(i, pixels) for i, pixels in batch if pixels is not None]
                if kept:
                    yield np.stack([pixels for _, pixels in kept]), self.class_ids[[i for i, _ in kept]]


def read_pixels(
    samples: Sequence[Sample],
    preparation: Preparation,
    *,
    stage: str,
    progress: Progress = silent,
    memory_bound: int = MEMORY_BOUND,
) -> Pixels:
    """Prepare the labelled samples of a part.

    Raises:
        DataError: there are samples, but not one of them can be read.
    """
    class_ids = np.array([sample.label.class_id for sample in samples if sample.label is not None], np.int64)
    width, height = preparation.size_wh
    pixels: NDArray[np.uint8] | None = None
    if len(samples) * width * height * preparation.channels > memory_bound:
        kept, failures = _readable(samples, preparation, stage, progress)
    else:
        pixels, kept, failures = load_all(
            samples, preparation, progress=lambda _, done, total, note="": progress(stage, done, total, note)
        )
    if len(samples) and not len(kept):
        raise DataError(f"not one of the {len(samples):,} images can be read; the first: {failures[0][1]}")
    readable = tuple(samples[i] for i in kept)
    return Pixels(readable, class_ids[kept], preparation, pixels, tuple(error for _, error in failures))


def _readable(
    samples: Sequence[Sample], preparation: Preparation, stage: str, progress: Progress
) -> tuple[NDArray[np.int64], tuple[tuple[int, ImageError], ...]]:
    """The positions (n,) of the samples that can be read, and the others with their errors: one pass, nothing kept."""
    kept: list[int] = []
    failures: list[tuple[int, ImageError]] = []
    for batch in prepared_batches(samples, preparation, 64):
        kept += batch.indices.tolist()
        failures += batch.failures
        progress(stage, len(kept) + len(failures), len(samples))
    return np.array(kept, np.int64), tuple(failures)
