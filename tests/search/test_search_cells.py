"""Cells of vectors, small enough to be compared with every vector by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mirada.errors import DataError
from mirada.search import cells
from mirada.search.cells import Cells, make
from mirada.search.effort import Effort

COUNT, DIMENSION = 3_000, 40


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """In clusters, of length 1."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((60, DIMENSION))
    made = centres[rng.integers(0, 60, COUNT)] + 0.4 * rng.standard_normal((COUNT, DIMENSION))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)


IDS = np.random.default_rng(1).permutation(10 * COUNT)[:COUNT].astype(np.int64)


@pytest.fixture
def folder(vectors: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """30 cells, codes of 16 numbers, of version 5."""
    monkeypatch.setattr(cells, "CODE", 16)
    monkeypatch.setattr(cells, "PER_CELL", 100)

    def blocks():
        for begin in range(0, COUNT, 700):
            rows = IDS[begin : begin + 700]
            yield rows, vectors[begin : begin + 700], [b"%06d" % row for row in rows]

    make(tmp_path / "cells", 5, vectors[::2], blocks, pa.table({"row": IDS}))
    return tmp_path / "cells"


def opened(folder: Path) -> Cells:
    found = Cells.open(folder, 5)
    assert found is not None
    return found


def test_every_vector_is_in_one_cell_and_the_nearest(folder: Path, vectors: np.ndarray) -> None:
    made = opened(folder)
    assert sorted(made.ids.tolist()) == sorted(IDS.tolist())
    place = {row: place for place, row in enumerate(IDS.tolist())}
    order = [place[row] for row in made.ids.tolist()]
    assert np.array_equal(made.vectors, vectors[order].astype(np.float16))
    assert made.facts["row"].to_pylist() == made.ids.tolist()
    assert [places.tobytes() for places in made.places] == [b"%06d" % row for row in made.ids]
    assert np.array_equal(made.ids[made.of(IDS)], IDS)
    codes = (vectors[order] - vectors[::2].mean(axis=0)) @ made.directions
    assert np.allclose(made.codes, codes, atol=1e-4)
    assert np.allclose(made.squares, (codes**2).sum(axis=1), atol=1e-3)
    assert np.allclose(made.directions.T @ made.directions, np.eye(16), atol=1e-5)
    own = ((codes[:, None] - made.centres[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert own.tolist() == np.repeat(np.arange(30), np.diff(made.begins)).tolist()


def test_with_all_cells_and_candidates_it_is_exact(folder: Path, vectors: np.ndarray) -> None:
    made = opened(folder)
    for query in vectors[:20]:
        ids, found = made(query, 7, Effort(30, COUNT))
        cosines = vectors @ query
        right = IDS[np.argsort(-cosines, kind="stable")[:7]]
        assert set(ids.tolist()) == set(right.tolist())
        assert np.allclose(found @ query, np.sort(cosines)[::-1][:7], atol=1e-5)


def test_more_effort_finds_more(folder: Path, vectors: np.ndarray) -> None:
    made = opened(folder)

    def recall(effort: Effort) -> float:
        hits = 0
        for query in vectors[:60]:
            right = IDS[np.argsort(-(vectors @ query))[:10]]
            hits += len(set(made(query, 10, effort)[0].tolist()) & set(right.tolist()))
        return hits / 600

    few, some, most = recall(Effort(1, 20)), recall(Effort(4, 60)), recall(Effort(12, 500))
    assert few < some < most
    assert most > 0.97


def test_only_what_is_allowed_is_found(folder: Path, vectors: np.ndarray) -> None:
    made = opened(folder)
    allowed = IDS[::7]
    ids, _ = made(vectors[0], 50, Effort(30, COUNT), allowed)
    assert ids.tolist() == IDS[::7][np.argsort(-(vectors[::7] @ vectors[0]), kind="stable")[:50]].tolist()
    assert len(made(vectors[0], 50, Effort(30, COUNT), allowed[:3])[0]) == 3


def test_of_another_version_there_is_none(folder: Path) -> None:
    assert Cells.open(folder, 6) is None
    assert Cells.open(folder.with_name("nothing"), 5) is None
    (folder / "codes.npy").unlink()
    assert Cells.open(folder, 5) is None  # as while it is being replaced


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("about.json", b"{", "Expecting property name"),
        ("about.json", b"[]", "must be integers"),
        ("codes.npy", b"no array", "cannot be read"),
        ("ids.npy", None, "its arrays do not fit each other"),
    ],
)
def test_what_is_damaged_is_refused(folder: Path, name: str, content: bytes | None, reason: str) -> None:
    if content is None:
        np.save(folder / name, np.arange(3))
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(
        DataError, match=r"cells cannot be read .*: delete this folder, and run mirada index again"
    ) as e:
        Cells.open(folder, 5)
    assert reason in str(e.value)


def test_it_is_made_anew_in_the_place_of_the_old(folder: Path, vectors: np.ndarray) -> None:
    make(folder, 6, vectors, lambda: iter([(IDS[:100], vectors[:100], [None] * 100)]), pa.table({"row": IDS[:100]}))
    assert Cells.open(folder, 5) is None
    made = Cells.open(folder, 6)
    assert made is not None
    assert (len(made.ids), made.places.shape) == (100, (100, 0))
    assert [path.name for path in folder.parent.iterdir()] == ["cells"]
