"""Samples -> batches of prepared pixels, in order, with bounded memory. What cannot be read is reported."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mirada.data.samples import Sample
from mirada.data.threads import map_samples
from mirada.errors import ImageError
from mirada.image import Preparation
from mirada.machine.cpus import available_cpus
from mirada.progress import Progress, silent

__all__ = ["Batch", "load_all", "prepared", "prepared_batches"]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Consecutive samples, prepared.

    Args:
        pixels: (n, h, w, C) uint8, of those that could be read; n may be 0.
        indices: (n,) int64, their positions among the samples given, counted from 0.
        failures: the position and the error of each that could not be read.
    """

    pixels: NDArray[np.uint8]
    indices: NDArray[np.int64]
    failures: tuple[tuple[int, ImageError], ...] = ()

    def __len__(self) -> int:
        return len(self.indices)


def prepared_batches(
    samples: Iterable[Sample], preparation: Preparation, batch_size: int, *, threads: int | None = None
) -> Generator[Batch, None, None]:
    """Decode and prepare samples, and yield them in batches, in the order given.

    Every batch stands for `batch_size` consecutive samples (the last one for what remains): those that could be read
    are in `pixels`, the others in `failures`, so that `len(batch) + len(batch.failures)` is `batch_size`. While a batch
    is used, threads prepare the next ones: two batches ahead, or two images a thread where that is more. Memory holds
    those and one decoded image a thread, however many samples follow. Closing the iterator, or an interruption, ends
    the threads.

    Args:
        samples: any iterable, also an endless one.
        threads: how many; None for `map_samples` to choose.

    Raises ValueError where a number is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    ahead = max(2 * batch_size, 2 * (threads or available_cpus()))
    results = map_samples(partial(_prepare, preparation), samples, threads=threads, ahead=ahead)
    return _batches(results, preparation, batch_size)


def prepared(
    samples: Iterable[Sample], preparation: Preparation, *, threads: int | None = None
) -> Generator[tuple[Sample, NDArray[np.uint8] | ImageError], None, None]:
    """Each sample with its prepared pixels (h, w, C) uint8, or with the reason why it cannot be read, in order.

    Threads work a few samples ahead, and no further; the samples may be an endless iterator.
    """
    ahead = 4 * (threads or available_cpus())
    return map_samples(lambda sample: (sample, _prepare(preparation, sample)), samples, threads=threads, ahead=ahead)


def load_all(
    samples: Sequence[Sample],
    preparation: Preparation,
    *,
    threads: int | None = None,
    progress: Progress = silent,
) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[tuple[int, ImageError], ...]]:
    """Decode and prepare all samples into one array, for a set that fits into memory.

    Args:
        threads: how many; None for `map_samples` to choose. Grey arrays of one size are prepared by one, together.
        progress: told of the stage "reading images" now and then, at least at the end, with the number done and the
            number of all.

    Returns the pixels (n, h, w, C) uint8 of those that could be read, their positions (n,) int64, and the position and
    error of each of the others.
    """
    arrays = [sample.array for sample in samples if sample.array is not None and sample.array.ndim == 2]
    if len(arrays) == len(samples) and len({array.shape for array in arrays}) == 1:
        pixels = preparation.pixels_of_grey(arrays)
        progress("reading images", len(samples), len(samples))
        return pixels, np.arange(len(samples)), ()
    pixels = np.empty((len(samples), *_shape(preparation)), np.uint8)
    indices = np.empty(len(samples), np.int64)
    failures: list[tuple[int, ImageError]] = []
    filled = 0
    for batch in prepared_batches(samples, preparation, batch_size=64, threads=threads):
        pixels[filled : filled + len(batch)] = batch.pixels
        indices[filled : filled + len(batch)] = batch.indices
        filled += len(batch)
        failures += batch.failures
        progress("reading images", filled + len(failures), len(samples))
    return pixels[:filled], indices[:filled], tuple(failures)


def _shape(preparation: Preparation) -> tuple[int, int, int]:
    width, height = preparation.size_wh
    return height, width, preparation.channels


def _prepare(preparation: Preparation, sample: Sample) -> NDArray[np.uint8] | ImageError:
    try:
        # A grey array goes in as it is: the preparation makes the channels it needs.
        return preparation.pixels(sample.image() if sample.array is None else sample.array)
    except ImageError as error:
        return error


def _batches(
    results: Generator[NDArray[np.uint8] | ImageError, None, None], preparation: Preparation, batch_size: int
) -> Generator[Batch, None, None]:
    with closing(results):
        for begin in itertools.count(0, batch_size):
            outcomes = list(itertools.islice(results, batch_size))
            if not outcomes:
                return
            failures = tuple((begin + i, each) for i, each in enumerate(outcomes) if isinstance(each, ImageError))
            read = [(begin + i, each) for i, each in enumerate(outcomes) if not isinstance(each, ImageError)]
            pixels = np.empty((len(read), *_shape(preparation)), np.uint8)  # (n, h, w, C)
            for row, (_, image) in enumerate(read):
                pixels[row] = image
            yield Batch(pixels, np.array([index for index, _ in read], np.int64), failures)
