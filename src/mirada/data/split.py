"""A data set -> its train, val and test parts.

What the source divides stays divided. Parts that are missing are drawn from train: seeded, every class in proportion,
and files that are equal byte for byte always on the same side. The unit that is drawn is therefore the distinct
picture, and the fractions count distinct pictures.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirada.data.manifest import Entry, Fractions, Manifest, content_hashes, verify
from mirada.data.samples import PARTS, Dataset, Part, check_learnable, some
from mirada.errors import DataError, UsageError

__all__ = ["Split", "shares", "split", "split_as"]


@dataclass(frozen=True, slots=True)
class Split:
    """Which samples of a data set are for training, for choosing and for judging.

    Args:
        parts: "train", "val" and "test" -> positions in `Dataset.samples`, ascending. A part may be empty.
        manifest: the same by name and content, with the seed and the fractions, to be saved.
        notes: plain sentences about duplicates, leaks and classes that are missing in a part.
    """

    parts: Mapping[Part, tuple[int, ...]]
    manifest: Manifest
    notes: tuple[str, ...] = ()

    @property
    def train(self) -> tuple[int, ...]:
        """Positions of the samples to learn from."""
        return self.parts["train"]

    @property
    def val(self) -> tuple[int, ...]:
        """Positions of the samples by which choices are made."""
        return self.parts["val"]

    @property
    def test(self) -> tuple[int, ...]:
        """Positions of the samples that are looked at once, at the end."""
        return self.parts["test"]

    @property
    def seed(self) -> int:
        """The seed it was drawn with."""
        return self.manifest.seed

    @property
    def fractions(self) -> Fractions:
        """The fractions that were asked for; None for a part that the source gave."""
        return self.manifest.fractions


@dataclass(frozen=True, slots=True)
class _Picture:
    """One distinct content: the positions of all its copies, in the order of their keys, and the classes they have."""

    copies: tuple[int, ...]
    class_ids: tuple[int, ...]


def split(dataset: Dataset, *, seed: int = 0, val: float = 0.15, test: float = 0.2) -> Split:
    """Divide a data set.

    Parts that the source gives are kept. Others are drawn from train (or from samples without a part): with the
    defaults and no parts given, test 20 %, val 15 % and train 65 % of the distinct pictures. Each class keeps at least
    one picture in train; where test is drawn, each class of two or more gives it at least one; where val is drawn, each
    class of three or more gives it at least one; beyond that, a class is within one picture of its fraction. The result
    depends on keys, contents and seed, not on the order of the samples.

    A picture that stands under two classes stays in train, because no answer to it can be right; a note says so.

    Args:
        seed: any integer from 0.
        val: fraction of what is divided; 0 for no val part. Not used where the source gives one.
        test: likewise.

    Raises UsageError where the fractions are not in [0, 1) or leave nothing for train, and DataError where a class has
    only one picture in train, where there is one class only, or where val or test hold a class that train lacks.
    """
    _check_request(seed, val, test)
    check_learnable(dataset)
    hashes = content_hashes(dataset.samples)
    given = {sample.part for sample in dataset.samples} - {None}
    parts: dict[Part, list[int]] = {part: [] for part in PARTS}
    pool = []
    for index, sample in enumerate(dataset.samples):
        if sample.part in (None, "train"):
            pool.append(index)
        else:
            parts[sample.part].append(index)
    pictures = _pictures(dataset, pool, hashes)
    _check_enough(dataset, pictures)
    fractions = Fractions(val=None if "val" in given else val, test=None if "test" in given else test)
    drawn = _draw(pictures, len(dataset.class_names), fractions, seed)
    for picture, part in zip(pictures, drawn, strict=True):
        parts[part] += picture.copies
    ordered = {part: tuple(sorted(indices)) for part, indices in parts.items()}
    manifest = _manifest(dataset, ordered, hashes, seed, fractions)
    return Split(
        ordered, manifest, (*_notes_on_pictures(dataset, pictures, hashes), *_notes_on_parts(dataset, ordered, hashes))
    )


def split_as(dataset: Dataset, manifest: Manifest) -> Split:
    """Divide a data set as a manifest says.

    Raises DataError where a sample is gone, new or changed; `verify` tells which.
    """
    changes = verify(dataset, manifest)
    if changes:
        raise DataError(f"{dataset.where} is not the data set that was divided: {changes} Divide it anew.")
    index_of = {sample.key: index for index, sample in enumerate(dataset.samples)}
    parts = {part: tuple(sorted(index_of[entry.key] for entry in manifest.parts[part])) for part in PARTS}
    return Split(parts, manifest)


def shares(sizes: NDArray[np.int64], *, val: float, test: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many pictures of each class go to val and to test: (classes,) int64 each, by the largest remainder.

    The totals are the fractions of the whole, rounded, except where the smallest numbers that a class must keep or give
    (see `split`) ask for more or fewer.

    >>> shares(np.array([10, 10, 10, 3, 1]), val=0.15, test=0.2)
    (array([2, 1, 1, 1, 0]), array([2, 2, 2, 1, 0]))
    """
    least_val = np.where(sizes >= 3, 1, 0) if val else np.zeros_like(sizes)
    least_test = np.where(sizes >= 2, 1, 0) if test else np.zeros_like(sizes)
    # What test may take at most leaves one for train, and for val its whole number.
    whole_val = np.maximum(np.floor(sizes * val + 1e-9).astype(np.int64), least_val)
    tests = _largest_remainder(sizes * test, least_test, np.maximum(sizes - 1 - whole_val, least_test))
    vals = _largest_remainder(sizes * val, least_val, np.maximum(sizes - 1 - tests, 0))
    return vals, tests


