"""A data set in the making: a name for each image, the copies, and what could not be said.

Does not know: any format.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image

from mirada.data.samples import Dataset, Part, Sample
from mirada.data.threads import map_items, threads_of
from mirada.errors import DataError, ImageError
from mirada.image import IMAGE_SUFFIXES
from mirada.image.decode import explained, open_picture
from mirada.image.size import size_wh
from mirada.progress import Progress

__all__ = ["Output", "encoded", "suffix_for"]

RESERVED: Final = '\\/:*?"<>|'
"""Characters that a file system somewhere does not allow in a name."""
LONGEST: Final = 200
"""Bytes of a name, with room for a number."""


class Output:
    """What is being written.

    Args:
        dataset: the source.
        folder: the new folder.
        progress: told how many images are copied.

    Attributes:
        parts: of each sample the part that it is written to; None where nothing is divided.
        lost: what the format cannot say, in words, and how often.
    """

    def __init__(self, dataset: Dataset, folder: Path, progress: Progress) -> None:
        self.dataset, self.folder = dataset, folder
        self.progress = progress
        given = [sample.part for sample in dataset.samples]
        self.parts: list[Part | None] = [part or "train" for part in given] if any(given) else list(given)
        self.lost: Counter[str] = Counter()

    def notes(self) -> tuple[str, ...]:
        """What was lost, in plain sentences."""
        return tuple(f"{what}: {count:,}." for what, count in sorted(self.lost.items()) if count)

    def places(self, homes: Sequence[Path]) -> list[Path]:
        """A file for each image in its home, so that no two in a home have the same name up to the suffix.

        It has the last part of the key, where these differ; else the whole key; else a number too.
        """
        samples = self.dataset.samples
        for texts in ([Path(sample.key).name for sample in samples], [sample.key for sample in samples]):
            names = [_name(sample, text) for sample, text in zip(samples, texts, strict=True)]
            stems = {(home, Path(name).stem.casefold()) for home, name in zip(homes, names, strict=True)}
            if len(stems) == len(names):
                return [home / name for home, name in zip(homes, names, strict=True)]
        return [home / f"{i:06}_{name}" for i, (home, name) in enumerate(zip(homes, names, strict=True))]

    def copy(self, places: Sequence[Path]) -> list[tuple[int, int] | None]:
        """Copy the images, each to its place, and tell width and height of each; None where it cannot be read."""
        for folder in {place.parent for place in places}:
            folder.mkdir(parents=True, exist_ok=True)
        sizes = []
        threads = threads_of(self.dataset.samples)
        pairs = list(zip(self.dataset.samples, places, strict=True))
        with closing(map_items(_copied, pairs, threads=threads)) as copied:
            for size in copied:
                sizes.append(size)
                self.progress("copying images", len(sizes), len(places))
        return sizes


def encoded(sample: Sample) -> bytes:
    """A file with the image: its own as it is, a PNG of an array.

    Raises:
        DataError: it cannot be read.
    """
    if sample.array is not None:
        written = BytesIO()
        Image.fromarray(sample.array).save(written, "PNG")
        return written.getvalue()
    try:
        return sample.data()
    except ImageError as error:
        raise DataError(f"{sample.path or sample.key}: the image cannot be copied ({error.reason}).") from error


def suffix_for(sample: Sample) -> str:
    """The suffix of a copy: that of its file, where it is one of an image; else that of the format, by the bytes."""
    return sample.suffix if sample.suffix in IMAGE_SUFFIXES else _suffix(sample)


def _copied(item: tuple[Sample, Path]) -> tuple[int, int] | None:
    sample, place = item
    place.write_bytes(encoded(sample))
    try:
        return size_wh(place, name=sample.key)
    except ImageError:
        return None


def _name(sample: Sample, text: str) -> str:
    """A name for a file that can be written everywhere, is not hidden, and has the suffix of an image."""
    name = Path(text.replace("/", "__"))
    has_suffix = sample.array is None and name.suffix.lower() in IMAGE_SUFFIXES
    stem, suffix = (name.stem, name.suffix) if has_suffix else (name.name, _suffix(sample))
    stem = "".join(letter if letter.isprintable() and letter not in RESERVED else "_" for letter in stem).strip(". ")
    while len(stem.encode()) > LONGEST:
        stem = stem[: len(stem) * 3 // 4]
    return f"{stem or 'image'}{suffix}"


def _suffix(sample: Sample) -> str:
    """That of the format, by the bytes."""
    if sample.array is not None:
        return ".png"
    try:
        with explained(sample.key), open_picture(sample.key, sample.data()) as image:
            suffix = f".{(image.format or '').lower()}"
    except ImageError:
        suffix = ""
    return suffix if suffix in IMAGE_SUFFIXES else ".jpg"
