"""A sample, a data set, and what was passed over: the values that every reader makes.

Class ids count from 0 over all parts, so that a class which is missing in one part shifts nothing: in the plain sorted
order of the names, or, of masks, in the order of their numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from mirada.annotations import Boxes, Label, Labels
from mirada.data.faults import Fault, Faults
from mirada.data.maskfile import MaskFile
from mirada.data.member import Member
from mirada.errors import DataError, ImageError
from mirada.image import decode
from mirada.image.decode import read_file
from mirada.words import meant

__all__ = [
    "PARTS",
    "Dataset",
    "MaskFile",
    "Part",
    "Sample",
    "Skipped",
    "Task",
    "Truth",
    "check_learnable",
    "class_labels",
    "distinct",
    "key_of",
    "part_order",
    "some",
]

Part = Literal["train", "val", "test"]
PARTS: Final[tuple[Part, ...]] = ("train", "val", "test")
Task = Literal["classify", "tag", "detect", "segment"]
"""What can be learnt: one class an image, several, boxes, or a class for every pixel."""


Truth = Label | Labels | Boxes | MaskFile
"""What a data set says of an image."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One image and what it is said to show. Its content is a file, a file inside an archive, or an array: one of them.

    Two samples are equal when key, truth, part, path and member are: the pixels are not compared.

    Args:
        key: how people know it: the path inside the data set with forward slashes ("cat/1.jpg"), or the place in a
            file ("train-images-idx3-ubyte.gz[17]", "digits[17]").
        truth: what is said of it: one class, several, boxes, or where its mask is; None where nobody said.
        part: "train", "val" or "test" where the source says so, else None.
        path: the image file, or None.
        array: (H, W) grey or (H, W, 3) RGB, uint8, or None.
        claimed_wh: width and height of the image as the source states them, or None.
        cells: what else a table says of it, by column.
        member: where it lies inside an archive, or None.
    """

    key: str
    truth: Truth | None
    part: Part | None = None
    path: Path | None = None
    array: NDArray[np.uint8] | None = field(default=None, compare=False, repr=False)
    claimed_wh: tuple[int, int] | None = field(default=None, compare=False)
    cells: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    member: Member | None = None

    def __post_init__(self) -> None:
        if (self.path is None) + (self.member is None) + (self.array is None) != 2:
            raise ValueError(f"{self.key}: a sample has either a path, a member of an archive, or an array")
        if self.array is not None:
            shape = self.array.shape
            if self.array.dtype != np.uint8 or not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)):
                raise ValueError(f"{self.key}: expected uint8 (H, W) or (H, W, 3), got {self.array.dtype} {shape}")

    @property
    def label(self) -> Label | None:
        """Its class, where it has one class."""
        return self.truth if isinstance(self.truth, Label) else None

    @property
    def class_ids(self) -> tuple[int, ...]:
        """The classes that are said to be in it, ascending."""
        if isinstance(self.truth, Label):  # first and fast: a set may hold a million
            return (self.truth.class_id,)
        match self.truth:
            case Labels():
                return tuple(label.class_id for label in self.truth.labels)
            case Boxes():
                return tuple(np.unique(self.truth.class_ids).tolist())
            case MaskFile():
                return self.truth.class_ids
            case None:
                return ()

    def said(self, class_names: Sequence[str]) -> str:
        """The name of its class; of anything else a hash, "sha256:...", that is another where what is said is another.

        Args:
            class_names: of the data set.

        Raises:
            ImageError: a mask cannot be read.
        """
        if isinstance(self.truth, Label):
            return self.truth.name
        names = [class_names[class_id] for class_id in self.class_ids]
        match self.truth:
            case Boxes() as boxes:
                of = [class_names[class_id] for class_id in boxes.class_ids.tolist()]
                is_crowd = [] if boxes.is_crowd is None else boxes.is_crowd.tolist()
                content = repr((boxes.boxes_xyxy.tolist(), of, is_crowd, boxes.outlines))
            case MaskFile() as mask:
                values = [mask.values[class_id] for class_id in self.class_ids]
                content = repr((_file_hash(str(mask.path), mask.path), names, values))
            case _:
                content = repr(names)
        return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"

    def image(self) -> NDArray[np.uint8]:
        """The upright picture as a new (H, W, 3) uint8 RGB array. Raises ImageError where it cannot be decoded."""
        if self.array is None:
            return decode(self.data(), name=self.key)
        if self.array.ndim == 2:
            return np.repeat(self.array[:, :, np.newaxis], 3, axis=2)  # (H, W) -> (H, W, 3)
        return self.array.copy()

    @property
    def is_far(self) -> bool:
        """Whether it lies in object storage."""
        return self.member is not None and self.member.is_far

    @property
    def suffix(self) -> str:
        """That of its file, in lower case; "" for an array."""
        return "" if self.array is not None else Path(self.key if self.path is None else self.path).suffix.lower()

    def data(self) -> bytes:
        """The bytes of its file, encoded as they are.

        Raises:
            ImageError: they cannot be read, or are too many.
            DataError: the archive they lie in cannot be read.
            ValueError: its content is an array.
        """
        if self.member is not None:
            return self.member.data(self.key)
        if self.path is None:
            raise ValueError(f"{self.key}: an array has no file")
        return read_file(self.key, self.path)

    def content_hash(self) -> str:
        """SHA-256 in hexadecimal, of the file's bytes, or of the array's shape and bytes. Nothing is decoded.

        Raises ImageError where the file cannot be read.
        """
        if self.path is not None:
            return _file_hash(self.key, self.path)
        if self.member is not None:
            return hashlib.sha256(self.member.data(self.key)).hexdigest()
        assert self.array is not None
        digest = hashlib.sha256(repr(self.array.shape).encode())
        digest.update(np.ascontiguousarray(self.array).data)
        return digest.hexdigest()


def _file_hash(name: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ImageError(name, f"the file cannot be read ({error.strerror})") from error


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that was met and passed over.

    Args:
        key: the path as the person would write it, with forward slashes.
        reason: why, in a few words.
    """

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """The samples of one source, in an order that depends on names alone.

    Args:
        name: the name of the folder or file, the address in object storage, or "digits".
        root: where it was read, or None for a built-in set and for object storage.
        kind: "class folders", "train/val/test folders", "shards", "CSV", "IDX", "digits", "COCO", "Pascal VOC", "YOLO",
            "masks", or "images" of which nothing is said.
        class_names: sorted, but those of masks in the order of their numbers; the place of a name is its class id.
        samples: train before val before test, where the source gives parts.
        notes: plain sentences about what was ignored or is odd.
        task: what its truth is for.
        faults: what was left out because it cannot be understood; empty unless it was read to name all of that.
    """

    name: str
    root: Path | None
    kind: str
    class_names: tuple[str, ...]
    samples: tuple[Sample, ...]
    notes: tuple[str, ...] = ()
    task: Task = "classify"
    faults: tuple[Fault, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def where(self) -> str:
        """How to name this data set in a message: its path, or its name."""
        return self.name if self.root is None else str(self.root)


def key_of(path: Path, root: Path) -> str:
    """How people know a file of a data set: its path inside, or the whole path where it lies elsewhere."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def part_order(part: Part | None) -> int:
    """By which samples are sorted: train, and what is of no part, before val before test."""
    return PARTS.index(part) if part else 0


def distinct(where: str | Path, samples: Iterable[Sample], faults: Faults) -> tuple[Sample, ...]:
    """The samples, where no two have the same key; else that is a fault, and the first of them stays."""
    kept: dict[str, Sample] = {}
    for sample in samples:
        earlier = kept.get(sample.key)
        if earlier is None:
            kept[sample.key] = sample
        else:
            both = "" if earlier.part == sample.part else f", in {earlier.part} and in {sample.part}"
            error = DataError(f"{where}: '{sample.key}' is there twice{both}. Keep it in one place.")
            faults.add(error, sample.key, "twice")
    return tuple(kept.values())


def class_labels(names: Iterable[str]) -> dict[str, Label]:
    """One label a name, numbered in the plain sorted order of the distinct names."""
    return {name: Label(name, class_id) for class_id, name in enumerate(sorted(set(names)))}


def check_learnable(dataset: Dataset) -> Dataset:
    """The same data set, if its classes can be learnt.

    Raises DataError where there is one class only, or where val or test hold a class that train lacks, and one class an
    image is to be learnt.
    """
    if dataset.task != "classify":
        return dataset
    if len(dataset.class_names) == 1:
        raise DataError(
            f"{dataset.where}: there is one class only, '{dataset.class_names[0]}'. "
            "A classifier needs at least two: add the images of another class."
        )
    classes_of: dict[Part | None, set[str]] = {}
    for sample in dataset.samples:
        if sample.label is not None:
            classes_of.setdefault(sample.part, set()).add(sample.label.name)
    known = classes_of.get("train", set()) | classes_of.get(None, set())
    for part in ("val", "test"):
        strange = sorted(classes_of.get(part, set()) - known)
        if strange:
            raise DataError(
                f"{dataset.where}: {part} has classes that train lacks: {some(strange)}. A model cannot know them: "
                f"add them to train, or take them out of {part}.{meant(strange[0], sorted(known), 0.75)}"
            )
    return dataset


def some(names: Iterable[str], most: int = 5) -> str:
    """The first names, quoted, and how many more there are.

    >>> some(["a", "b", "c"], most=2)
    "'a', 'b' and 1 more"
    """
    every = list(names)
    shown = ", ".join(f"'{name}'" for name in every[:most])
    return shown if len(every) <= most else f"{shown} and {len(every) - most} more"
