"""A CSV file -> a data set: one row an image, with the columns path, label and, if wanted, split.

A column `labels` (or tags, classes) in the place of `label` holds several classes, or none, with `;` or `|` between
them.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mirada.annotations import Label, Labels
from mirada.data.faults import Faults
from mirada.data.folders import PART_NAMES
from mirada.data.samples import Dataset, Part, Sample, Task, class_labels, part_order, some
from mirada.data.text import text_of
from mirada.data.walk import is_file, is_folder
from mirada.errors import DataError

__all__ = ["TABLE_SUFFIXES", "TableRow", "read_rows", "read_table"]

TABLE_SUFFIXES: Final = frozenset({".csv", ".tsv"})
LARGEST: Final = 1 << 30
"""Bytes of a table that is read."""
DELIMITERS: Final = (",", ";", "\t")
# The first name of each is what mirada calls the column; where it is there, the others are ordinary columns.
PATH_NAMES: Final = ("path", "file", "filename", "image")
LABEL_NAMES: Final = ("label", "class", "category")
SEVERAL_NAMES: Final = ("labels", "tags", "classes")
SPLIT_NAMES: Final = ("split", "part", "set")


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the columns stand, counted from 0, and how the table spells their names."""

    names: tuple[str, ...]
    path: int
    label: int
    split: int | None
    has_several: bool

    @property
    def others(self) -> tuple[int, ...]:
        """The columns that are none of these."""
        return tuple(i for i in range(len(self.names)) if i not in (self.path, self.label, self.split))


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    key: str
    file: Path
    classes: tuple[str, ...]
    part: Part | None
    cells: dict[str, str]


def read_table(table: Path, *, is_learnt_from: bool = True, faults: Faults | None = None) -> Dataset:
    """Read a table of images.

    Args:
        is_learnt_from: whether there must be rows to train on.
        faults: keeps what cannot be understood; where it is kept, so are files that do not exist.

    The header names the columns path (or file, filename, image), label (or class, category) and perhaps split (or part,
    set), in any case and order. The delimiter is a comma, a semicolon or a tab; the text is UTF-8, with or without a
    byte order mark. A path is absolute, or relative to the folder of the table.

    Raises DataError with the line and the column: a column that is missing, a row of another length, an empty cell, a
    file that does not exist, a file that is listed twice with different labels, an unknown split.
    """
    faults = faults or Faults()
    text = text_of(table, LARGEST)
    delimiter, columns = _read_header(table, text)
    _check_named_once(table, [columns.names[column] for column in columns.others if columns.names[column]])
    rows: dict[str, _Row] = {}
    missing: list[_Row] = []
    repeated = 0
    for row in _rows(table, _records(table, text, delimiter), columns, faults):
        earlier = rows.setdefault(row.key, row)
        if earlier is not row:
            with faults.kept(row.key, "twice"):
                _check_same(table, row, earlier)
                repeated += 1
        elif not is_file(row.file):
            missing.append(row)
    if missing and not faults.are_kept:
        raise DataError(_missing_files(table, columns, missing))
    if not rows:
        raise faults.first_or(f"{table}: there is no row below the header. Add one row an image.")
    if is_learnt_from and columns.split is not None and not any(row.part == "train" for row in rows.values()):
        raise DataError(
            f"{table}: no row has 'train' in the column '{columns.names[columns.split]}', so nothing to learn from."
        )
    return dataclasses.replace(_dataset(table, columns, list(rows.values()), repeated), faults=tuple(faults.found))


def _rows(table: Path, records: Iterator[tuple[int, list[str]]], columns: _Columns, faults: Faults) -> Iterator[_Row]:
    """The rows below the header, up to one behind which no other can be found."""
    next(records)
    with faults.kept():
        for line, cells in records:
            with faults.kept():
                yield _read_row(table, line, cells, columns)


