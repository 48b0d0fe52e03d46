"""The images of one part, prepared: held in memory where they fit, read again each epoch where they do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from mirada.data import Sample, load_all, prepared, prepared_batches
from mirada.data.threads import map_items, threads_of
from mirada.errors import DataError, ImageError
from mirada.image import Preparation
from mirada.image.augment import view_pixels
from mirada.image.moves import SMALL, moved_views, only_moves
from mirada.image.policy import Policy
from mirada.progress import Progress, silent

__all__ = ["MEMORY_BOUND", "Batch", "Pixels", "in_batches", "read_pixels"]

Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Pixels (n, h, w, C) and class ids (n,)."""

MEMORY_BOUND = 4 * 2**30
"""Bytes of prepared pixels that are held in memory at most."""
PIECE = 16
"""Views of held pixels that are handed to a thread at once: of one alone, handing it over takes as long."""


@dataclass(frozen=True, eq=False)
class Pixels:
    """The readable samples of a part, in order.

    Attributes:
        samples: those that could be read.
        class_ids: (N,) int64, their true classes.
        preparation: how they were prepared.
        pixels: (N, H, W, C) uint8, or None where they are read again each epoch.
        failures: the key and the reason of each sample that could not be read.
        input_wh: what a network sees of them: a part of this size; None for all.
    """

    samples: tuple[Sample, ...]
    class_ids: NDArray[np.int64]
    preparation: Preparation
    pixels: NDArray[np.uint8] | None
    failures: tuple[ImageError, ...] = ()
    input_wh: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.samples)

    def batches(self, batches: Sequence[NDArray[np.int64]]) -> Iterator[Batch]:
        """Pixels (n, h, w, C) uint8, their middle, and class ids (n,) of the samples of each batch."""
        if self.pixels is not None:
            for chosen in batches:
                yield self._middle(self.pixels[chosen]), self.class_ids[chosen]
            return
        samples = (self.samples[i] for chosen in batches for i in chosen)
        with closing(prepared(samples, self.preparation)) as found:
            for chosen in batches:
                outcomes = [pixels for _, pixels in islice(found, len(chosen))]
                read = {k: pixels for k, pixels in enumerate(outcomes) if not isinstance(pixels, ImageError)}
                if read:  # none where files went away after `read_pixels`
                    yield self._middle(np.stack(list(read.values()))), self.class_ids[chosen[list(read)]]

    def views(self, batches: Sequence[NDArray[np.int64]], policy: Policy, seed: int, number: int) -> Iterator[Batch]:
        """Random views (n, h, w, C) uint8 of the samples of each batch, and class ids (n,).

        They are drawn from the pixels that are held, so what was cut off before is not seen; where none are held, from
        the pictures. What is random depends on the seed, the number and the sample, not on the order.

        Args:
            policy: what may change.
            seed: of the random numbers, at least 0.
            number: which views, at least 1.
        """
        size_wh = self.input_wh or self.preparation.size_wh
        if policy.inner is not None and self.input_wh is not None:  # a cut of the pixels that are held
            policy = replace(policy, inner=size_wh[0] / self.preparation.size_wh[0])
        whole = replace(self.preparation, fit="stretch", zoom=1.0, size_wh=size_wh)
        framed = replace(self.preparation, size_wh=size_wh)

        if self.pixels is not None and self.pixels[0, ..., 0].size <= SMALL and only_moves(policy):
            for chosen in batches:
                seeds = [seed << 32 | i for i in chosen.tolist()]
                yield moved_views(self.pixels[chosen], whole, policy, seeds, number), self.class_ids[chosen]
            return

        def view(i: int) -> tuple[int, NDArray[np.uint8] | None]:
            own = seed << 32 | i
            if self.pixels is not None:
                held = self.pixels[i]
                return i, view_pixels(held if held.shape[2] == 3 else held[:, :, 0], whole, policy, own, number)
            try:
                return i, view_pixels(self.samples[i].image(), framed, policy, own, number)
            except ImageError:  # it went away after `read_pixels`
                return i, None

        pieces = in_batches(np.concatenate([*batches, np.zeros(0, np.int64)]), 1 if self.pixels is None else PIECE)
        ahead = max(2, 2 * max(map(len, batches), default=1) * len(pieces) // max(1, sum(map(len, batches))))
        threads = threads_of(self.samples) if self.pixels is None else None

        def views_of(piece: NDArray[np.int64]) -> list[tuple[int, NDArray[np.uint8] | None]]:
            return [view(i) for i in piece.tolist()]

        with closing(map_items(views_of, pieces, threads=threads, ahead=ahead)) as done:
            found = chain.from_iterable(done)
            for chosen in batches:
                kept = [(i, pixels) for i, pixels in islice(found, len(chosen)) if pixels is not None]
                if kept:
                    yield np.stack([pixels for _, pixels in kept]), self.class_ids[[i for i, _ in kept]]

    def _middle(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What a network sees of pictures (n, H, W, C): their middle, (n, h, w, C)."""
        if self.input_wh is None:
            return pixels
        (width, height), (w, h) = self.preparation.size_wh, self.input_wh
        top, left = (height - h) // 2, (width - w) // 2
        return pixels[:, top : top + h, left : left + w]


def in_batches(order: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """The places of samples in this order, so many at a time."""
    return [order[i : i + size] for i in range(0, len(order), size)]


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
