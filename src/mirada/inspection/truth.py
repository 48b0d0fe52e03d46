"""What is said of the pictures, held against itself and against them: classes, boxes, masks."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import closing
from typing import Final

import numpy as np

from mirada.annotations import Boxes
from mirada.data import PARTS, Dataset, Sample
from mirada.data.maskfile import MaskFile, mask_values
from mirada.data.threads import map_items
from mirada.errors import DataError, ImageError
from mirada.inspection.findings import Finding, Item, finding_of
from mirada.inspection.glance import Glance

__all__ = ["truth_findings"]

FEW: Final = 10
"""Pictures of a class below which a score of it says little."""
UNBALANCED: Final = 20
"""How many times as often the commonest class is met as the rarest."""
OUTSIDE: Final = 1.0
"""Pixels by which a box may lie outside."""
DOUBLED: Final = 0.9
"""The share (intersection over union) of two boxes of one class, from which they are the same object twice."""
NARROW: Final = 4.0
"""The shorter side, in pixels, below which there is hardly an object."""


def truth_findings(dataset: Dataset, glances: Sequence[Glance | ImageError]) -> list[Finding]:
    """What is wrong with what a data set says of its pictures."""
    found = _fault_findings(dataset) + _class_findings(dataset, glances)
    if dataset.task == "detect":
        found += _box_findings(dataset, glances)
    if dataset.task == "segment":
        found += _mask_findings(dataset, glances)
    return found


def _fault_findings(dataset: Dataset) -> list[Finding]:
    """What was left out in reading, by the places where it stands."""
    said: dict[str, list[Item]] = {"not understood": [], "twice": []}
    keys = {sample.key for sample in dataset.samples}
    for fault in dataset.faults:
        known = (fault.key,) if fault.key is not None and fault.key in keys else ()
        said[fault.kind].append(Item(known, _inside(dataset, fault.said)))
    return [
        *finding_of(
            "not-understood",
            "mend",
            "Annotations that cannot be understood",
            "What they say is left out here; training stops at the first of them.",
            "Mend each at the place that is named, or take it out.",
            said["not understood"],
        ),
        *finding_of(
            "listed-twice",
            "mend",
            "Pictures that are listed more than once",
            "In train and in test, a model has seen the answer; with two labels, no answer can be right.",
            "Keep each in one place. Here the first counts.",
            said["twice"],
        ),
    ]


def _inside(dataset: Dataset, said: str) -> str:
    """A sentence without the folder of the data set before the name of the file."""
    root = dataset.root
    return said if root is None else said.removeprefix(f"{root if root.is_dir() else root.parent}{os.sep}")


def _class_findings(dataset: Dataset, glances: Sequence[Glance | ImageError]) -> list[Finding]:
    counts: Counter[int] = Counter()
    parts_of: dict[int, set[str]] = defaultdict(set)
    for sample in dataset.samples:
        counts.update(sample.class_ids)
        for class_id in sample.class_ids:
            parts_of[class_id].add(sample.part or "train")
    names = dataset.class_names
    parts_there = {sample.part for sample in dataset.samples}
    has_parts = len(parts_there) > 1
    strange = [
        Item((), f"'{names[class_id]}' is in {' and '.join(p for p in PARTS if p in parts)}, not in train")
        for class_id, parts in sorted(parts_of.items())
        if has_parts and "train" not in parts
    ]
    absent = [
        Item((), f"'{names[class_id]}' is not in {part}")
        for part in PARTS[1:]
        if has_parts and part in parts_there
        for class_id, parts in sorted(parts_of.items())
        if part not in parts and "train" in parts
    ]
    few = [
        Item((), f"'{name}': {counts[class_id]:,}")
        for class_id, name in sorted(enumerate(names), key=lambda each: counts[each[0]])
        if 0 < counts[class_id] < FEW
    ]
    most, least = max(counts.values(), default=0), min((counts[i] for i in range(len(names))), default=0)
    alike = [
        Item((), " and ".join(f"'{name}' ({counts[names.index(name)]:,})" for name in same)) for same in _alike(names)
    ]
    unbalanced = []
    if most > UNBALANCED * max(least, 1):
        by_count = sorted(range(len(names)), key=lambda i: counts[i])
        shown = [*by_count[:3], *by_count[-3:]]
        unbalanced = [Item((), f"'{names[i]}': {counts[i]:,}") for i in dict.fromkeys(shown)]
    faulty = {fault.key for fault in dataset.faults}
    nothing = {"detect": ((),), "tag": ((),), "segment": ((0,),)}.get(dataset.task, ())
    empty = [
        Item((sample.key,))
        for sample in dataset.samples
        if sample.truth is not None and sample.class_ids in nothing and sample.key not in faulty
    ]
    without = [Item((), f"'{name}'") for class_id, name in enumerate(names) if not counts[class_id]]
    unsaid = [
        Item((sample.key,))
        for sample, glance in zip(dataset.samples, glances, strict=True)
        if sample.truth is None and isinstance(glance, Glance) and sample.key not in faulty
        if dataset.kind != "images"
    ]
    return [
        *finding_of(
            "class-not-in-train",
            "mend",
            "Classes that cannot be learnt",
            "A model never sees them, so every such answer counts as wrong.",
            "Add pictures of them to train, or take them out.",
            strange,
        ),
        *finding_of(
            "class-not-judged",
            "look",
            "Classes that a part lacks",
            "What a model makes of them is not judged by it.",
            "Add pictures of them, or give no parts: mirada train divides class by class.",
            absent,
        ),
        *finding_of(
            "class-empty",
            "look",
            "Classes of which there is nothing",
            "Either they are left over from another set, or what was marked is not read as it was meant.",
            "See whether they should be there, and whether their numbers are those of the annotations.",
            without,
        ),
        *finding_of(
            "class-alike",
            "look",
            "Classes whose names differ in capitals, spaces or dashes alone",
            "One thing that is written in two ways is two classes, and each is wrong half of the time.",
            "Write the name in one way, if one thing is meant.",
            alike,
        ),
        *finding_of(
            "few",
            "look",
            f"Classes of fewer than {FEW} pictures",
            "Little can be learnt from so few, and a score of so few says little.",
            "Add pictures of these classes first: they help most.",
            few,
        ),
        *finding_of(
            "unbalanced",
            "look",
            "Some classes are met far more often than others",
            "A model that always says the commonest class looks good.",
            "Look at the score of each class, not at the share of right answers alone.",
            unbalanced,
        ),
        *finding_of(
            "no-object",
            "look",
            "Pictures on which nothing is marked",
            "They teach that nothing is there: right for empty scenes, wrong where marking was forgotten.",
            "Look at each.",
            empty,
        ),
        *finding_of(
            "no-label",
            "mend",
            "Pictures of which nothing is said",
            "Nothing can be learnt from them.",
            "Label them, or take them out.",
            unsaid,
        ),
    ]


def _alike(names: Sequence[str]) -> list[list[str]]:
    """Groups of names that are the same but for capitals, spaces and dashes."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        folded = unicodedata.normalize("NFKC", name).casefold()
        groups[re.sub(r"[\s_-]+", " ", folded)].append(name)
    return [group for group in groups.values() if len(group) > 1]


