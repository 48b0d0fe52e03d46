"""A data set -> its train, val and test parts.

What the source divides stays divided. Parts that are missing are drawn from train: seeded, every class in proportion;
files that are equal byte for byte, and those of one group, always on the same side. What is drawn is therefore a unit
of such files, and the fractions count distinct pictures.
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
from mirada.data.units import Unit, groups_of, shared_out, units
from mirada.errors import DataError, UsageError
from mirada.machine import without_cycles

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


@without_cycles()
def split(dataset: Dataset, *, seed: int = 0, val: float = 0.15, test: float = 0.2, group: str | None = None) -> Split:
    """Divide a data set.

    Parts that the source gives are kept. Others are drawn from train (or from samples without a part): with the
    defaults and no parts given, test 20 %, val 15 % and train 65 % of the distinct pictures. Each class keeps at least
    one picture in train; where test is drawn, each class of two or more gives it at least one; where val is drawn, each
    class of three or more gives it at least one; beyond that, a class is within one picture of its fraction. The result
    depends on keys, contents and seed, not on the order of the samples.

    A picture that stands under two classes stays in train, because no answer to it can be right; a note says so.
    Where groups are larger than a picture, or pictures have several classes, parts are near their fractions as far as
    the groups allow.

    Args:
        seed: any integer from 0.
        val: fraction of what is divided; 0 for no val part. Not used where the source gives one.
        test: likewise.
        group: what tells the pictures that stay together, such as those of one patient: a column of the table, or a
            regular expression that is looked for in the names; see `mirada.data.units.groups_of`.

    Raises UsageError where the fractions are not in [0, 1) or leave nothing for train, and DataError where a class has
    only one picture in train, where there is one class only, or where val or test hold a class that train lacks.
    """
    _check_request(seed, val, test)
    check_learnable(dataset)
    groups = None if group is None else groups_of(dataset, group)
    hashes = content_hashes(dataset.samples)
    given = {sample.part for sample in dataset.samples} - {None}
    parts: dict[Part, list[int]] = {part: [] for part in PARTS}
    pool = []
    for index, sample in enumerate(dataset.samples):
        if sample.part in (None, "train"):
            pool.append(index)
        else:
            parts[sample.part].append(index)
    _check_labelled(dataset, pool)
    fractions = Fractions(val=None if "val" in given else val, test=None if "test" in given else test)
    pictures = units(dataset, pool, hashes, groups if fractions.val or fractions.test else None)
    _check_enough(dataset, pictures)
    drawn = _draw(dataset, pictures, fractions, seed)
    for picture, part in zip(pictures, drawn, strict=True):
        parts[part] += picture.members
    ordered = {part: tuple(sorted(indices)) for part, indices in parts.items()}
    manifest = _manifest(dataset, ordered, hashes, seed, fractions)
    ungrouped = pictures if groups is None else units(dataset, pool, hashes)
    notes = [*_notes_on_pictures(dataset, ungrouped, hashes), *_notes_on_parts(dataset, ordered, hashes)]
    if groups is not None:
        notes += _notes_on_groups(dataset, ordered, groups)
    return Split(ordered, manifest, tuple(notes))


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


def _check_labelled(dataset: Dataset, pool: Sequence[int]) -> None:
    for index in pool:
        if dataset.samples[index].truth is None:
            raise DataError(
                f"{dataset.where}: '{dataset.samples[index].key}' has no label, so it cannot be divided by class."
            )


def _check_enough(dataset: Dataset, pictures: Sequence[Unit]) -> None:
    """Each class of `classify` needs two units; of anything else there must be two."""
    if dataset.task != "classify":
        if len(pictures) < 2:
            count = len(pictures[0].members) if pictures else 0
            raise DataError(
                f"{dataset.where}: there is nothing to divide: images to learn from: {count}"
                f"{', all copies of one, or of one group' if count > 1 else ''}. Add images."
            )
        return
    units_of: dict[int, list[Unit]] = defaultdict(list)
    for picture in pictures:
        for class_id in picture.class_ids:
            units_of[class_id].append(picture)
    for class_id, name in enumerate(dataset.class_names):
        if len(units_of[class_id]) > 1:
            continue
        members = [index for picture in units_of[class_id] for index in picture.members]
        keys = [dataset.samples[index].key for index in members if class_id in dataset.samples[index].class_ids]
        if len(keys) < 2:
            found = f"only one image to learn from, '{keys[0]}'" if keys else "no image to learn from"
        elif dict(zip(units_of[class_id][0].class_ids, units_of[class_id][0].counts, strict=True))[class_id] > 1:
            found = f"{len(keys)} images to learn from, but all of one group"
        else:
            found = f"{len(keys)} images to learn from, but they are copies of one"
        raise DataError(
            f"{dataset.where}: the class '{name}' has {found}. "
            "At least two different ones are needed: add images, or remove the class."
        )


def _draw(dataset: Dataset, pictures: Sequence[Unit], fractions: Fractions, seed: int) -> list[Part]:
    """The part of each unit."""
    generator = np.random.Generator(np.random.PCG64(seed))
    val, test = fractions.val or 0.0, fractions.test or 0.0
    classes = len(dataset.class_names)
    if dataset.task != "classify" or any(picture.pictures > 1 for picture in pictures):
        drawn = shared_out(pictures, classes, (1 - val - test, val, test), generator)
        return [PARTS[place] for place in drawn]
    return _draw_pictures(pictures, classes, val, test, generator)


def _draw_pictures(
    pictures: Sequence[Unit], classes: int, val: float, test: float, generator: np.random.Generator
) -> list[Part]:
    """Where every unit is one picture of one class, which can be shared out exactly."""
    drawn: list[Part] = ["train"] * len(pictures)
    members: list[list[int]] = [[] for _ in range(classes)]
    for place, picture in enumerate(pictures):
        if len(picture.class_ids) == 1:
            members[picture.class_ids[0]].append(place)
    sizes = np.array([len(each) for each in members], np.int64)
    vals, tests = shares(sizes, val=val, test=test)
    for mine, some_val, some_test in zip(members, vals, tests, strict=True):
        shuffled = [mine[place] for place in generator.permutation(len(mine))]
        for place in shuffled[:some_test]:
            drawn[place] = "test"
        for place in shuffled[some_test : some_test + some_val]:
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
        return Entry(sample.key, sample.said(dataset.class_names), hashes[index])

    entries = {part: tuple(entry(index) for index in indices) for part, indices in parts.items()}
    return Manifest(dataset.name, dataset.kind, seed, fractions, dataset.class_names, entries)


def _notes_on_pictures(dataset: Dataset, pictures: Sequence[Unit], hashes: Sequence[str | None]) -> Iterator[str]:
    """Copies, contradictions and files that cannot be read."""
    keys = [sample.key for sample in dataset.samples]
    repeated = [picture for picture in pictures if len(picture.members) > 1]
    if repeated:
        first, second, *_ = repeated[0].members
        files = sum(len(picture.members) for picture in repeated)
        yield (
            f"Images that are there more than once, byte for byte: {files:,}, such as '{keys[first]}' and "
            f"'{keys[second]}'. Copies were kept in the same part."
        )
    contradicted = [picture for picture in repeated if picture.is_contradicted]
    if contradicted:
        first, *others = contradicted[0].members
        names = some(dataset.class_names[class_id] for class_id in contradicted[0].class_ids)
        what = ("Pictures that stand under more than one class", f"'{keys[first]}' under {names}", "labels")
        if dataset.task != "classify":
            what = (
                "Pictures of whose copies different things are said",
                some(keys[i] for i in (first, *others)),
                "copies",
            )
        yield f"{what[0]}: {len(contradicted):,}, such as {what[1]}. They stay in train: correct one of the {what[2]}."
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
    for part in PARTS:
        present = {class_id for index in parts[part] for class_id in samples[index].class_ids}
        absent = [name for class_id, name in enumerate(dataset.class_names) if class_id not in present]
        if present and absent:
            yield f"Classes without an image in {part}: {len(absent)} of {len(dataset.class_names)}, {some(absent)}."


def _notes_on_groups(
    dataset: Dataset, parts: Mapping[Part, Sequence[int]], groups: Sequence[str | None]
) -> Iterator[str]:
    """Groups that parts which the source gave have torn apart, and pictures of no group."""
    parts_of: dict[str, set[Part]] = defaultdict(set)
    for part, indices in parts.items():
        for index in indices:
            name = groups[index]
            if name is not None:
                parts_of[name].add(part)
    torn = sorted(name for name, found in parts_of.items() if len(found) > 1)
    if torn:
        yield f"Groups that the source has put into several parts ({len(torn):,}): {some(torn)}."
    alone = [sample.key for sample, name in zip(dataset.samples, groups, strict=True) if name is None]
    if alone:
        yield f"Images of no group ({len(alone):,}): {some(alone)}. Each is divided by itself."
