"""Samples -> rows of kept outputs: decoding threads and the engine at work at the same time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirada.data import Sample
from mirada.data.threads import map_samples
from mirada.engine.engine import Engine
from mirada.engine.kept import Kept
from mirada.errors import ImageError
from mirada.image import Preparation
from mirada.image.augment import view_pixels
from mirada.image.policy import POLICIES, Policy
from mirada.progress import Progress, silent

__all__ = ["Extracted", "extract"]


@dataclass(frozen=True, eq=False)
class Extracted:
    """Where the outputs of samples are.

    Attributes:
        places: (N, V) int64, the row of each of the V views of each sample; -1 where it could not be read.
        failures: the samples that could not be read.
    """

    places: NDArray[np.int64]
    failures: tuple[ImageError, ...]


def extract(
    engine: Engine,
    samples: Sequence[Sample],
    contents: Sequence[str | None],
    preparation: Preparation,
    kept: Kept,
    *,
    views: Sequence[int] = (0,),
    policy: Policy = POLICIES["light"],
    seed: int = 0,
    stage: str = "features",
    progress: Progress = silent,
) -> Extracted:
    """Run every view of every sample through the engine, but for those that are kept already.

    The random numbers of a view come from the content of the image, the seed and the number of the view, so a row does
    not depend on what else is in the data set.

    Args:
        contents: the SHA-256 of each sample's content; None where it cannot be read.
        preparation: frames the views; the engine's own says only how pixels are normalised.
        kept: where rows are and go to: made with this preparation, policy and seed, and no others.
        views: their numbers, at least one; 0 is the picture as it is prepared.
        policy: what other views change.
    """
    places = np.full((len(samples), len(views)), -1, np.int64)
    missing: list[tuple[int, list[int]]] = []
    for i, content in enumerate(contents):
        found = [None if content is None else kept.place(content, view) for view in views]
        places[i] = [-1 if place is None else place for place in found]
        if None in found:
            missing.append((i, [view for view, place in zip(views, found, strict=True) if place is None]))
    failures: list[ImageError] = []
    wanted = {samples[i].key: (i, numbers) for i, numbers in missing}
    total = sum(len(numbers) for _, numbers in missing)
    done = 0

    def prepare(sample: Sample) -> tuple[int, list[tuple[int, NDArray[np.uint8]]]] | ImageError:
        i, numbers = wanted[sample.key]
        if contents[i] is None and sample.array is None:
            return ImageError(sample.key, "could not be read when the data set was looked through")
        try:
            image = sample.image() if sample.array is None else sample.array
        except ImageError as error:
            return error
        own = int((contents[i] or "0")[:15], 16) ^ seed
        return i, [(number, view_pixels(image, preparation, policy, own, number)) for number in numbers]

    prepared = map_samples(prepare, (samples[i] for i, _ in missing), ahead=max(4, 32 // len(views)))

    def items() -> Iterator[tuple[tuple[int, int], NDArray[np.uint8]]]:
        nonlocal done
        for outcome in prepared:
            if isinstance(outcome, ImageError):
                failures.append(outcome)
                done += len(wanted[outcome.name][1])
                progress(stage, done, total)
                continue
            i, images = outcome
            for number, pixels in images:
                yield (i, number), pixels

    with closing(prepared):
        for (i, number), outputs in engine.stream(items()):
            content = contents[i]
            assert outputs is not None
            assert content is not None
            places[i, views.index(number)] = kept.append(content, number, outputs)
            done += 1
            progress(stage, done, total)
    return Extracted(places, tuple(failures))