@dataclass(frozen=True, slots=True)
class TableRow:
    """An image of a table, with all that the table says of it.

    Args:
        file: absolute, or relative to the current folder.
        label: its class, or None where the table has no such column, or an empty cell.
        cells: those of the other columns, by name.
    """

    file: Path
    label: str | None
    cells: dict[str, str]


def read_rows(table: Path) -> tuple[tuple[str, ...], list[TableRow]]:
    """Read a table of images of which nothing is to be learnt: a column path, and any others, label perhaps among them.

    Returns the names of the columns besides path and label, and the rows. Files need not exist.

    Raises DataError with the line: no column path, a row of another length, an empty path, a column named twice.
    """
    text = text_of(table, LARGEST)
    delimiter, names, path, label = _read_loose_header(table, text)
    others = [column for column in range(len(names)) if column not in (path, label)]
    _check_named_once(table, [names[column] for column in others])
    rows = []
    records = _records(table, text, delimiter)
    next(records)  # the header
    for line, cells in records:
        _check_length(table, line, cells, names)
        if not cells[path]:
            raise DataError(f"{table}, line {line}, column '{names[path]}': the cell is empty.")
        _, file = _locate(table.parent, cells[path])
        rows.append(
            TableRow(file, (cells[label] or None) if label is not None else None, {names[i]: cells[i] for i in others})
        )
    return tuple(names[column] for column in others), rows


def _check_named_once(table: Path, names: Sequence[str]) -> None:
    lowered = [name.lower() for name in names]
    twice = [name for name in names if lowered.count(name.lower()) > 1]
    if twice:
        raise DataError(f"{table}, line 1: there are two columns '{twice[0]}'. Give each a name of its own.")


def _read_loose_header(table: Path, text: str) -> tuple[str, list[str], int, int | None]:
    """The delimiter under which the first row has a column path, all names, and where path and label stand."""
    for delimiter in DELIMITERS:
        try:
            _, names = next(_records(table, text, delimiter), (0, []))
        except DataError:  # quotes that make no sense under this delimiter
            continue
        path = _find(table, names, PATH_NAMES)
        if path is not None:
            return delimiter, names, path, _find(table, names, LABEL_NAMES)
    raise DataError(f"{table}, line 1: there is no column path. The first row must name the columns.")


def _check_length(table: Path, line: int, cells: list[str], names: Sequence[str]) -> None:
    if len(cells) != len(names):
        raise DataError(
            f"{table}, line {line}: cells: {len(cells)}, columns in the header: {len(names)}. "
            "Put quotes around a text that holds the delimiter."
        )


def _dataset(table: Path, columns: _Columns, rows: list[_Row], repeated: int) -> Dataset:
    labels = class_labels(name for row in rows for name in row.classes)
    if not labels:
        raise DataError(f"{table}: no row has a class in the column '{columns.names[columns.label]}'.")
    rows.sort(key=lambda row: part_order(row.part))  # stable: within a part, the order of the table

    def truth(row: _Row) -> Label | Labels:
        return Labels(tuple(labels[name] for name in row.classes)) if columns.has_several else labels[row.classes[0]]

    samples = tuple(Sample(row.key, truth(row), row.part, row.file, cells=row.cells) for row in rows)
    unused = [columns.names[column] for column in columns.others]
    notes = [f"Columns that are not learnt from: {some(unused)}."] if unused else []
    if repeated:
        notes.append(f"Rows that repeat an earlier row and were read once: {repeated:,}.")
    task: Task = "tag" if columns.has_several else "classify"
    return Dataset(table.stem, table, "CSV", tuple(labels), samples, tuple(notes), task)


