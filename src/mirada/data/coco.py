"""COCO's JSON -> a data set of boxes, with outlines where there are any (Lin et al. 2014; cocodataset.org, Data).

```
{"images": [{"id": 7, "file_name": "a.jpg", "width": 640, "height": 480}],
 "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [x, y, width, height], "iscrowd": 0,
                  "segmentation": [[x1, y1, x2, y2, ...]] or {"size": [height, width], "counts": [...] or "..."}}],
 "categories": [{"id": 3, "name": "cat"}]}
```

Ids may begin anywhere and have gaps. Images are looked for beside the file, and in the folders where they usually lie.
Edges are read to `DECIMALS` of a pixel, so that the sum of x and width is the decimal number that was meant.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Final, TypeGuard

import numpy as np

from mirada.annotations import Boxes, Outline
from mirada.data.faults import Faults
from mirada.data.folders import PART_NAMES
from mirada.data.runs import runs_of
from mirada.data.samples import PARTS, Dataset, Part, Sample, distinct, key_of, some
from mirada.data.text import FAR, bytes_of, class_name, shown
from mirada.data.walk import is_file, is_folder, list_folder
from mirada.errors import DataError
from mirada.image import IMAGE_SUFFIXES, MAX_PIXELS

__all__ = ["DECIMALS", "coco_files", "read_coco"]

LARGEST: Final = 2 << 30
"""Bytes of a file that is read."""
DECIMALS: Final = 9
"""Of a pixel, to which the edges of boxes are read."""
TRIED: Final = 20
"""Images that are looked for in each folder where they could lie."""


@dataclass(frozen=True, slots=True)
class _Object:
    """One annotation, checked."""

    category: int
    box_xyxy: tuple[float, float, float, float]
    is_crowd: bool
    outline: Outline | None


def coco_files(root: Path) -> list[Path]:
    """The files in a folder, in its folder `annotations` and in the folders of parts, that are COCO's JSON."""
    folders, files = list_folder(root)
    for folder in folders:
        if folder.name.lower() in ("annotations", *PART_NAMES):
            files += list_folder(folder)[1]
    return [file for file in files if file.suffix.lower() == ".json" and is_file(file) and _looks_like(file)]


def read_coco(root: Path, files: Sequence[Path], faults: Faults | None = None) -> Dataset:
    """Read one file, or one a part.

    Args:
        root: what was given: a folder, or the file.
        files: COCO's JSON.
        faults: keeps what cannot be understood; where they are kept, so are images that do not exist.

    Raises:
        DataError: a file cannot be understood; the message names the file, and the annotation.
    """
    faults = faults or Faults()
    folder = root if root not in files else _folder_of(root)
    chosen = {None: files[0]} if root in files else _by_part(root, files)
    read: dict[Part | None, _File] = {}
    for part, path in chosen.items():
        with faults.kept():
            read[part] = _File(path, folder, faults)
    used = sorted({name for file in read.values() for name in file.used})
    if not read or not (used or faults.found):
        raise faults.first_or(
            f"{root}: there is no object in {some(path.name for path in chosen.values())}: its list of annotations is "
            "empty. Give the file that was written after marking."
        )
    class_ids = {name: class_id for class_id, name in enumerate(used)}
    each = (sample for part in (None, *PARTS) if part in read for sample in read[part].samples(part, class_ids))
    samples = distinct(root, each, faults)
    notes = tuple(_notes(list(read.values()), used, folder, samples))
    return Dataset(folder.resolve().name, root, "COCO", tuple(used), samples, notes, "detect", tuple(faults.found))


def part_of(path: Path, root: Path) -> Part | None:
    """The part that a file is of, by its name or by that of its folder.

    >>> part_of(Path("d/annotations/instances_val2017.json"), Path("d"))
    'val'
    """
    for name in (path.stem, path.parent.name if path.parent != root else ""):
        for word in re.split(r"[^a-z]+", name.lower()):
            if word in PART_NAMES:
                return PART_NAMES[word]
    return None


