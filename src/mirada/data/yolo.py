"""YOLO's text files -> a data set of boxes, with outlines where there are any.

```
data.yaml          path: .   train: images/train   val: images/val   test: images/test   names: [cat, dog]
labels/train/a.txt one object a line: its class, from 0, and the middle, width and height of its box as shares of the
                   image; or the corners of its outline, x1 y1 x2 y2 ..., likewise
```

The labels of `images/train/a.jpg` are in `labels/train/a.txt`, or beside it where no folder is called `images`; an
image without labels has no object. Positions are read to `DECIMALS` of a pixel: shares of a size are never exact.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from mirada.annotations import Boxes, Outline
from mirada.data.faults import Fault, Faults
from mirada.data.samples import PARTS, Dataset, Part, Sample, Skipped, distinct, key_of, some
from mirada.data.text import bytes_of, class_name, shown, text_of
from mirada.data.threads import map_items
from mirada.data.walk import images_below, is_file, is_folder, list_folder, skip_notes
from mirada.errors import DataError, ImageError
from mirada.image import IMAGE_SUFFIXES
from mirada.image.size import size_wh

__all__ = ["DECIMALS", "FURTHEST", "read_yolo", "yolo_files"]

DECIMALS: Final = 6
"""Of a pixel, to which positions are read."""
LARGEST: Final = 1 << 20
"""Bytes of a YAML file that is read."""
DEEPEST: Final = 20
"""Lists and mappings in each other, in a YAML file."""
FURTHEST: Final = 10
"""Widths of the image: no position lies further out, so these are pixels, not shares."""
NAMES_OF_CLASSES: Final = ("classes.txt", "predefined_classes.txt")
"""What tools for marking put beside the labels."""
NOTHING: Final = ("", "null", "Null", "NULL", "~")
"""What stands in YAML for no value."""
USUAL: Final = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")


def yolo_files(root: Path) -> list[Path]:
    """The YAML files of a folder that describe such a data set: the one with the usual name, or all that look so."""
    found = []
    for file in list_folder(root)[1]:
        if file.suffix.lower() in (".yaml", ".yml") and is_file(file):
            try:
                text = bytes_of(file, LARGEST)
            except DataError:
                continue
            if all(
                re.search(rb"(?m)(^|[{,])\s*[\"']?" + name + rb"[\"']?\s*:", text)
                for name in (b"names", b"(train|val)")
            ):
                found.append(file)
    return [file for file in found if file.name.lower() in USUAL][:1] or found


def read_yolo(root: Path, files: Sequence[Path], faults: Faults | None = None) -> Dataset:
    """Read what a data.yaml describes.

    Args:
        root: what was given: a folder, or the file.
        files: those that could be meant.
        faults: keeps what cannot be understood; where they are kept, so is an image that cannot be read, with nothing
            said of it: its size is needed for that.

    Raises:
        DataError: it, or a file of labels, cannot be understood; the message names file and line.
    """
    faults = faults or Faults()
    if len(files) > 1:
        raise DataError(
            f"{root}: {some(file.name for file in files)} all describe a data set. Give one of the files itself."
        )
    file = files[0]
    content = _yaml(file)
    names = _names(file, content)
    start = _start(file, content)
    found = {part: _images(file, start, part, content.get(part), faults) for part in PARTS}
    images = [(image, part) for part, (own, _) in found.items() for image in own]
    if not images:
        raise faults.first_or(f"{file}: it names no images: train, and perhaps val and test, must be folders.")
    class_names = tuple(sorted(names.values()))
    place_of = {name: class_id for class_id, name in enumerate(class_names)}
    class_ids = {number: place_of[name] for number, name in names.items()}
    read, unread = [], []
    for outcome, own in map_items(lambda each: _sample(*each, file.parent, class_ids, Faults(faults.are_kept)), images):
        faults.extend(own)
        if isinstance(outcome, ImageError):
            unread.append(outcome)
        read.append(outcome)
    if len(unread) == len(read):
        raise DataError(f"{file}: none of its images can be read, such as {unread[0]}.")
    samples = distinct(
        file,
        (
            Sample(key_of(image, file.parent), None, part, image) if isinstance(outcome, ImageError) else outcome
            for (image, part), outcome in zip(images, read, strict=True)
            if faults.are_kept or isinstance(outcome, Sample)
        ),
        faults,
    )
    unused = set(range(len(class_names))).difference(*(sample.class_ids for sample in samples))
    if len(unused) == len(class_names) and not faults.found:
        first = labels_of(images[0][0], file.parent)
        raise DataError(f"{file}: there is no object in it. Labels were looked for in {first}, for example.")
    notes = skip_notes(skipped for _, passed_over in found.values() for skipped in passed_over)
    if unused:
        notes.append(f"Classes without an object: {some(class_names[class_id] for class_id in sorted(unused))}.")
    alone = _labels_alone(images, file.parent)
    if alone:
        names_alone = some(key_of(labels, file.parent) for labels in alone)
        notes.append(f"Labels without an image were passed over ({len(alone):,}): {names_alone}.")
    if unread and not faults.are_kept:
        notes.append(f"Images that cannot be read were left out ({len(unread):,}), such as {unread[0]}.")
    name = file.parent.resolve().name
    return Dataset(name, root, "YOLO", class_names, samples, tuple(notes), "detect", tuple(faults.found))


def labels_of(image: Path, root: Path) -> Path:
    """Where the labels of an image are: its path in the data set with `labels` in the place of the last `images`.

    >>> labels_of(Path("d/images/train/a.jpg"), Path("d")).as_posix()
    'd/labels/train/a.txt'
    """
    parts = list(image.parts)
    first = len(root.parts) if image.is_relative_to(root) else 0
    for place in range(len(parts) - 2, first - 1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _labels_alone(images: Sequence[tuple[Path, Part]], root: Path) -> list[Path]:
    """The files of labels, in folders called so, of which there is no image."""
    known = {labels_of(image, root) for image, _ in images}
    folders = sorted({labels.parent for labels in known if "labels" in labels.parent.parts})
    return [
        labels
        for folder in folders
        if is_folder(folder)
        for labels in list_folder(folder)[1]
        if labels.suffix.lower() == ".txt" and labels not in known and labels.name not in NAMES_OF_CLASSES
    ]


def _sample(
    image: Path, part: Part, root: Path, class_ids: Mapping[int, int], faults: Faults
) -> tuple[Sample | ImageError, list[Fault]]:
    """An image and what is said of it, or why it cannot be read; and what was left out."""
    labels, key = labels_of(image, root), key_of(image, root)
    try:
        size = size_wh(image, name=key)
    except ImageError as error:
        return error, []
    lines = []
    if is_file(labels):
        try:
            lines = text_of(labels).splitlines()
        except DataError as error:
            faults.add(error, key)
            return Sample(key, None, part, image), faults.found
    rows = []
    for number, line in enumerate(lines, 1):
        with faults.kept(key):
            if line.strip():
                rows.append(_row(f"{labels}, line {number}", line, class_ids))
    outlines = [_outline(numbers, size) for numbers in rows]
    boxes = []
    for (_, x, y, *more), outline in zip(rows, outlines, strict=True):
        if outline is None:
            boxes.append((x - more[0] / 2, y - more[1] / 2, x + more[0] / 2, y + more[1] / 2))
        else:
            corners = np.array([x, y, *more]).reshape(-1, 2)
            boxes.append((*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist()))
    truth = Boxes(
        np.round(np.array(boxes, np.float64).reshape(-1, 4) * (*size, *size), DECIMALS),
        np.array([class_ids[int(numbers[0])] for numbers in rows], np.int64),
        outlines=tuple(outlines) if any(outlines) else None,
    )
    return Sample(key, truth, part, image), faults.found


def _outline(numbers: Sequence[float], size: tuple[int, int]) -> Outline | None:
    """The polygon that a line holds, in pixels; None of a box."""
    if len(numbers) == 5:
        return None
    return Outline((tuple(np.round(np.reshape(numbers[1:], (-1, 2)) * size, DECIMALS).ravel().tolist()),))


def _row(where: str, row: str, class_ids: Mapping[int, int]) -> tuple[float, ...]:
    """The numbers of a line."""
    words = row.split()
    try:
        numbers = tuple(float(word) for word in words)
    except ValueError:
        raise DataError(f"{where}: expected numbers only, found {shown(row)}.") from None
    if not all(-FURTHEST < number < FURTHEST for number in numbers[1:]):
        raise DataError(
            f"{where}: positions are shares of the image, 0 to 1 inside and up to {FURTHEST} outside, "
            f"found {shown(row)}."
        )
    if len(numbers) != 5 and (len(numbers) < 7 or len(numbers) % 2 == 0):
        raise DataError(
            f"{where}: expected a class and x, y, width, height, or a class and at least three corners; "
            f"found {len(numbers)} numbers."
        )
    if numbers[0] not in class_ids:
        raise DataError(f"{where}: there is no class {shown(words[0])}; names has {len(class_ids)}, counted from 0.")
    if len(numbers) == 5 and min(numbers[3:]) < 0:
        raise DataError(f"{where}: width and height cannot be below 0, found {shown(row)}.")
    return numbers


def _yaml(file: Path) -> dict[str, Any]:
    """Lists, mappings, and texts as they are written: `no` is a name, not false."""
    text = bytes_of(file, LARGEST)
    try:
        _check_plain(text)
        content = yaml.load(text, yaml.BaseLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{file}: this is not YAML that can be read ({first}).") from error
    if not isinstance(content, dict):
        raise DataError(f"{file}: expected train, val and names, found {shown(content)}.")
    if "kpt_shape" in content:
        raise DataError(f"{file}: its labels are of key points (kpt_shape), which are not read. Keep 5 numbers a line.")
    return content


def _check_plain(text: bytes) -> None:
    """Raises YAMLError where the text could keep the parser busy without end: for what it says it needs none of it."""
    depth = 0
    for event in yaml.parse(text, yaml.BaseLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise yaml.YAMLError(f"it is nested more than {DEEPEST} deep")
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("it has aliases, which can be made to grow without end: write out what they stand for")


def _names(file: Path, content: dict[str, Any]) -> dict[int, str]:
    given = content.get("names")
    numbered = {str(number): name for number, name in enumerate(given)} if isinstance(given, list) else given
    if not isinstance(numbered, dict) or not numbered:
        raise DataError(f"{file}: names must be a list of classes, or numbers with a class each, found {shown(given)}.")
    names: dict[int, str] = {}
    numbers: dict[str, int] = {}
    for number, written in numbered.items():
        if not isinstance(number, str) or not re.fullmatch(r"[0-9]{1,9}", number):
            raise DataError(f"{file}: names: a class has a whole number from 0, found {shown(number)}.")
        name = class_name(written)
        if name is None:
            raise DataError(f"{file}: names: class {number} must have a name, found {shown(written)}.")
        if int(number) in names or name in numbers:
            raise DataError(f"{file}: names: class {number}, {shown(name)}, has the number or the name of another.")
        names[int(number)], numbers[name] = name, int(number)
    return names


def _start(file: Path, content: dict[str, Any]) -> Path:
    """Where the paths start: `path`, where that is a folder here; else the folder of the file."""
    given = content.get("path")
    if isinstance(given, str) and given and "\0" not in given and is_folder(file.parent / given):
        return file.parent / given
    return file.parent


def _images(file: Path, start: Path, part: Part, given: object, faults: Faults) -> tuple[list[Path], list[Skipped]]:
    """The images of a part, those in its folders or of its lists, and what was passed over."""
    images: list[Path] = []
    skipped: list[Skipped] = []
    for name in given if isinstance(given, list) else [given]:
        if name is None or name in NOTHING:
            continue
        with faults.kept():
            found = _found(file, start, part, name)
            own, passed_over = images_below(found) if is_folder(found) else (_listed(found, faults), [])
            images += own
            skipped += passed_over
    return images, skipped


def _found(file: Path, start: Path, part: Part, name: object) -> Path:
    """The folder or the list that is meant."""
    if not isinstance(name, str) or "\0" in name:
        raise DataError(f"{file}: {part} must be a folder, or a list of folders, found {shown(name)}.")
    name = name.replace("\\", "/")
    inside = name.removeprefix("../")  # as some tools write it, from a folder that is not there
    places = (start / name, file.parent / name, file.parent / inside)
    found = next((place for place in places if is_folder(place) or is_file(place)), None)
    if found is None:
        raise DataError(f"{file}: {part}: there is no folder {start / name}.")
    return found


def _listed(file: Path, faults: Faults) -> list[Path]:
    """The images that a text file names, one a line."""
    images = []
    for line, text in enumerate(text_of(file).splitlines(), 1):
        name = text.strip().replace("\\", "/")
        if not name:
            continue
        path = file.parent / name
        if path.suffix.lower() not in IMAGE_SUFFIXES or "\0" in name or not is_file(path):
            faults.add(DataError(f"{file}, line {line}: there is no image {shown(name)}."))
            continue
        images.append(path)
    return images
