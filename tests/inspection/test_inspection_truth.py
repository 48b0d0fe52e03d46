"""What is said of pictures, held against itself and against them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mirada.annotations import Boxes
from mirada.data import Sample, convert, read
from mirada.errors import DataError
from mirada.inspection import check
from mirada.inspection.glance import glance
from mirada.inspection.truth import _doubled, truth_findings


def findings(root: Path) -> dict[str, list[tuple[tuple[str, ...], str]]]:
    """By kind: the keys and what is said of each case."""
    dataset = read(root, is_learnt_from=False, may_be_broken=True)
    found = truth_findings(dataset, [glance(sample) for sample in dataset.samples])
    return {finding.kind: [(item.keys, item.said) for item in finding.items] for finding in found}


def noise(path: Path, size: tuple[int, int] = (40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = int.from_bytes(path.name.encode(), "little") % 2**32
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)).save(path)


def class_folders(root: Path, counts: dict[str, int]) -> Path:
    for folder, count in counts.items():
        for number in range(count):
            noise(root / folder / f"{number}.png")
    return root


CLASSES = [
    ({"x": 12, "y": 12}, {}),
    ({"x": 12, "y": 3}, {"few": ["'y': 3"]}),
    ({"x": 210, "y": 10}, {"unbalanced": ["'y': 10", "'x': 210"]}),
    (
        {"train/x": 12, "train/y": 12, "test/x": 2, "test/z": 12},
        {
            "class-not-in-train": ["'z' is in test, not in train"],
            "class-not-judged": ["'y' is not in test"],
        },
    ),
]


@pytest.mark.parametrize(("counts", "told"), CLASSES)
def test_classes(counts: dict[str, int], told: dict[str, list[str]], tmp_path: Path) -> None:
    found = findings(class_folders(tmp_path / "data", counts))
    assert {kind: [said for _, said in cases] for kind, cases in found.items()} == told


def coco(root: Path, boxes: dict[str, list[list[float]]], size: tuple[int, int] = (40, 30)) -> Path:
    """A data set of pictures of 40 x 30 and their boxes [x, y, width, height], said to be of a size."""
    root.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number, (name, mine) in enumerate(boxes.items()):
        noise(root / name)
        images.append({"id": number, "file_name": name, "width": size[0], "height": size[1]})
        annotations += [
            {"id": len(annotations) + i, "image_id": number, "category_id": 7, "bbox": b} for i, b in enumerate(mine)
        ]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 7, "name": "cell"}]}
    (root / "instances.json").write_text(json.dumps(content))
    return root


GOOD = {f"good-{i}.png": [[2.0, 2.0, 20.0, 20.0]] for i in range(10)}
IN_IT = "in a picture of 40 x 30"
BOXES = [
    ({}, {}),
    ({"a.png": [[30, 20, 10.5, 10]]}, {}),  # half a pixel outside: rounding
    (
        {"a.png": [[30, 20, 12, 10]]},
        {"box-outside": [(("a.png",), "'cell' at 30, 20 to 42, 30 in a picture of 40 x 30")]},
    ),
    (
        {"a.png": [[-3, 20, 12, 10]]},
        {"box-outside": [(("a.png",), "'cell' at -3, 20 to 9, 30 in a picture of 40 x 30")]},
    ),
    ({"a.png": [[3, 20, 0, 10]]}, {"box-empty": [(("a.png",), "'cell'")]}),
    ({"a.png": [[3, 20, 3, 10]]}, {"box-small": [(("a.png",), "'cell', 3 x 10 pixels")]}),
    (
        {"a.png": [[3, 2, 20, 20], [3, 2, 20, 20.5], [12, 2, 20, 20]]},
        {"box-doubled": [(("a.png",), "'cell' twice")]},
    ),
    ({"a.png": []}, {"no-object": [(("a.png",), "")]}),
]


@pytest.mark.parametrize(("boxes", "told"), BOXES)
def test_boxes(boxes: dict[str, list[list[float]]], told: dict[str, object], tmp_path: Path) -> None:
    assert findings(coco(tmp_path / "data", GOOD | boxes)) == told


def test_one_object_as_two_classes_and_classes_of_nothing(tmp_path: Path) -> None:
    root = coco(tmp_path / "data", GOOD)
    content = json.loads((root / "instances.json").read_text())
    content["categories"].append({"id": 9, "name": "dust"})
    content["annotations"].append({"id": 99, "image_id": 3, "category_id": 9, "bbox": [2.0, 2.0, 20.0, 20.5]})
    (root / "instances.json").write_text(json.dumps(content))
    assert findings(root)["box-contradiction"] == [(("good-3.png",), "'cell' and 'dust'")]
    convert(read(root), tmp_path / "yolo", "yolo")
    (tmp_path / "yolo" / "data.yaml").write_text("train: images/train\nnames: [cell, dust, hair]\n")
    assert findings(tmp_path / "yolo")["class-empty"] == [((), "'hair'")]


def test_pictures_of_another_size_than_was_annotated(tmp_path: Path) -> None:
    found = findings(coco(tmp_path / "data", GOOD, size=(80, 60)))
    assert set(found) == {"wrong-size"}
    assert len(found["wrong-size"]) == len(GOOD)
    assert found["wrong-size"][0] == (("good-0.png",), "said to be 80 x 60, is 40 x 30")


def test_masks(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    for number in range(12):
        noise(tmp_path / "images" / f"{number:02}.png")
        mask = np.zeros((30, 40), np.uint8)
        mask[5:20, 5:20] = 1
        Image.fromarray(mask).save(tmp_path / "masks" / f"{number:02}.png")
    assert findings(tmp_path) == {}
    Image.fromarray(np.ones((15, 20), np.uint8)).save(tmp_path / "masks" / "03.png")
    said = "the picture is 40 x 30, its mask 20 x 15"
    assert findings(tmp_path) == {"mask-size": [(("images/03.png",), said)]}


def test_masks_that_are_broken_or_have_numbers_without_a_name(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    for number in range(12):
        noise(tmp_path / "images" / f"{number:02}.png")
        mask = np.zeros((30, 40), np.uint8)
        mask[5:20, 5:20] = 77 if number == 3 else 1
        Image.fromarray(mask).save(tmp_path / "masks" / f"{number:02}.png")
    (tmp_path / "masks" / "05.png").write_bytes(b"")
    (tmp_path / "classes.txt").write_text("ground\ncell\n")
    found = findings(tmp_path)
    assert {kind: [keys for keys, _ in cases] for kind, cases in found.items()} == {
        "mask-unreadable": [("images/05.png",)],
        "mask-values": [("images/03.png",)],
        "no-object": [("images/03.png",)],  # of what is named
    }
    assert found["mask-values"][0][1] == "the mask has numbers that are no classes: [77]."
    with pytest.raises(DataError):
        read(tmp_path)


def test_many_boxes_are_held_against_each_other_as_all_against_all(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 60, (300, 2))
    sides = rng.uniform(5, 30, (300, 2))
    boxes = np.concatenate([corners, corners + sides], axis=1)
    boxes[100:200] = boxes[:100] + rng.uniform(-0.8, 0.8, (100, 4))
    ids = rng.integers(0, 2, 300)
    ids[100:200] = ids[:100]
    low, high = np.maximum(boxes[:, None, :2], boxes[:, :2]), np.minimum(boxes[:, None, 2:], boxes[:, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=2)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    share = common / (areas[:, None] + areas - common)
    expected = np.argwhere(np.triu(share >= 0.9, 1)).tolist()
    assert len(expected) > 20
    sample = Sample("a", Boxes(boxes, ids), array=np.zeros((9, 9), np.uint8))
    assert [list(pair) for pair in _doubled(sample)] == expected


def test_a_missing_image_of_each_format_is_found_by_the_check(tmp_path: Path) -> None:
    """And named; without the check it is an error, or left out."""
    root = coco(tmp_path / "coco", GOOD)
    convert(read(root), tmp_path / "voc", "voc")
    convert(read(root), tmp_path / "yolo", "yolo")
    for number in range(3):
        noise(tmp_path / "table" / f"{number}.png")
    rows = "".join(f"{number}.png,{'ab'[number % 2]}\n" for number in range(3))
    (tmp_path / "table" / "t.csv").write_text("path,label\n" + rows)
    (root / "good-3.png").unlink()
    (tmp_path / "voc" / "JPEGImages" / "good-3.png").unlink()
    (tmp_path / "yolo" / "images" / "train" / "good-3.png").write_bytes(b"broken")
    (tmp_path / "table" / "2.png").unlink()
    for data in (root, tmp_path / "voc", tmp_path / "yolo", tmp_path / "table" / "t.csv"):
        found = {finding.kind: finding for finding in check(data, deep=False).findings}
        assert [item.keys[0].rpartition("/")[2] for item in found["unreadable"].items] in (["good-3.png"], ["2.png"])
        assert "no-label" not in found
        if data.name == "yolo":
            assert len(read(data)) == len(GOOD) - 1
        else:
            with pytest.raises(DataError, match=r"exist|not there"):
                read(data)


def test_what_cannot_be_understood_is_listed_with_its_picture(tmp_path: Path) -> None:
    root = coco(tmp_path / "coco", GOOD)
    convert(read(root), tmp_path / "yolo", "yolo")
    labels = tmp_path / "yolo" / "labels" / "train"
    (labels / "good-3.txt").write_text("0 0.5 0.5 0.2\n")
    (labels / "good-5.txt").write_text("cell 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2 0.2\n")
    found = findings(tmp_path / "yolo")
    assert found.keys() == {"not-understood", "few"}
    assert found["not-understood"] == [
        (
            ("images/train/good-3.png",),
            "labels/train/good-3.txt, line 1: expected a class and x, y, width, height, or a class and at least "
            "three corners; found 4 numbers.",
        ),
        (
            ("images/train/good-5.png",),
            "labels/train/good-5.txt, line 1: expected numbers only, found 'cell 0.5 0.5 0.2 0.2'.",
        ),
    ]
    assert check(tmp_path / "yolo", deep=False).must_be_mended


def test_a_picture_in_two_parts_is_a_finding(tmp_path: Path) -> None:
    root = coco(tmp_path / "coco", GOOD)
    for name in ("train.json", "val.json"):
        (root / name).write_text((root / "instances.json").read_text())
    (root / "instances.json").unlink()
    (cases,) = (cases for kind, cases in findings(root).items() if kind == "listed-twice")
    assert [keys for keys, _ in cases] == [(name,) for name in GOOD]
    assert "there twice, in train and in val" in cases[0][1]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("Mango", "mango"), ["'Mango' (10) and 'mango' (12)"]),
        (("red_apple", "Red apple", "red-apple"), ["'Red apple' (12) and 'red-apple' (14) and 'red_apple' (10)"]),
        (("+1", "-1"), None),
        (("c", "c++"), None),
    ],
)
def test_classes_whose_names_are_alike(names: tuple[str, ...], told: list[str] | None, tmp_path: Path) -> None:
    found = findings(class_folders(tmp_path / "data", {name: 10 + 2 * i for i, name in enumerate(names)}))
    assert [said for _, said in found.get("class-alike", [])] == (told or [])
