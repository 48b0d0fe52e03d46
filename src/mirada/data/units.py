"""What must not be divided: copies of a picture, and pictures of one group; and how such units are shared out.

Does not know: files, manifests.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirada.data.samples import Dataset, Sample
from mirada.errors import UsageError

__all__ = ["Unit", "groups_of", "shared_out", "units"]


MOST_MOVES: Final = 2_000
"""Units that are moved at last: few are, and each takes as long as all units have classes."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Samples that stay together.

    Args:
        members: their positions, in the order of their keys.
        pictures: how many distinct pictures these are.
        class_ids: the classes that are in it, ascending.
        counts: in how many of the distinct pictures each of these classes is.
        is_contradicted: whether different things are said of copies of one picture.
    """

    members: tuple[int, ...]
    pictures: int
    class_ids: tuple[int, ...]
    counts: tuple[int, ...]
    is_contradicted: bool = False


def groups_of(dataset: Dataset, group: str) -> list[str | None]:
    """The group of each sample: its cell in a column, or what a regular expression finds in its key; None for none.

    Args:
        group: the name of a column of the table, else a regular expression; where it has a group in parentheses, what
            that finds counts.

    Raises:
        UsageError: it is no regular expression either, or finds nothing anywhere.
    """
    samples, where = dataset.samples, f"group={group!r} is no column of {dataset.where}"
    if any(group in sample.cells for sample in samples):
        return [sample.cells.get(group) or None for sample in samples]
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise UsageError(f"{where}, and no regular expression ({error}).") from error
    matches = [pattern.search(sample.key) for sample in samples]
    found = [match.group(1 if pattern.groups else 0) or None if match else None for match in matches]
    if not any(found):
        raise UsageError(f"{where}, and finds nothing in the names, such as '{samples[0].key if samples else ''}'.")
    return found


def units(
    dataset: Dataset, pool: Sequence[int], contents: Sequence[str | None], groups: Sequence[str | None] | None = None
) -> list[Unit]:
    """The units of a pool of samples, in the order of their first keys.

    Args:
        pool: positions of the samples.
        contents: of every sample the hash of its content; None, where it cannot be read, equals nothing else.
        groups: of every sample the group, or None.
    """
    samples = dataset.samples
    leader: dict[tuple[str, str | None], int] = {}
    home = {index: index for index in pool}

    def root(index: int) -> int:
        while home[index] != index:
            home[index] = home[home[index]]
            index = home[index]
        return index

    ordered = sorted(pool, key=lambda index: samples[index].key)
    for index in ordered:
        marks = [("content", contents[index])]
        if groups is not None:
            marks.append(("group", groups[index]))
        for mark in marks:
            if mark[1] is not None and (first := leader.setdefault(mark, index)) != index:
                home[root(index)] = root(first)
    members: dict[int, list[int]] = defaultdict(list)
    for index in ordered:
        members[root(index)].append(index)
    return [_unit(dataset, each, contents) for each in members.values()]


def _unit(dataset: Dataset, members: Sequence[int], contents: Sequence[str | None]) -> Unit:
    if len(members) == 1:  # as most are
        ids = dataset.samples[members[0]].class_ids
        return Unit(tuple(members), 1, ids, (1,) * len(ids))
    copies_of: dict[str | int, list[Sample]] = defaultdict(list)
    for index in members:
        content = contents[index]
        copies_of[index if content is None else content].append(dataset.samples[index])
    classes = [{class_id for copy in copies for class_id in copy.class_ids} for copies in copies_of.values()]
    class_ids = sorted(set().union(*classes))
    return Unit(
        tuple(members),
        len(copies_of),
        tuple(class_ids),
        tuple(sum(class_id in found for found in classes) for class_id in class_ids),
        any(
            len({copy.said(dataset.class_names) for copy in copies}) > 1
            for copies in copies_of.values()
            if len(copies) > 1
        ),
    )


def shared_out(
    units: Sequence[Unit], classes: int, fractions: Sequence[float], rng: np.random.Generator
) -> NDArray[np.int64]:
    """The part of each unit, so that every part has its fraction of the pictures of every class as far as can be.

    First the iterative stratification of Sechidis, Tsoumakas and Vlahavas (2011, algorithm 1), with units for its
    examples: the class with the fewest pictures left is shared out next, the largest of its units first, each to the
    part that lacks most of that class. Then single units move as long as that brings the shares nearer. What is
    contradicted is in the first part, and at last every class of two units or more.

    Args:
        units: what is shared out.
        classes: how many there are.
        fractions: of each part; they sum to 1. A part of 0 gets nothing.
        rng: decides where parts lack the same.

    Returns:
        (N,) int64, from 0.
    """
    counts = np.zeros((len(units), classes + 1))  # the last column: all pictures
    for place, unit in enumerate(units):
        counts[place, list(unit.class_ids)] = unit.counts
        counts[place, classes] = unit.pictures
    lacking = np.outer(fractions, counts.sum(axis=0))  # (parts, classes + 1)
    shuffled = rng.permutation(len(units))
    order = shuffled[np.argsort(-counts[shuffled, classes], kind="stable")]
    asked = np.flatnonzero(np.asarray(fractions) > 0)
    is_free = np.array([not unit.is_contradicted for unit in units], bool)
    part = np.where(is_free, -1, 0)
    lacking[0] -= counts[~is_free].sum(axis=0)
    left = counts[is_free].sum(axis=0)
    while (part < 0).any():
        rarest = min((c for c in range(classes) if left[c]), key=lambda c: left[c], default=classes)
        for place in order[(part[order] < 0) & (counts[order, rarest] > 0)]:
            ties = rng.random(len(fractions))
            part[place] = max(asked, key=lambda p: (lacking[p, rarest], lacking[p, classes], ties[p]))
            lacking[part[place]] -= counts[place]
            left -= counts[place]
    _bring_nearer(part, counts, lacking, asked, order[is_free[order]])
    for class_id in range(classes):
        mine = order[counts[order, class_id] > 0]
        if len(mine) > 1 and not (part[mine] == 0).any():
            part[mine[-1]] = 0  # a model must learn it
    return part


def _bring_nearer(
    part: NDArray[np.int64],
    counts: NDArray[np.float64],
    lacking: NDArray[np.float64],
    asked: NDArray[np.int64],
    order: NDArray[np.int64],
) -> None:
    """Move single units to another part, the best first, while the sum of squares of what parts lack gets smaller.

    The squares are divided by the size of the class. It ends after `MOST_MOVES`, and after one a unit.

    Args:
        part: (N,) is changed.
        counts: (N, classes + 1) pictures of each class, and of all, in each unit.
        lacking: (parts, classes + 1) of each class.
        asked: the parts that get something.
        order: the units that may move, by which ties are decided.
    """
    weighed = counts[order] / np.maximum(counts.sum(axis=0), 1)  # (M, classes + 1)
    own = (weighed * counts[order]).sum(axis=1)  # (M,)
    pull = weighed @ lacking.T  # (M, parts): how much each part lacks of what a unit has
    for _ in range(min(len(order), MOST_MOVES)):
        gain = pull[:, asked] - np.take_along_axis(pull, part[order, np.newaxis], axis=1) - own[:, np.newaxis]
        best, to = np.unravel_index(np.argmax(gain), gain.shape)
        if gain[best, to] <= 1e-9:
            return
        place = order[best]
        shared = weighed @ counts[place]  # (M,)
        pull[:, part[place]] += shared
        part[place] = asked[to]
        pull[:, part[place]] -= shared
