"""Archives of images, called shards, on a disk or in object storage -> a data set; and a data set -> shards.

A shard is a tar file that is not compressed, so that any image in it can be read alone. Two layouts are understood, and
may be mixed: a text beside each image tells its class, in a file of the same name with the suffix `.cls` (as WebDataset
writes them), or the folder that it lies in does.

| in a shard | class |
|---|---|
| `000017.jpg`, `000017.cls` | what the text says; a number is a line, from 0, of a `classes.txt` beside the shards |
| `cat/000017.jpg` | cat |

A shard is of the part that its name or its folder tells: `train/0000.tar`, `imagenet-val-0000.tar`; where these tell
none, an image is of the part that a folder around it tells: `train/cat/000017.jpg`.

Every image is known before training starts, by its shard and its place in it, so each is seen once an epoch, in an
order that is drawn anew over all shards.
"""

from __future__ import annotations

import re
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from mirada.data.faults import Faults
from mirada.data.folders import PART_NAMES
from mirada.data.member import Member, explained, file_system
from mirada.data.output import Output, encoded, suffix_for
from mirada.data.packings import packing_of
from mirada.data.samples import Dataset, Part, Sample, class_labels, distinct, part_order, some
from mirada.data.text import LARGEST, bytes_of, class_name, decoded
from mirada.data.threads import map_items, map_samples, threads_for
from mirada.data.walk import is_file, is_folder, is_system, list_folder
from mirada.errors import DataError
from mirada.image import IMAGE_SUFFIXES
from mirada.stores import is_far

__all__ = ["SHARD_SUFFIX", "read_shards", "shards_in", "write_shards"]

SHARD_SUFFIX: Final = ".tar"
CLASS_SUFFIX: Final = ".cls"
CLASS_NAMES: Final = "classes.txt"
LONGEST: Final = 1_000
"""Bytes of a text that tells a class."""
SHARD_BYTES: Final = 2**28
"""Of images in a shard that is written."""
PIECE: Final = 2**22
"""Bytes that are asked for at once where a shard is read through in object storage."""
BLOCK: Final = 512
"""Bytes of a header in a tar file; zeros after the last file."""


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
        return _part_of(re.split(r"[^a-z]+", self.name.lower()))


@dataclass(frozen=True, slots=True)
class _Image:
    """An image in a shard.

    Attributes:
        key: how people know it.
        member: where it lies.
        text: what the text beside it says; None where there is none.
        folders: around it.
    """

    key: str
    member: Member
    text: str | None
    folders: tuple[str, ...]


def shards_in(root: Path) -> list[Path]:
    """The shards in a folder, or in its folders that are called after parts; the file itself, where it is one."""
    if not is_folder(root):
        return [root] if root.suffix.lower() == SHARD_SUFFIX else []
    folders, files = list_folder(root)
    files += [file for folder in folders if folder.name.lower() in PART_NAMES for file in list_folder(folder)[1]]
    return sorted(file for file in files if file.suffix.lower() == SHARD_SUFFIX)


def read_shards(where: Path | str, faults: Faults | None = None) -> Dataset:
    """Read a shard, or all shards of a folder or of an address in object storage.

    Only the names in a shard are read from a disk; from object storage it is read through once.

    Args:
        where: a path, or, as text, an address.
        faults: takes what cannot be understood; None raises the first.

    Raises:
        DataError: there is no shard or no image, one is damaged or compressed, an image has no class, or some images
            are of a part and others of none.
    """
    faults = faults or Faults()
    notes: list[str] = []
    if isinstance(where, str):
        shards, listed = _far_shards(where)
    else:
        shards, listed = _near_shards(where, notes)
    if not shards:
        raise DataError(f"{where}: there are no shards (files that end in {SHARD_SUFFIX}, without compression).")
    names = None if listed is None else _lines(f"{where}/{CLASS_NAMES}", listed)
    found: list[tuple[str, Part | None, Member, str]] = []
    others: Counter[str] = Counter()
    threads = threads_for(is_far(shards[0].address))
    with closing(map_items(_looked_through, shards, threads=threads)) as outcomes:
        for shard, outcome in zip(shards, outcomes, strict=True):
            if isinstance(outcome, DataError):
                faults.add(outcome)
                continue
            others += outcome[1]
            for image in outcome[0]:
                with faults.kept(image.key):
                    part = shard.part or _part_of(folder.lower() for folder in image.folders)
                    found.append((image.key, part, image.member, _class_of(image, names)))
    if not found:
        raise faults.first_or(f"{where}: there is no image in its shards ({len(shards):,}).")
    with faults.kept():
        _check_parts(where, [(key, part) for key, part, _, _ in found])
    labels = class_labels(name for _, _, _, name in found)
    samples = [Sample(key, labels[name], part, member=member) for key, part, member, name in found]
    samples.sort(key=lambda sample: part_order(sample.part))
    if others:
        kinds = ", ".join(f"{count:,} {suffix or 'without a suffix'}" for suffix, count in sorted(others.items()))
        notes.append(f"Files in the shards that are not read: {kinds}.")
    root = None if isinstance(where, str) else where
    return Dataset(
        where if isinstance(where, str) else where.resolve().name,
        root,
        "shards",
        tuple(labels),
        distinct(where, samples, faults),
        tuple(notes),
        faults=tuple(faults.found),
    )


