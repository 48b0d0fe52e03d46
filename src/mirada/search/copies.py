"""The copies in an index: what similar pictures are proposed, and how their files are looked at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mirada.errors import ImageError, UsageError
from mirada.image import decode
from mirada.image.align import Sketch, align
from mirada.progress import Progress, silent
from mirada.search.lookup import Exact, Lookup, Scan
from mirada.search.nearest import Nearest, nearest
from mirada.search.similar import COSINE, NEIGHBOURS, Group, alike_by_look, certainty, grouped
from mirada.search.table import Table

__all__ = ["copies"]

BLOCK = 512
"""Images whose neighbours are sought at once."""
KEPT = 2_000
"""Small pictures with their points that are kept in memory, 250 kB each."""


def copies(table: Table, lookup: Lookup, least: float, progress: Progress = silent) -> list[Group]:
    """The groups of images of an index that are the same; see `Index.similar`.

    Raises:
        UsageError: `least` is not between 0 and 1.
    """
    if not 0 <= least <= 1:
        raise UsageError(f"the certainty must lie between 0 and 1, got {least}")
    ids, files, contents, looks = _listed(table)
    order = np.argsort(ids)
    pairs = alike_by_look(looks)
    done = 0
    for own, others in _near(table, lookup):
        places = order[np.searchsorted(ids, np.concatenate([own, *others]), sorter=order)]
        rest = places[len(own) :]
        for place, count in zip(places[: len(own)].tolist(), map(len, others), strict=True):
            pairs.update((min(place, other), max(place, other)) for other in rest[:count].tolist() if other != place)
            rest = rest[count:]
        done += len(own)
        progress("looking for neighbours", done, len(ids))

    @lru_cache(KEPT)
    def sketch(place: int) -> Sketch | None:
        try:
            return Sketch(decode(os.fsdecode(files[place])))
        except ImageError:  # it was there when it was indexed
            return None

    def judge(one: int, other: int) -> float:
        both = sketch(one), sketch(other)
        return 0.0 if both[0] is None or both[1] is None else certainty(align(both[0], both[1]))

    groups = grouped(contents, pairs, judge, least, progress)
    return [Group(tuple(os.fsdecode(files[place]) for place in places), kind, sure) for places, kind, sure in groups]


def _listed(table: Table) -> tuple[NDArray[np.int64], list[bytes], list[str], NDArray[np.uint8]]:
    """Row ids, files, contents and looks of all images, by their files, so that groups are always the same."""
    rows: list[tuple[bytes, int, str, bytes]] = []
    for batch in table.batches(("file", "hash", "look")):
        columns = (batch.column(name).to_pylist() for name in ("file", "_rowid", "hash", "look"))
        rows += zip(*columns, strict=True)
    rows.sort()
    looks = np.frombuffer(b"".join(look for *_, look in rows), np.uint8).reshape(-1, 8)
    return np.array([row for _, row, _, _ in rows], np.int64), [f for f, *_ in rows], [c for _, _, c, _ in rows], looks


def _near(table: Table, lookup: Lookup) -> Iterator[tuple[NDArray[np.int64], list[NDArray[np.int64]]]]:
    """Some row ids at a time, and for each the row ids of those near it."""
    for ids, vectors in table.vectors():
        if isinstance(lookup, Scan):  # all of it is read for a block, not for each
            best = Nearest(vectors, NEIGHBOURS + 1)
            for others, there in table.vectors():
                best.tell(others, there)
            yield ids, [row[cosine >= COSINE] for row, cosine in zip(best.ids, best.cosines, strict=True)]
            continue
        if not isinstance(lookup, Exact):
            found = [lookup(vector, NEIGHBOURS + 1, None, frozenset()) for vector in vectors]
            yield ids, [others[near @ vector >= COSINE] for (others, near), vector in zip(found, vectors, strict=True)]
            continue
        all_ids, all_vectors = lookup.all
        for begin in range(0, len(ids), BLOCK):
            places, cosines = nearest(all_vectors, vectors[begin : begin + BLOCK], NEIGHBOURS + 1)
            yield (
                ids[begin : begin + BLOCK],
                [all_ids[row[cosine >= COSINE]] for row, cosine in zip(places, cosines, strict=True)],
            )
