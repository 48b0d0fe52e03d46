"""The tables of an index, kept by LanceDB in a folder or in object storage.

```
INDEX/
  images.lance   one row an image that could be read: what is known of it, and its vector
  unread.lance   one row an image that could not: its path and the reason
  about.lance    one row of JSON: the version of this format, what made the vectors, the columns, what was measured
```

A change is one new version of a table, whole or not at all: a process may be killed at any moment, and others may read
meanwhile. `about` is made last, so an index that was not made whole is none.

Does not know: networks, pixels, how near two vectors are.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mirada.errors import DataError, UsageError
from mirada.search.database import connected, explained, opened
from mirada.search.where import ColumnKind
from mirada.search.writer import OLD
from mirada.stores import is_far
from mirada.words import visible

if TYPE_CHECKING:
    import pyarrow as pa

    from mirada.search.effort import Effort

__all__ = ["COLUMNS", "FORMAT", "RESERVED", "Known", "Row", "Table", "matrix_of"]

FORMAT: Final = 3
"""Of the tables; one more where an older mirada could not read them, or this one not those of older ones."""

COLUMNS: Final[dict[str, ColumnKind]] = {
    "path": "text",
    "label": "text",
    "width": "number",
    "height": "number",
    "bytes": "number",
    "taken": "text",
    "camera": "text",
    "hash": "text",
}
"""Those that every index has, and that a condition may name."""

RESERVED: Final = frozenset(
    {*COLUMNS, "file", "source", "modified", "said", "look", "places", "vector", "similarity", "nearer_than"}
)
"""Names that no column of the person's table can have, nor any that begins with _."""

Row = dict[str, Any]
"""What is known of one image, by column: those of `COLUMNS`, of the person's table, and those of `Known`; `file`, the
path as bytes; `look`, 8 bytes that tell the picture, not the file; `places`, what is where, as bytes, or None."""

_WHOLE: Final = frozenset({"width", "height", "bytes"})
_LEAST: Final = "modified"
"""A column of a few bytes, for where only row ids are wanted: of no column LanceDB reads all."""
_IMAGES, _UNREAD, _ABOUT = "images", "unread", "about"


@dataclass(frozen=True, slots=True)
class Known:
    """What tells whether an image has changed.

    Attributes:
        size: bytes of its file.
        modified: the time of its last change, in nanoseconds.
        hash: SHA-256 of its content.
        said: a hash of what is said of it: its label, and its row in a table.
        source: what was given that led to it.
    """

    size: int
    modified: int
    hash: str
    said: bytes
    source: bytes


