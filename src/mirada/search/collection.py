"""What is to be indexed: folders, tables of images, single images -> their paths, with what is known of each.

| given | label | columns |
|---|---|---|
| a folder, walked to its end | the folder in which an image lies, below the one given | |
| a table `.csv` or `.tsv` with a column `path` | its column `label`, where it has one | all others |
| an image | | |

Nothing is opened here but tables.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirada.data import Skipped
from mirada.data.samples import some
from mirada.data.table import TABLE_SUFFIXES, read_rows
from mirada.data.walk import is_folder, skip_notes, walk
from mirada.errors import DataError
from mirada.search.table import RESERVED
from mirada.search.where import ColumnKind

__all__ = ["Collection", "Found", "collect"]


@dataclass(frozen=True, slots=True)
class Found:
    """An image to be indexed.

    Attributes:
        path: absolute; links are not followed, so that it stays what the person knows.
        source: what was given that led to it, absolute.
        label: its class, or None.
        columns: the cells of its row in a table.
    """

    path: Path
    source: Path
    label: str | None = None
    columns: dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> bytes:
        """The path as the file system has it, whatever its letters are."""
        return os.fsencode(self.path)

    @property
    def said(self) -> bytes:
        """Eight bytes that change with the label and the cells."""
        return hashlib.sha256(json.dumps([self.label, self.columns], sort_keys=True).encode()).digest()[:8]


@dataclass(frozen=True)
class Collection:
    """All that was found.

    Attributes:
        images: each path once, in the order in which they were met.
        columns: of the tables, and what their values are.
        folders, tables: what was given, absolute.
        closed: folders below those given that could not be looked into.
        notes: plain sentences about what was passed over.
    """

    images: tuple[Found, ...]
    columns: dict[str, ColumnKind]
    folders: tuple[Path, ...]
    tables: tuple[Path, ...]
    closed: tuple[Path, ...]
    notes: tuple[str, ...]

    def covers(self, file: bytes, source: bytes) -> bool:
        """Whether an image of this path would have been met, if it were still there."""
        if source in map(os.fsencode, self.tables):
            return True
        is_below = any(file.startswith(os.fsencode(folder) + os.sep.encode()) for folder in self.folders)
        return is_below and not any(file.startswith(os.fsencode(folder) + os.sep.encode()) for folder in self.closed)


def collect(images: Iterable[str | os.PathLike[str]]) -> Collection:
    """Find everything that is to be indexed.

    Raises:
        DataError: nothing exists at one of the paths, a folder cannot be opened, a table cannot be read, or there is no
            image at all.
    """
    given = [Path(os.path.abspath(image)) for image in images]  # noqa: PTH100  Path.resolve would follow links
    found: dict[bytes, Found] = {}
    columns: dict[str, ColumnKind] = {}
    folders, tables, closed, skipped, notes = [], [], [], [], []
    for path in given:
        if is_folder(path):
            folders.append(path)
            for item in _in_folder(path):
                if isinstance(item, Found):
                    found.setdefault(item.file, item)
                else:
                    skipped.append(Skipped(str(item[0]), item[1]))
                    closed += [item[0]] if is_folder(item[0]) else []
        elif path.suffix.lower() in TABLE_SUFFIXES:
            tables.append(path)
            kinds, rows, own = _in_table(path)
            notes += own
            for name, kind in kinds.items():
                if columns.setdefault(name, kind) != kind:
                    raise DataError(f"{path}: the column '{name}' holds a {kind}, in another table a {columns[name]}")
            found.update((row.file, row) for row in rows)
        elif os.path.lexists(path):
            found.setdefault(os.fsencode(path), Found(path, path))
        else:
            raise DataError(f"{path}: there is no such file or folder")
    if not found:
        what = ", ".join(map(str, given[:5]))
        raise DataError(f"there is no image in {what}: the index is left as it is" if given else "no image was given")
    notes += skip_notes(skipped)
    return Collection(tuple(found.values()), columns, tuple(folders), tuple(tables), tuple(closed), tuple(notes))


def _in_folder(folder: Path) -> Iterator[Found | tuple[Path, str]]:
    for path, reason in walk(folder):
        if reason is None:
            yield Found(path, folder, path.parent.name if path.parent != folder else None)
        elif path == folder:
            raise DataError(f"{folder}: {reason}")
        else:
            yield path, reason


def _in_table(table: Path) -> tuple[dict[str, ColumnKind], list[Found], list[str]]:
    every, rows = read_rows(table)
    names = [name for name in every if name.lower() not in RESERVED and not set(name) & set("`.")]
    left_out = [name for name in every if name not in names]
    notes = [f"{table.name}: columns that an index fills itself, or cannot have: {some(left_out)}."] if left_out else []
    cells = {name: [row.cells[name] for row in rows] for name in names}
    kinds = {name: _kind(values) for name, values in cells.items()}
    found = []
    for row in rows:
        values = {name: _value(row.cells[name], kind) for name, kind in kinds.items()}
        found.append(Found(Path(os.path.abspath(row.file)), table, row.label, values))  # noqa: PTH100
    return kinds, found, notes


def _kind(cells: list[str]) -> ColumnKind:
    """What the values of a column are: numbers, where all are; the cells that are empty say nothing."""
    filled = [cell for cell in cells if cell]
    if filled and all(cell.lower() in ("true", "false") for cell in filled):
        return "truth"
    try:
        is_number = bool(filled) and all(abs(float(cell)) < float("inf") for cell in filled)
    except ValueError:
        is_number = False
    return "number" if is_number else "text"


def _value(cell: str, kind: ColumnKind) -> Any:
    if not cell:
        return None
    if kind == "truth":
        return cell.lower() == "true"
    return float(cell) if kind == "number" else cell
