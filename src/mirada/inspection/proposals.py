"""Which pictures may be the same picture: few pairs of many, found without looking at the files again.

| step | holds | against | keeps |
|---|---|---|---|
| `proposed` | the description of each, of its middle, and both mirrored | the descriptions of others | a few for each |
| `narrowed` | small grey pictures, whole | cuts of the other | pairs of which one may be a cut of the other |

In large sets a picture is held only against those in the cells that are nearest to it (an inverted file; Sivic and
Zisserman 2003), so that the time grows as N √N.

Does not know: files, and how sure a pair is.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from contextlib import closing
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirada.data.threads import map_items
from mirada.inspection.glance import SMALL, Glance
from mirada.progress import Progress, silent

__all__ = ["narrowed", "proposed"]

NEIGHBOURS: Final = 5
"""Pictures that are proposed for each, besides itself."""
LEAST: Final = 0.35
"""The cosine of descriptions below which nothing is proposed."""
SMALLEST: Final = 48
"""The shorter side of pictures that are compared by what they show; of smaller ones only equal files are found."""
EXACT: Final = 2_000
"""Pictures up to which all are held against all."""
PROBED: Final = 12
"""Cells in which each is looked for, of sets that are larger."""
ROUNDS: Final = 5
"""Of finding the centres of the cells."""
BLOCK: Final = 2**22
"""Cosines at a time."""
PAIRS: Final = 1_024
"""Pairs at a time."""
CUT: Final = 29
"""Of 32 pixels: the side of the cuts that a whole picture is held against."""
GRID: Final = 10
"""The side to which a whole picture and the cuts are made smaller for that."""
LIKELY: Final = 0.8
"""The correlation that must be reached there."""


def proposed(glances: Sequence[Glance], progress: Progress = silent) -> set[tuple[int, int]]:
    """Pairs of places (i, j), i < j, that may be the same picture."""
    first = {glance.content: i for i, glance in reversed(list(enumerate(glances)))}  # of equal files one is enough
    large = [i for i in sorted(first.values()) if min(glances[i].size_wh) >= SMALLEST]
    if len(large) < 2:
        return set()
    whole = _described(np.stack([glances[i].whole for i in large]))  # (N, 6, 6, 3)
    middle = _described(np.stack([glances[i].middle for i in large]))
    told = whole.any(axis=(1, 2, 3))  # a plain picture has nothing to tell
    if told.sum() < 2:
        return set()
    places, whole, middle = np.array(large)[told], whole[told], middle[told]
    ways = [seen.reshape(len(seen), -1) for one in (whole, middle) for seen in (one, one[:, :, ::-1])]
    near, cosines = _nearest(ways, progress)
    rows, columns = np.nonzero(cosines >= LEAST)
    pairs = np.sort(np.stack([places[rows], places[near[rows, columns]]], axis=1), axis=1)
    return set(map(tuple, pairs.tolist()))


def _described(cells: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Colours (N, 6, 6, 3) without their mean and of length 1; zeros where all are about the same."""
    apart = cells.astype(np.float32)
    apart -= apart.mean(axis=(1, 2), keepdims=True)
    length = np.linalg.norm(apart.reshape(len(apart), -1), axis=1)[:, None, None, None]
    return np.asarray(np.where(length > 1, apart / np.maximum(length, 1), 0), np.float32)


def _nearest(ways: Sequence[NDArray[np.float32]], progress: Progress) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The few of `ways[0]` that are nearest to each picture in any of its ways (N, D), itself left out."""
    base = ways[0]
    count = len(base)
    centres = _centres(base)
    home = (base @ centres.T).argmax(axis=1)
    probed = _probed(ways, centres)  # (N, P)
    found = np.zeros((count, NEIGHBOURS), np.int64)
    cosines = np.full((count, NEIGHBOURS), -1, np.float32)
    asking_of = _by_value(probed.ravel(), len(centres))
    members_of = _by_value(home, len(centres))
    for cell, (members, asked) in enumerate(zip(members_of, asking_of, strict=True)):
        if len(members) == 0:
            continue
        asking = asked // probed.shape[1]
        step = max(1, BLOCK // len(members))
        for begin in range(0, len(asking), step):
            some = asking[begin : begin + step]
            best = ways[0][some] @ base[members].T
            for way in ways[1:]:
                np.maximum(best, way[some] @ base[members].T, out=best)
            best[some[:, None] == members] = -1
            both = np.concatenate([cosines[some], best], axis=1)
            ids = np.concatenate([found[some], np.broadcast_to(members, best.shape)], axis=1)
            top = np.argpartition(-both, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
            found[some], cosines[some] = np.take_along_axis(ids, top, 1), np.take_along_axis(both, top, 1)
        progress("comparing pictures", cell + 1, len(centres))
    return found, cosines


def _centres(base: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of cells of about the square root of all: k-means by the cosine, on a part of them."""
    count = len(base)
    if count <= EXACT:
        return base[:1]
    cells = round(2 * count**0.5)
    rng = np.random.default_rng(0)
    some = base[rng.permutation(count)[: 40 * cells]]
    centres = some[:cells].copy()
    for _ in range(ROUNDS):
        home = (some @ centres.T).argmax(axis=1)
        order = np.argsort(home, kind="stable")
        present, begins = np.unique(home[order], return_index=True)
        sums = np.add.reduceat(some[order], begins)
        centres[present] = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-6)
    return centres