class Table:
    """An index that is open.

    Attributes:
        place: the folder, or the address in object storage.
        about: what is known of the whole: `format`, `maker` (what makes the vectors), `dimension`, `columns` (those
            that a condition may name, and what their values are), `settled` (whether what was measured of the whole is
            true of it as it is now), and what was measured.
    """

    def __init__(self, place: str, database: Any, about: Any) -> None:
        self.place = place
        self._database = database
        self.about = _about(place, about)
        self._images = database.open_table(_IMAGES)

    def __len__(self) -> int:
        return int(self._images.count_rows())

    @classmethod
    def open(cls, place: str) -> Table:
        """Open what is there.

        Raises:
            DataError: there is no index, or one of a later version of mirada.
        """
        found = cls.find(place)
        if found is None:
            raise DataError(f"{place}: there is no index: make one with mirada index IMAGES... -o {place}")
        return found

    @classmethod
    def find(cls, place: str) -> Table | None:
        """Open what is there; None where there is no index.

        Raises:
            DataError: there is one of another version of mirada.
        """
        with explained(place):
            if not is_far(place) and not (Path(place) / f"{_ABOUT}.lance").is_dir():  # connecting would make it
                return None
            database = connected(place)
            about = opened(database, _ABOUT)
            return None if about is None else cls(place, database, about)

    @classmethod
    def create(
        cls, place: str, maker: Mapping[str, Any], dimension: int, projection: Mapping[str, Any] | None
    ) -> Table:
        """Make an empty one. What was left there by a process that was killed before it had made one is replaced.

        Args:
            maker: what will make the vectors, plain values.
            dimension: of the vectors.
            projection: what is made of the places, plain values; None where there are none.

        Raises:
            UsageError: it cannot be written there, or there are tables of others.
        """
        database = connected(place)
        with explained(place):
            for name, own in ((_IMAGES, _schema(COLUMNS, dimension)), (_UNREAD, _unread_schema())):
                there = opened(database, name)
                if there is not None and not set(own.names) <= set(there.schema.names):
                    raise UsageError(f"{place} holds a table '{name}' that is not mirada's: name another place with -o")
            database.create_table(_IMAGES, schema=_schema(COLUMNS, dimension), mode="overwrite")
            database.create_table(_UNREAD, schema=_unread_schema(), mode="overwrite")
            about = {
                "format": FORMAT,
                "maker": dict(maker),
                "dimension": dimension,
                "columns": COLUMNS,
                "projection": projection,
                "settled": False,
            }
            return cls(place, database, database.create_table(_ABOUT, data=_about_row(about), mode="overwrite"))

    @property
    def columns(self) -> dict[str, ColumnKind]:
        """Those that a condition may name, and what their values are."""
        return dict(self.about["columns"])

    @property
    def version(self) -> int:
        """Of the images: one more with each change, so that row ids of another may mean other images."""
        return int(self._images.version)

    @property
    def dimension(self) -> int:
        """Of the vectors."""
        return int(self.about["dimension"])

    def tell(self, **facts: Any) -> None:
        """Add to what is known of the whole, or replace it."""
        self.about = {**self.about, **facts}
        with explained(self.place):
            self._database.open_table(_ABOUT).add(_about_row(self.about), mode="overwrite")

    def add_columns(self, columns: Mapping[str, ColumnKind]) -> None:
        """Add columns of the person's table, without a value for the images that are there.

        Raises:
            UsageError: one of them holds other values than before.
        """
        for name, kind in columns.items():
            had = self.columns.get(name)
            if had not in (None, kind):
                raise UsageError(
                    f"the column '{name}' holds a {kind}, but in the index {self.place} a {had}: give the column "
                    "another name, or make a new index"
                )
        new = {name: kind for name, kind in columns.items() if name not in self.columns}
        if new:
            import pyarrow as pa

            with explained(self.place):
                have = set(self._images.schema.names)  # a killed process may have added some
                lacking = [pa.field(name, _type(name, kind)) for name, kind in new.items() if name not in have]
                if lacking:
                    self._images.add_columns(pa.schema(lacking))
            self.tell(columns=self.columns | new)

    def known(self) -> dict[bytes, Known]:
        """Every image that is there, by its path."""
        found: dict[bytes, Known] = {}
        names = ("file", "bytes", "modified", "hash", "said", "source")
        for batch in self.batches(names):
            rows = zip(*(batch.column(name).to_pylist() for name in names), strict=True)
            found.update((file, Known(*known)) for file, *known in rows)
        return found

    def seen_of(self, contents: Sequence[str]) -> dict[str, tuple[NDArray[np.float32], bytes | None]]:
        """Vector (D,) and places of images by the SHA-256 of their content, for those that are there."""
        found: dict[str, tuple[NDArray[np.float32], bytes | None]] = {}
        for begin in range(0, len(contents), 1_000):
            hashes = ", ".join(f"'{content}'" for content in contents[begin : begin + 1_000])
            for batch in self.batches(("hash", "places", "vector"), f"hash IN ({hashes})"):
                seen = zip(matrix_of(batch), batch.column("places").to_pylist(), strict=True)
                found.update(zip(batch.column("hash").to_pylist(), seen, strict=True))
        return found

    def put(self, rows: Sequence[Row], vectors: NDArray[np.floating], *, are_new: bool) -> None:
        """Add images, or put them in the place of those of the same path, all at once.

        Args:
            rows: a column that one lacks is unknown.
            vectors: (N, D).
            are_new: whether no image of these paths is there.
        """
        import pyarrow as pa

        if not rows:
            return
        schema = _schema(self.columns, self.dimension)
        arrays = [pa.array([row.get(field.name) for row in rows], field.type) for field in list(schema)[:-1]]
        flat = pa.array(np.ascontiguousarray(vectors, np.float16).ravel())
        arrays.append(pa.FixedSizeListArray.from_arrays(flat, self.dimension))
        data = pa.Table.from_arrays(arrays, schema=schema)
        with explained(self.place):
            if are_new:
                self._images.add(data)
            else:
                merge = self._images.merge_insert("file").when_matched_update_all().when_not_matched_insert_all()
                merge.execute(data)

    def remove(self, files: Sequence[bytes]) -> None:
        """Take images out."""
        with explained(self.place):
            for begin in range(0, len(files), 1_000):
                self._images.delete(f"file IN ({', '.join(map(_literal, files[begin : begin + 1_000]))})")

    def unread(self) -> dict[bytes, tuple[str, bytes]]:
        """The images that could not be read, by path: why, and what was given that led to each."""
        with explained(self.place):
            table = self._database.open_table(_UNREAD).to_arrow()
        rows = zip(*(table[name].to_pylist() for name in _unread_schema().names), strict=True)
        return {file: (reason, source) for file, reason, source in rows}

    def tell_unread(self, unread: Mapping[bytes, tuple[str, bytes]]) -> None:
        """Say which images could not be read, in the place of what was said before."""
        import pyarrow as pa

        rows = [(file, reason, source) for file, (reason, source) in unread.items()]
        columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
        table = pa.table(columns, schema=_unread_schema())
        with explained(self.place):
            self._database.open_table(_UNREAD).add(table, mode="overwrite")

    def batches(self, columns: Sequence[str], where: str | None = None) -> Iterator[pa.RecordBatch]:
        """Some columns, and `_rowid`, of all rows, or of those for which a filter in SQL is true."""
        query = self._images.search().select(list(columns) or [_LEAST]).with_row_id(True)
        if where is not None:
            query = query.where(where)
        with explained(self.place):
            yield from query.to_batches(batch_size=8_192)

    def rows(self, ids: NDArray[np.int64], columns: Sequence[str] | None = None) -> list[Row]:
        """What is known of some images, in this order: the columns that a condition may name and `file`, or these."""
        rows: list[Row] = self._taken(ids, [*self.columns, "file"] if columns is None else columns).to_pylist()
        return rows

    def row(self, file: bytes) -> Row | None:
        """What is known of one image; None where it is not there."""
        names = [*self.columns, "file", "modified"]
        path = visible(os.fsdecode(file)).replace("'", "''")  # of which large tables have an index
        where = f"path = '{path}' AND file = {_literal(file)}"
        batches = [batch for batch in self.batches(names, where) if len(batch)]
        return dict(batches[0].to_pylist()[0]) if batches else None

    def ids(self, condition: str | None = None) -> NDArray[np.int64]:
        """The row ids of all images, or of those for which a filter in SQL is true: (N,)."""
        batches = [batch.column("_rowid").to_numpy() for batch in self.batches((), condition)]
        return np.concatenate([np.zeros(0, np.int64), *batches]).astype(np.int64)

    def count(self, condition: str) -> int:
        """For how many images a filter in SQL is true."""
        with explained(self.place):
            return int(self._images.count_rows(condition))

    def vectors(self, condition: str | None = None) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Row ids (n,) and vectors (n, D), some at a time."""
        for batch in self.batches(("vector",), condition):
            yield batch.column("_rowid").to_numpy().astype(np.int64), matrix_of(batch)

    def blocks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32], list[bytes | None]]]:
        """Row ids (n,), vectors (n, D) and places of all images, some at a time, always in the same order."""
        for batch in self.batches(("places", "vector")):
            ids = batch.column("_rowid").to_numpy().astype(np.int64)
            yield ids, matrix_of(batch), batch.column("places").to_pylist()

    def facts(self) -> pa.Table:
        """What else is known of all images, in the order of `blocks`."""
        import pyarrow as pa

        names = [*self.columns, "file"]
        batches = list(self.batches(names))
        empty = pa.schema([self._images.schema.field(name) for name in names]).empty_table()
        return pa.Table.from_batches(batches).select(names) if batches else empty

    def seen(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.float32], list[bytes | None]]:
        """Vectors (N, D) and places of some images, in this order."""
        table = self._taken(ids, ("places", "vector"))
        return _matrix(table, self.dimension), table["places"].to_pylist()

    def _taken(self, ids: NDArray[np.int64], columns: Sequence[str]) -> pa.Table:
        """Some columns of some images, in this order."""
        with explained(self.place):
            taken = self._images.take_row_ids([int(i) for i in ids]).select(list(columns)).with_row_id().to_arrow()
        have = taken["_rowid"].to_numpy()
        sorter = np.argsort(have)
        return taken.select(list(columns)).take(sorter[np.searchsorted(have, ids, sorter=sorter)])

    def drawn(self, most: int) -> NDArray[np.int64]:
        """The row ids of images drawn at random, the same for the same table."""
        return np.random.default_rng(0).permutation(self.ids())[:most]

    def near(
        self, query: NDArray[np.float32], k: int, effort: Effort, condition: str | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """What LanceDB finds by cells of its own: row ids (k,) and vectors (k, D), the nearest first, perhaps not all.

        Args:
            query: (D,).
            condition: a filter in SQL.
        """
        search = (
            self._images.search(query).distance_type("l2").select(["vector", "_distance"]).with_row_id(True).limit(k)
        )
        search = search.nprobes(effort.cells).refine_factor(math.ceil(effort.candidates / k))
        if condition is not None:
            search = search.where(condition, prefilter=True)
        with explained(self.place):
            found = search.to_arrow()
        return found["_rowid"].to_numpy().astype(np.int64), _matrix(found, self.dimension)

    def make_cells(self, cells: int) -> None:
        """Let LanceDB put the vectors into so many cells of its own (RaBitQ: Gao and Long 2024)."""
        from lancedb.index import IvfRq, IvfSq

        code = IvfRq if self.dimension % 8 == 0 else IvfSq
        kind = code(distance_type="l2", num_partitions=cells, max_iterations=10, sample_rate=64)
        with explained(self.place):
            self._images.create_index("vector", config=kind, replace=True)

    def find_by_path(self) -> None:
        """Make `row` fast in a large table; `tidy` keeps it so."""
        from lancedb.index import BTree

        with explained(self.place):
            if not any(index.columns == ["path"] for index in self._images.list_indices()):
                self._images.create_index("path", config=BTree())

    def tidy(self) -> None:
        """Join small pieces, and forget what was replaced a while ago."""
        with explained(self.place):
            for name in (_IMAGES, _UNREAD, _ABOUT):
                self._database.open_table(name).optimize(cleanup_older_than=OLD)
            self._images = self._database.open_table(_IMAGES)


def matrix_of(batch: pa.RecordBatch) -> NDArray[np.float32]:
    """The vectors (N, D) of a batch."""
    column = batch.column("vector")
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, np.float32).reshape(len(column), -1)


def _matrix(table: pa.Table, dimension: int) -> NDArray[np.float32]:
    """The vectors (N, D) of a table."""
    parts = [matrix_of(batch) for batch in table.to_batches() if len(batch)]
    return np.concatenate(parts) if parts else np.zeros((0, dimension), np.float32)


def _schema(columns: Mapping[str, ColumnKind], dimension: int) -> pa.Schema:
    import pyarrow as pa

    fields = [pa.field(name, _type(name, kind)) for name, kind in columns.items()]
    fields += [pa.field("file", pa.binary()), pa.field("source", pa.binary()), pa.field("modified", pa.int64())]
    fields += [pa.field("said", pa.binary(8)), pa.field("look", pa.binary(8)), pa.field("places", pa.binary())]
    return pa.schema([*fields, pa.field("vector", pa.list_(pa.float16(), dimension))])


def _unread_schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([pa.field("file", pa.binary()), pa.field("reason", pa.string()), pa.field("source", pa.binary())])


def _type(name: str, kind: ColumnKind) -> pa.DataType:
    import pyarrow as pa

    return pa.int64() if name in _WHOLE else {"text": pa.string(), "number": pa.float64(), "truth": pa.bool_()}[kind]


def _literal(file: bytes) -> str:
    return f"X'{file.hex()}'"


def _about_row(about: Mapping[str, Any]) -> pa.Table:
    import pyarrow as pa

    return pa.table({"json": [json.dumps(about)]})


def _about(place: str, table: Any) -> dict[str, Any]:
    try:
        about = json.loads(table.to_arrow()["json"][-1].as_py())
        version = int(about["format"])
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise DataError(f"{place}: there are tables, but no index of mirada's") from error
    if version < FORMAT:
        raise DataError(
            f"{place}: the index has format {version}, this mirada reads {FORMAT}: remove it, and index anew"
        )
    if version > FORMAT:
        raise DataError(f"{place}: the index has format {version}, this mirada reads up to {FORMAT}: upgrade mirada")
    return dict(about)
