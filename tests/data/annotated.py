"""Small data sets with boxes and masks, written by hand, and what is said in one, in plain values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mirada.annotations import Boxes
from mirada.data import Dataset

# Of an object: class, left, top, right, bottom, whether it is not to be judged, its outline.
Said = tuple[str, tuple[float, ...], bool, Any]


def draw(path: Path, size: tuple[int, int] = (64, 48)) -> Path:
    """A picture whose colour depends on its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = np.random.default_rng([*path.name.encode(), *path.parent.name.encode()]).integers(0, 255, 3)
    kind = {".jpg": "JPEG", ".bmp": "BMP"}.get(path.suffix, "PNG")
    Image.new("RGB", size, tuple(colour.tolist())).save(path, kind)
    return path


def write_json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def coco(names: Iterable[str] = ("a.png", "b.png"), **changes: Any) -> dict[str, Any]:
    """What COCO says of pictures of 64 x 48, each with one cat: everything but the changes."""
    images = [{"id": i, "file_name": name, "width": 64, "height": 48} for i, name in enumerate(names, 1)]
    annotations = [
        {"id": i, "image_id": image["id"], "category_id": 1, "bbox": [10, 20, 30, 5], "iscrowd": 0}
        for i, image in enumerate(images, 1)
    ]
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cat"}]} | changes


def xml(objects: Iterable[tuple[str, tuple[float, ...]]] = (("cat", (11, 21, 40, 25)),), head: str = "") -> str:
    """An annotation of VOC."""
    body = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin>"
        f"<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
        for name, box in objects
    )
    return f"<annotation>{head}{body}</annotation>"


def write_mask(path: Path, values: object, mode: str = "L") -> Path:
    """A mask of these numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.array(values, np.uint16 if mode == "I;16" else np.uint8)
    if mode == "P":
        image = Image.fromarray(array).convert("P")
        image.putdata(array.ravel().tolist())
        image.putpalette([level for i in range(256) for level in (255 - i, i, i // 2)])
    else:
        image = Image.fromarray(array)
    image.save(path)
    return path


def objects(dataset: Dataset) -> dict[str, list[Said]]:
    """What is said of each picture, by the stem of its file."""
    found = {}
    for sample in dataset.samples:
        assert isinstance(sample.truth, Boxes)
        assert sample.path is not None
        boxes = sample.truth
        n = len(boxes)
        crowd = [False] * n if boxes.is_crowd is None else boxes.is_crowd.tolist()
        outlines = [None] * n if boxes.outlines is None else boxes.outlines
        names = [dataset.class_names[class_id] for class_id in boxes.class_ids]
        found[sample.path.stem] = list(zip(names, map(tuple, boxes.boxes_xyxy.tolist()), crowd, outlines, strict=True))
    return found


def parts(dataset: Dataset) -> dict[str, str | None]:
    """The part of each picture, by the stem of its file."""
    return {Path(sample.key).stem: sample.part for sample in dataset.samples}


def files(folder: Path) -> Mapping[str, bytes]:
    """All files below a folder, and what is in them."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
