"""Folders -> files, in sorted order, each with the reason why it is not read, if there is one.

Links are followed, and a folder is entered once, however many links lead to it. Nothing is opened here, and nothing is
ever written.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from mirada.data.samples import Sample, Skipped
from mirada.errors import DataError
from mirada.image import IMAGE_SUFFIXES

__all__ = [
    "images_below",
    "images_in",
    "is_file",
    "is_folder",
    "is_system",
    "lies_in",
    "list_folder",
    "skip_notes",
    "walk",
]

# What operating systems leave behind. It was never anybody's image, so it is passed over without a word.
SYSTEM_NAMES: Final = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", ".directory"})


def is_system(name: str) -> bool:
    """Whether an operating system wrote this file or folder for itself (`.DS_Store`, `._cat.jpg`, `Thumbs.db`)."""
    return name.startswith("._") or name.lower() in SYSTEM_NAMES


def is_folder(path: Path) -> bool:
    """Whether the path leads to a folder. False where that cannot be found out."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether the path leads to a file. False where that cannot be found out, as of a name that is too long."""
    try:
        return path.is_file()
    except OSError:
        return False


def lies_in(place: Path, folder: Path) -> bool:
    """Whether a place, which need not exist, lies below a folder, all links followed; False where it is no folder."""
    return is_folder(folder) and place.resolve().is_relative_to(folder.resolve())


def list_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """The sub-folders and the other entries of a folder, sorted, without system files.

    Raises DataError where the folder cannot be opened.
    """
    try:
        entries = sorted(entry for entry in folder.iterdir() if not is_system(entry.name))
    except OSError as error:
        raise DataError(f"{folder}: the folder cannot be opened ({error.strerror}).") from error
    folders = [entry for entry in entries if is_folder(entry)]
    known = set(folders)
    return folders, [entry for entry in entries if entry not in known]


def walk(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Every file below a folder, depth first and sorted by name: `(path, None)` for what is named like an image.

    Everything else comes as `(path, reason)`: hidden files and folders (not entered), other suffixes, devices and
    pipes, a folder that was entered before (a loop of links), a folder that cannot be opened. System files alone are
    left out. A broken link with the name of an image counts as an image: decoding will say that there is no file.
    """
    entered: set[tuple[int, int]] = set()
    ahead: list[tuple[Path, bool]] = [(folder, True)]
    while ahead:
        path, folder_here = ahead.pop()
        if path != folder and path.name.startswith("."):
            yield path, "it is hidden"
        elif not folder_here:
            yield path, _refusal(path)
        else:
            try:
                status = path.stat()
                if (status.st_dev, status.st_ino) in entered:
                    yield path, "it is a link to a folder that was read already"
                    continue
                entered.add((status.st_dev, status.st_ino))
                with os.scandir(path) as entries:
                    inside = sorted((entry.name, _leads_to_folder(entry)) for entry in entries)
            except OSError as error:
                yield path, f"the folder cannot be opened ({error.strerror})"
                continue
            ahead += [(path / name, is_dir) for name, is_dir in reversed(inside) if not is_system(name)]


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _refusal(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        return f"{suffix} is not the suffix of an image" if suffix else "its name has no suffix of an image"
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError:
        regular = True  # a broken link: kept, so that decoding names it
    return None if regular else "it is not a regular file"


def images_below(folder: Path) -> tuple[list[Path], list[Skipped]]:
    """The images below a folder, and what could have been one but is not read: what is hidden, or cannot be opened."""
    images, skipped = [], []
    for path, reason in walk(folder):
        if reason is None:
            images.append(path)
        elif path.suffix.lower() in IMAGE_SUFFIXES or is_folder(path):
            skipped.append(Skipped(path.as_posix(), reason))
    return images, skipped


def images_in(paths: str | Path | Iterable[str | Path]) -> Iterator[Sample | Skipped]:
    """Every file that the paths lead to, one by one and in a fixed order, for a prediction.

    A file that is given itself always becomes a sample, whatever its name, and even if it does not exist: decoding it
    will say what is wrong. A folder is walked, and each file in it becomes a `Sample` without label, or a `Skipped`
    with the reason, so that the two together account for every file. System files (`.DS_Store`, `._cat.jpg`) alone are
    left out; a hidden folder is one `Skipped`.

    Keys are the paths as they were given, with forward slashes. Memory does not grow with the number of files.
    """
    for given in [paths] if isinstance(paths, str | Path) else paths:
        path = Path(given)
        if not is_folder(path):
            yield Sample(key=path.as_posix(), truth=None, path=path)
            continue
        for file, reason in walk(path):
            key = file.as_posix()
            yield Sample(key=key, truth=None, path=file) if reason is None else Skipped(key, reason)


def skip_notes(skipped: Iterable[Skipped]) -> list[str]:
    """One sentence a reason, with the count and the first example."""
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for each in skipped:
        first.setdefault(each.reason, each.key)
        counts[each.reason] += 1
    notes = []
    for reason, count in sorted(counts.items()):
        if count == 1:
            notes.append(f"'{first[reason]}' was not read: {reason}.")
        else:
            notes.append(f"{count:,} files or folders were not read, such as '{first[reason]}': {reason}.")
    return notes
