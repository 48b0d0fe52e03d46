"""Boxes -> the files of COCO, Pascal VOC and YOLO, each read again by the module of its name.

| what is said of an object | COCO | VOC | YOLO |
|---|---|---|---|
| the edges of its box, in pixels | to 9 decimals | to 9 decimals | to 6 decimals |
| not to be judged | `iscrowd` | `difficult` | left out |
| an outline | yes | no | one polygon, where the box is around it |
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final
from xml.etree import ElementTree

import numpy as np
import yaml

from mirada.annotations import Boxes, Outline
from mirada.data import coco, voc, yolo
from mirada.data.output import Output
from mirada.data.samples import PARTS, Sample
from mirada.errors import DataError

__all__ = ["write_coco", "write_voc", "write_yolo"]

_NO_BOXES: Final = Boxes(np.zeros((0, 4)), np.zeros(0, np.int64))
WITHOUT: Final = "Classes without an object, which are left out"


def write_coco(output: Output) -> None:
    """`images/`, and `annotations/instances_train.json` and so on, or `instances.json` where nothing is divided."""
    samples, class_names = output.dataset.samples, output.dataset.class_names
    places = output.places([output.folder / "images"] * len(samples))
    sizes = output.copy(places)
    categories = [{"id": class_id + 1, "name": name} for class_id, name in enumerate(class_names)]
    (output.folder / "annotations").mkdir()
    for part in (None, *PARTS):
        chosen = [i for i in range(len(samples)) if output.parts[i] == part]
        if not chosen:
            continue
        images, annotations = [], []
        for i in chosen:
            size = samples[i].claimed_wh or sizes[i]  # where they differ, `check` is to find it again
            sides = {} if size is None else {"width": size[0], "height": size[1]}
            images.append({"id": i + 1, "file_name": places[i].name, **sides})
            annotations += [{**row, "image_id": i + 1} for row in _coco_objects(_boxes(samples[i]))]
        annotations = [{"id": number, **row} for number, row in enumerate(annotations, 1)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        file = output.folder / "annotations" / f"instances{f'_{part}' if part else ''}.json"
        file.write_text(json.dumps(content), encoding="utf-8")
    _lose_unused(output)


def _coco_objects(boxes: Boxes) -> list[dict[str, Any]]:
    rows = []
    for i, (left, top, right, bottom) in enumerate(boxes.boxes_xyxy.tolist()):
        outline = None if boxes.outlines is None else boxes.outlines[i]
        width, height = round(right - left, coco.DECIMALS), round(bottom - top, coco.DECIMALS)
        row: dict[str, Any] = {
            "category_id": int(boxes.class_ids[i]) + 1,
            "bbox": [left, top, width, height],
            "area": width * height if outline is None else _area(outline),
            "iscrowd": int(_is_crowd(boxes, i)),
        }
        if outline is not None and outline.polygons:
            row["segmentation"] = outline.polygons
        elif outline is not None and outline.size_wh is not None:
            row["segmentation"] = {"size": outline.size_wh[::-1], "counts": outline.runs}
        rows.append(row)
    return rows


def _area(outline: Outline) -> float:
    """In pixels: of polygons by the shoelace formula, of runs counted."""
    if outline.runs:
        return float(sum(outline.runs[1::2]))
    total = 0.0
    for polygon in outline.polygons:
        x, y = np.array(polygon).reshape(-1, 2).T
        total += abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2
    return total


def write_voc(output: Output) -> None:
    """`JPEGImages/`, `Annotations/*.xml`, and `ImageSets/Main/train.txt` and so on where anything is divided."""
    samples = output.dataset.samples
    places = output.places([output.folder / "JPEGImages"] * len(samples))
    sizes = output.copy(places)
    (output.folder / "Annotations").mkdir()
    for sample, place, size in zip(samples, places, sizes, strict=True):
        boxes = _boxes(sample)
        tree = _voc_tree(place.name, sample.claimed_wh or size, boxes, output.dataset.class_names)
        ElementTree.indent(tree)
        file = output.folder / "Annotations" / f"{place.stem}.xml"
        ElementTree.ElementTree(tree).write(file, encoding="utf-8", xml_declaration=True)
        output.lost["Outlines, which Pascal VOC's XML cannot hold"] += sum(map(bool, boxes.outlines or ()))
    for part in PARTS:
        stems = [place.stem for place, own in zip(places, output.parts, strict=True) if own == part]
        if stems:
            file = output.folder / "ImageSets" / "Main" / f"{part}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(f"{stem}\n" for stem in stems), encoding="utf-8")
    _lose_unused(output)


def _voc_tree(name: str, size: tuple[int, int] | None, boxes: Boxes, class_names: Sequence[str]) -> ElementTree.Element:
    tree = ElementTree.Element("annotation")
    ElementTree.SubElement(tree, "filename").text = name
    if size is not None:
        sides = ElementTree.SubElement(tree, "size")
        for side, pixels in (("width", size[0]), ("height", size[1]), ("depth", 3)):
            ElementTree.SubElement(sides, side).text = str(pixels)
    for i, (left, top, right, bottom) in enumerate(boxes.boxes_xyxy.tolist()):
        element = ElementTree.SubElement(tree, "object")
        ElementTree.SubElement(element, "name").text = class_names[int(boxes.class_ids[i])]
        ElementTree.SubElement(element, "difficult").text = str(int(_is_crowd(boxes, i)))
        bounds = ElementTree.SubElement(element, "bndbox")
        for side, value in (("xmin", left + 1), ("ymin", top + 1), ("xmax", right), ("ymax", bottom)):
            ElementTree.SubElement(bounds, side).text = f"{round(value, voc.DECIMALS):.15g}"
    return tree


def write_yolo(output: Output) -> None:
    """`images/train/`, `labels/train/` and so on, and `data.yaml`."""
    samples = output.dataset.samples
    parts = [part or "train" for part in output.parts]
    places = output.places([output.folder / "images" / part for part in parts])
    sizes = output.copy(places)
    for sample, place, size in zip(samples, places, sizes, strict=True):
        known = sample.claimed_wh or size
        if known is None:
            raise DataError(
                f"{sample.path or sample.key}: the image cannot be read, and YOLO's positions are shares of its size. "
                "Fetch it again, or take it out."
            )
        if size is not None and size != known and size == known[::-1]:
            raise DataError(
                f"{sample.path}: the annotations are of the picture lying on its side, {known[0]} x {known[1]}, which "
                f"YOLO cannot say: upright it is {size[0]} x {size[1]}. mirada check lists all such."
            )
        output.lost["Images of another size than was said, of which YOLO's shares are of the size that was said"] += (
            size not in (None, known)
        )
        labels = yolo.labels_of(place, output.folder)
        labels.parent.mkdir(parents=True, exist_ok=True)
        boxes = _boxes(sample)
        if (np.abs(boxes.boxes_xyxy) >= yolo.FURTHEST * np.array([*known, *known])).any():
            raise DataError(f"{sample.path}: a box lies too far outside for YOLO. mirada check shows it.")
        rows = _yolo_rows(output, boxes, known)
        labels.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    content: dict[str, Any] = {part: f"images/{part}" for part in PARTS if part in parts}
    content["names"] = dict(enumerate(output.dataset.class_names))
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    (output.folder / "data.yaml").write_text(text, encoding="utf-8")
    output.lost["Images of no part, which YOLO has in train"] += sum(part is None for part in output.parts)


def _yolo_rows(output: Output, boxes: Boxes, size: tuple[int, int]) -> list[str]:
    rows = []
    for i, (left, top, right, bottom) in enumerate(boxes.boxes_xyxy.tolist()):
        if _is_crowd(boxes, i):
            output.lost["Crowds and objects that are not to be judged are left out, as YOLO cannot mark them"] += 1
            continue
        outline = None if boxes.outlines is None else boxes.outlines[i]
        if outline is not None and _is_told_by_polygon(outline, (left, top, right, bottom)):
            numbers = (np.reshape(outline.polygons[0], (-1, 2)) / size).ravel().tolist()
        else:
            output.lost["Outlines of several parts, of runs, or with another box, of which YOLO keeps the box"] += (
                outline is not None
            )
            middle_and_sides = np.array([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])
            numbers = (middle_and_sides / (*size, *size)).tolist()
        rows.append(" ".join([str(int(boxes.class_ids[i])), *map(repr, numbers)]))
    return rows


def _is_told_by_polygon(outline: Outline, box: tuple[float, float, float, float]) -> bool:
    """Whether one polygon says all: YOLO takes the box from it."""
    if len(outline.polygons) != 1 or outline.bounds is None:
        return False
    return bool(np.allclose(outline.bounds, box, rtol=0, atol=0.5 * 10**-yolo.DECIMALS))


def _boxes(sample: Sample) -> Boxes:
    return sample.truth if isinstance(sample.truth, Boxes) else _NO_BOXES


def _is_crowd(boxes: Boxes, i: int) -> bool:
    return boxes.is_crowd is not None and bool(boxes.is_crowd[i])


def _lose_unused(output: Output) -> None:
    used = {class_id for sample in output.dataset.samples for class_id in sample.class_ids}
    output.lost[WITHOUT] += len(output.dataset.class_names) - len(used)