def _part_of(words: Iterable[str]) -> Part | None:
    """The part that these words tell; None where they tell none, or several."""
    found = {PART_NAMES[word] for word in words if word in PART_NAMES}
    return found.pop() if len(found) == 1 else None


def _class_of(image: _Image, names: Sequence[str] | None) -> str:
    if image.text is None:
        folder = image.folders[-1] if image.folders else ""
        if not folder or folder.lower() in PART_NAMES:
            text = PurePosixPath(image.key).with_suffix(CLASS_SUFFIX).name
            raise DataError(
                f"{image.key}: nothing tells its class: put a text {text} beside it, or a folder around it."
            )
        return folder
    if names is None or not image.text.isdecimal():
        return image.text
    if int(image.text) >= len(names):
        raise DataError(f"{image.key}: it is of class {image.text}, and {CLASS_NAMES} names 0 to {len(names) - 1:,}.")
    return names[int(image.text)]


def _check_parts(where: Path | str, found: Sequence[tuple[str, Part | None]]) -> None:
    parts = {part for _, part in found}
    if None in parts and len(parts) > 1:
        odd = next(key for key, part in found if part is None)
        raise DataError(
            f"{where}: nothing tells the part of {odd}, and that of others is told by the name of their shard or by a "
            "folder: call every shard train-, val- or test-."
        )


def _looked_through(shard: _Shard) -> tuple[list[_Image], Counter[str]] | DataError:
    """The images of a shard in their order, and how many files of each other suffix it holds; or what is wrong."""
    images: list[tuple[PurePosixPath, Member]] = []
    texts: dict[str, str] = {}
    others: Counter[str] = Counter()
    try:
        with explained(shard.address), _opened(shard) as archive:
            for entry in archive:
                path = PurePosixPath(entry.name)
                suffix = path.suffix.lower()
                if entry.isdir() or any(is_system(name) for name in path.parts):
                    continue
                if suffix == CLASS_SUFFIX and entry.isreg() and entry.size <= LONGEST:
                    file = archive.extractfile(entry)
                    assert file is not None
                    texts[str(path.with_suffix(""))] = _text(f"{shard.name}/{entry.name}", file.read())
                elif suffix in IMAGE_SUFFIXES and entry.isreg() and not entry.issparse():
                    images.append((path, Member(shard.address, entry.offset_data, entry.size)))
                else:
                    others[suffix] += 1
            end = archive.offset
        mark = Member(shard.address, end, BLOCK).read()
        if any(mark):
            raise tarfile.ReadError(f"what begins at byte {end:,} is damaged")
        if len(mark) < BLOCK:
            raise tarfile.ReadError("it is cut short: the mark of its end is missing")
    except (tarfile.TarError, EOFError) as error:
        return _no_tar(shard, error)
    except DataError as error:
        return error
    found = []
    for path, member in images:
        # The text of just this name, or, as in WebDataset, of all before the first point of it.
        text = texts.get(str(path.with_suffix("")), texts.get(str(path.parent / path.name.split(".", 1)[0])))
        found.append(_Image(f"{shard.name}/{path}", member, text, path.parent.parts))
    return found, others


