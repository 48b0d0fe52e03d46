"""A whole data set with one of everything wrong: what is found, as values and as a page."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mirada.errors import DataError, UsageError
from mirada.inspection import Finding, Item, check, report_page, suspects


@pytest.fixture
def spoilt(cuts: list[NDArray[np.uint8]], tmp_path: Path) -> Path:
    """Two classes, and in them a file that is cut short, a copy in the other class, and a name with markup."""
    for number, picture in enumerate(cuts):
        place = tmp_path / "photos" / ("x" if number % 2 else "<i>y")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{number}.png")
    whole = (tmp_path / "photos" / "x" / "1.png").read_bytes()
    (tmp_path / "photos" / "x" / "cut.png").write_bytes(whole[:2_000])
    Image.fromarray(cuts[0][:, ::-1]).save(tmp_path / "photos" / "x" / "mirrored.jpg")
    return tmp_path / "photos"


def test_the_report(spoilt: Path) -> None:
    report = check(spoilt, deep=False)
    assert report.must_be_mended
    assert [finding.kind for finding in report.findings] == ["unreadable", "contradiction", "few"]
    assert report.findings[1].items[0].keys == ("<i>y/0.png", "x/mirrored.jpg")
    assert report.formats == {"PNG": 12, "JPEG": 1}
    assert report.sizes == (200, 200, 200)
    told = json.loads(json.dumps(report.json()))
    assert (told["images"], told["classes"], told["parts"]) == (14, ["<i>y", "x"], {"undivided": 14})
    assert told["looked_deep"] is False
    assert [finding["count"] for finding in told["findings"]] == [1, 1, 2]
    assert told["findings"][0]["items"][0]["images"] == ["x/cut.png"]


def test_the_page_holds_every_case_and_loads_nothing(spoilt: Path) -> None:
    report = check(spoilt, deep=False)
    text = report_page(report)
    assert text.count("<img ") == 2
    assert "&lt;i&gt;y/0.png" in text
    assert "<i>y" not in text
    assert "http" not in text.replace("http-equiv", "")
    assert "must be mended" in text
    assert "mirada check --deep does" in text


def test_of_many_cases_a_page_shows_some(spoilt: Path) -> None:
    report = check(spoilt, deep=False)
    many = tuple(Item(("x/1.png",), f"case {number}") for number in range(70))
    finding = Finding("many", "look", "Many", "why", "what", many)
    object.__setattr__(report, "findings", (finding,))
    text = report_page(report)
    assert text.count("<img ") == 60
    assert "10 more are in the output of --json" in text
    assert not report.must_be_mended


def test_boxes_are_drawn_on_the_page(cuts: list[NDArray[np.uint8]], tmp_path: Path) -> None:
    Image.fromarray(cuts[0]).save(tmp_path / "a.png")
    content = {
        "images": [{"id": 0, "file_name": "a.png", "width": 200, "height": 200}],
        "annotations": [{"id": 0, "image_id": 0, "category_id": 1, "bbox": [150, 20, 80, 60]}],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    report = check(tmp_path / "a.json", deep=False)
    finding = next(finding for finding in report.findings if finding.kind == "box-outside")
    assert finding.items[0].boxes_xyxy == ((150.0, 20.0, 230.0, 80.0),)
    assert finding.json()["items"][0]["boxes_xyxy"] == [[150.0, 20.0, 230.0, 80.0]]
    assert report_page(report).count("<img ") == 1


def test_a_folder_of_images_of_which_nothing_is_said(cuts: list[NDArray[np.uint8]], tmp_path: Path) -> None:
    for number, picture in enumerate(cuts):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    Image.fromarray(cuts[1][:, ::-1]).save(tmp_path / "again.jpg", quality=90)
    (tmp_path / "broken.png").write_bytes(b"broken")
    report = check(tmp_path, deep=False)
    assert {finding.kind: [set(item.keys) for item in finding.items] for finding in report.findings} == {
        "unreadable": [{"broken.png"}],
        "copies": [{"1.png", "again.jpg"}],
    }
    assert report.dataset.kind == "images"
    assert "again.jpg" in report_page(report)


def test_deep_by_the_number_of_pictures(textures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    room = sys.modules["mirada.inspection.check"]  # the name in the package is the function
    monkeypatch.setattr(suspects, "suspect_findings", lambda *_: asked.append(True) or ([], []))
    assert check(textures).is_deep
    monkeypatch.setattr(room, "DEEP_UP_TO", 29)
    assert not check(textures).is_deep
    assert check(textures, deep=True).is_deep
    assert len(asked) == 2


def test_nothing_is_changed(spoilt: Path, snapshot) -> None:
    before = snapshot(spoilt)
    report_page(check(spoilt, deep=False))
    assert snapshot(spoilt) == before


def test_what_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such file or folder"):
        check(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="the folder is empty"):
        check(tmp_path / "empty")
    with pytest.raises(UsageError, match="there is no kind 'zip': there are coco, voc, yolo, masks, folders"):
        check(tmp_path / "empty", kind="zip")


def test_pictures_that_cannot_be_read_at_all(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(2):
            (tmp_path / "data" / name / f"{number}.jpg").write_bytes(b"nothing")
    report = check(tmp_path / "data", deep=True)
    assert [len(finding.items) for finding in report.findings if finding.kind == "unreadable"] == [4]
    assert report.sizes is None
    assert report_page(report)
    shutil.rmtree(tmp_path / "data")
