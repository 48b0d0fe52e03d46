"""Bringing an index up to date: what is read, left, and taken out; against a new index of the same images."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mirada.engine import open_engine
from mirada.errors import DataError, UsageError
from mirada.search import Index, index
from mirada.search.embedder import Embedder
from mirada.search.table import Table

OLD = 1_700_000_000


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures went through the network, counted as they go."""
    counted: list[int] = []
    stream = Embedder.stream

    def counting(self, items):
        def passed():
            for tag, pixels in items:
                if pixels is not None:
                    counted.append(1)
                yield tag, pixels

        yield from stream(self, passed())

    monkeypatch.setattr(Embedder, "stream", counting)
    return counted


def content(place: str | Path) -> dict[bytes, tuple]:
    """All that an index holds, but for where in it."""
    table = Table.open(str(place))
    columns = [*table.columns, "file", "modified", "said", "source", "look", "vector"]
    rows = [row for batch in table.batches(columns) for row in batch.to_pylist()]
    return {row["file"]: tuple(map(str, (row[name] for name in columns))) for row in rows}


def test_a_new_index(photos: Path, place: str) -> None:
    made = index(photos, place)
    assert made.changes is not None
    assert (made.changes.new, len(made)) == (30, 30)
    row = Table.open(place).row(os.fsencode(photos / "dots" / "03.png"))
    assert row["label"] == "dots"
    assert (row["width"], row["height"]) == (96, 80)
    assert row["bytes"] == (photos / "dots" / "03.png").stat().st_size
    assert row["modified"] == OLD * 10**9
    assert row["path"] == str(photos / "dots" / "03.png")


def test_nothing_has_changed(photos: Path, seen: list[int], place: str) -> None:
    index(photos, place)
    seen.clear()
    version = Table.open(place)._images.version
    changes = index(photos, place).changes
    assert changes is not None
    assert (changes.unchanged, changes.new + changes.changed + changes.moved + changes.gone) == (30, 0)
    assert sum(seen) == 0
    assert Table.open(place)._images.version == version


def test_only_what_changed_goes_through_the_network(photos: Path, tmp_path: Path, seen: list[int], place: str) -> None:
    index(photos, place)
    (photos / "dots" / "00.png").unlink()  # gone
    (photos / "dots" / "01.png").rename(photos / "dots" / "moved.png")
    os.utime(photos / "dots" / "02.png")  # touched
    shutil.copy(photos / "checks" / "00.png", photos / "dots" / "03.png")  # the content of another
    Image.fromarray(np.full((40, 50, 3), 77, np.uint8)).save(photos / "dots" / "04.png")  # changed
    Image.fromarray(np.full((40, 50, 3), 99, np.uint8)).save(photos / "new.png")  # new
    seen.clear()
    changes = index(photos, place).changes
    assert changes is not None
    assert (changes.new, changes.changed, changes.moved, changes.gone) == (1, 1, 2, 2)
    assert changes.unchanged == 30 - 4
    assert sum(seen) == 2

    anew = index(photos, tmp_path / "anew")
    for file, row in content(place).items():
        right = content(tmp_path / "anew")[file]
        assert [a for a, b in zip(row, right, strict=True) if a != b] in ([], ["-1"], [str(row[-5])])
    assert len(anew) == 30


def test_contents_that_change_places(photos: Path, tmp_path: Path) -> None:
    index(photos, tmp_path / "index")
    one, other, aside = photos / "dots" / "00.png", photos / "stripes" / "00.png", photos / "aside.png"
    one.rename(aside), other.rename(one), aside.rename(other)
    index(photos, tmp_path / "index")
    index(photos, tmp_path / "anew")
    assert content(tmp_path / "index") == content(tmp_path / "anew")


def test_what_cannot_be_read_is_listed_and_tried_again(photos: Path, place: str) -> None:
    broken = photos / "dots" / "00.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:200])
    (photos / "empty.jpg").touch()
    made = index(photos, place)
    assert made.changes is not None
    assert sorted(Path(path).name for path in made.unread) == ["00.png", "empty.jpg"]
    assert made.unread[str(photos / "empty.jpg")] == "is empty (0 bytes)"
    assert len(made) == 29
    broken.write_bytes(whole)
    (photos / "empty.jpg").unlink()
    again = index(photos, place)
    assert (again.unread, len(again)) == ({}, 30)
    broken.write_bytes(whole[:300])
    assert len(index(photos, place)) == 29  # what can no longer be read is not found


