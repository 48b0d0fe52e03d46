"""Labels that are probably wrong, pictures unlike all others, and classes that are each other's mirror image.

All by the features of the built-in network, which was trained on other pictures: a logistic regression on them is
fitted to most of the set and asked about the rest, in turn, so that no picture is judged by its own label.

A label is suspected by its confidence (Northcutt, Jiang and Chuang 2021, section 3.1): the probability that the
regression gives it, and the share of its nearest pictures that have it, against those of the best other label.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from mirada.data import Dataset, Sample
from mirada.data.threads import map_samples
from mirada.errors import ImageError
from mirada.inspection.findings import Finding, Item, finding_of
from mirada.inspection.glance import Glance
from mirada.learn.head import fit_head
from mirada.progress import Progress, silent
from mirada.search.embedder import embedder
from mirada.search.nearest import nearest
from mirada.words import percent

__all__ = ["Suspicion", "features_of", "neighbours", "suspect_findings", "suspicion"]

FOLDS: Final = 5
NEIGHBOURS: Final = 10
BLOCK: Final = 1_024
"""Pictures whose nearest are looked for at a time."""
FEWEST: Final = 3
"""Pictures of a class from which its labels can be judged."""
LEAST_IMAGES: Final = 30
"""Pictures of a set from which anything can be said."""
DOUBT: Final = 0.6
"""By how much another label must be more likely, for a label to be shown."""
UNLIKE: Final = 4.0
"""Robust standard deviations from the usual distance to the nearest, from which a picture is unlike all others."""
LONELY: Final = 1.2
"""How many times as far from the nearest three as these are from theirs, from which a picture is alone."""
MIRRORED: Final = 300
"""Pictures that are looked at mirrored, but no more than a third of all."""
COLLIDES: Final = 0.25
"""The share of a class that must change into one other class by mirroring."""


@dataclass(frozen=True, slots=True, eq=False)
class Suspicion:
    """How doubtful each label is.

    Attributes:
        doubt: (N,), -1 to 1: by how much the best other label is more likely than the given one; NaN where the class
            has too few pictures to tell.
        other: (N,), the class id of that label.
        given: (N,), 0 to 1: how likely the given label is; NaN likewise.
    """

    doubt: NDArray[np.float64]
    other: NDArray[np.int64]
    given: NDArray[np.float64]


def features_of(
    samples: Sequence[Sample], progress: Progress = silent, *, mirrored: bool = False
) -> NDArray[np.float32]:
    """The features (N, F) of samples that can be read, each of length 1; zeros of those that cannot."""
    makes = embedder()
    found = np.zeros((len(samples), makes.maker.dimension), np.float32)

    def prepared(sample: Sample) -> NDArray[np.uint8] | None:
        try:
            image = sample.image()
        except ImageError:
            return None
        return makes.pixels(np.ascontiguousarray(image[:, ::-1]) if mirrored else image)

    pixels = map_samples(prepared, samples, ahead=32)

    with closing(pixels):
        for place, seen in makes.stream(enumerate(pixels)):
            if seen is not None:
                found[place] = seen.vector
            progress("features", place + 1, len(samples))
    return found


def neighbours(features: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The nearest of each, itself left out, the nearest first: places and cosines, (N, 10) each, fewer of few."""
    count, most = len(features), min(NEIGHBOURS, len(features) - 1)
    places, cosines = np.zeros((count, most), np.int64), np.zeros((count, most), np.float32)
    for begin in range(0, count, BLOCK):
        some = slice(begin, begin + BLOCK)
        near, alike = nearest(features, features[some], most + 1)
        is_other = near != np.arange(begin, begin + len(near))[:, None]
        is_other[is_other.all(axis=1), -1] = False  # of many that are equal it may not be among the first itself
        places[some], cosines[some] = (each[is_other].reshape(-1, most) for each in (near, alike))
    return places, cosines


