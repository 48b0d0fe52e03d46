"""What is to be indexed: labels and columns, from folders and tables, alone and together."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mirada.errors import DataError
from mirada.search.collection import collect


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("cat/1.png", "cat/2.png", "dog/3.png"):
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / name).write_bytes(b"")
    return tmp_path / "p"


def table(photos: Path, text: str) -> Path:
    (photos.parent / "t.csv").write_text(text.replace("P/", f"{photos}/"))
    return photos.parent / "t.csv"


COLUMNS = [
    ("price\n", "1.5", "number", 1.5),
    ("price\n", "-2e3", "number", -2_000.0),
    ("price\n", ".5", "number", 0.5),
    ("sku\n", "00123", "text", "00123"),
    ("ean\n", "12345678901234567891", "text", "12345678901234567891"),
    ("ean\n", "4006381333931", "number", 4_006_381_333_931.0),
    ("ok\n", "TRUE", "truth", True),
    ("name\n", "nan", "text", "nan"),
    ("name\n", "1_000", "text", "1_000"),
    ("name\n", "-", "text", "-"),
]


@pytest.mark.parametrize(("head", "cell", "kind", "value"), COLUMNS, ids=[row[1] for row in COLUMNS])
def test_what_the_values_of_a_column_are(photos: Path, head: str, cell: str, kind: str, value: object) -> None:
    found = collect([table(photos, f"path,{head}P/cat/1.png,{cell}\nP/cat/2.png,\n")])
    name = head.strip()
    assert found.columns == {name: kind}
    assert [image.columns[name] for image in found.images] == [value, None]


def test_columns_that_cannot_be_are_left_out(photos: Path) -> None:
    """pandas writes a column without a name; a column without values says nothing."""
    found = collect([table(photos, ",path,similarity,_rowid,empty,a.b,fine\n0,P/cat/1.png,1,2,,3,4\n")])
    assert found.columns == {"fine": "number"}
    assert any("columns that an index fills itself, or cannot have" in note for note in found.notes)


def test_a_table_adds_to_what_a_folder_says(photos: Path) -> None:
    found = collect([photos, table(photos, "path,price\nP/cat/1.png,3\n")])
    said = {image.path.name: (image.label, image.columns) for image in found.images}
    assert said == {"1.png": ("cat", {"price": 3.0}), "2.png": ("cat", {}), "3.png": ("dog", {})}


def test_a_part_of_a_folder_has_the_same_labels(photos: Path) -> None:
    assert {image.label for image in collect([photos / "cat"]).images} == {"cat"}


def test_rows_that_contradict_each_other(photos: Path) -> None:
    assert len(collect([table(photos, "path,label\nP/cat/1.png,a\nP/cat/1.png,a\n")]).images) == 1
    with pytest.raises(DataError, match=r"1.png stands in two rows that say different things"):
        collect([table(photos, "path,label\nP/cat/1.png,a\nP/cat/1.png,b\n")])


def test_a_name_that_is_not_utf_8(photos: Path) -> None:
    os.rename(os.fsencode(photos / "cat"), os.fsencode(photos) + b"/caf\xe9")  # noqa: PTH104
    labels = {image.label for image in collect([photos]).images}
    assert labels == {"caf\\udce9", "dog"}
    assert all(image.said for image in collect([photos]).images)


def test_what_a_link_leads_to_is_not_closed(photos: Path) -> None:
    """The folder is met by its link first: what was there by its own name is gone."""
    (photos / "a").symlink_to(photos / "cat")
    found = collect([photos])
    assert sorted(str(image.path.relative_to(photos)) for image in found.images) == ["a/1.png", "a/2.png", "dog/3.png"]
    assert found.covers(os.fsencode(photos / "cat" / "1.png"), b"")


def test_everything_is_below_the_root(photos: Path) -> None:
    from dataclasses import replace

    assert replace(collect([photos]), folders=(Path("/"),)).covers(b"/anything.png", b"")


def test_what_is_gone_can_be_forgotten(photos: Path) -> None:
    with pytest.raises(DataError, match=r"mirada index --forget .*/gone -o INDEX"):
        collect([photos / "gone"])
