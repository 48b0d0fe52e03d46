"""How much of a large index is looked through for a query, so that hardly any neighbour is missed.

That is measured on vectors of the index itself, each left out of its own answer, against the exact answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mirada.search.nearest import Nearest

if TYPE_CHECKING:
    from mirada.search.table import Table

__all__ = ["Effort", "measured"]

RECALL: Final = 0.998
"""The share of the nearest that is to be found; a little more than is promised, for it is measured on a sample."""
ASKED: Final = 300
"""Vectors on which it is measured."""
K: Final = 10
TRIED: Final = tuple((cells, candidates) for cells in (4, 8, 16, 32, 64, 128, 256) for candidates in (100, 200, 500))
"""The cheapest first."""

Ask = Callable[[NDArray[np.float32], int, "Effort"], NDArray[np.int64]]
"""A query (D,), how many, with which effort -> the row ids of what is nearest."""


@dataclass(frozen=True)
class Effort:
    """How much is looked through.

    Attributes:
        cells: of those into which the vectors were put, the nearest.
        candidates: vectors in these that are compared exactly.
        recall: the share of the ten nearest that is found so; NaN where it was not measured.
        asked: on how many vectors of the index that was measured.
    """

    cells: int
    candidates: int
    recall: float = math.nan
    asked: int = 0

    def among(self, share: float) -> Effort:
        """What it takes where only a share of the images may be found."""
        return replace(self, cells=math.ceil(self.cells / max(share, 1e-3)))

    def to_json(self) -> dict[str, Any]:
        """As plain values. The inverse of `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Effort:
        """Read back what `to_json` gave."""
        return cls(**values)


def measured(table: Table, ask: Ask) -> Effort:
    """The least effort of those tried that finds nearly all, or else the greatest, and how much it finds."""
    ids = table.drawn(ASKED)
    queries = table.seen(ids)[0]
    right = _exact(table, ids, queries)
    effort = Effort(0, 0)
    for cells, candidates in TRIED:
        effort = Effort(cells, candidates)
        found = 0
        for own, query, wanted in zip(ids.tolist(), queries, right, strict=True):
            near = [other for other in ask(query, K + 1, effort).tolist() if other != own][:K]
            found += len(wanted.intersection(near))
        effort = replace(effort, recall=found / sum(map(len, right)), asked=len(ids))
        if effort.recall >= RECALL:
            break
    return effort


def _exact(table: Table, ids: NDArray[np.int64], queries: NDArray[np.float32]) -> list[set[int]]:
    """The row ids of the nearest of each, besides itself."""
    found = Nearest(queries, K + 1)
    for others, vectors in table.vectors():
        found.tell(others, vectors)
    rows = zip(ids.tolist(), found.ids.tolist(), strict=True)
    return [{*[other for other in row if other != own][:K]} for own, row in rows]
