"""Large indexes, made small: every way to look something up, in a folder and in object storage, finds the same."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from mirada.errors import DataError
from mirada.image import Preparation
from mirada.search import Embedding, Index, Maker, cells, effort, index, lookup, open_index
from mirada.search.lookup import Approximate, Exact, Scan
from mirada.search.table import Table

DIMENSION, COUNT = 32, 1_200
MAKER = Maker(
    "efficientnet-lite0", "made", None, Preparation((224, 224), "crop"), has_places=False, dimension=DIMENSION
)


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few hundred vectors are many."""
    monkeypatch.setattr(lookup, "IN_MEMORY", 5_000)
    monkeypatch.setattr(lookup, "FEW", 20)
    monkeypatch.setattr(cells, "PER_CELL", 60)
    monkeypatch.setattr(cells, "CODE", 16)
    monkeypatch.setattr(effort, "ASKED", 20)


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    rng = np.random.default_rng(0)
    made = rng.standard_normal((30, DIMENSION))[rng.integers(0, 30, COUNT)] + 0.4 * rng.standard_normal(
        (COUNT, DIMENSION)
    )
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)


def filled(place: str, vectors: np.ndarray) -> Table:
    """An index of these vectors, of images that nobody has."""
    table = Table.create(place, MAKER.to_json(), DIMENSION, None)
    put(table, range(len(vectors)), vectors)
    return table


def put(table: Table, numbers: range, vectors: np.ndarray) -> None:
    rows = [
        {"path": f"/{i}", "file": b"/%d" % i, "width": i, "label": "even" if i % 2 == 0 else "odd"} for i in numbers
    ]
    table.put(rows, vectors, are_new=True)


def settle(table: Table) -> effort.Effort | None:
    table.tidy()
    found = lookup.prepare(table)
    table.tell(effort=None if found is None else found.to_json(), settled=True)
    return found


def numbers(opened: Index, query: np.ndarray, **options) -> list[int]:
    return [int(hit.path[1:]) for hit in opened.search(Embedding(query[None], MAKER), **options)]


@pytest.mark.usefixtures("small_limits")
def test_a_large_index_is_looked_through_by_cells(place: str, vectors: np.ndarray) -> None:
    table = filled(place, vectors)
    assert isinstance(lookup.lookup(table), Scan)  # nothing was made yet
    by_scan = [numbers(open_index(place), query, k=10) for query in vectors[:30]]
    right = [np.argsort(-(vectors @ query), kind="stable")[:10].tolist() for query in vectors[:30]]
    assert [set(found) for found in by_scan] == [set(found) for found in right]
    told = settle(table)
    assert told is not None
    assert (told.recall >= effort.RECALL, told.asked) == (True, 20)
    assert isinstance(lookup.lookup(Table.open(place)), Approximate)
    opened = open_index(place)
    found = [numbers(opened, query, k=10) for query in vectors[:30]]
    hits = sum(len({*one} & {*other}) for one, other in zip(found, right, strict=True))
    assert hits >= 0.98 * 300
    assert [row[0] for row in found] == list(range(30))


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("where", ["label = 'odd'", "width < 15", "width >= 600", "width > 2000"])
def test_a_condition_is_exact(place: str, vectors: np.ndarray, where: str) -> None:
    settle(filled(place, vectors))
    meets = {"label = 'odd'": lambda i: i % 2 == 1, "width < 15": lambda i: i < 15, "width >= 600": lambda i: i >= 600}
    allowed = [i for i in range(COUNT) if meets.get(where, lambda i: False)(i)]
    opened = open_index(place)
    hits = wanted = 0
    for query in vectors[:20]:
        found = numbers(opened, query, k=10, where=where)
        assert set(found) <= set(allowed)
        assert len(found) == min(10, len(allowed))
        right = sorted(allowed, key=lambda i: -float(vectors[i] @ query))[:10]
        hits, wanted = hits + len({*found} & {*right}), wanted + len(right)
    assert hits >= 0.97 * wanted