def _by_part(root: Path, files: Sequence[Path]) -> dict[Part | None, Path]:
    found: dict[Part | None, list[Path]] = defaultdict(list)
    for file in files:
        found[part_of(file, root)].append(file)
    chosen: dict[Part | None, Path] = {}
    for part, candidates in found.items():
        boxes = [file for file in candidates if file.stem.startswith("instances")] or candidates
        if len(boxes) > 1:
            raise DataError(
                f"{root}: {some(file.relative_to(root).as_posix() for file in boxes)} are COCO's, and all for "
                f"{part or 'no part in particular'}. Give one of the files itself."
            )
        chosen[part] = boxes[0]
    if None in chosen and len(chosen) > 1:
        raise DataError(
            f"{root}: {chosen[None].relative_to(root).as_posix()} is of no part, but other files are. Call it train, "
            "val or test, or give one of the files itself."
        )
    return chosen


class _File:
    """One file, checked."""

    def __init__(self, path: Path, root: Path, faults: Faults) -> None:
        self.path, self._root, self._faults = path, root, faults
        self.small_polygons, self.without_box = 0, 0
        content = _load(path)
        categories, images, annotations = (
            self._rows(content, name) for name in ("categories", "images", "annotations")
        )
        self.names: dict[int, str] = {}
        self._numbers: dict[str, int] = {}
        for place, row in enumerate(categories):
            with faults.kept():
                self._add_category(row, f"categories[{place}]")
        self.images: dict[int, tuple[str, tuple[int, int] | None]] = {}
        for place, row in enumerate(images):
            with faults.kept():
                self._add_image(row, f"images[{place}]")
        if not self.images:
            raise faults.first_or(f"{path}: there is no image in it.")
        self._home = self._folder()
        left_out = _ids(images) - self.images.keys(), _ids(categories) - self.names.keys()
        self.objects: dict[int, list[_Object]] = defaultdict(list)
        for place, row in enumerate(annotations):
            try:
                self._add(row, f"annotations[{place}]", *left_out)
            except DataError as error:
                faults.add(error, self._key(row))
        self.used = {self.names[each.category] for objects in self.objects.values() for each in objects}

    def samples(self, part: Part | None, class_ids: dict[str, int]) -> list[Sample]:
        """One an image, in the order of their names."""
        samples = [
            Sample(
                key_of(self._home / name, self._root),
                self._boxes(number, class_ids),
                part,
                self._home / name,
                None,
                size,
            )
            for name, number, size in sorted((name, number, size) for number, (name, size) in self.images.items())
        ]
        missing = [sample.path for sample in samples if sample.path is not None and not is_file(sample.path)]
        if missing and not self._faults.are_kept:
            more = f" The same is true of {len(missing) - 1:,} more." if len(missing) > 1 else ""
            raise DataError(f"{self.path}: the image {missing[0]} does not exist.{more}")
        return samples

    def _key(self, annotation: object) -> str | None:
        """That of the image that an annotation is of, where it says so."""
        image = annotation.get("image_id") if isinstance(annotation, dict) else None
        known = self.images.get(image) if isinstance(image, int) else None
        return None if known is None else key_of(self._home / known[0], self._root)

    def _boxes(self, image: int, class_ids: dict[str, int]) -> Boxes:
        objects = self.objects.get(image, [])
        return Boxes(
            np.array([each.box_xyxy for each in objects], np.float64).reshape(-1, 4),
            np.array([class_ids[self.names[each.category]] for each in objects], np.int64),
            None,
            np.array([each.is_crowd for each in objects]) if any(each.is_crowd for each in objects) else None,
            tuple(each.outline for each in objects) if any(each.outline for each in objects) else None,
        )

    def _wrong(self, place: str, expected: str, found: object) -> DataError:
        return DataError(f"{self.path}: {place} must be {expected}, found {shown(found)}.")

    def _rows(self, content: dict[str, Any], name: str) -> list[Any]:
        rows = content.get(name)
        if not isinstance(rows, list):
            raise self._wrong(name, "a list", rows)
        return rows

    def _row(self, row: object, place: str) -> dict[str, Any]:
        if not isinstance(row, dict):
            raise self._wrong(place, "an object", row)
        return row

    def _id(self, row: dict[str, Any], name: str, place: str) -> int:
        value = row.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(f"{place}.{name}", "a whole number", value)
        return value

    def _add_category(self, category: object, place: str) -> None:
        row = self._row(category, place)
        number, name = self._id(row, "id", place), class_name(row.get("name"))
        if name is None:
            raise self._wrong(f"{place}.name", "a text", row.get("name"))
        if number in self.names or name in self._numbers:
            other = f"another category has the {'id' if number in self.names else 'name'} of {shown(row)}"
            raise DataError(f"{self.path}: {place}: {other}. Call it otherwise, or give both one id.")
        self.names[number], self._numbers[name] = name, number

    def _add_image(self, image: object, place: str) -> None:
        row = self._row(image, place)
        number, name = self._id(row, "id", place), row.get("file_name")
        if not isinstance(name, str) or PurePath(name).suffix.lower() not in IMAGE_SUFFIXES or "\0" in name:
            raise self._wrong(f"{place}.file_name", "the name of a file with the suffix of an image", name)
        if number in self.images:
            raise self._wrong(f"{place}.id", "one that no other image has", number)
        self.images[number] = name.replace("\\", "/"), self._size(row, place)

    def _size(self, row: dict[str, Any], place: str) -> tuple[int, int] | None:
        width, height = row.get("width"), row.get("height")
        if width is None and height is None:
            return None
        if not (_is_count(width) and _is_count(height) and 0 < width * height <= MAX_PIXELS):
            raise self._wrong(f"{place}, width and height,", "whole numbers of pixels", (width, height))
        return width, height

    def _add(self, annotation: object, place: str, images_left_out: Set[int], categories_left_out: Set[int]) -> None:
        """An annotation of an image or a category that was left out is left out too: that is one fault, not many."""
        row = self._row(annotation, place)
        image, category = (self._id(row, name, place) for name in ("image_id", "category_id"))
        if image in images_left_out or category in categories_left_out:
            return
        if image not in self.images:
            raise self._wrong(f"{place}.image_id", "the id of one of the images", image)
        if category not in self.names:
            raise self._wrong(f"{place}.category_id", "the id of one of the categories", category)
        is_crowd = row.get("iscrowd", 0)
        if is_crowd not in (0, 1):
            raise self._wrong(f"{place}.iscrowd", "0 or 1", is_crowd)
        outline = self._outline(row.get("segmentation"), image, f"{place}.segmentation")
        box = self._box(row.get("bbox"), outline, f"{place}.bbox")
        if box is None:
            self.without_box += 1
        else:
            self.objects[image].append(_Object(category, box, bool(is_crowd), outline))

    def _box(self, box: object, outline: Outline | None, place: str) -> tuple[float, float, float, float] | None:
        if box is None or box == []:
            edges = None if outline is None else outline.bounds
        elif isinstance(box, list) and len(box) == 4 and all(map(_is_number, box)) and min(box[2:]) >= 0:
            edges = (box[0], box[1], box[0] + box[2], box[1] + box[3])
        else:
            raise self._wrong(place, "[x, y, width, height] in pixels, with neither side below 0", box)
        if edges is None:
            return None
        if max(edges) > FAR:
            raise self._wrong(place, f"a box of which no edge lies beyond {FAR:,.0f} pixels", box)
        left, top, right, bottom = (round(float(edge), DECIMALS) for edge in edges)
        return left, top, right, bottom

    def _outline(self, value: object, image: int, place: str) -> Outline | None:
        try:
            if isinstance(value, dict):
                return self._outline_of_runs(value, self.images[image][1])
            if value is None or value == []:
                return None
            if not isinstance(value, list) or not all(isinstance(polygon, list) for polygon in value):
                raise ValueError("expected a list of polygons, or an object with size and counts")
            # As `_is_number` says, without a call for each of what may be millions.
            if not all(type(v) in (int, float) and -FAR <= v <= FAR for polygon in value for v in polygon):
                raise ValueError("a polygon is a list of numbers, in pixels")
            polygons = tuple(tuple(map(float, polygon)) for polygon in value if len(polygon) >= 6)
            self.small_polygons += len(value) - len(polygons)
            return Outline(polygons) if polygons else None
        except ValueError as error:
            raise DataError(f"{self.path}: {place} cannot be understood: {error}.") from error

    def _outline_of_runs(self, value: dict[str, Any], claimed: tuple[int, int] | None) -> Outline:
        size, counts = value.get("size"), value.get("counts")
        if not (isinstance(size, list) and len(size) == 2 and all(map(_is_count, size))):
            raise ValueError(f"size must be [height, width], found {shown(size)}")
        height, width = size
        if width * height > MAX_PIXELS or claimed not in (None, (width, height)):
            raise ValueError(f"size must be that of the image, found {shown(size)}")
        runs = runs_of(counts) if isinstance(counts, str) else counts
        if not isinstance(runs, list | tuple) or not all(map(_is_count, runs)):
            raise ValueError("counts must be whole numbers from 0, or their compressed text")
        return Outline(runs=tuple(runs), size_wh=(width, height))

    def _folder(self) -> Path:
        """Where the images lie: the first usual place that has one of the first, else the one folder that has."""
        names = [name for name, _ in sorted(self.images.values(), key=lambda each: each[0])[:TRIED]]
        beside, part = self.path.parent, part_of(self.path, self._root)
        inner = {re.sub(r"^instances_?", "", self.path.stem), beside.name}
        places = [beside, beside / "images"]
        for base in (self._root, self._root / "images", beside.parent, beside.parent / "images"):
            folders = list_folder(base)[0] if is_folder(base) and os.access(base, os.R_OK) else []
            places += [base, *(folder for folder in folders if folder.name in inner)]
            places += [folder for folder in folders if part and PART_NAMES.get(folder.name.lower()) == part]
        for place in places:
            if any(is_file(place / name) for name in names):
                return place
        others = [place for place in list_folder(self._root)[0] if any(is_file(place / name) for name in names)]
        if len(others) == 1:
            return others[0]
        which, tried = ("several", others) if others else ("none", places)
        known = some(dict.fromkeys(str(place) for place in tried))
        raise DataError(f"{self.path}: images such as {shown(names[0])} are in {which} of the folders {known}.")