def test_other_folders_stay(photos: Path, tmp_path: Path) -> None:
    index([photos / "dots", photos / "checks"], tmp_path / "index")
    shutil.rmtree(photos / "dots")
    changes = index(photos / "stripes", tmp_path / "index").changes
    assert changes is not None
    assert (changes.new, changes.gone) == (10, 0)
    assert len(index(photos, tmp_path / "index")) == 20


def test_an_empty_folder_takes_nothing_out(photos: Path, place: str) -> None:
    """A disk that is not mounted looks like this."""
    index(photos, place)
    shutil.rmtree(photos)
    photos.mkdir()
    with pytest.raises(DataError, match=r"there is no image in .*: the index is left as it is"):
        index(photos, place)
    photos.rmdir()
    with pytest.raises(DataError, match="there is no such file or folder"):
        index(photos, place)
    assert len(Index(place)) == 30


def test_a_table_gives_columns(photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("path,label,price,fresh,width\nphotos/dots/00.png,pear,1.5,true,7\nphotos/dots/01.png,,,false,8\n")
    made = index(table, tmp_path / "index")
    assert made.changes is not None
    assert made.changes.notes == ("table.csv: columns that an index fills itself, or cannot have: 'width'.",)
    rows = {Path(hit.path).name: hit.columns for hit in made.search(photos / "dots" / "05.png")}
    assert (rows["00.png"]["label"], rows["00.png"]["price"], rows["00.png"]["fresh"]) == ("pear", 1.5, True)
    assert (rows["01.png"]["label"], rows["01.png"]["price"], rows["01.png"]["fresh"]) == (None, None, False)
    assert rows["00.png"]["width"] == 96
    table.write_text("path,label,price,fresh,width\nphotos/dots/00.png,plum,2,true,7\n")
    again = index(table, tmp_path / "index")
    assert again.changes is not None
    assert (again.changes.moved, again.changes.gone) == (1, 1)
    assert [hit.columns["label"] for hit in again.search(photos / "dots" / "05.png", where="price = 2")] == ["plum"]


ODD = (
    "with space.png",
    'it\'s "quoted".png',
    "two\nlines.png",
    "`tick`; --.png",
    "ünïcode 🍐.png",
    "%20.png",
    "a\x1b[1m.png",
)


def test_odd_names_come_back_as_they_are(textures: Path, tmp_path: Path, place: str) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    paths = [str(folder / name) for name in [*ODD, os.fsdecode(b"\xff\xfe no utf-8.png")]]
    for path in paths:
        shutil.copy(textures / "dots" / "00.png", path)
        os.utime(path, (OLD, OLD))
    made = index(folder, place)
    assert {hit.path for hit in made.search(textures / "dots" / "00.png", k=100)} == set(paths)
    for path in paths:  # each is found again as an item of the index
        assert {hit.path for hit in made.search(path, k=100)} == {*paths} - {path}
    for path in paths[1:]:
        Path(path).unlink()
    made = index(folder, place)
    assert made.changes is not None
    assert (made.changes.gone, len(made)) == (len(paths) - 1, 1)


def test_another_network_is_refused(photos: Path, tmp_path: Path, transfer_model, place: str) -> None:
    index(photos / "dots", place)
    saved = transfer_model.save(tmp_path / "model")
    with pytest.raises(UsageError, match=r"are not to be compared with vectors of .*model"):
        index(photos, place, network=saved.path)
    with pytest.raises(UsageError, match="they differ in the layer"):
        index(photos, place, layer="blocks.4")
    assert len(Index(place)) == 10


def test_a_place_that_holds_something_else(photos: Path, tmp_path: Path, snapshot: Callable) -> None:
    before = snapshot(photos)
    with pytest.raises(UsageError, match="holds other things, such as 'checks'"):
        index(photos, photos)
    with pytest.raises(UsageError, match="is a file"):
        index(photos, photos / "dots" / "00.png")
    assert snapshot(photos) == before


def test_memory_is_given_back_but_where_the_network_keeps_it(
    photos: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def noting(what: str, function: Callable) -> Callable:
        def noted(*args, **options):
            told.append(what)
            return function(*args, **options)

        return noted

    monkeypatch.setattr("mirada.search.embedder.open_engine", noting("network", open_engine))
    monkeypatch.setattr(Table, "tidy", noting("tidy", Table.tidy))
    for module in ("build", "embedder"):
        give_back = noting("given back", lambda: True)
        monkeypatch.setattr(f"mirada.search.{module}.give_back_freed_memory", give_back)
    index(photos, place)
    assert told == ["given back", "network", "given back", "tidy"]
