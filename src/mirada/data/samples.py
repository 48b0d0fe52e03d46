"""A sample, a data set, and what was passed over: the values that every reader makes.

Class ids count from 0 in the plain sorted order of the class names over all parts, so that a class which is missing in
one part shifts nothing.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from mirada.annotations import Label
from mirada.errors import DataError, ImageError
from mirada.image import decode

__all__ = ["PARTS", "Dataset", "Part", "Sample", "Skipped", "check_learnable", "class_labels", "some"]

Part = Literal["train", "val", "test"]
PARTS: Final[tuple[Part, ...]] = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Sample:
    """One image and what it is said to show. Its content is either a file or an array, never both.

    Two samples are equal when key, label, part and path are: the pixels are not compared.

    Args:
        key: how people know it: the path inside the data set with forward slashes ("cat/1.jpg"), or the place in a
            file ("train-images-idx3-ubyte.gz[17]", "digits[17]").
        label: its class, or None where nobody said.
        part: "train", "val" or "test" where the source says so, else None.
        path: the image file, or None.
        array: (H, W) grey or (H, W, 3) RGB, uint8, or None.
    """

    key: str
    label: Label | None
    part: Part | None = None
    path: Path | None = None
    array: NDArray[np.uint8] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if (self.path is None) == (self.array is None):
            raise ValueError(f"{self.key}: a sample has either a path or an array")
        if self.array is not None:
            shape = self.array.shape
            if self.array.dtype != np.uint8 or not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)):
                raise ValueError(f"{self.key}: expected uint8 (H, W) or (H, W, 3), got {self.array.dtype} {shape}")

    def image(self) -> NDArray[np.uint8]:
        """The upright picture as a new (H, W, 3) uint8 RGB array. Raises ImageError where it cannot be decoded."""
        if self.path is not None:
            return decode(self.path, name=self.key)
        assert self.array is not None
        if self.array.ndim == 2:
            return np.repeat(self.array[:, :, np.newaxis], 3, axis=2)  # (H, W) -> (H, W, 3)
        return self.array.copy()

    def content_hash(self) -> str:
        """SHA-256 in hexadecimal, of the file's bytes, or of the array's shape and bytes. Nothing is decoded.

        Raises ImageError where the file cannot be read.
        """
        if self.path is not None:
            try:
                with self.path.open("rb") as file:
                    return hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise ImageError(self.key, f"the file cannot be read ({error.strerror})") from error
        assert self.array is not None
        digest = hashlib.sha256(repr(self.array.shape).encode())
        digest.update(np.ascontiguousarray(self.array).data)
        return digest.hexdigest()


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
        name: the name of the folder or file, or "digits".
        root: where it was read, or None for a built-in set.
        kind: "class folders", "train/val/test folders", "CSV", "IDX" or "digits".
        class_names: sorted; the place of a name is its class id.
        samples: train before val before test, where the source gives parts.
        notes: plain sentences about what was ignored or is odd.
    """

    name: str
    root: Path | None
    kind: str
    class_names: tuple[str, ...]
    samples: tuple[Sample, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def where(self) -> str:
        """How to name this data set in a message: its path, or its name."""
        return self.name if self.root is None else str(self.root)


def class_labels(names: Iterable[str]) -> dict[str, Label]:
    """One label a name, numbered in the plain sorted order of the distinct names."""
    return {name: Label(name, class_id) for class_id, name in enumerate(sorted(set(names)))}


def check_learnable(dataset: Dataset) -> Dataset:
    """The same data set, if its classes can be learnt.

    Raises DataError where there is one class only, or where val or test hold a class that train lacks.
    """
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
            near = difflib.get_close_matches(strange[0], sorted(known), n=1, cutoff=0.75)
            meant = f" Did you mean '{near[0]}'?" if near else ""
            raise DataError(
                f"{dataset.where}: {part} has classes that train lacks: {some(strange)}. A model cannot know them: "
                f"add them to train, or take them out of {part}.{meant}"
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
