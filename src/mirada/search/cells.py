"""The vectors of a large index in cells, so that few of them need to be compared with a query.

The main directions in which the vectors differ are found (PCA), each vector is kept a second time in its first 128
coordinates there, its code, and the codes are put into cells by k-means (the inverted file of Jegou, Douze and Schmid
2011, section IV). Of a query the nearest cells are looked through by the codes, and the best are compared exactly.

Everything lies in one folder of arrays, in the order of the cells, with what else is known of each image beside them,
and is read as far as it is needed. It is made anew whenever the index has changed, and replaced as a whole.

Does not know: the tables of the index, pictures, how much is to be looked through.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from mirada.errors import DataError
from mirada.search.effort import Effort

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Cells", "make", "remove"]

CODE: Final = 128
"""Coordinates of a code."""
PER_CELL: Final = 1_000
"""Vectors in a cell."""
LEARNT_FROM: Final = 40
"""Vectors a cell from which the cells are learnt."""
DIRECTIONS_FROM: Final = 20_000
"""Vectors from which the main directions are learnt."""
FORMAT: Final = 1
_MARK: Final = "made-by-mirada"

Blocks = Callable[[], Iterator[tuple[NDArray[np.int64], NDArray[np.float32], list[bytes | None]]]]
"""Gives all row ids (n,), vectors (n, D) and places, some at a time, each time in the same order."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Vectors in cells.

    Attributes:
        mean: (D,) float32.
        directions: (D, E) float32, each of length 1.
        centres: (C, E) float32, of the cells.
        begins: (C + 1,) int64, where each cell begins, and the end.
        codes: (N, E) float32.
        squares: (N,) float32, the squared lengths of the codes.
        vectors: (N, D) float16.
        ids: (N,) int64, row ids.
        sorter: (N,) int64, the order of the row ids.
        places: (N, B) uint8, what is where, B bytes each, none where that is not kept.
        facts: what else is known of each, (N,).
    """

    mean: NDArray[np.float32]
    directions: NDArray[np.float32]
    centres: NDArray[np.float32]
    begins: NDArray[np.int64]
    codes: NDArray[np.float32]
    squares: NDArray[np.float32]
    vectors: NDArray[np.float16]
    ids: NDArray[np.int64]
    sorter: NDArray[np.int64]
    places: NDArray[np.uint8]
    facts: pa.Table

    @classmethod
    def open(cls, folder: Path, version: int) -> Cells | None:
        """Open what `make` made for a version of the table; None where there is none, or one of another version.

        Raises:
            DataError: it cannot be read.
        """
        try:
            about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
            if (about["format"], about["version"]) != (FORMAT, version):
                return None
            arrays = {field.name: np.load(_file(folder, field.name), mmap_mode="r") for field in fields(cls)[:-1]}
            opened = cls(**arrays, facts=_read_facts(folder))
            count, dimension = opened.vectors.shape
            cells, code = opened.centres.shape
            shapes = [(dimension,), (dimension, code), (cells, code), (cells + 1,), (count, code), (count,)]
            shapes += [(count, dimension), (count,), (count,), (count, opened.places.shape[-1])]
            if [array.shape for array in arrays.values()] != shapes or {opened.begins[-1], len(opened.facts)} != {
                count
            }:
                raise ValueError("its arrays do not fit each other")
            if json.loads((folder / "about.json").read_text(encoding="utf-8")) != about:  # replaced meanwhile
                return None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{folder} cannot be read ({error}): delete this folder, and run mirada index again"
            ) from error
        return opened

    def of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where images are, by their row ids."""
        return np.asarray(self.sorter[np.searchsorted(self.ids, ids, sorter=self.sorter)])

    def __call__(
        self, query: NDArray[np.float32], k: int, effort: Effort, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """What is found of the k nearest: row ids (k,) and vectors (k, D), the nearest first.

        Args:
            query: (D,), of length 1.
            allowed: row ids that may be found; None for all.
        """
        code = (query - self.mean) @ self.directions
        far = np.einsum("ij,ij->i", self.centres, self.centres) - 2 * (self.centres @ code)
        nearest = np.argsort(far)
        probed = effort.cells
        while True:
            spans = [slice(*self.begins[cell : cell + 2]) for cell in np.sort(nearest[:probed])]
            places = np.concatenate([np.arange(span.start, span.stop) for span in spans])
            is_allowed = slice(None) if allowed is None else np.isin(self.ids[places], allowed)
            if len(places[is_allowed]) >= 2 * k or probed >= len(nearest):
                break
            probed *= 2  # there are too few
        apart = np.concatenate([self.squares[span] - 2 * (self.codes[span] @ code) for span in spans])[is_allowed]
        places = places[is_allowed]
        most = max(effort.candidates, 2 * k)
        if len(places) > most:
            places = np.sort(places[np.argpartition(apart, most)[:most]])
        vectors = np.asarray(self.vectors[places], np.float32)
        order = np.argsort(-(vectors @ query), kind="stable")[:k]
        return np.asarray(self.ids[places[order]]), vectors[order]


def make(folder: Path, version: int, sample: NDArray[np.float32], blocks: Blocks, facts: pa.Table) -> None:
    """Put vectors into cells, and write these into a folder, in the place of what was there.

    Args:
        folder: where; it is there whole or not at all.
        version: of the table.
        sample: (S, D) of the vectors, drawn at random.
        blocks: gives all of them; is asked twice.
        facts: what else is known of each, in the order of the blocks.
    """
    count, dimension = len(facts), sample.shape[1]
    mean, directions = _directions(sample[:DIRECTIONS_FROM])
    centres = _centres(np.asarray((sample - mean) @ directions, np.float32), max(1, count // PER_CELL))
    aside = folder.with_name(f"{folder.name}.aside")
    remove(aside)
    aside.mkdir()
    (aside / _MARK).touch()
    codes = np.empty((count, directions.shape[1]), np.float32)
    cell, ids = np.empty(count, np.int32), np.empty(count, np.int64)
    begin = 0
    width = 0
    for rows, vectors, places in blocks():
        width = len(places[0] or b"") if places else width
        span = slice(begin, begin + len(rows))
        codes[span] = (vectors - mean) @ directions
        cell[span] = ((centres**2).sum(axis=1) - 2 * codes[span] @ centres.T).argmin(axis=1)
        ids[span] = rows
        begin = span.stop
    order = np.argsort(cell, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(count)
    for name, dtype, shape in (("vectors", np.float16, (count, dimension)), ("places", np.uint8, (count, width))):
        np.lib.format.open_memmap(_file(aside, name), "w+", dtype, shape)  # closed again, so that memory stays small
    begin = 0
    for rows, vectors, places in blocks():
        there = place[begin : begin + len(rows)]
        np.load(_file(aside, "vectors"), mmap_mode="r+")[there] = vectors
        if width:
            joined = np.frombuffer(b"".join(kept or b"" for kept in places), np.uint8)
            np.load(_file(aside, "places"), mmap_mode="r+")[there] = joined.reshape(len(rows), width)
        begin += len(rows)
    _write_facts(aside, facts.take(order))
    codes = codes[order]
    arrays = {
        "mean": mean,
        "directions": directions,
        "centres": centres,
        "begins": np.searchsorted(cell[order], np.arange(len(centres) + 1)).astype(np.int64),
        "codes": codes,
        "squares": np.einsum("ij,ij->i", codes, codes),
        "ids": ids[order],
        "sorter": np.argsort(ids[order]),
    }
    for name, array in arrays.items():
        np.save(_file(aside, name), array)
    (aside / "about.json").write_text(json.dumps({"format": FORMAT, "version": version}), encoding="utf-8")
    remove(folder)
    aside.rename(folder)


def remove(folder: Path) -> None:
    """Remove cells; a folder that is not of our making stays."""
    if (folder / _MARK).is_file():
        shutil.rmtree(folder, ignore_errors=True)


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.npy"


def _write_facts(folder: Path, facts: pa.Table) -> None:
    import pyarrow as pa

    with pa.OSFile(str(folder / "facts.arrow"), "wb") as sink, pa.ipc.new_file(sink, facts.schema) as writer:
        writer.write_table(facts.combine_chunks())


def _read_facts(folder: Path) -> pa.Table:
    """Only what is looked at is read."""
    import pyarrow as pa

    return pa.ipc.open_file(pa.memory_map(str(folder / "facts.arrow"))).read_all()


def _directions(sample: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mean, and the directions in which the vectors differ most: (D,) and (D, E)."""
    mean = sample.mean(axis=0)
    apart = (sample - mean).astype(np.float64)
    _, directions = np.linalg.eigh(apart.T @ apart)
    return mean, np.ascontiguousarray(directions[:, ::-1][:, :CODE], np.float32)


def _centres(codes: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
    """The centres of cells: (C, E)."""
    from sklearn.cluster import MiniBatchKMeans

    means = MiniBatchKMeans(cells, batch_size=10_000, n_init=1, max_iter=10, random_state=0, init="random")
    return np.asarray(means.fit(codes).cluster_centers_, np.float32)