def _box_findings(dataset: Dataset, glances: Sequence[Glance | ImageError]) -> list[Finding]:
    outside, empty, doubled, torn, small, sizes = [], [], [], [], [], []
    for sample, glance in zip(dataset.samples, glances, strict=True):
        if not isinstance(sample.truth, Boxes) or isinstance(glance, ImageError):
            continue
        boxes = sample.truth.boxes_xyxy
        names = [dataset.class_names[class_id] for class_id in sample.truth.class_ids.tolist()]
        width, height = glance.size_wh
        if sample.claimed_wh not in (None, glance.size_wh) and not glance.is_turned_from(sample.claimed_wh):
            sizes.append(Item((sample.key,), f"said to be {_wh(sample.claimed_wh)}, is {_wh(glance.size_wh)}"))
        sides = boxes[:, 2:] - boxes[:, :2]
        for i, name in enumerate(names):
            box = tuple(boxes[i].tolist())
            if min(box[:2]) < -OUTSIDE or box[2] > width + OUTSIDE or box[3] > height + OUTSIDE:
                outside.append(
                    Item((sample.key,), f"'{name}' at {_edges(box)} in a picture of {width} x {height}", (box,))
                )
            elif sides[i].min() <= 0:
                empty.append(Item((sample.key,), f"'{name}'", (box,)))
            elif sides[i].min() < NARROW:
                small.append(Item((sample.key,), f"'{name}', {sides[i, 0]:.0f} x {sides[i, 1]:.0f} pixels", (box,)))
        for i, j in _doubled(sample):
            both = tuple(boxes[i].tolist()), tuple(boxes[j].tolist())
            if names[i] == names[j]:
                doubled.append(Item((sample.key,), f"'{names[i]}' twice", both))
            else:
                torn.append(Item((sample.key,), f"'{names[i]}' and '{names[j]}'", both))
    return [
        *finding_of(
            "wrong-size",
            "mend",
            "Pictures of another size than the annotations say",
            "The boxes were drawn on another version of the picture, and may lie elsewhere in this one.",
            "Use the pictures that were annotated, or scale the boxes.",
            sizes,
        ),
        *finding_of(
            "box-outside",
            "mend",
            "Boxes that lie outside of their picture",
            "Trainers cut, shift or drop them, each in its own way.",
            "Cut them at the edge; where many lie outside, the format was misread.",
            outside,
        ),
        *finding_of(
            "box-empty",
            "mend",
            "Boxes without an area",
            "Nothing is in them; some trainers stop at them, others learn from noise.",
            "Remove them, or draw them again.",
            empty,
        ),
        *finding_of(
            "box-doubled",
            "look",
            "Objects that are marked twice",
            "A detector that finds the object once is told that it missed one.",
            "Remove one of each pair.",
            doubled,
        ),
        *finding_of(
            "box-contradiction",
            "look",
            "Objects that are marked as two classes",
            "A detector is told that the same object is both, and neither.",
            "Decide which it is, if it is not meant so.",
            torn,
        ),
        *finding_of(
            "box-small",
            "look",
            f"Boxes with a side below {NARROW:g} pixels",
            "Hardly anything can be seen in them; a click that slipped looks like this.",
            "Look at them.",
            small,
        ),
    ]