def _no_tar(shard: _Shard, error: Exception) -> DataError:
    """What is wrong with a file that cannot be read as an archive without compression."""
    packing = packing_of(Member(shard.address, 0, 6).read())
    if packing is not None and packing.holds_files:
        return DataError(
            f"{shard.address}: this is a {packing.name} archive, no tar file. Unpack it ({packing.unpack}), and give "
            "the folder that comes out"
        )
    if packing is not None:
        return DataError(
            f"{shard.address}: it is compressed by {packing.name}, so no image in it can be read alone. "
            f"Unpack it first: {packing.unpack}"
        )
    return DataError(
        f"{shard.address}: this is no whole tar file ({error}). Fetch it again, or pack it again: "
        "tar -cf NEW.tar FOLDER"
    )


def _text(name: str, data: bytes) -> str:
    said = class_name(decoded(name, data))
    if said is None or "\n" in said:
        raise DataError(f"{name}: a class is expected, in one line.")
    return said


def _lines(name: str, data: bytes) -> list[str]:
    lines = [class_name(line) for line in decoded(name, data).rstrip().splitlines()]
    if None in lines:
        raise DataError(f"{name}, line {lines.index(None) + 1}: the name of a class is expected.")
    return [line for line in lines if line is not None]


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


def _near_shards(where: Path, notes: list[str]) -> tuple[list[_Shard], bytes | None]:
    """The shards at a path, and what `classes.txt` holds there."""
    base = where if is_folder(where) else where.parent
    paths = shards_in(where)
    if is_folder(where):
        folders, files = list_folder(where)
        kept = {*paths, *(path.parent for path in paths), base / CLASS_NAMES}
        beside = [path.name for path in (*folders, *files) if path not in kept]
        notes += [f"What lies beside the shards was not read ({len(beside):,}): {some(beside)}."] if beside else []
    names = base / CLASS_NAMES
    shards = [_Shard(str(path), path.relative_to(base).as_posix()) for path in paths]
    return shards, bytes_of(names) if is_file(names) else None


def _far_shards(address: str) -> tuple[list[_Shard], bytes | None]:
    """The shards at an address, and what `classes.txt` holds there."""
    from pyarrow import fs

    system, path = file_system(address)
    with explained(address):
        is_one = system.get_file_info(path).type == fs.FileType.File
        base = path.rsplit("/", 1)[0] if is_one else path
        found = system.get_file_info([path] if is_one else fs.FileSelector(path, recursive=True))
        inside = sorted((each.path.removeprefix(f"{base}/") for each in found), key=PurePosixPath)
        names = f"{base}/{CLASS_NAMES}"
        has_names = system.get_file_info(names).type == fs.FileType.File
        listed = bytes(system.open_input_file(names).read(LARGEST)) if has_names else None
    parts = urlsplit(address)
    above = parts.path.rstrip("/").rsplit("/", 1)[0] if is_one else parts.path.rstrip("/")
    return [
        _Shard(urlunsplit(parts._replace(path=f"{above}/{quote(name)}")), name)
        for name in inside
        if name.lower().endswith(SHARD_SUFFIX) and all(folder.lower() in PART_NAMES for folder in name.split("/")[:-1])
    ], listed


def write_shards(output: Output) -> None:
    """Write a data set as shards: each image as it is, and its class as a text beside it.

    Raises:
        DataError: an image has no class, or cannot be read.
    """
    samples, done = output.dataset.samples, 0
    for part in sorted(set(output.parts), key=part_order):
        chosen = [i for i, of in enumerate(output.parts) if of == part]
        with closing(map_samples(_packed, [samples[i] for i in chosen])) as packed:
            ahead = zip(chosen, packed, strict=True)
            for number, first in enumerate(ahead):
                with tarfile.open(output.folder / f"{part or 'shard'}-{number:06}{SHARD_SUFFIX}", "w:") as shard:
                    for i, (suffix, data, said) in chain([first], ahead):
                        _add(shard, f"{i:08}{suffix}", data)
                        _add(shard, f"{i:08}{CLASS_SUFFIX}", said)
                        done += 1
                        output.progress("writing shards", done, len(samples))
                        if shard.offset > SHARD_BYTES:
                            break
    output.lost["Names of image files (shards number them from 0)"] = sum(sample.array is None for sample in samples)


def _packed(sample: Sample) -> tuple[str, bytes, bytes]:
    """Suffix and bytes of the image, and what the text beside it says."""
    if sample.label is None:
        raise DataError(f"'{sample.key}' has no class, which a shard needs.")
    return suffix_for(sample), encoded(sample), sample.label.name.encode()


def _add(shard: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    shard.addfile(entry, BytesIO(data))
