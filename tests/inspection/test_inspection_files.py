"""Files that cannot be read, and files and pictures that are odd."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mirada.data import read
from mirada.inspection.check import check
from mirada.inspection.files import file_findings
from mirada.inspection.glance import glance


def findings(root: Path) -> dict[str, list[tuple[tuple[str, ...], str]]]:
    """What is found about the files, by kind: the keys and what is said of each case."""
    dataset = read(root, is_learnt_from=False)
    found = file_findings(dataset, [glance(sample) for sample in dataset.samples])
    return {finding.kind: [(item.keys, item.said) for item in finding.items] for finding in found}


def test_of_good_pictures_nothing_is_said(photos: Path) -> None:
    assert findings(photos) == {}


def test_fine_noise_is_not_one_colour_and_plain_pictures_are(tmp_path: Path) -> None:
    """Averages of 32 x 32 of it are all alike; and plain pictures have nothing to be compared by."""
    rng = np.random.default_rng(0)
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        for number, level in enumerate((60, 200)):
            plain = np.full((90, 100, 3), level + (name == "y"), np.uint8)
            Image.fromarray(plain).save(tmp_path / name / f"plain-{number}.png")
    assert [
        item.keys
        for finding in check(tmp_path, deep=False).findings
        if finding.kind == "flat"
        for item in finding.items
    ] == [(f"{name}/plain-{number}.png",) for name in "xy" for number in range(2)]
    Image.fromarray(rng.integers(60, 196, (1_200, 1_200, 3), np.uint8)).save(tmp_path / "x" / "noise.png")
    found = {finding.kind: finding for finding in check(tmp_path, deep=False).findings}
    assert len(found["flat"].items) == 4


def test_what_cannot_be_read(photos: Path) -> None:
    whole = (photos / "x" / "1.png").read_bytes()
    (photos / "x" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (photos / "x" / "empty.jpg").write_bytes(b"")
    (photos / "y" / "text.jpg").write_text("this is no picture")
    (photos / "y" / "gone.jpg").symlink_to(photos / "nowhere.jpg")
    found = findings(photos)
    assert set(found) == {"unreadable"}
    reasons = {keys[0]: said for keys, said in found["unreadable"]}
    assert set(reasons) == {"x/cut.png", "x/empty.jpg", "y/text.jpg", "y/gone.jpg"}
    assert "cut short" in reasons["x/cut.png"] or "truncated" in reasons["x/cut.png"]
    assert "empty" in reasons["x/empty.jpg"]


def test_a_name_that_says_another_format(photos: Path) -> None:
    Image.open(photos / "x" / "1.png").save(photos / "x" / "odd.jpg", format="PNG")
    assert findings(photos) == {"wrong-suffix": [(("x/odd.jpg",), "is PNG")]}


def test_turned_by_exif(photos: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.open(photos / "x" / "1.png").save(photos / "x" / "turned.jpg", exif=exif, quality=95)
    assert findings(photos) == {"turned": [(("x/turned.jpg",), "EXIF orientation 6")]}


def test_odd_shapes_and_colours(photos: Path, cuts: list[NDArray[np.uint8]]) -> None:
    rng = np.random.default_rng(0)
    for number in range(30):  # so that one of another mode is rare
        Image.fromarray(rng.integers(0, 256, (60, 60, 3), np.uint8)).save(photos / "y" / f"more-{number}.png")
    Image.fromarray(cuts[0][:30]).save(photos / "x" / "small.png")
    Image.fromarray(cuts[0][:40]).save(photos / "x" / "long.png")
    Image.fromarray(np.full((100, 100, 3), 40, np.uint8)).save(photos / "x" / "flat.png")
    Image.fromarray(cuts[1][:, :, 0]).save(photos / "x" / "grey.png")
    found = findings(photos)
    assert found == {
        "tiny": [(("x/small.png",), "200 x 30 pixels")],
        "long": [(("x/long.png",), "200 x 40 pixels"), (("x/small.png",), "200 x 30 pixels")],
        "flat": [(("x/flat.png",), "one colour")],
        "mode": [(("x/grey.png",), "grey, most are RGB")],
    }


def test_digits_are_all_small_and_that_is_no_finding() -> None:
    kinds = {finding.kind for finding in check("digits", deep=False).findings}
    assert "tiny" not in kinds
    assert "copies" not in kinds


def test_annotations_of_a_picture_that_lay_down(tmp_path: Path, cuts: list[NDArray[np.uint8]]) -> None:
    import json

    exif = Image.Exif()
    exif[274] = 6  # stored 200 x 120, upright 120 x 200
    Image.fromarray(cuts[0][:120]).save(tmp_path / "a.jpg", exif=exif)
    Image.fromarray(cuts[1][:120]).save(tmp_path / "b.jpg")
    images = [{"id": i, "file_name": name, "width": 200, "height": 120} for i, name in enumerate(("a.jpg", "b.jpg"))]
    boxes = [{"id": i, "image_id": i, "category_id": 1, "bbox": [10, 10, 50, 40]} for i in (0, 1)]
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "thing"}]}
    (tmp_path / "instances.json").write_text(json.dumps(content))
    said = "the annotations are of 200 x 120, upright it is 120 x 200"
    assert findings(tmp_path) == {"turned-annotations": [(("a.jpg",), said)]}
