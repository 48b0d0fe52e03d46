"""What is said of pictures, held against itself and against them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mirada.data import read
from mirada.inspection.glance import glance
from mirada.inspection.truth import truth_findings


def findings(root: Path) -> dict[str, list[tuple[tuple[str, ...], str]]]:
    """By kind: the keys and what is said of each case."""
    dataset = read(root, is_learnt_from=False)
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
BOXES = [
    ({}, {}),
    ({"a.png": [[30, 20, 10.5, 10]]}, {}),  # half a pixel outside: rounding
    ({"a.png": [[30, 20, 12, 10]]}, {"box-outside": [(("a.png",), "'cell' in a picture of 40 x 30")]}),
    ({"a.png": [[-3, 20, 12, 10]]}, {"box-outside": [(("a.png",), "'cell' in a picture of 40 x 30")]}),
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
    Image.fromarray(np.zeros((15, 20), np.uint8)).save(tmp_path / "masks" / "03.png")
    said = "the picture is 40 x 30, its mask 20 x 15"
    assert findings(tmp_path) == {"mask-size": [(("images/03.png",), said)]}