def _doubled(sample: Sample) -> list[tuple[int, int]]:
    """Pairs of boxes that cover each other: each is held against those that begin about where it does."""
    assert isinstance(sample.truth, Boxes)
    boxes = sample.truth.boxes_xyxy
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    order = np.flatnonzero(areas > 0)
    order = order[np.argsort(boxes[order, 0], kind="stable")]
    lefts = boxes[order, 0]
    # what two boxes share is no wider than either, so the left edges are this near where they share enough
    reach = lefts + (boxes[order, 2] - lefts) * (1 - DOUBLED) / DOUBLED
    found = []
    for place, end in enumerate(np.searchsorted(lefts, reach, side="right").tolist()):
        i, others = order[place], order[place + 1 : end]
        low, high = np.maximum(boxes[i, :2], boxes[others, :2]), np.minimum(boxes[i, 2:], boxes[others, 2:])
        common = np.prod(np.maximum(high - low, 0), axis=1)
        share = common / (areas[i] + areas[others] - common)
        found += [(min(int(i), int(j)), max(int(i), int(j))) for j in others[share >= DOUBLED]]
    return sorted(found)


def _mask_findings(dataset: Dataset, glances: Sequence[Glance | ImageError]) -> list[Finding]:
    found: dict[str, list[Item]] = {"unread": [], "size": [], "strange": []}

    def look(item: tuple[Sample, Glance | ImageError]) -> tuple[str, str] | None:
        """What is wrong, and how."""
        sample, glance = item
        if not isinstance(sample.truth, MaskFile):
            return None
        path = sample.truth.path
        try:
            values = mask_values(path)
        except DataError as error:
            return "unread", str(error).removeprefix(f"{path}: ")
        size = values.shape[1], values.shape[0]
        if isinstance(glance, Glance) and glance.size_wh != size:
            return "size", f"the picture is {_wh(glance.size_wh)}, its mask {_wh(size)}"
        try:
            sample.truth.meant_by(values)
        except DataError as error:
            return "strange", str(error).removeprefix(f"{path}: ")
        return None

    with closing(map_items(look, zip(dataset.samples, glances, strict=True))) as looked:
        for sample, wrong in zip(dataset.samples, looked, strict=True):
            if wrong is not None:
                found[wrong[0]].append(Item((sample.key,), wrong[1]))
    return [
        *finding_of(
            "mask-unreadable",
            "mend",
            "Masks that cannot be read",
            "Of these pictures it is not known what is where.",
            "Fetch them again from where they came, or remove the pictures.",
            found["unread"],
        ),
        *finding_of(
            "mask-size",
            "mend",
            "Masks of another size than their picture",
            "A pixel of the mask is then about another pixel of the picture.",
            "Make the masks from the pictures that you have, or the other way round.",
            found["size"],
        ),
        *finding_of(
            "mask-values",
            "mend",
            "Masks with numbers that are no classes",
            "Saved as JPEG, or resized with smoothing, a mask has numbers between its classes.",
            "Make them again, as PNG, without smoothing.",
            found["strange"],
        ),
    ]


def _wh(size_wh: tuple[int, int] | None) -> str:
    return "unknown" if size_wh is None else f"{size_wh[0]} x {size_wh[1]}"


def _edges(box: tuple[float, ...]) -> str:
    return "{:.0f}, {:.0f} to {:.0f}, {:.0f}".format(*box)
