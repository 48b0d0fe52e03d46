"""Archives of images, called shards, on a disk or in object storage -> a data set; and a data set -> shards.

A shard is a tar file that is not compressed, so that any image in it can be read alone. Two layouts are understood, and
may be mixed: a text beside each image tells its class, in a file of the same name with the suffix `.cls` (as WebDataset
writes them), or the folder that it lies in does.

| in a shard | class |
|---|---|
| `000017.jpg`, `000017.cls` | what the text says; a number is a line, from 0, of a `classes.txt` beside the shards |
| `cat/000017.jpg` | cat |

A shard is of the part that its name or its folder tells: `train/0000.tar`, `imagenet-val-0000.tar`.

Every image is known before training starts, by its shard and its place in it, so each is seen once an epoch, in an
order that is drawn anew over all shards.
"""

from __future__ import annotations

import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Final

from mirada.annotations import Label
from mirada.data.folders import PART_NAMES
from mirada.data.member import Member, file_system, is_far
from mirada.data.output import Output, encoded, suffix_for
from mirada.data.samples import Dataset, Part, Sample, class_labels, part_order
from mirada.data.threads import map_items
from mirada.data.walk import is_folder, is_system, list_folder
from mirada.errors import DataError
from mirada.image import IMAGE_SUFFIXES

__all__ = ["SHARD_SUFFIX", "read_shards", "shards_in", "write_shards"]

SHARD_SUFFIX: Final = ".tar"
CLASS_SUFFIX: Final = ".cls"
CLASS_NAMES: Final = "classes.txt"
LONGEST: Final = 1_000
"""Bytes of a text that tells a class."""
MOST_NAMES: Final = 2**24
"""Bytes of `classes.txt`."""
SHARD_BYTES: Final = 2**28
"""Of images in a shard that is written."""
PIECE: Final = 2**22
"""Bytes that are asked for at once where a shard is read through in object storage."""


@dataclass(frozen=True, slots=True)
class _Shard:
    """An archive.

    Attributes:
        address: its path or address.
        name: how people know it: the path inside the data set.
    """

    address: str
    name: str

    @property
    def part(self) -> Part | None:
        """What its name or its folder tells."""
        words = re.split(r"[^a-z]+", self.name.lower())
        found = {PART_NAMES[word] for word in words if word in PART_NAMES}
        return found.pop() if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class _Image:
    """An image in a shard: its name there, where it lies, and what its text or its folder says; None for nothing."""

    name: str
    member: Member
    said: str | None


def shards_in(root: Path) -> list[Path]:
    """The shards in a folder, or in its folders that are called after parts; the file itself, where it is one."""
    if not is_folder(root):
        return [root] if root.suffix.lower() == SHARD_SUFFIX else []
    folders, files = list_folder(root)
    files += [file for folder in folders if folder.name.lower() in PART_NAMES for file in list_folder(folder)[1]]
    return [file for file in files if file.suffix.lower() == SHARD_SUFFIX]


def read_shards(where: Path | str) -> Dataset:
    """Read a shard, or all shards of a folder or of an address in object storage.

    Only the names in a shard are read from a disk; from object storage it is read through once.

    Raises:
        DataError: there is no shard or no image, one is damaged or compressed, an image has no class, or some shards
            are of a part and others of none.
    """
    if isinstance(where, str):
        shards, listed = _far_shards(where)
    else:
        base = where if is_folder(where) else where.parent
        shards = [_Shard(str(path), path.relative_to(base).as_posix()) for path in shards_in(where)]
        names = base / CLASS_NAMES
        listed = names.read_bytes()[:MOST_NAMES] if names.is_file() else None
    if not shards:
        raise DataError(f"{where}: there are no shards (files that end in {SHARD_SUFFIX}).")
    parts = {shard.part for shard in shards}
    if None in parts and len(parts) > 1:
        odd = next(shard.name for shard in shards if shard.part is None)
        raise DataError(
            f"{where}: the name of {odd} tells no part, and those of other shards do: call it train-, val- or test-."
        )
    names_of = None if listed is None else _lines(f"{where}: {CLASS_NAMES}", listed)
    found: list[tuple[_Shard, list[_Image]]] = []
    passed: Counter[str] = Counter()
    for shard, (images, others) in zip(shards, map_items(_look_through, shards), strict=True):
        found.append((shard, [_named(shard, image, names_of) for image in images]))
        passed += others
    class_names = {image.said for _, images in found for image in images if image.said is not None}
    labels = class_labels(class_names)
    samples = [_sample(shard, image, labels) for shard, images in found for image in images]
    if not samples:
        raise DataError(f"{where}: there is no image in the {len(shards):,} shards.")
    samples.sort(key=lambda sample: part_order(sample.part))
    root = None if isinstance(where, str) else where
    kinds = ", ".join(f"{count:,} {suffix or 'without a suffix'}" for suffix, count in sorted(passed.items()))
    notes = (f"Files in the shards that are not read: {kinds}.",) if passed else ()
    name = where if isinstance(where, str) else where.resolve().name
    return Dataset(name, root, "shards", tuple(labels), tuple(samples), notes)