def _folder_of(file: Path) -> Path:
    """The folder of the data set that a file describes, by which its images are called."""
    return file.parent.parent if file.parent.name.lower() == "annotations" else file.parent


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(bytes_of(path, LARGEST))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: this is not JSON ({error}).") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object with images, annotations and categories, found {shown(content)}.")
    return content


def _looks_like(path: Path) -> bool:
    """Whether a file has the three lists, by what stands in it, without understanding all of it."""
    try:
        text = bytes_of(path, LARGEST)
    except DataError:
        return False
    return all(f'"{name}"'.encode() in text for name in ("images", "annotations", "categories"))


def _notes(files: Sequence[_File], used: Sequence[str], root: Path, samples: Sequence[Sample]) -> Iterator[str]:
    unused = sorted({name for file in files for name in file.names.values()} - set(used))
    small, without = sum(file.small_polygons for file in files), sum(file.without_box for file in files)
    if unused:
        yield f"Categories without an object were left out: {some(unused)}."
    if small:
        yield f"Polygons of fewer than three corners were left out: {small:,}."
    if without:
        yield f"Annotations without a box and without an outline were left out: {without:,}."
    known = {sample.path for sample in samples}
    beside = [file for folder in sorted({path.parent for path in known if path}) for file in list_folder(folder)[1]]
    unlisted = [file for file in beside if file.suffix.lower() in IMAGE_SUFFIXES and file not in known]
    if unlisted:
        names = some(key_of(file, root) for file in unlisted)
        yield f"Images that no annotation file lists were left out ({len(unlisted):,}): {names}."


def _ids(rows: Sequence[object]) -> set[int]:
    """The ids of rows, as far as they have one."""
    ids = (row.get("id") for row in rows if isinstance(row, dict))
    return {value for value in ids if isinstance(value, int) and not isinstance(value, bool)}


def _is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number of pixels."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -FAR <= value <= FAR


def _is_count(value: object) -> TypeGuard[int]:
    """Whether it is a whole number from 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