def suspicion(
    features: NDArray[np.float32],
    class_ids: NDArray[np.int64],
    classes: int,
    seed: int = 0,
    near: NDArray[np.int64] | None = None,
) -> Suspicion:
    """How doubtful each label is, by cross-validation and by neighbours.

    Args:
        features: (N, F), each of length 1.
        class_ids: (N,), the labels; -1 where there is none.
        classes: K.
        seed: of the division into folds.
        near: as `neighbours` gives them, where they are known.
    """
    doubt, likely = np.full(len(class_ids), np.nan), np.full(len(class_ids), np.nan)
    other = np.full(len(class_ids), -1)
    counts = np.bincount(class_ids + 1, minlength=classes + 1)
    judged = np.flatnonzero((counts[class_ids + 1] >= FEWEST) & (class_ids >= 0))
    present = np.unique(class_ids[judged])
    if len(present) < 2:
        return Suspicion(doubt, other, likely)
    ids = np.full(len(class_ids), -1)
    ids[judged] = np.searchsorted(present, class_ids[judged])
    shares = _out_of_fold(features[judged], ids[judged], len(present), seed)  # (M, K)
    shares += _by_neighbours((neighbours(features)[0] if near is None else near)[judged], ids, len(present))
    shares /= 2
    ids = ids[judged]
    rows = np.arange(len(ids))
    given = shares[rows, ids].copy()
    shares[rows, ids] = -1
    best = shares.argmax(axis=1)
    doubt[judged], likely[judged] = shares[rows, best] - given, given
    other[judged] = present[best]
    return Suspicion(doubt, other, likely)


def suspect_findings(
    dataset: Dataset, glances: Sequence[Glance | ImageError], progress: Progress = silent
) -> tuple[list[Finding], list[str]]:
    """What the features of a network say of a data set with one class an image; of others, only what is unlike all.

    Returns:
        What was found, and sentences on what was not looked at, and why.
    """
    places = [place for place, glance in enumerate(glances) if isinstance(glance, Glance)]
    samples = [dataset.samples[place] for place in places]
    if len(samples) < LEAST_IMAGES:
        few = f"Wrong labels and odd pictures were not looked for: that takes {LEAST_IMAGES} pictures that can be read."
        return [], [few]
    features = features_of(samples, progress)
    near, cosines = neighbours(features)
    found: list[Finding] = []
    notes = ["Wrong labels were not looked for: that takes one class a picture."]
    if dataset.task == "classify" and dataset.class_names:
        notes = []
        ids = np.array([sample.class_ids[0] if sample.label is not None else -1 for sample in samples])
        suspects = suspicion(features, ids, len(dataset.class_names), near=near)
        found += _label_findings(dataset, samples, suspects)
        labelled = np.flatnonzero(ids >= 0)
        mine = [samples[i] for i in labelled]
        found += _mirror_findings(dataset, mine, features[labelled], ids[labelled], progress)
    return found + _unlike_findings(samples, near, cosines), notes


def _out_of_fold(features: NDArray[np.float32], ids: NDArray[np.int64], classes: int, seed: int) -> NDArray[np.float32]:
    """Probabilities (N, K) of each picture, by a regression that has not seen it."""
    folds = min(FOLDS, int(np.bincount(ids).min()))
    found = np.zeros((len(ids), classes), np.float32)
    for train, rest in StratifiedKFold(folds, shuffle=True, random_state=seed).split(features, ids):
        nothing = np.zeros((0, features.shape[1]), np.float32), np.zeros(0, np.int64)
        head = fit_head(features[train], ids[train], *nothing, classes)
        scores = head(features[rest]).astype(np.float64)
        exponents = np.exp(scores - scores.max(axis=1, keepdims=True))
        found[rest] = exponents / exponents.sum(axis=1, keepdims=True)
    return found