def _sample(shard: _Shard, image: _Image, labels: dict[str, Label]) -> Sample:
    key = f"{shard.name}/{image.name}"
    if image.said is None:
        stem = PurePosixPath(image.name).with_suffix(CLASS_SUFFIX)
        raise DataError(f"{key}: nothing tells its class: put a text {stem} into the shard, or a folder around it.")
    return Sample(key, labels[image.said], shard.part, member=image.member)


def _named(shard: _Shard, image: _Image, names: Sequence[str] | None) -> _Image:
    """The same image; where its text is a number, with the name of that class."""
    if names is None or image.said is None or not image.said.isdecimal():
        return image
    if int(image.said) >= len(names):
        raise DataError(
            f"{shard.name}/{image.name}: it is of class {image.said}, and {CLASS_NAMES} names {len(names):,}, from 0."
        )
    return _Image(image.name, image.member, names[int(image.said)])


def _look_through(shard: _Shard) -> tuple[list[_Image], Counter[str]]:
    """The images of a shard in their order there, and how many files of each other suffix it holds."""
    images: list[tuple[str, Member]] = []
    said: dict[str, str] = {}
    others: Counter[str] = Counter()
    try:
        with _opened(shard) as archive:
            for entry in archive:
                path = PurePosixPath(entry.name)
                suffix = path.suffix.lower()
                if entry.isdir() or any(is_system(name) for name in path.parts):
                    continue
                if suffix == CLASS_SUFFIX and entry.isreg() and entry.size <= LONGEST:
                    file = archive.extractfile(entry)
                    assert file is not None
                    said[_stem(path)] = _text(shard, entry.name, file.read())
                elif suffix in IMAGE_SUFFIXES and entry.isreg() and not entry.issparse():
                    images.append((entry.name, Member(shard.address, entry.offset_data, entry.size)))
                else:
                    others[suffix] += 1
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(
            f"{shard.address}: this is no whole tar file without compression ({error}). Pack it again with: tar -cf"
        ) from error
    found = []
    for name, member in images:
        path = PurePosixPath(name)
        folder = path.parent.name
        found.append(_Image(name, member, said.get(_stem(path), folder or None)))
    return found, others


def _stem(path: PurePosixPath) -> str:
    """What the files of one image share: all before the first point of the name, as in WebDataset."""
    return str(path.parent / path.name.split(".", 1)[0])


def _text(shard: _Shard, name: str, data: bytes) -> str:
    try:
        text = data.decode().strip()
    except UnicodeDecodeError as error:
        raise DataError(f"{shard.name}/{name}: the class is not a text in UTF-8.") from error
    if not text or "\n" in text:
        raise DataError(f"{shard.name}/{name}: a class is expected, in one line.")
    return text


def _lines(where: str, data: bytes) -> list[str]:
    try:
        return [line.strip() for line in data.decode().splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not a text in UTF-8.") from error


@contextmanager
def _opened(shard: _Shard) -> Iterator[tarfile.TarFile]:
    """The archive: from a disk its contents are passed over, from object storage they are read through."""
    if not is_far(shard.address):
        with tarfile.open(shard.address, "r:") as archive:
            yield archive
        return
    system, path = file_system(shard.address)
    with (
        system.open_input_stream(path, compression=None, buffer_size=PIECE) as stream,
        tarfile.open(fileobj=stream, mode="r|") as archive,
    ):
        yield archive


def _far_shards(address: str) -> tuple[list[_Shard], bytes | None]:
    """The shards at an address, sorted, and what `classes.txt` holds there."""
    from pyarrow import fs

    system, path = file_system(address.rstrip("/"))
    try:
        is_one = system.get_file_info(path).type == fs.FileType.File
        base = path.rsplit("/", 1)[0] if is_one else path
        files = (
            [path] if is_one else [each.path for each in system.get_file_info(fs.FileSelector(path, recursive=True))]
        )
        names = f"{base}/{CLASS_NAMES}"
        has_names = system.get_file_info(names).type == fs.FileType.File
        listed = bytes(system.open_input_file(names).read(MOST_NAMES)) if has_names else None
    except OSError as error:
        raise DataError(f"{address}: this address cannot be read ({error}).") from error
    scheme = address.split("://", 1)[0]
    chosen = sorted(file for file in files if file.lower().endswith(SHARD_SUFFIX))
    return [_Shard(f"{scheme}://{file}", file.removeprefix(f"{base}/")) for file in chosen], listed


def write_shards(output: Output) -> None:
    """Write a data set as shards: each image as it is, and its class as a text beside it."""
    samples, done = output.dataset.samples, 0
    for part in sorted(set(output.parts), key=part_order):
        ahead = iter([i for i, of in enumerate(output.parts) if of == part])
        for number, first in enumerate(ahead):
            path = output.folder / f"{part or 'shard'}-{number:06}{SHARD_SUFFIX}"
            with tarfile.open(path, "w:") as shard:
                for i in chain([first], ahead):
                    label = samples[i].label
                    if label is None:
                        raise DataError(
                            f"{output.dataset.where}: '{samples[i].key}' has no class, which a shard needs."
                        )
                    _add(shard, f"{i:08}{suffix_for(samples[i])}", encoded(samples[i]))
                    _add(shard, f"{i:08}{CLASS_SUFFIX}", label.name.encode())
                    done += 1
                    output.progress("writing shards", done, len(samples))
                    if shard.offset > SHARD_BYTES:
                        break


def _add(shard: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    shard.addfile(entry, BytesIO(data))
