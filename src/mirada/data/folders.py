"""Folders of images -> a data set: one folder a class, with train/val/test above it or without.

A folder is read as train/val/test when it has a `train` that holds folders, or when all its folders are called after
parts; what lies beside them is ignored, and a note says so. Otherwise each folder is a class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mirada.data.packings import is_packed_tar
from mirada.data.samples import PARTS, Dataset, Part, Sample, Skipped, class_labels, some
from mirada.data.walk import list_folder, skip_notes, walk
from mirada.errors import DataError

__all__ = ["LAYOUTS", "PART_NAMES", "read_folders"]

# How people call the parts, in any case.
PART_NAMES: Final[Mapping[str, Part]] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}

LAYOUTS: Final = """\
  one folder a class         or, already divided
    data/                      data/
      cat/                       train/
        1.jpg                      cat/  1.jpg ...
        2.jpg                      dog/  2.jpg ...
      dog/                       val/    (may be missing)
        3.jpg                    test/   (may be missing)"""


@dataclass(frozen=True, slots=True)
class _ClassFolder:
    """What one class folder holds: its images in walking order, and what was passed over."""

    folder: Path
    part: Part | None
    images: tuple[Path, ...]
    skipped: tuple[Skipped, ...]


def read_folders(root: Path, *, is_learnt_from: bool = True) -> Dataset:
    """Read class folders, or train/val/test folders of class folders.

    Raises DataError where there is no image, no class folder, a class folder without images (in train, or where there
    are no parts, unless nothing is to be learnt), no train beside val or test, or two folders for one part.
    """
    folders, files = list_folder(root)
    notes: list[str] = []
    visible = _visible(root, folders, notes)
    part_folders = {folder: PART_NAMES[folder.name.lower()] for folder in visible if folder.name.lower() in PART_NAMES}
    if part_folders and (len(part_folders) == len(visible) or _has_divided_train(part_folders)):
        classes = _read_parts(root, part_folders, notes)
        notes += _notes_on_ignored(root, [folder for folder in visible if folder not in part_folders])
        kind = "train/val/test folders"
    else:
        if part_folders and "train" not in part_folders.values():
            raise DataError(_part_beside_classes(root, next(iter(part_folders))))
        classes = [_read_class(root, folder, None) for folder in visible]
        kind = "class folders"
    notes += _check_not_empty(root, classes, files, is_learnt_from=is_learnt_from)
    notes += _check_depth(root, classes) if kind == "class folders" else []
    notes += _notes_on_loose(root, files)
    return _dataset(root, kind, classes, notes)


def _has_divided_train(part_folders: Mapping[Path, Part]) -> bool:
    """Whether a `train` is there and holds folders. One that holds images may be a class: a train on its rails."""
    return any(part == "train" and list_folder(folder)[0] for folder, part in part_folders.items())


def _read_parts(root: Path, part_folders: Mapping[Path, Part], notes: list[str]) -> list[_ClassFolder]:
    folder_of: dict[Part, Path] = {}
    for folder, part in part_folders.items():
        if part in folder_of:
            raise DataError(
                f"{root}: '{folder_of[part].name}' and '{folder.name}' both mean {part}. Keep one of them, or put the "
                "images of both into one."
            )
        folder_of[part] = folder
    if "train" not in folder_of:
        seen = some(folder.name for folder in folder_of.values())
        raise DataError(f"{root}: there is {seen}, but no folder 'train' to learn from. Expected:\n{LAYOUTS}")
    classes = []
    for part in PARTS:
        if part in folder_of:
            folders, files = list_folder(folder_of[part])
            visible = _visible(root, folders, notes)
            if part == "train" and not visible:
                raise DataError(f"{folder_of[part]}: there are no class folders in it. Expected:\n{LAYOUTS}")
            notes += _notes_on_loose(root, files)
            classes += [_read_class(root, folder, part) for folder in visible]
    return classes


def _read_class(root: Path, folder: Path, part: Part | None) -> _ClassFolder:
    images, skipped = [], []
    for path, reason in walk(folder):
        if reason is None:
            images.append(path)
        else:
            skipped.append(Skipped(path.relative_to(root).as_posix(), reason))
    return _ClassFolder(folder, part, tuple(images), tuple(skipped))


def _check_not_empty(root: Path, classes: list[_ClassFolder], files: list[Path], *, is_learnt_from: bool) -> list[str]:
    """A note on the class folders that are empty, where that is no error."""
    if not any(each.images for each in classes):
        raise DataError(_no_images(root, classes, files))
    empty = [each for each in classes if not each.images and each.part in ("train", None)]
    if empty and not is_learnt_from:
        return [f"Class folders without an image: {some(each.folder.name for each in empty)}."]
    if empty:
        names = some(each.folder.relative_to(root).as_posix() for each in empty)
        why = skip_notes(skipped for each in empty for skipped in each.skipped)
        found = f" ({why[0].rstrip('.')})" if why else ""
        raise DataError(
            f"{root}: a class needs images, and there is none in {names}{found}. Add images, or remove the folder."
        )
    return []


def _check_depth(root: Path, classes: list[_ClassFolder]) -> list[str]:
    """Notes on class folders that look like data sets. Raises DataError where the only one is a folder of folders."""
    inner = [(each.folder, [folder.name for folder in list_folder(each.folder)[0]]) for each in classes]
    if len(inner) == 1 and inner[0][1]:
        raise DataError(
            f"{root}: there is one folder only, '{inner[0][0].name}', and it holds folders: {some(inner[0][1])}. "
            f"If these are the classes, give {inner[0][0]}."
        )
    odd = [folder.name for folder, names in inner if any(name.lower() in PART_NAMES for name in names)]
    return [f"Class folders that look like a divided data set of their own: {some(odd)}."] if odd else []


def _no_images(root: Path, classes: list[_ClassFolder], files: list[Path]) -> str:
    tables = [file.name for file in files if file.suffix.lower() in (".csv", ".tsv")]
    images = [path for path, reason in walk(root) if reason is None]
    hint = (
        f"\nOr give the table that lies there, if it has the columns path and label: {root / tables[0]}"
        if tables
        else ""
    )
    if images:
        return (
            f"{root}: the folder holds images ({len(images):,}) but no class folders, so nothing says what they show. "
            f"Expected:\n{LAYOUTS}{hint}"
        )
    if not classes and not files:
        return f"{root}: the folder is empty. Expected:\n{LAYOUTS}"
    if any(is_packed_tar(file) for file in files):
        hint += "\nArchives are read where they are not compressed: unpack each first, such as gunzip NAME.tar.gz"
    seen = some([f"{each.folder.relative_to(root).as_posix()}/" for each in classes] + [file.name for file in files])
    return f"{root}: there is no image in this folder. It holds {seen}. Expected:\n{LAYOUTS}{hint}"


def _part_beside_classes(root: Path, folder: Path) -> str:
    return (
        f"{root}: '{folder.name}' lies beside class folders, but there is no 'train'. Put the class folders into "
        f"'train', or, if '{folder.name}' is a class, give it another name. Expected:\n{LAYOUTS}"
    )


def _dataset(root: Path, kind: str, classes: list[_ClassFolder], notes: list[str]) -> Dataset:
    labels = class_labels(each.folder.name for each in classes if each.images)
    samples = [
        Sample(path.relative_to(root).as_posix(), labels[each.folder.name], each.part, path)
        for each in classes
        for path in each.images
    ]
    empty = [each.folder.relative_to(root).as_posix() for each in classes if not each.images]
    if empty:
        notes.append(f"There is no image in {some(empty)}.")
    notes += skip_notes(skipped for each in classes for skipped in each.skipped)
    return Dataset(root.resolve().name, root, kind, tuple(labels), tuple(samples), tuple(notes))


def _visible(root: Path, folders: Iterable[Path], notes: list[str]) -> list[Path]:
    """The folders without hidden ones and without links that lead back up, each of which leaves a note."""
    above = {root.resolve(), *root.resolve().parents}
    hidden = [folder for folder in folders if folder.name.startswith(".")]
    loops = [folder for folder in folders if folder not in hidden and folder.resolve() in above]
    for passed_over, why in ((hidden, "Hidden folders"), (loops, "Links back to a folder above")):
        if passed_over:
            notes.append(f"{why} were not read: {some(each.relative_to(root).as_posix() for each in passed_over)}.")
    return [folder for folder in folders if folder not in hidden and folder not in loops]


def _notes_on_loose(root: Path, files: list[Path]) -> list[str]:
    """What lies beside class folders has no class."""
    loose = [file.relative_to(root).as_posix() for file in files]
    return [f"Files outside the class folders were not read ({len(loose):,}): {some(loose)}."] if loose else []


def _notes_on_ignored(root: Path, folders: Iterable[Path]) -> list[str]:
    notes = []
    for folder in folders:
        count = sum(reason is None for _, reason in walk(folder))
        notes.append(f"The folder '{folder.name}' ({count:,} images) was ignored: it is none of train, val and test.")
    return notes
