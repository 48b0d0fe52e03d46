"""What is said of the pictures, held against itself and against them: classes, boxes, masks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np

from mirada.annotations import Boxes
from mirada.data import PARTS, Dataset, Sample
from mirada.data.samples import MaskFile
from mirada.data.threads import map_items
from mirada.errors import DataError, ImageError
from mirada.image.size import size_wh
from mirada.inspection.findings import Finding, Item, counted
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
SMALL: Final = 4.0
"""The shorter side, in pixels, below which there is hardly an object."""


def truth_findings(dataset: Dataset, glances: Sequence[Glance | ImageError]) -> list[Finding]:
    """What is wrong with what a data set says of its pictures."""
    found = _class_findings(dataset)
    if dataset.task == "detect":
        found += _box_findings(dataset, glances)
    if dataset.task == "segment":
        found += _mask_findings(dataset)
    return found


def _class_findings(dataset: Dataset) -> list[Finding]:
    counts: Counter[int] = Counter()
    parts_of: dict[int, set[str]] = defaultdict(set)
    for sample in dataset.samples:
        counts.update(sample.class_ids)
        for class_id in sample.class_ids:
            parts_of[class_id].add(sample.part or "train")
    names = dataset.class_names
    has_parts = len({sample.part for sample in dataset.samples}) > 1
    strange = [
        Item((), f"'{names[class_id]}' is in {' and '.join(p for p in PARTS if p in parts)}, not in train")
        for class_id, parts in sorted(parts_of.items())
        if "train" not in parts
    ]
    absent = [
        Item((), f"'{names[class_id]}' is not in {part}")
        for part in PARTS[1:]
        for class_id, parts in sorted(parts_of.items())
        if part not in parts and "train" in parts and any(sample.part == part for sample in dataset.samples)
    ]
    few = [
        Item((), f"'{name}': {counts[class_id]:,}")
        for class_id, name in sorted(enumerate(names), key=lambda each: counts[each[0]])
        if counts[class_id] < FEW
    ]
    most, least = max(counts.values(), default=0), min((counts[i] for i in range(len(names))), default=0)
    unbalanced = []
    if most > UNBALANCED * max(least, 1):
        by_count = sorted(range(len(names)), key=lambda i: counts[i])
        shown = [*by_count[:3], *by_count[-3:]]
        unbalanced = [Item((), f"'{names[i]}': {counts[i]:,}") for i in dict.fromkeys(shown)]
    empty = [
        Item((sample.key,))
        for sample in dataset.samples
        if dataset.task in ("detect", "tag") and sample.truth is not None and not sample.class_ids
    ]
    silent = [Item((sample.key,)) for sample in dataset.samples if sample.truth is None]
    return [
        *counted(
            "class-not-in-train",
            "mend",
            "Classes that cannot be learnt",
            "A model never sees them, so every such answer counts as wrong.",
            "Add pictures of them to train, or take them out.",
            strange if has_parts else [],
        ),
        *counted(
            "class-not-judged",
            "look",
            "Classes that a part lacks",
            "What a model makes of them is not judged by it.",
            "Add pictures of them, or give no parts: mirada train divides class by class.",
            absent if has_parts else [],
        ),
        *counted(
            "few",
            "look",
            f"Classes of fewer than {FEW} pictures",
            "Little can be learnt from so few, and a score of so few says little.",
            "Add pictures of these classes first: they help most.",
            few,
        ),
        *counted(
            "unbalanced",
            "look",
            "Some classes are met far more often than others",
            "A model that always says the commonest class looks good.",
            "Look at the score of each class, not at the share of right answers alone.",
            unbalanced,
        ),
        *counted(
            "no-object",
            "look",
            "Pictures on which nothing is marked",
            "They teach that nothing is there: right for empty scenes, wrong where marking was forgotten.",
            "Look at each.",
            empty,
        ),
        *counted(
            "no-label",
            "mend",
            "Pictures of which nothing is said",
            "Nothing can be learnt from them.",
            "Label them, or take them out.",
            silent,
        ),
    ]


def _box_findings(dataset: Dataset, glances: Sequence[Glance | ImageError]) -> list[Finding]:
    outside, empty, doubled, small, sizes = [], [], [], [], []
    for sample, glance in zip(dataset.samples, glances, strict=True):
        if not isinstance(sample.truth, Boxes) or isinstance(glance, ImageError):
            continue
        boxes = sample.truth.boxes_xyxy
        names = [dataset.class_names[class_id] for class_id in sample.truth.class_ids.tolist()]
        width, height = glance.size_wh
        turned = sample.claimed_wh == (height, width) and glance.turned >= 5
        if sample.claimed_wh not in (None, glance.size_wh) and not turned:
            sizes.append(Item((sample.key,), f"said to be {_wh(sample.claimed_wh)}, is {_wh(glance.size_wh)}"))
        sides = boxes[:, 2:] - boxes[:, :2]
        for i, name in enumerate(names):
            box = tuple(boxes[i].tolist())
            if min(box[:2]) < -OUTSIDE or box[2] > width + OUTSIDE or box[3] > height + OUTSIDE:
                outside.append(Item((sample.key,), f"'{name}' in a picture of {width} x {height}", (box,)))
            elif sides[i].min() <= 0:
                empty.append(Item((sample.key,), f"'{name}'", (box,)))
            elif sides[i].min() < SMALL:
                small.append(Item((sample.key,), f"'{name}', {sides[i, 0]:.0f} x {sides[i, 1]:.0f} pixels", (box,)))
        doubled += [
            Item((sample.key,), f"'{names[i]}' twice", (tuple(boxes[i].tolist()), tuple(boxes[j].tolist())))
            for i, j in _doubled(sample)
        ]
    return [
        *counted(
            "wrong-size",
            "mend",
            "Pictures of another size than the annotations say",
            "The boxes were drawn on another version of the picture, and may lie elsewhere in this one.",
            "Use the pictures that were annotated, or scale the boxes.",
            sizes,
        ),
        *counted(
            "box-outside",
            "mend",
            "Boxes that lie outside of their picture",
            "Trainers cut, shift or drop them, each in its own way.",
            "Cut them at the edge; where many lie outside, the format was misread.",
            outside,
        ),
        *counted(
            "box-empty",
            "mend",
            "Boxes without an area",
            "Nothing is in them; some trainers stop at them, others learn from noise.",
            "Remove them, or draw them again.",
            empty,
        ),
        *counted(
            "box-doubled",
            "look",
            "Objects that are marked twice",
            "A detector that finds the object once is told that it missed one.",
            "Remove one of each pair.",
            doubled,
        ),
        *counted(
            "box-small",
            "look",
            f"Boxes with a side below {SMALL:g} pixels",
            "Hardly anything can be seen in them; a click that slipped looks like this.",
            "Look at them.",
            small,
        ),
    ]


def _doubled(sample: Sample) -> list[tuple[int, int]]:
    """Pairs of boxes of one class that cover each other."""
    assert isinstance(sample.truth, Boxes)
    boxes, ids = sample.truth.boxes_xyxy, sample.truth.class_ids
    if len(boxes) < 2:
        return []
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    low, high = np.maximum(boxes[:, None, :2], boxes[None, :, :2]), np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=2)  # (N, N)
    share = common / np.maximum(areas[:, None] + areas[None] - common, 1e-9)
    same = (share >= DOUBLED) & (ids[:, None] == ids[None]) & (common > 0)
    return [(int(i), int(j)) for i, j in np.argwhere(np.triu(same, 1))]


def _mask_findings(dataset: Dataset) -> list[Finding]:
    sizes, strange = [], []

    def look(sample: Sample) -> tuple[Item | None, Item | None]:
        if not isinstance(sample.truth, MaskFile):
            return None, None
        try:
            mask = sample.truth.read()
            size = size_wh(sample.path, name=sample.key) if sample.path is not None else mask.size_wh
        except DataError as error:
            return None, Item((sample.key,), str(error).removeprefix(f"{sample.truth.path}: "))
        except ImageError:
            return None, None
        if size != mask.size_wh:
            said = f"the picture is {size[0]} x {size[1]}, its mask {mask.size_wh[0]} x {mask.size_wh[1]}"
            return Item((sample.key,), said), None
        return None, None

    for wrong, odd in map_items(look, dataset.samples):
        sizes += [] if wrong is None else [wrong]
        strange += [] if odd is None else [odd]
    return [
        *counted(
            "mask-size",
            "mend",
            "Masks of another size than their picture",
            "A pixel of the mask is then about another pixel of the picture.",
            "Make the masks from the pictures that you have, or the other way round.",
            sizes,
        ),
        *counted(
            "mask-values",
            "mend",
            "Masks with numbers that are no classes",
            "Saved as JPEG, or resized with smoothing, a mask has numbers between its classes.",
            "Make them again, as PNG, without smoothing.",
            strange,
        ),
    ]


def _wh(size_wh: tuple[int, int] | None) -> str:
    return "unknown" if size_wh is None else f"{size_wh[0]} x {size_wh[1]}"
