"""The images of an index whose vectors are nearest to one.

| numbers in all vectors | where | how | what is missed |
|---|---|---|---|
| up to `IN_MEMORY` | | every vector is compared, in memory | nothing |
| more | in a folder | the nearest cells are looked through, see `mirada.search.cells` | a few, measured |
| more | in object storage | the same by cells of LanceDB's own (IVF_RQ), read as far as needed | a few, measured |
| more | either, while it is being made | every vector is read and compared | nothing |

Does not know: pictures, places, what is said of a hit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Set
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirada.errors import DataError
from mirada.search import cells
from mirada.search.cells import Cells
from mirada.search.database import explained
from mirada.search.effort import Effort, measured
from mirada.search.nearest import Nearest, nearest
from mirada.search.table import Row, Table
from mirada.stores import is_far

__all__ = ["IN_MEMORY", "Approximate", "Exact", "Lookup", "Scan", "is_ready", "lookup", "prepare"]

IN_MEMORY: Final = 100_000_000
"""Numbers in all vectors up to which these are compared one by one: 400 MB, about 30 ms a query."""
FEW: Final = 20_000
"""Images that meet a condition, up to which all of these are compared."""
LARGE_SHARE: Final = 0.1
"""The share of all images from which, where so many are wanted, all are compared."""
GROWTH: Final = 2.0
"""How many times as many images there must be for the index of LanceDB's own to be made anew, not only brought up to
date."""

Found = tuple[NDArray[np.int64], NDArray[np.float32]]


class Lookup(ABC):
    """Finds what is nearest.

    Args:
        table: the index.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def places(self, ids: NDArray[np.int64]) -> list[bytes | None]:
        """What is where in some images, by row id."""
        return [row["places"] for row in self._table.rows(ids, ("places",))]

    def rows(self, ids: NDArray[np.int64]) -> list[Row]:
        """What else is known of some images, by row id."""
        return self._table.rows(ids)

    @abstractmethod
    def __call__(self, query: NDArray[np.float32], k: int, condition: str | None, without: Set[int]) -> Found:
        """The k nearest, the nearest first.

        Args:
            query: (D,), of length 1.
            k: how many, at least 1; fewer where there are not so many.
            condition: in SQL, which they must meet; None for any.
            without: row ids that are left out.

        Returns:
            Row ids (k,) and their vectors (k, D).
        """


class Exact(Lookup):
    """Compares all, which are read when the first is looked for, and kept."""

    @cached_property
    def all(self) -> Found:
        """Row ids and vectors of all images."""
        ids, vectors = zip(_none(self._table), *self._table.vectors(), strict=True)
        return np.concatenate(ids), np.concatenate(vectors)

    def __call__(self, query: NDArray[np.float32], k: int, condition: str | None, without: Set[int]) -> Found:
        """See `Lookup`."""
        ids, vectors = self.all
        allowed = np.ones(len(ids), np.bool_) if condition is None else np.isin(ids, self._table.ids(condition))
        allowed[np.isin(ids, list(without))] = False
        if not allowed.any():
            return _none(self._table)
        near = nearest(vectors, query[np.newaxis], k, allowed)[0][0]
        return ids[near], vectors[near]


class Scan(Lookup):
    """Reads all and compares them, a few thousand at a time."""

    def __call__(self, query: NDArray[np.float32], k: int, condition: str | None, without: Set[int]) -> Found:
        """See `Lookup`."""
        found = Nearest(query[np.newaxis], k)
        for ids, vectors in self._table.vectors(condition):
            kept = ~np.isin(ids, list(without))
            found.tell(ids[kept], vectors[kept])
        return found.ids[0], self._table.seen(found.ids[0])[0]


class Approximate(Lookup):
    """Looks through the nearest cells.

    Args:
        table: the index.
        effort: how many.
        own: the cells; None for LanceDB's own.
    """

    def __init__(self, table: Table, effort: Effort, own: Cells | None) -> None:
        super().__init__(table)
        self._effort, self._cells = effort, own
        self._scan = Scan(table)

    def places(self, ids: NDArray[np.int64]) -> list[bytes | None]:
        """See `Lookup`."""
        if self._cells is None:
            return super().places(ids)
        return [places.tobytes() or None for places in self._cells.places[self._cells.of(ids)]]

    def rows(self, ids: NDArray[np.int64]) -> list[Row]:
        """See `Lookup`."""
        if self._cells is None:
            return super().rows(ids)
        found: list[Row] = self._cells.facts.take(self._cells.of(ids)).to_pylist()
        return found

    def __call__(self, query: NDArray[np.float32], k: int, condition: str | None, without: Set[int]) -> Found:
        """See `Lookup`. Of few images that meet a condition, all are compared."""
        effort = self._effort
        if condition is not None:
            count = self._table.count(condition)
            if count <= FEW:
                return self._scan(query, k, condition, without)
            effort = effort.among(count / max(1, len(self._table)))
        more = k + len(without)
        if more > LARGE_SHARE * len(self._table):
            return self._scan(query, k, condition, without)
        if self._cells is None:
            found = self._table.near(query, more, effort, condition)
        else:
            found = self._cells(query, more, effort, None if condition is None else self._table.ids(condition))
        return _compared(*found, query, k, without)


def lookup(table: Table) -> Lookup:
    """How the images of an index are looked for."""
    if not _is_large(table):
        return Exact(table)
    effort = table.about.get("effort")
    own = None if is_far(table.place) else Cells.open(_folder(table), table.version)
    if effort is None or (own is None and not is_far(table.place)):
        return Scan(table)
    return Approximate(table, Effort.from_json(effort), own)


def prepare(table: Table) -> Effort | None:
    """Make what a large index is looked through with, or bring it up to date; None for a small one."""
    folder = _folder(table)
    if not _is_large(table):
        if not is_far(table.place):
            cells.remove(folder)
        return None
    table.find_by_path()
    if is_far(table.place):
        made_of = int(table.about.get("cells_of") or 0)
        if not made_of / GROWTH < len(table) < made_of * GROWTH:
            table.make_cells(len(table) // cells.PER_CELL)
            table.tell(cells_of=len(table))
        return measured(table, lambda query, k, effort: table.near(query, k, effort)[0])
    wanted = max(cells.DIRECTIONS_FROM, cells.LEARNT_FROM * len(table) // cells.PER_CELL)
    sample = table.seen(table.drawn(wanted))[0]
    with explained(table.place):
        cells.make(folder, table.version, sample, table.blocks, table.facts())
    own = Cells.open(folder, table.version)
    assert own is not None
    return measured(table, lambda query, k, effort: own(query, k, effort)[0])


def is_ready(table: Table) -> bool:
    """Whether what a large index is looked through with is there, and fits it; of a small one nothing is needed."""
    if not _is_large(table) or is_far(table.place):
        return True
    try:
        return Cells.open(_folder(table), table.version) is not None
    except DataError:
        return False


def _is_large(table: Table) -> bool:
    return len(table) * table.dimension > IN_MEMORY


def _folder(table: Table) -> Path:
    """Where the cells lie, inside the folder of the index."""
    return Path(table.place) / "cells.mirada"


def _none(table: Table) -> Found:
    return np.zeros(0, np.int64), np.zeros((0, table.dimension), np.float32)


def _compared(
    ids: NDArray[np.int64], vectors: NDArray[np.float32], query: NDArray[np.float32], k: int, without: Set[int]
) -> Found:
    """The k nearest of a few."""
    kept = ~np.isin(ids, list(without))
    ids, vectors = ids[kept], vectors[kept]
    order = np.argsort(-(vectors @ query), kind="stable")[:k]
    return ids[order], vectors[order]
