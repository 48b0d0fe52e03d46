"""mirada check, convert and augment, as a person and as a program use them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with class folders, of which one picture cannot be read, and with COCO's JSON of others."""
    rng = np.random.default_rng(0)
    for name in ("x", "y"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            tiles = rng.integers(0, 256, (6, 8, 3), np.uint8)
            Image.fromarray(tiles).resize((80, 60)).save(tmp_path / "photos" / name / f"{number:02}.png")
    (tmp_path / "photos" / "x" / "broken.png").write_bytes(b"")
    (tmp_path / "cells").mkdir()
    images, boxes = [], []
    for number in range(12):
        tiles = rng.integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(tiles).resize((80, 60)).save(tmp_path / "cells" / f"{number:02}.png")
        images.append({"id": number, "file_name": f"{number:02}.png", "width": 80, "height": 60})
        boxes.append({"id": number, "image_id": number, "category_id": 4, "bbox": [10, 20, 30, 25], "iscrowd": 0})
    boxes.append({"id": 12, "image_id": 0, "category_id": 4, "bbox": [50, 20, 20, 25], "iscrowd": 1})
    content = {"images": images, "annotations": boxes, "categories": [{"id": 4, "name": "cell"}]}
    (tmp_path / "cells" / "cells.json").write_text(json.dumps(content))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_check_for_people(mirada, here):
    said = mirada("check", "photos", "--quick", "--html", "check.html")
    assert said.status == 1
    lines = said.out.splitlines()
    assert lines[0] == "25 images, 2 classes, class folders"
    assert "MEND  Files that cannot be read (1)" in lines
    assert any(line.startswith("        x/broken.png: ") for line in lines)
    assert lines[-1] == "1 finding must be mended; labels and odd pictures were not looked at (--deep)"
    assert "the page is check.html" in said.err
    assert "x/broken.png" in (here / "check.html").read_text()


def test_check_for_programs(mirada, here):
    (here / "photos" / "x" / "broken.png").unlink()
    said = mirada("check", "photos", "--quick", "--json")
    assert said.status == 0
    assert (said.json["images"], said.json["must_be_mended"], said.json["findings"]) == (24, False, [])
    assert mirada("check", "photos", "--quick").out.splitlines()[-1].startswith("nothing must be mended")


def test_convert(mirada, here):
    said = mirada("convert", "cells", "-o", "new", "--to", "yolo")
    assert said.status == 0
    assert said.out.splitlines() == ["read      12 images, COCO", "saved     new, yolo"]
    assert "Crowds and objects that are not to be judged are left out" in said.err
    assert mirada("check", "new", "--quick", "--json").json["kind"] == "YOLO"


def test_augment(mirada, here):
    said = mirada("augment", "cells", "-o", "sheet.png", "--policy", "strong", "--rows", "2", "--columns", "3")
    assert (said.status, said.out) == (0, "saved     sheet.png\n")
    with Image.open(here / "sheet.png") as sheet:
        assert sheet.size[0] >= 3 * 160


REFUSED = [
    (("check", "nowhere"), "nowhere: there is no such file or folder"),
    (("check", "photos", "--kind", "zip"), "there is no kind 'zip'"),
    (("check", "photos", "--kind", "coco"), "nothing of the kind 'coco' is there"),
    (("check", "photos", "--quick", "--html", "no/page.html"), "no/page.html: the page cannot be written"),
    (("check", "photos", "--quick", "--html", "photos/x/00.png"), "00.png is there already, and no page"),
    (("check", "digits", "--kind", "coco"), "the built-in set digits is of no kind 'coco'"),
    (("augment", "photos/x/00.png", "-o", "photos/x/00.png"), "is there already, and no picture of views"),
    (("augment", "photos", "-o", "photos/x/sheet.png"), "lies in photos, into which nothing is written"),
    (("convert", "cells", "-o", "new", "--to", "zip"), "there is no format 'zip': there are coco, voc, yolo"),
    (("convert", "photos", "-o", "new", "--to", "coco"), "it fits folders"),
    (("convert", "cells", "-o", "photos", "--to", "voc"), "photos is there already: name a new folder with -o"),
    (("augment", "cells", "--policy", "storng"), "Did you mean 'strong'?"),
    (("train", "cells"), "is no set of one class an image, which is what can be learnt so far"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[" ".join(row[0]) for row in REFUSED])
def test_refused(mirada, here, arguments, message):
    said = mirada(*arguments)
    assert said.status == 2
    assert message in said.err
    assert not (here / "new").exists()


def test_no_command_changes_the_data(mirada, here, snapshot):
    before = {name: snapshot(here / name) for name in ("photos", "cells")}
    for name in before:
        mirada("check", name, "--quick")
        mirada("augment", name, "-o", "sheet.png", "--rows", "1", "--columns", "2")
    mirada("convert", "cells", "-o", "new", "--to", "voc")
    mirada("convert", "photos", "-o", "other", "--to", "folders")
    mirada("index", "photos", "-o", "made")
    mirada("search", "made", "photos/x/00.png")
    mirada("similar", "made")
    mirada("atlas", "made", "-o", "atlas.html")
    mirada("train", "photos", "-o", "model", "--retrain", "head")
    mirada("predict", "model", "photos")
    mirada("evaluate", "model", "photos")
    assert {name: snapshot(here / name) for name in before} == before