def _probed(ways: Sequence[NDArray[np.float32]], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    """The cells (N, P) whose centres are nearest to each in any of its ways."""
    most = min(PROBED, len(centres))
    step = max(1, BLOCK // len(centres))
    found = []
    for begin in range(0, len(ways[0]), step):
        best = np.maximum.reduce([way[begin : begin + step] @ centres.T for way in ways])
        found.append(np.argpartition(-best, most - 1, axis=1)[:, :most])
    return np.concatenate(found)


def _by_value(values: NDArray[np.int64], count: int) -> list[NDArray[np.int64]]:
    """The places of each value below `count`."""
    order = np.argsort(values, kind="stable")
    return np.split(order, np.searchsorted(values[order], np.arange(1, count)))


def narrowed(glances: Sequence[Glance], pairs: Set[tuple[int, int]]) -> dict[tuple[int, int], tuple[bool, ...]]:
    """The pairs of which one picture resembles a cut of the other, and whether so mirrored, or not, or both."""
    ordered = sorted(pairs)
    blocks = [ordered[begin : begin + PAIRS] for begin in range(0, len(ordered), PAIRS)]
    found: dict[tuple[int, int], tuple[bool, ...]] = {}
    with closing(map_items(lambda block: _resembling(glances, block), blocks, ahead=4)) as told:
        for block, (plain, mirrored) in zip(blocks, told, strict=True):
            for pair, is_plain, is_mirrored in zip(block, plain, mirrored, strict=True):
                if is_plain or is_mirrored:
                    found[pair] = (False,) * bool(is_plain) + (True,) * bool(is_mirrored)
    return found


def _resembling(glances: Sequence[Glance], pairs: Sequence[tuple[int, int]]) -> tuple[NDArray[np.bool_], ...]:
    """Whether one picture of each pair resembles a cut of the other (M,), and whether so mirrored."""
    needed, places = np.unique(np.array(pairs), return_inverse=True)
    one, other = places.reshape(-1, 2).T
    cuts = _cuts(np.stack([glances[i].small for i in needed]))  # (N, 10, GRID, GRID), the whole first
    flat, mirrored = (each.reshape(*each.shape[:2], -1) for each in (cuts, cuts[..., ::-1]))
    fits = []
    for there in (flat, mirrored):
        whole_on_cut = there[other] @ flat[one, 0][:, :, None]  # (M, 10, 1)
        cut_on_whole = flat[one] @ there[other, 0][:, :, None]
        fits.append(np.maximum(whole_on_cut, cut_on_whole).max(axis=(1, 2)) >= LIKELY)
    return tuple(fits)


def _areas(begin: int, side: int) -> NDArray[np.float32]:
    """The matrix (GRID, SMALL) that averages `side` pixels from `begin` on, over GRID equal lengths."""
    edges = begin + np.arange(GRID + 1) * side / GRID
    pixels = np.arange(SMALL)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.maximum(covered, 0) * GRID / side, np.float32)


WHOLE: Final = _areas(0, SMALL)
CUTS: Final = np.stack([_areas(begin, CUT) for begin in (0, (SMALL - CUT) // 2, SMALL - CUT)])


def _cuts(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Grey pictures (N, 32, 32), whole, and nine cuts of each: (N, 10, GRID, GRID), no mean, length 1."""
    levels = small.astype(np.float32)
    whole = (WHOLE @ levels @ WHOLE.T)[:, None]
    cuts = np.matmul((CUTS @ levels[:, None])[:, :, None], CUTS.transpose(0, 2, 1))  # (N, 3, 3, GRID, GRID)
    both = np.concatenate([whole, cuts.reshape(len(small), -1, GRID, GRID)], axis=1)
    both -= both.mean(axis=(2, 3), keepdims=True)
    return np.asarray(both / np.maximum(np.linalg.norm(both, axis=(2, 3), keepdims=True), 1e-6), np.float32)