@pytest.mark.usefixtures("small_limits")
def test_what_was_added_since_is_found(place: str, vectors: np.ndarray) -> None:
    """By reading all, until the cells have been made anew."""
    table = filled(place, vectors)
    settle(table)
    rng = np.random.default_rng(5)
    more = rng.standard_normal((300, DIMENSION)).astype(np.float32)
    more /= np.linalg.norm(more, axis=1, keepdims=True)
    put(table, range(COUNT, COUNT + 300), more)
    table.remove([b"/0"])
    query = more[7].astype(np.float16).astype(np.float32)
    assert numbers(open_index(place), query, k=1) == [COUNT + 7]
    assert 0 not in numbers(open_index(place), vectors[0], k=10)
    told = settle(table)
    assert told is not None
    assert told.recall >= 0.95
    assert numbers(open_index(place), query, k=1) == [COUNT + 7]
    assert 0 not in numbers(open_index(place), vectors[0], k=10)


@pytest.mark.usefixtures("small_limits")
def test_an_index_that_has_become_small_needs_no_cells(place: str, vectors: np.ndarray) -> None:
    table = filled(place, vectors)
    settle(table)
    table.remove([b"/%d" % i for i in range(100, COUNT)])
    assert settle(table) is None
    assert isinstance(lookup.lookup(Table.open(place)), Exact)
    assert not (Path(place) / "cells.mirada").exists()
    assert numbers(open_index(place), vectors[5], k=1) == [5]


def test_images_in_a_large_index(photos: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way: indexed, changed, killed before the cells were made, looked for."""
    small = index(photos, place)
    queries = [photos / kind / "03.png" for kind in ("dots", "stripes", "checks")]
    right = [[hit.path for hit in small.search(query, k=29)] for query in queries]
    monkeypatch.setattr(lookup, "IN_MEMORY", 10_000)
    monkeypatch.setattr(cells, "PER_CELL", 10)
    shutil.copy(photos / "dots" / "03.png", photos / "new.png")
    os.utime(photos / "new.png", (1_700_000_000, 1_700_000_000))
    with monkeypatch.context() as killed:
        killed.setattr("mirada.search.build.prepare", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            index(photos, place)
    assert [hit.path for hit in open_index(place).search(queries[0], k=1)] == [str(photos / "new.png")]
    large = index(photos, place)
    assert large.changes is not None
    assert large.changes.unchanged == 31
    assert large._table.about["effort"]["recall"] == 1.0
    found = [[hit.path for hit in large.search(query, k=30) if "new" not in hit.path] for query in queries]
    assert found == right


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("k", [50, 400, COUNT])
def test_as_many_are_found_as_are_wanted(tmp_path: Path, vectors: np.ndarray, k: int) -> None:
    """More than lie in the nearest cells."""
    place = str(tmp_path / "index")
    settle(filled(place, vectors))
    opened = open_index(place)
    assert len(numbers(opened, vectors[0], k=k)) == k
    assert len(numbers(opened, vectors[0], k=k, where="label = 'odd'")) == min(k, COUNT // 2)


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("what", ["lost", "damaged"])
def test_cells_that_are_lost_or_damaged_are_made_again(textures: Path, tmp_path: Path, what: str) -> None:
    index(textures, tmp_path / "made")
    folder = tmp_path / "made" / "cells.mirada"
    if what == "lost":
        shutil.rmtree(folder)
        assert open_index(tmp_path / "made").is_being_changed
    else:
        (folder / "codes.npy").write_bytes(b"damaged")
        with pytest.raises(DataError, match="run mirada index again"):
            open_index(tmp_path / "made")
    index(textures, tmp_path / "made")
    assert not open_index(tmp_path / "made").is_being_changed


def test_an_image_is_found_by_its_path(place: str, vectors: np.ndarray) -> None:
    table = filled(place, vectors[:50])
    for _ in range(2):
        table.find_by_path()
    assert [index.columns for index in table._images.list_indices()] == [["path"]]
    table.put([{"path": "/it's", "file": b"/it's", "width": 7}], vectors[:1], are_new=True)
    assert [row["width"] for row in (table.row(b"/3"), table.row(b"/it's")) if row] == [3, 7]
    assert table.row(b"/nowhere") is None