def _records(table: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The line (from 1) on which a record begins, and its cells, stripped. Blank lines are passed over."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begin = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield begin, [cell.strip() for cell in cells]
            begin = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{table}, line {begin}: not a row of a table ({error}).") from error


def _read_header(table: Path, text: str) -> tuple[str, _Columns]:
    """The delimiter under which the first row names the columns, and these columns."""
    best: list[str] = []
    for delimiter in DELIMITERS:
        try:
            _, names = next(_records(table, text, delimiter), (0, []))
        except DataError:  # quotes that make no sense under this delimiter
            continue
        path, one, split = (_find(table, names, wanted) for wanted in (PATH_NAMES, LABEL_NAMES, SPLIT_NAMES))
        label = _find(table, names, SEVERAL_NAMES) if one is None else one
        if path is not None and label is not None:
            return delimiter, _Columns(tuple(names), path, label, split, has_several=one is None)
        best = max(best, names, key=len)
    if not best:
        raise DataError(
            f"{table}: the table is empty. Its first row must name the columns: path,label or path,label,split."
        )
    lowered = [name.lower() for name in best]
    absent = [names[0] for names in (PATH_NAMES, LABEL_NAMES) if not set(names) & set(lowered)]
    raise DataError(
        f"{table}, line 1: there is no column {' and no column '.join(absent)}; the columns are {some(best)}. "
        "The first row must name the columns: path,label or path,label,split."
    )


def _find(table: Path, names: list[str], wanted: tuple[str, ...]) -> int | None:
    """The column of a name. The first of the wanted names comes before the others, which must not compete."""
    lowered = [name.lower() for name in names]
    found = [column for column, name in enumerate(lowered) if name == wanted[0]]
    found = found or [column for column, name in enumerate(lowered) if name in wanted]
    if len(found) > 1:
        both = some(names[column] for column in found)
        raise DataError(f"{table}, line 1: which column is the {wanted[0]}, {both}? Call one of them '{wanted[0]}'.")
    return found[0] if found else None


def _read_row(table: Path, line: int, cells: list[str], columns: _Columns) -> _Row:
    _check_length(table, line, cells, columns.names)
    for column in (columns.path, None if columns.has_several else columns.label, columns.split):
        if column is not None and not cells[column]:
            raise DataError(f"{table}, line {line}, column '{columns.names[column]}': the cell is empty.")
    part: Part | None = None
    if columns.split is not None:
        part = PART_NAMES.get(cells[columns.split].lower())
        if part is None:
            raise DataError(
                f"{table}, line {line}, column '{columns.names[columns.split]}': '{cells[columns.split]}' is unknown. "
                "Write train, val or test."
            )
    key, file = _locate(table.parent, cells[columns.path])
    written = cells[columns.label]
    several = {name.strip() for name in re.split(r"[;|]", written)} - {""} if columns.has_several else {written}
    return _Row(line, key, file, tuple(sorted(several)), part, {columns.names[i]: cells[i] for i in columns.others})


def _locate(folder: Path, written: str) -> tuple[str, Path]:
    """The key and the file that a cell means. Where no file has backslashes in its name, they are read as slashes."""
    file = folder / written
    if "\\" in written and not is_file(file):
        written = written.replace("\\", "/")
        file = folder / written
    return Path(os.path.normpath(written)).as_posix(), file


def _check_same(table: Path, row: _Row, earlier: _Row) -> None:
    if (row.classes, row.part) != (earlier.classes, earlier.part):
        said, before = (", ".join([*each.classes, *([each.part] if each.part else [])]) for each in (row, earlier))
        raise DataError(
            f"{table}, line {row.line}: '{row.key}' is listed as '{said}', but on line {earlier.line} as '{before}'. "
            "An image has one label and one split: keep one of the rows."
        )


def _missing_files(table: Path, columns: _Columns, missing: list[_Row]) -> str:
    first = missing[0]
    what = "is not a file" if is_folder(first.file) else "does not exist"
    more = f" The same is true of {len(missing) - 1:,} more rows." if len(missing) > 1 else ""
    return (
        f"{table}, line {first.line}, column '{columns.names[columns.path]}': {first.file} {what}. "
        f"A path is absolute, or starts in the folder of the table.{more}"
    )