def _largest_remainder(
    quotas: NDArray[np.floating], least: NDArray[np.int64], most: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Whole numbers near the quotas that add up to their rounded sum, each within its bounds as far as they allow."""
    counts: NDArray[np.int64] = np.clip(np.floor(quotas + 1e-9).astype(np.int64), least, most)
    open_seats = int(np.floor(quotas.sum() + 0.5)) - int(counts.sum())
    for place in np.argsort(counts - quotas, kind="stable"):
        if open_seats > 0 and counts[place] < min(most[place], np.ceil(quotas[place] - 1e-9)):
            counts[place] += 1
            open_seats -= 1
    return counts


def _check_request(seed: int, val: float, test: float) -> None:
    for name, fraction in (("val", val), ("test", test)):
        if not 0 <= fraction < 1:
            raise UsageError(f"{name}={fraction}: a fraction lies from 0 to below 1, such as 0.15.")
    if val + test >= 1:
        raise UsageError(f"val={val} and test={test} leave nothing for train: their sum must be below 1.")
    if seed < 0:
        raise UsageError(f"seed={seed}: a seed is a whole number from 0.")


def _pictures(dataset: Dataset, pool: Sequence[int], hashes: Sequence[str | None]) -> list[_Picture]:
    """The distinct contents of a pool of samples, in the order of their first keys."""
    samples = dataset.samples
    copies_of: dict[str | int, list[int]] = defaultdict(list)
    for index in sorted(pool, key=lambda index: samples[index].key):
        content = hashes[index]
        copies_of[index if content is None else content].append(index)  # what cannot be read equals nothing else
    pictures = []
    for copies in copies_of.values():
        class_ids = {label.class_id for index in copies if (label := samples[index].label) is not None}
        if not class_ids:
            raise DataError(
                f"{dataset.where}: '{samples[copies[0]].key}' has no label, so it cannot be divided by class."
            )
        pictures.append(_Picture(tuple(copies), tuple(sorted(class_ids))))
    return pictures


def _check_enough(dataset: Dataset, pictures: Sequence[_Picture]) -> None:
    pictures_of: dict[int, list[_Picture]] = defaultdict(list)
    for picture in pictures:
        for class_id in picture.class_ids:
            pictures_of[class_id].append(picture)
    for class_id, name in enumerate(dataset.class_names):
        mine = pictures_of[class_id]
        if len(mine) > 1:
            continue
        if not mine:
            found = "no image to learn from"
        elif len(mine[0].copies) == 1:
            found = f"only one image to learn from, '{dataset.samples[mine[0].copies[0]].key}'"
        else:
            found = f"{len(mine[0].copies)} images to learn from, but they are copies of one"
        raise DataError(
            f"{dataset.where}: the class '{name}' has {found}. "
            "At least two different ones are needed: add images, or remove the class."
        )


def _draw(pictures: Sequence[_Picture], classes: int, fractions: Fractions, seed: int) -> list[Part]:
    """The part of each picture."""
    generator = np.random.Generator(np.random.PCG64(seed))
    drawn: list[Part] = ["train"] * len(pictures)
    members: list[list[int]] = [[] for _ in range(classes)]
    for place, picture in enumerate(pictures):
        if len(picture.class_ids) == 1:
            members[picture.class_ids[0]].append(place)
    sizes = np.array([len(each) for each in members], np.int64)
    vals, tests = shares(sizes, val=fractions.val or 0.0, test=fractions.test or 0.0)
    for mine, val, test in zip(members, vals, tests, strict=True):
        shuffled = [mine[place] for place in generator.permutation(len(mine))]
        for place in shuffled[:test]:
            drawn[place] = "test"
        for place in shuffled[test : test + val]:
            drawn[place] = "val"
    return drawn


def _manifest(
    dataset: Dataset,
    parts: Mapping[Part, Sequence[int]],
    hashes: Sequence[str | None],
    seed: int,
    fractions: Fractions,
) -> Manifest:
    def entry(index: int) -> Entry:
        sample = dataset.samples[index]
        assert sample.label is not None
        return Entry(sample.key, sample.label.name, hashes[index])

    entries = {part: tuple(entry(index) for index in indices) for part, indices in parts.items()}
    return Manifest(dataset.name, dataset.kind, seed, fractions, dataset.class_names, entries)


def _notes_on_pictures(dataset: Dataset, pictures: Sequence[_Picture], hashes: Sequence[str | None]) -> Iterator[str]:
    """Copies, contradictions and files that cannot be read."""
    keys = [sample.key for sample in dataset.samples]
    repeated = [picture for picture in pictures if len(picture.copies) > 1]
    if repeated:
        first, second, *_ = repeated[0].copies
        files = sum(len(picture.copies) for picture in repeated)
        yield (
            f"Images that are there more than once, byte for byte: {files:,}, such as '{keys[first]}' and "
            f"'{keys[second]}'. Copies were kept in the same part."
        )
    contradicted = [picture for picture in repeated if len(picture.class_ids) > 1]
    if contradicted:
        names = some(dataset.class_names[class_id] for class_id in contradicted[0].class_ids)
        yield (
            f"Pictures that stand under more than one class: {len(contradicted):,}, such as "
            f"'{keys[contradicted[0].copies[0]]}' under {names}. They stay in train: correct one of the labels."
        )
    unread = [key for key, content in zip(keys, hashes, strict=True) if content is None]
    if unread:
        yield f"Files that could not be read, divided all the same: {some(unread)}."


def _notes_on_parts(
    dataset: Dataset, parts: Mapping[Part, Sequence[int]], hashes: Sequence[str | None]
) -> Iterator[str]:
    """Leaks between parts that the source gave, and classes that a part lacks."""
    samples = dataset.samples
    for one, other in itertools.combinations(PARTS, 2):
        known = {hashes[index]: index for index in reversed(parts[one]) if hashes[index] is not None}
        leaks = [index for index in parts[other] if hashes[index] in known]
        if leaks:
            twin = samples[known[hashes[leaks[0]]]].key
            yield (
                f"Images of {other} that are also in {one}, byte for byte: {len(leaks):,} of {len(parts[other]):,}, "
                f"such as '{samples[leaks[0]].key}' and '{twin}'. A score on {other} will look better than it is."
            )
    for part in PARTS[1:]:
        present = {label.class_id for index in parts[part] if (label := samples[index].label) is not None}
        absent = [name for class_id, name in enumerate(dataset.class_names) if class_id not in present]
        if present and absent:
            yield f"Classes without an image in {part}: {len(absent)} of {len(dataset.class_names)}, {some(absent)}."
