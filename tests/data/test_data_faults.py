"""A data set with places that cannot be understood: the first is the error, or all are named and the rest is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from annotated import coco, draw, objects, parts, write_json, write_mask, xml

from mirada.data import Dataset, read
from mirada.errors import DataError

CAT = ("cat", (10.0, 20.0, 40.0, 25.0), False, None)


def lenient(root: Path) -> Dataset:
    return read(root, is_learnt_from=False, may_be_broken=True)


def coco_rows(root: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        draw(root / name)
    content = coco(("a.png", "b.png", "c.png"))
    content["images"] += [{"id": 9, "file_name": "d.txt"}, 7]
    content["categories"] += [{"id": 5, "name": " "}]
    content["annotations"] += [
        {"image_id": 2, "category_id": 1, "bbox": [1, 2, "x", 4]},
        {"image_id": 77, "category_id": 1, "bbox": [1, 2, 3, 4]},
        {"image_id": 9, "category_id": 1, "bbox": [1, 2, 3, 4]},  # of an image that is left out: not said again
        {"image_id": 1, "category_id": 5, "bbox": [1, 2, 3, 4]},  # of a category that is
        {"image_id": 3, "category_id": 1, "bbox": [1, 2, 3, 4], "segmentation": 5},
    ]
    write_json(root / "set.json", content)


def voc_objects(root: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        draw(root / name)
    (root / "a.xml").write_text(xml())
    (root / "b.xml").write_text(xml([("cat", (11, 21, 40, 25)), ("", (1, 1, 2, 2)), ("dog", (9, 9, 2, 2))]))
    (root / "c.xml").write_text("<annotation><object></annotation>")


def yolo_lines(root: Path) -> None:
    for name in ("a.png", "b.png"):
        draw(root / "images" / name)
    (root / "data.yaml").write_text("train: images\nval: elsewhere\nnames: [cat]\n")
    (root / "labels").mkdir()
    (root / "labels" / "a.txt").write_text("0 0.390625 0.46875 0.46875 0.104166666\n4 0.5 0.5 0.1 0.1\n")
    (root / "labels" / "b.txt").write_text("0 0.390625 0.46875 0.46875 0.104166666\none\n0 20 20 3 3\n")


CASES: list[tuple[Callable[[Path], None], list[tuple[str, str | None]], int]] = [
    (
        coco_rows,
        [
            ("set.json: categories[1].name must be a text", None),
            ("set.json: images[3].file_name must be the name of a file", None),
            ("set.json: images[4] must be an object", None),
            ("set.json: annotations[3].bbox must be", "b.png"),
            ("set.json: annotations[4].image_id must be", None),
            ("set.json: annotations[7].segmentation cannot be understood", "c.png"),
        ],
        3,
    ),
    (
        voc_objects,
        [
            ("b.xml: object 2 has no name", "b.png"),
            ("b.xml: object 3, 'dog': xmax or ymax is below", "b.png"),
            ("c.xml: this is not XML", "c.png"),
        ],
        2,
    ),
    (
        yolo_lines,
        [
            ("data.yaml: val: there is no folder", None),
            ("labels/a.txt, line 2: there is no class '4'", "images/a.png"),
            ("labels/b.txt, line 2: expected numbers only", "images/b.png"),
            ("labels/b.txt, line 3: positions are shares", "images/b.png"),
        ],
        2,
    ),
]


@pytest.mark.parametrize(("write", "told", "understood"), CASES)
def test_every_place_that_cannot_be_understood_is_named_and_the_rest_is_read(
    write: Callable[[Path], None], told: list[tuple[str, str | None]], understood: int, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    write(root)
    dataset = lenient(root)
    assert len(dataset.faults) == len(told)
    for fault, (said, key) in zip(dataset.faults, told, strict=True):
        assert fault.said.startswith(f"{root}/{said}")
        assert (fault.kind, fault.key) == ("not understood", key)
    boxes = [truth for sample in dataset.samples if (truth := sample.truth) is not None]
    assert len(dataset.samples) >= len(boxes) == understood
    with pytest.raises(DataError) as caught:
        read(root)
    assert str(caught.value) == dataset.faults[0].said


def test_objects_that_are_understood_stay_with_their_picture(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    voc_objects(tmp_path / "data")
    (tmp_path / "data" / "c.xml").write_text(xml())
    assert objects(lenient(tmp_path / "data")) == {"a": [CAT], "b": [CAT], "c": [CAT]}


def test_one_file_of_coco_may_be_no_json(tmp_path: Path) -> None:
    draw(tmp_path / "train" / "a.png")
    write_json(tmp_path / "train" / "set.json", coco(("a.png",)))
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "set.json").write_text('{"images": [], "annotations": [], "categories":')
    dataset = lenient(tmp_path)
    assert parts(dataset) == {"a": "train"}
    assert [fault.said.split(" (")[0] for fault in dataset.faults] == [f"{tmp_path}/val/set.json: this is not JSON"]


def test_an_image_of_two_parts_stays_in_the_first(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    for part in ("train", "test"):
        write_json(tmp_path / "annotations" / f"instances_{part}.json", coco(("a.png",)))
    dataset = lenient(tmp_path)
    assert parts(dataset) == {"a": "train"}
    (fault,) = dataset.faults
    assert (fault.kind, fault.key) == ("twice", "a.png")
    assert "'a.png' is there twice, in train and in test" in fault.said


def test_lists_of_voc_name_an_image_twice(tmp_path: Path) -> None:
    draw(tmp_path / "JPEGImages" / "a.png")
    for part in ("train", "test"):
        (tmp_path / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
        (tmp_path / "ImageSets" / "Main" / f"{part}.txt").write_text("a\n")
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text(xml())
    dataset = lenient(tmp_path)
    assert parts(dataset) == {"a": "train"}
    assert [fault.kind for fault in dataset.faults] == ["twice"]
    with pytest.raises(DataError, match="'a' is in train too"):
        read(tmp_path)


def test_rows_of_a_table(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        draw(tmp_path / name)
    table = tmp_path / "set.csv"
    table.write_text(
        "path,label,split\na.png,cat,train\nb.png,dog,train\nb.png,cat,train\nb.png,dog,test\nc.png,,train\n"
        "c.png,dog\nc.png,dog,never\nb.png,dog,train\n"
    )
    dataset = lenient(table)
    assert [sample.key for sample in dataset.samples] == ["a.png", "b.png"]
    assert [(fault.kind, fault.key, fault.said.split(":")[0].split(", ")[1]) for fault in dataset.faults] == [
        ("twice", "b.png", "line 4"),
        ("twice", "b.png", "line 5"),
        ("not understood", None, "line 6"),
        ("not understood", None, "line 7"),
        ("not understood", None, "line 8"),
    ]
    assert "Rows that repeat an earlier row and were read once: 1." in dataset.notes


def test_behind_a_quote_that_never_ends_nothing_can_be_read(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    table = tmp_path / "set.csv"
    table.write_text('path,label\na.png,cat\n"b.png,cat\nc.png,cat\n')
    dataset = lenient(table)
    assert [sample.key for sample in dataset.samples] == ["a.png"]
    assert len(dataset.faults) == 1
    assert "line 3: not a row of a table" in dataset.faults[0].said


def test_where_nothing_is_left_it_is_said_why(tmp_path: Path) -> None:
    table = tmp_path / "set.csv"
    table.write_text("path,label\na.png\nb.png\n")
    with pytest.raises(DataError, match=r"line 2: cells: 1, columns in the header: 2.*1 more place cannot be"):
        lenient(table)


def test_masks_of_the_same_name(tmp_path: Path) -> None:
    for name in ("a.png", "a.bmp", "b.png"):
        draw(tmp_path / "images" / name)
    for name in ("a.png", "b.png"):
        write_mask(tmp_path / "masks" / name, [[0, 1], [1, 2]])
    dataset = lenient(tmp_path)
    assert [sample.key for sample in dataset.samples] == ["images/a.bmp", "images/b.png"]
    assert [fault.said for fault in dataset.faults] == [
        f"{tmp_path}/images: a.bmp and a.png have the same name. Keep one of them."
    ]