def _by_neighbours(near: NDArray[np.int64], ids: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """The share (M, K) of each label among the nearest pictures (M, 10) that have one; ids (N,) are -1 for none."""
    found = np.zeros((len(near), classes), np.float32)
    for place, row in enumerate(ids[near]):
        told = row[row >= 0]
        found[place] = np.bincount(told, minlength=classes) / max(1, len(told))
    return found


def _label_findings(dataset: Dataset, samples: Sequence[Sample], suspects: Suspicion) -> list[Finding]:
    order = np.argsort(-np.nan_to_num(suspects.doubt, nan=-2), kind="stable")
    names = dataset.class_names
    items = [
        Item(
            (samples[i].key,),
            f"'{names[samples[i].class_ids[0]]}' ({suspects.given[i]:.0%} likely), looks like "
            f"'{names[suspects.other[i]]}' ({suspects.given[i] + suspects.doubt[i]:.0%})",
        )
        for i in order.tolist()
        if suspects.doubt[i] >= DOUBT
    ]
    return finding_of(
        "label",
        "look",
        "Labels that may be wrong",
        "Wrong labels in train teach mistakes; in test they count right answers as wrong.",
        "Look at each, the most doubtful first, and correct those that are wrong: of a clean set most are right.",
        items,
    )


def _unlike_findings(samples: Sequence[Sample], near: NDArray[np.int64], cosines: NDArray[np.float32]) -> list[Finding]:
    """Far from the nearest three, beside others, and beside these three: a few of another kind are near each other."""
    far = 1 - cosines[:, :3].mean(axis=1)
    around = far[near[:, :3]].mean(axis=1)
    middle = np.median(far)
    spread = 1.4826 * np.median(np.abs(far - middle)) + 1e-6
    order = np.argsort(-far)
    items = [
        Item((samples[i].key,), f"the most alike is {percent(float(max(0.0, cosines[i].max())))} alike")
        for i in order.tolist()
        if far[i] > middle + UNLIKE * spread and far[i] > LONELY * around[i]
    ]
    return finding_of(
        "unlike",
        "look",
        "Pictures unlike all others",
        "A screenshot, a logo or a picture of something else hides among many.",
        "Look at them; remove what does not belong.",
        items,
    )


def _mirror_findings(
    dataset: Dataset,
    samples: Sequence[Sample],
    features: NDArray[np.float32],
    ids: NDArray[np.int64],
    progress: Progress,
) -> list[Finding]:
    """Classes that pictures change into when they are mirrored."""
    present = np.unique(ids)
    if len(present) < 2:
        return []
    most = min(MIRRORED, len(samples) // 3)
    order = np.random.default_rng(0).permutation(len(samples))
    _, first = np.unique(ids[order], return_index=True)  # one of each class is kept to learn from
    chosen = np.sort(np.delete(order, first)[:most])
    rest = np.setdiff1d(np.arange(len(samples)), chosen)
    nothing = np.zeros((0, features.shape[1]), np.float32), np.zeros(0, np.int64)
    head = fit_head(features[rest], np.searchsorted(present, ids[rest]), *nothing, len(present))
    plain = present[head(features[chosen]).argmax(axis=1)]
    turned = features_of([samples[i] for i in chosen], progress, mirrored=True)
    mirrored = present[head(turned).argmax(axis=1)]
    items = []
    for class_id in present.tolist():
        mine = (ids[chosen] == class_id) & (plain == class_id)  # what it knows as it is
        if mine.sum() < FEWEST:
            continue
        others = np.bincount(mirrored[mine], minlength=len(dataset.class_names))
        others[class_id] = 0
        into = int(others.argmax())
        if others[into] >= max(FEWEST, COLLIDES * mine.sum()):
            names = dataset.class_names
            items.append(
                Item(
                    (),
                    f"'{names[class_id]}' becomes '{names[into]}' in {others[into]} of {mine.sum()} looked at",
                )
            )
    return finding_of(
        "mirror",
        "look",
        "Classes that become another when mirrored",
        "Mirrored views in training would carry the wrong label.",
        "Train without mirroring.",
        items,
    )
