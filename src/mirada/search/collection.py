"""What is to be indexed: folders, tables of images, single images -> their paths, with what is known of each.

| given | label | columns |
|---|---|---|
| a folder, walked to its end | the name of the folder in which an image lies | |
| a table `.csv` or `.tsv` with a column `path` | its column `label`, where it has one | all others |
| an image | | |

Nothing is opened here but tables.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from mirada.data import Skipped
from mirada.data.samples import some
from mirada.data.table import TABLE_SUFFIXES, read_rows
from mirada.data.walk import is_folder, skip_notes, walk
from mirada.errors import DataError
from mirada.search.table import RESERVED
from mirada.search.where import ColumnKind
from mirada.stores import check_here
from mirada.words import visible

__all__ = ["Collection", "Found", "collect", "is_below"]

EXACT: Final = float(2**53)
"""Up to which whole numbers are kept as they are."""
CLOSED: Final = "the folder cannot be opened"
"""How `walk` begins to say so."""
_NUMBER: Final = re.compile(r"[+-]?(?:0|[1-9][0-9]*)?(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?<=[0-9])")


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
        return is_below(file, self.folders) and not is_below(file, self.closed)


def is_below(file: bytes, folders: Iterable[Path]) -> bool:
    """Whether a file lies below one of the folders."""
    return any(file.startswith(os.path.join(os.fsencode(folder), b"")) for folder in folders)  # noqa: PTH118


def collect(images: Iterable[str | os.PathLike[str]]) -> Collection:
    """Find everything that is to be indexed.

    Raises:
        DataError: nothing exists at one of the paths, a folder cannot be opened, a table cannot be read, or there is no
            image at all.
        UsageError: an archive, or an address in object storage, is given.
    """
    images = list(images)
    for image in images:
        check_here(os.fspath(image))
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
                elif not any(part.endswith(".lance") for part in item[0].parts):  # the tables of an index
                    skipped.append(Skipped(str(item[0]), item[1]))
                    closed += [item[0]] if item[1].startswith(CLOSED) else []
        elif path.suffix.lower() in TABLE_SUFFIXES:
            tables.append(path)
            kinds, rows, own = _in_table(path)
            notes += own
            for name, kind in kinds.items():
                if columns.setdefault(name, kind) != kind:
                    raise DataError(f"{path}: the column '{name}' holds a {kind}, in another table a {columns[name]}")
            for row in rows:
                earlier = found.get(row.file)
                label = row.label if row.label is not None or earlier is None else earlier.label
                cells = row.columns if earlier is None else earlier.columns | row.columns
                found[row.file] = replace(row, label=label, columns=cells)
        elif os.path.lexists(path):
            found.setdefault(os.fsencode(path), Found(path, path))
        else:
            raise DataError(
                f"{path}: there is no such file or folder; if its images are to be taken out of an index: mirada index "
                f"--forget {path} -o INDEX"
            )
    if not found:
        what = ", ".join(map(str, given[:5]))
        raise DataError(f"there is no image in {what}: the index is left as it is" if given else "no image was given")
    notes += skip_notes(skipped)
    return Collection(tuple(found.values()), columns, tuple(folders), tuple(tables), tuple(closed), tuple(notes))


def _in_folder(folder: Path) -> Iterator[Found | tuple[Path, str]]:
    for path, reason in walk(folder):
        if reason is None:
            yield Found(path, folder, visible(path.parent.name) or None)
        elif path == folder:
            raise DataError(f"{folder}: {reason}")
        else:
            yield path, reason


def _in_table(table: Path) -> tuple[dict[str, ColumnKind], list[Found], list[str]]:
    every, rows = read_rows(table)
    names = [name for name in every if _can_be_column(name)]
    left_out = [name for name in every if name not in names]
    notes = [f"{table.name}: columns that an index fills itself, or cannot have: {some(left_out)}."] if left_out else []
    cells = {name: [row.cells[name] for row in rows] for name in names}
    kinds = {name: kind for name, values in cells.items() if (kind := _kind(values)) is not None}
    found: dict[bytes, Found] = {}
    for row in rows:
        values = {name: _value(row.cells[name], kind) for name, kind in kinds.items()}
        image = Found(Path(os.path.abspath(row.file)), table, row.label, values)  # noqa: PTH100
        if found.setdefault(image.file, image) != image:
            raise DataError(f"{table}: {row.file} stands in two rows that say different things: keep one of them")
    return kinds, list(found.values()), notes


def _can_be_column(name: str) -> bool:
    return bool(name) and name.lower() not in RESERVED and not name.startswith("_") and not set(name) & set("`.")


def _kind(cells: list[str]) -> ColumnKind | None:
    """What the values of a column are; empty cells say nothing, and where all are empty, neither does the column.

    Numbers only where nothing is lost: 00123 is the name of something.
    """
    filled = [cell for cell in cells if cell]
    if not filled:
        return None
    if all(cell.lower() in ("true", "false") for cell in filled):
        return "truth"
    return "number" if all(_NUMBER.fullmatch(cell) and abs(float(cell)) <= EXACT for cell in filled) else "text"


def _value(cell: str, kind: ColumnKind) -> Any:
    if not cell:
        return None
    if kind == "truth":
        return cell.lower() == "true"
    return float(cell) if kind == "number" else cell
