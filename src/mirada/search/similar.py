"""Groups of pictures that are the same: the same file twice, or the same picture in another size, quality or cut.

Vectors and hashes of what is seen only propose pairs; each is then looked at, one picture laid over the other. A group
holds pictures that are linked by pairs; it is as sure as the weakest link of those that hold it together.

Does not know: how an index is kept.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from mirada.data.threads import map_items
from mirada.image.align import Alignment
from mirada.image.look import looks_apart
from mirada.progress import Progress, silent
from mirada.words import percent

__all__ = ["COSINE", "NEIGHBOURS", "Group", "Kind", "alike_by_look", "certainty", "grouped"]

Kind = Literal["same file", "same picture"]
NEIGHBOURS: Final = 6
"""The nearest of each picture by its vector, that are looked at."""
COSINE: Final = 0.75
"""From which they are: of pictures that were cut, turned, darkened, blurred or written on, 95 % lie above, of pairs of
others 4 %."""
BITS: Final = 10
"""Bits in which the hashes of a proposed pair may differ."""
CROWD: Final = 200
"""Pictures that share a quarter of their hash, from which on that says nothing."""
WEIGHTS: Final = (-22.2, 5.0, 22.5)
"""Of 1, the correlation and the agreement: a logistic regression on 331 altered copies and 1,466 pairs of pictures that
are alike but show different things (benchmarks/copies.py)."""


@dataclass(frozen=True)
class Group:
    """Pictures that are the same.

    Attributes:
        paths: of their files.
        kind: what they share, at least.
        certainty: how sure that is, 0 to 1.
    """

    paths: tuple[str, ...]
    kind: Kind
    certainty: float

    @property
    def words(self) -> str:
        """What they share, and how sure that is, for people."""
        return self.kind if self.kind == "same file" else f"{self.kind}, {percent(self.certainty)} sure"

    def json(self) -> dict[str, Any]:
        """As plain values."""
        return {"kind": self.kind, "certainty": round(self.certainty, 6), "paths": list(self.paths)}


def certainty(alignment: Alignment) -> float:
    """How sure it is that two pictures show the same, by how one lies on the other."""
    bias, by_correlation, by_agreement = WEIGHTS
    logit = bias + by_correlation * max(alignment.correlation, 0) + by_agreement * alignment.agreement
    return 1 / (1 + math.exp(-logit))


def alike_by_look(looks: NDArray[np.uint8]) -> set[tuple[int, int]]:
    """Pairs (i, j), i < j, whose hashes differ in a few bits: those that share one of its four quarters.

    Args:
        looks: (N, 8).
    """
    pairs: set[tuple[int, int]] = set()
    for quarter in range(4):
        parts = looks[:, 2 * quarter : 2 * quarter + 2].astype(np.int64) @ np.array([256, 1])
        order = np.argsort(parts, kind="stable")
        edges = np.flatnonzero(np.diff(parts[order])) + 1
        for bucket in np.split(order, edges):
            if 1 < len(bucket) <= CROWD:
                i, j = (bucket[side] for side in np.triu_indices(len(bucket), 1))
                near = looks_apart(looks[i], looks[j]) <= BITS
                pairs.update((min(a, b), max(a, b)) for a, b in zip(i[near].tolist(), j[near].tolist(), strict=True))
    return pairs


Joined = tuple[tuple[int, ...], Kind, float]


def grouped(
    contents: Sequence[str],
    pairs: Iterable[tuple[int, int]],
    judge: Callable[[int, int], float],
    least: float,
    progress: Progress = silent,
) -> list[Joined]:
    """The groups of pictures that are linked by pairs: which they are, what they share, and how sure that is.

    Args:
        contents: the SHA-256 of each picture's file; equal ones are the same file without being looked at.
        pairs: those to be looked at.
        judge: says how sure it is that a pair shows the same; is asked by several threads.
        least: the certainty that a pair must have.

    Returns:
        The same files first, then the surest, of these the largest.
    """
    first: dict[str, int] = {}
    leader = [first.setdefault(content, place) for place, content in enumerate(contents)]
    members = defaultdict[int, list[int]](list)
    for place, ahead in enumerate(leader):
        members[ahead].append(place)
    leaders = {tuple(sorted((leader[i], leader[j]))) for i, j in pairs if leader[i] != leader[j]}
    wanted = sorted(leaders)
    links: list[tuple[float, int, int]] = []
    with closing(map_items(lambda pair: judge(*pair), wanted)) as judged:
        for done, ((i, j), sure) in enumerate(zip(wanted, judged, strict=True), 1):
            if sure >= least:
                links.append((sure, i, j))
            progress("looking at pairs", done, len(wanted))
    return _joined(members, links)


def _joined(members: dict[int, list[int]], links: list[tuple[float, int, int]]) -> list[Joined]:
    """Groups grow by the surest links first (Kruskal 1956), so that each is held together by the surest there are."""
    home = {leader: leader for leader in members}
    sure_of = dict.fromkeys(members, 1.0)
    is_one_file = dict.fromkeys(members, True)

    def root(place: int) -> int:
        while home[place] != place:
            place = home[place]
        return place

    for sure, i, j in sorted(links, key=lambda link: (-link[0], link[1:])):
        one, other = root(i), root(j)
        if one != other:
            sure_of[one] = min(sure, sure_of[one], sure_of[other])
            is_one_file[one] = False
            members[one] = members[one] + members[other]
            home[other] = one
    found: list[Joined] = [
        (tuple(sorted(members[leader])), "same file" if is_one_file[leader] else "same picture", sure_of[leader])
        for leader in members
        if home[leader] == leader and len(members[leader]) > 1
    ]
    return sorted(found, key=lambda group: (group[1] != "same file", -group[2], -len(group[0]), group[0]))
