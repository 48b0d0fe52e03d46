"""Pascal VOC's XML -> a data set of boxes (Everingham et al. 2010; the development kit of VOC 2012, section 5.1).

```
VOC2012/  JPEGImages/*.jpg  Annotations/*.xml  ImageSets/Main/train.txt val.txt test.txt
or        a folder, or train/ val/ test/, in which each image has its .xml beside it
```

VOC counts pixels from 1, and xmax and ymax are the last pixels that belong to an object. So xmin - 1, ymin - 1, xmax
and ymax are the edges of the box. `difficult` objects are kept as such that are not to be judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import numpy as np

from mirada.annotations import Boxes
from mirada.data.faults import Faults
from mirada.data.folders import PART_NAMES
from mirada.data.samples import PARTS, Dataset, Part, Sample, distinct, key_of, part_order, some
from mirada.data.text import FAR, bytes_of, class_name, shown, text_of
from mirada.data.walk import is_file, is_folder, list_folder
from mirada.errors import DataError
from mirada.image import IMAGE_SUFFIXES

__all__ = ["DECIMALS", "listed_parts", "read_voc", "voc_files"]

DECIMALS: Final = 9
"""Of a pixel, to which the edges of boxes are read."""
IMAGE_FOLDERS: Final = ("JPEGImages", "images")


@dataclass(frozen=True, slots=True)
class _Object:
    name: str
    box_xyxy: tuple[float, float, float, float]
    is_difficult: bool


@dataclass(frozen=True, slots=True)
class _Annotated:
    """One file, checked."""

    image: Path
    part: Part | None
    size_wh: tuple[int, int] | None
    objects: tuple[_Object, ...] | None
    """None where the file cannot be understood."""


def voc_files(root: Path) -> list[tuple[Path, Part | None]]:
    """The XML files of a folder that are annotations, and the part of each, where their folder tells it."""
    folders, _ = list_folder(root)
    own = [folder for folder in folders if folder.name == "Annotations"]
    if own:
        return [(file, None) for file in _annotations(own[0])]
    parts = [(folder, PART_NAMES[folder.name.lower()]) for folder in folders if folder.name.lower() in PART_NAMES]
    found: list[tuple[Path, Part | None]] = [(file, part) for folder, part in parts for file in _annotations(folder)]
    return found or [(file, None) for file in _annotations(root)]


def _annotations(folder: Path) -> list[Path]:
    """The XML files that are annotations: where one is, also those called like an image, or all without images."""
    _, files = list_folder(folder)
    meant = {file for file in files if file.suffix.lower() == ".xml" and _looks_like(file)}
    stems = {file.stem for file in files if file.suffix.lower() in IMAGE_SUFFIXES}
    return [
        file
        for file in files
        if file.suffix.lower() == ".xml" and meant and (file in meant or file.stem in stems or not stems)
    ]


def read_voc(root: Path, files: Sequence[tuple[Path, Part | None]], faults: Faults | None = None) -> Dataset:
    """Read the annotations of a folder.

    Args:
        root: the folder.
        files: its annotations, and the part of each, where their folder tells it.
        faults: keeps what cannot be understood; where they are kept, so is an image that does not exist, under the name
            that its annotation gives it.

    Raises:
        DataError: a file cannot be understood, or its image is not there; the message names the file.
    """
    faults = faults or Faults()
    parts = listed_parts(root / "ImageSets" / "Main", [file.stem for file, _ in files], faults)
    kept = [(file, parts.get(file.stem, part)) for file, part in files if not parts or file.stem in parts]
    if not kept:
        raise DataError(
            f"{root / 'ImageSets' / 'Main'}: none of the images that it lists, such as {some(parts, 1)}, has an "
            "annotation. A list holds names without a suffix, one a line."
        )
    images = _Images([*(root / name for name in IMAGE_FOLDERS), root], faults.are_kept)
    read = []
    for file, part in kept:
        with faults.kept():
            read.append(_annotated(file, part, images, faults, root))
    used = sorted({marked.name for each in read for marked in each.objects or ()})
    if not read or not (used or faults.found):
        raise faults.first_or(f"{root}: no object is marked in its {len(kept):,} XML files.")
    class_ids = {name: class_id for class_id, name in enumerate(used)}
    read.sort(key=lambda each: (part_order(each.part), each.image))
    samples = distinct(
        root,
        (
            Sample(
                key_of(each.image, root),
                None if each.objects is None else _boxes(each.objects, class_ids),
                each.part,
                each.image,
                None,
                each.size_wh,
            )
            for each in read
        ),
        faults,
    )
    absent = sorted(parts.keys() - {file.stem for file, _ in files})
    notes = list(_notes(root, images, samples, len(files) - len(kept), absent))
    return Dataset(
        root.resolve().name, root, "Pascal VOC", tuple(used), samples, tuple(notes), "detect", tuple(faults.found)
    )


def listed_parts(lists: Path, stems: Iterable[str], faults: Faults) -> dict[str, Part]:
    """The part of each image by its stem, as `train.txt`, `val.txt` and `test.txt` of a folder say; {} without them.

    Where there is a `trainval.txt` in the place of the first two, its images are for training.

    Args:
        lists: `ImageSets/Main` or `ImageSets/Segmentation`.
        stems: those that there are. A line is one of them, or begins with one.
        faults: keeps that an image is in two parts; it stays in the first.

    Raises DataError where a file cannot be read, or an image is in two parts.
    """
    known, found = set(stems), dict[str, Part]()
    files = {lists / f"{part}.txt": part for part in PARTS if is_file(lists / f"{part}.txt")}
    if not {"train", "val"} & set(files.values()) and is_file(lists / "trainval.txt"):
        files[lists / "trainval.txt"] = "train"
    for file, part in files.items():
        for line, text in enumerate(text_of(file).splitlines(), 1):
            stem = text.strip() if text.strip() in known or not text.split() else text.split()[0]
            if stem and found.setdefault(stem, part) != part:
                error = DataError(f"{file}, line {line}: '{stem}' is in {found[stem]} too. Keep it in one part.")
                faults.add(error, kind="twice")
    return found


def _boxes(objects: Sequence[_Object], class_ids: dict[str, int]) -> Boxes:
    are_difficult = [each.is_difficult for each in objects]
    return Boxes(
        np.array([each.box_xyxy for each in objects], np.float64).reshape(-1, 4),
        np.array([class_ids[each.name] for each in objects], np.int64),
        None,
        np.array(are_difficult) if any(are_difficult) else None,
    )


class _Images:
    """The images of several folders, each listed once."""

    def __init__(self, folders: Sequence[Path], may_be_broken: bool) -> None:
        self.usual, self._may_be_broken = tuple(folders), may_be_broken
        self._of: dict[Path, dict[str, list[Path]]] = {}

    def of(self, folder: Path) -> dict[str, list[Path]]:
        """The images of a folder by their stems."""
        if folder not in self._of:
            by_stem: dict[str, list[Path]] = {}
            for file in list_folder(folder)[1] if is_folder(folder) else []:
                if file.suffix.lower() in IMAGE_SUFFIXES:
                    by_stem.setdefault(file.stem, []).append(file)
            self._of[folder] = by_stem
        return self._of[folder]

    def beside(self, file: Path, written: str) -> Path:
        """The image that an annotation is of: that of its own name, else the one it names."""
        name = written.strip().replace("\\", "/").rpartition("/")[2]
        folders = (file.parent, *self.usual)
        for folder in folders:
            same = self.of(folder).get(file.stem, [])
            named = [image for image in same if image.name == name] or same
            if len(named) > 1:
                raise DataError(f"{file}: which is its image, {some(image.name for image in named)}? Keep one of them.")
            if named:
                return named[0]
        for folder in folders:
            if Path(name).suffix.lower() in IMAGE_SUFFIXES and is_file(folder / name):
                return folder / name
        if self._may_be_broken:
            home = next((folder for folder in self.usual if is_folder(folder)), file.parent)
            return home / (name if Path(name).suffix.lower() in IMAGE_SUFFIXES else f"{file.stem}.jpg")
        raise DataError(f"{file}: its image is not there: none is called '{file.stem}' in {some(map(str, folders))}.")


def _annotated(file: Path, part: Part | None, images: _Images, faults: Faults, root: Path) -> _Annotated:
    try:
        tree = _tree(file)
    except DataError as error:
        if not faults.are_kept:
            raise
        image = images.beside(file, "")
        faults.add(error, key_of(image, root))
        return _Annotated(image, part, None, None)
    image = images.beside(file, tree.findtext("filename") or "")
    key = key_of(image, root)
    objects, size = [], None
    for number, each in enumerate(tree.findall("object"), 1):
        with faults.kept(key):
            objects.append(_object(file, number, each))
    with faults.kept(key):
        size = _size(file, tree)
    return _Annotated(image, part, size, tuple(objects))


def _object(file: Path, number: int, element: Element) -> _Object:
    name = class_name(element.findtext("name"))
    if name is None:
        raise DataError(f"{file}: object {number} has no name.")
    where = f"{file}: object {number}, '{name}'"
    bounds, difficult = element.find("bndbox"), (element.findtext("difficult") or "0").strip()
    if bounds is None:
        raise DataError(f"{where}: it has no bndbox.")
    if difficult not in ("0", "1"):
        raise DataError(f"{where}: difficult must be 0 or 1, found {shown(difficult)}.")
    first_x, first_y, right, bottom = (_number(where, bounds, side) for side in ("xmin", "ymin", "xmax", "ymax"))
    left, top = round(first_x - 1, DECIMALS), round(first_y - 1, DECIMALS)
    if right < left or bottom < top:
        raise DataError(f"{where}: xmax or ymax is below xmin or ymin.")
    return _Object(name, (left, top, right, bottom), difficult == "1")


def _size(file: Path, tree: Element) -> tuple[int, int] | None:
    """Width and height as the file states them; None where it does not, or writes 0 for it."""
    size = tree.find("size")
    if size is None or not (size.findtext("width") or "").strip():
        return None
    width, height = (int(_number(str(file), size, name)) for name in ("width", "height"))
    return (width, height) if width > 0 and height > 0 else None


def _number(where: str, element: Element, name: str) -> float:
    text = (element.findtext(name) or "").strip()
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not -FAR <= value <= FAR + 1:  # counted from 1
        raise DataError(f"{where}: {element.tag}/{name} must be a number of pixels, found {shown(text)}.")
    return round(value, DECIMALS)


def _tree(file: Path) -> Element:
    """The outermost element. Documents that declare entities, which can be made to grow without end, are refused."""
    builder, parser = TreeBuilder(), expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise DataError(
            f"{file}: it declares a document type, which an annotation does not need. Remove the <!DOCTYPE."
        )

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(bytes_of(file), True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise DataError(f"{file}: this is not XML ({error}).") from error
    tree = builder.close()
    if tree.tag != "annotation":
        raise DataError(f"{file}: the outermost element must be annotation, found {shown(tree.tag)}.")
    return tree


def _notes(
    root: Path, images: _Images, samples: Sequence[Sample], unlisted: int, absent: Sequence[str]
) -> Iterator[str]:
    if absent:
        yield f"Names in ImageSets/Main that have no annotation were passed over ({len(absent):,}): {some(absent)}."
    if unlisted:
        yield f"Annotations of images that no list in ImageSets/Main names were left out: {unlisted:,}."
    known = {sample.path for sample in samples}
    folders = sorted({path.parent for path in known if path is not None})
    alone = [image for folder in folders for same in images.of(folder).values() for image in same if image not in known]
    if alone and not unlisted:
        yield f"Images without an annotation were left out ({len(alone):,}): {some(key_of(i, root) for i in alone)}."


def _looks_like(file: Path) -> bool:
    """Whether the first element of an XML file is, by its beginning, that of an annotation."""
    if not is_file(file):
        return False
    try:
        with file.open("rb") as opened:
            begin = opened.read(2_000)
    except OSError:
        return False
    return b"<annotation" in begin.replace(b"\0", b"")  # of UTF-16 too
