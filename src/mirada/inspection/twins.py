"""The same picture twice: the same file, or one that was compressed, resized, cut a little, lightened or mirrored.

Pairs are proposed (`proposals`); of these, one small picture is moved and scaled over the other; where it fits, both
are decoded again, moved over each other once more, larger, and laid over each other as their points say
(`mirada.image.align`), which tells how sure it is. Each step takes about ten times as long as the one before, for about
a tenth of the pairs.

Does not know: networks. Pictures that are turned or cut to the half are found by `mirada similar`, which takes longer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mirada.data import Dataset, Sample
from mirada.errors import ImageError
from mirada.image.align import Sketch, align
from mirada.inspection.findings import Finding, Item, finding_of
from mirada.inspection.glance import Glance
from mirada.inspection.proposals import narrowed, proposed
from mirada.progress import Progress, silent
from mirada.search.similar import certainty, grouped
from mirada.words import percent

__all__ = ["Twins", "twin_findings", "twins"]

SCALES: Final = (1.0, 0.95, 0.9, 0.85)
"""Of the side of the smaller cut, in the larger picture, when one of 32 x 32 is moved over the other."""
FITS: Final = 0.84
"""The correlation that must be reached there."""
FINE: Final = 64
"""The side of the pictures for which the files are read again."""
FINE_SCALES: Final = (1.0, 0.975, 0.95, 0.925, 0.9, 0.875, 0.85)
"""As `SCALES`, for these."""
FINE_FITS: Final = 0.91
"""The correlation that these must reach: of 577 altered photos all do (0.923), of 71 other pairs four."""
SURE: Final = 0.9
"""The certainty that a pair must have."""
KEPT: Final = 2_000
"""Sketches that are kept in memory, 65 kB each and up to 200 kB of points."""


@dataclass(frozen=True, slots=True)
class Twins:
    """Samples that are the same picture.

    Attributes:
        places: of the samples, in their order.
        is_one_file: whether they are equal byte for byte.
        certainty: how sure it is, 0 to 1.
    """

    places: tuple[int, ...]
    is_one_file: bool
    certainty: float


def twins(dataset: Dataset, glances: Sequence[Glance | ImageError], progress: Progress = silent) -> list[Twins]:
    """The groups of samples that are the same picture, the same files first, then the surest."""
    places = [place for place, glance in enumerate(glances) if isinstance(glance, Glance)]
    read = [glance for glance in glances if isinstance(glance, Glance)]
    likely = narrowed(read, proposed(read, progress))

    @lru_cache(KEPT)
    def sketch(number: int, mirrored: bool) -> Sketch | None:
        if mirrored:
            plain = sketch(number, False)
            return None if plain is None else Sketch(np.ascontiguousarray(plain.grey[:, ::-1]))
        try:
            return Sketch(dataset.samples[places[number]].image())
        except ImageError:
            return None

    def judge(one: int, other: int) -> float:
        sure = 0.0
        for mirrored in likely[one, other]:
            small = read[other].small[:, ::-1] if mirrored else read[other].small
            if not _fits(read[one].small, small, SCALES, FITS):
                continue
            a, b = sketch(one, False), sketch(other, mirrored)
            if a is not None and b is not None and _fits(_fine(a), _fine(b), FINE_SCALES, FINE_FITS):
                sure = max(sure, certainty(align(a, b)))
        return sure

    groups = grouped([glance.content for glance in read], likely, judge, SURE, progress)
    return [
        Twins(tuple(sorted(places[number] for number in numbers)), kind == "same file", sure)
        for numbers, kind, sure in groups
    ]


def _fine(sketch: Sketch) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(sketch.grey, (FINE, FINE), interpolation=cv2.INTER_AREA), np.uint8)


def _fits(one: NDArray[np.uint8], other: NDArray[np.uint8], scales: Sequence[float], least: float) -> bool:
    """Whether one square picture fits somewhere on the other, either of them cut a little."""
    a, b = one.astype(np.float32), other.astype(np.float32)
    for scale in scales:
        inner = round(len(a) * scale)
        for whole, part in ((a, b), (b, a)) if scale < 1 else ((a, b),):
            cut = part if scale == 1 else cv2.resize(part, (inner, inner), interpolation=cv2.INTER_AREA)
            if float(cv2.matchTemplate(whole, cut, cv2.TM_CCOEFF_NORMED).max()) >= least:
                return True
    return False


def _differ(dataset: Dataset, samples: Sequence[Sample]) -> bool:
    """Whether other boxes or another mask is said of equal files."""
    try:
        return len({sample.said(dataset.class_names) for sample in samples}) > 1
    except ImageError:  # a mask that cannot be read is told elsewhere
        return False


def twin_findings(dataset: Dataset, groups: Sequence[Twins]) -> list[Finding]:
    """Copies, by what they do: leak from part to part, contradict each other, or only repeat."""
    leaks, torn, repeated = [], [], []
    for group in groups:
        samples = [dataset.samples[place] for place in group.places]
        said = "the same file" if group.is_one_file else f"the same picture, {percent(group.certainty)} sure"
        parts = defaultdict(list)
        for sample in samples:
            parts[sample.part].append(sample)
        truths = {sample.class_ids for sample in samples}
        keys = tuple(sample.key for sample in samples)
        if len(parts) > 1:
            leaks.append(Item(keys, f"{said}, in {' and '.join(str(part) for part in sorted(parts, key=str))}"))
        if group.is_one_file and dataset.task in ("detect", "segment") and _differ(dataset, samples):
            torn.append(Item(keys, f"{said}, marked in two ways"))
        elif len(truths) > 1 and dataset.task in ("classify", "tag"):
            names = [", ".join(dataset.class_names[i] for i in ids) or "no class" for ids in sorted(truths)]
            torn.append(Item(keys, f"{said}, as {' and as '.join(names)}"))
        elif len(parts) == 1:
            repeated.append(Item(keys, said))
    return [
        *finding_of(
            "leak",
            "mend",
            "The same picture in several parts",
            "A model has seen the answer: the score looks better than it is.",
            "Keep each in one part. Where none is given, mirada train keeps equal files together; --group keeps more.",
            leaks,
        ),
        *finding_of(
            "contradiction",
            "mend",
            "The same picture with different labels",
            "No answer to it can be right, and the model is pulled both ways.",
            "Decide which label is right, or allow several labels.",
            torn,
        ),
        *finding_of(
            "copies",
            "look",
            "The same picture more than once",
            "It counts more than others. Where parts are still to be drawn, copies must stay together.",
            "Keep one of each, or the copies in one part.",
            repeated,
        ),
    ]
