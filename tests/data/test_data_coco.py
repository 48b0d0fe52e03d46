from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import coco, draw, objects, parts, write_json
from hypothesis import given
from hypothesis import strategies as st

from mirada.annotations import Boxes, Outline
from mirada.data import Dataset, read
from mirada.data.runs import runs_of
from mirada.errors import DataError

CAT = ("cat", (10.0, 20.0, 40.0, 25.0), False, None)


def test_one_file_beside_its_images(tmp_path: Path) -> None:
    for name in ("b.png", "a.png"):
        draw(tmp_path / "set" / name)
    file = write_json(tmp_path / "set" / "labels.json", coco(["b.png", "a.png"]))
    dataset = read(tmp_path / "set")
    assert (dataset.name, dataset.root, dataset.kind, dataset.task) == ("set", tmp_path / "set", "COCO", "detect")
    assert dataset.class_names == ("cat",)
    assert [(sample.key, sample.part, sample.claimed_wh) for sample in dataset.samples] == [
        ("a.png", None, (64, 48)),
        ("b.png", None, (64, 48)),
    ]
    assert objects(dataset) == {"a": [CAT], "b": [CAT]}
    assert dataset.notes == ()
    by_file = read(file)
    assert (by_file.name, by_file.root) == ("set", file)
    assert [sample.key for sample in by_file.samples] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("images", "file"),
    [
        ("", "labels.json"),
        ("", "annotations/instances_default.json"),
        ("images/", "annotations/labels.json"),
        ("images/", "labels.json"),
        ("val2017/", "annotations/instances_val2017.json"),
        ("images/val2017/", "annotations/instances_val2017.json"),
        ("validation/", "annotations/instances_val.json"),
        ("valid/", "valid/_annotations.coco.json"),
        ("val/images/", "val/labels.json"),
        ("annotations/", "annotations/labels.json"),
        ("anywhere/", "labels.json"),
    ],
)
@pytest.mark.parametrize("is_file_given", [False, True])
def test_where_images_lie(tmp_path: Path, images: str, file: str, is_file_given: bool) -> None:
    draw(tmp_path / "set" / images / "a.png")
    if images != "anywhere/":
        draw(tmp_path / "set" / "elsewhere" / "a.png")
    path = write_json(tmp_path / "set" / file, coco(["a.png"]))
    dataset = read(path if is_file_given else tmp_path / "set")
    assert [sample.path for sample in dataset.samples] == [tmp_path / "set" / images / "a.png"]


def test_parts_by_the_names_of_files_and_of_folders(tmp_path: Path) -> None:
    for part, name in (("train2017", "a"), ("val2017", "b"), ("test2017", "c")):
        draw(tmp_path / "1" / part / f"{name}.png")
        write_json(tmp_path / "1" / "annotations" / f"instances_{part}.json", coco([f"{name}.png"]))
        write_json(tmp_path / "1" / "annotations" / f"person_keypoints_{part}.json", coco([f"{name}.png"]))
        write_json(tmp_path / "1" / "annotations" / f"captions_{part}.json", {"images": [], "annotations": []})
    for part, name in (("train", "a"), ("valid", "b"), ("test", "c")):  # as Roboflow writes it
        draw(tmp_path / "2" / part / f"{name}.png")
        write_json(tmp_path / "2" / part / "_annotations.coco.json", coco([f"{name}.png"]))
    for folder in ("1", "2"):
        dataset = read(tmp_path / folder)
        assert parts(dataset) == {"a": "train", "b": "val", "c": "test"}
        assert [sample.part for sample in dataset.samples] == ["train", "val", "test"]
    assert read(tmp_path / "2").samples[1].key == "valid/b.png"


def test_ids_have_gaps_and_may_be_large(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png", "unlisted.png"):
        draw(tmp_path / name)
    content = {
        "images": [
            {"id": 9_007_199_254_740_993, "file_name": "a.png"},
            {"id": 0, "file_name": "b.png"},
            {"id": 5, "file_name": "c.png"},
        ],
        "annotations": [
            {"image_id": 0, "category_id": 90, "bbox": [0, 0, 1, 1]},
            {"image_id": 9_007_199_254_740_993, "category_id": 1, "bbox": [2, 2, 3, 3]},
            {"image_id": 0, "category_id": 1, "bbox": [4, 4, 5, 5]},
        ],
        "categories": [{"id": 90, "name": " ant"}, {"id": 1, "name": "zebra"}, {"id": 18, "name": "never"}],
    }
    write_json(tmp_path / "x.json", content)
    dataset = read(tmp_path)
    assert dataset.class_names == ("ant", "zebra")
    assert objects(dataset) == {
        "a": [("zebra", (2, 2, 5, 5), False, None)],
        "b": [("ant", (0, 0, 1, 1), False, None), ("zebra", (4, 4, 9, 9), False, None)],
        "c": [],
    }
    assert [sample.class_ids for sample in dataset.samples] == [(1,), (0, 1), ()]
    assert dataset.notes == (
        "Categories without an object were left out: 'never'.",
        "Images that no annotation file lists were left out (1): 'unlisted.png'.",
    )


def annotated(tmp_path: Path, *rows: dict[str, Any]) -> Dataset:
    """One picture of 4 x 3 pixels, with these annotations."""
    draw(tmp_path / "a.png", (4, 3))
    images = [{"id": 1, "file_name": "a.png", "width": 4, "height": 3}]
    annotations = [{"image_id": 1, "category_id": 1} | row for row in rows]
    write_json(tmp_path / "x.json", coco(images=images, annotations=annotations))
    return read(tmp_path)


def test_crowds_polygons_and_runs(tmp_path: Path) -> None:
    square = [0, 0, 2, 0, 2, 2, 0, 2]
    dataset = annotated(
        tmp_path,
        {"bbox": [0, 0, 2, 2], "segmentation": [square, [1.5, 1, 3, 1, 3, 2.5]], "iscrowd": 0},
        {"bbox": [1, 0, 2, 3], "segmentation": {"size": [3, 4], "counts": [4, 2, 6]}, "iscrowd": 1},
        {"bbox": [1, 1, 1, 1], "segmentation": []},
        {"bbox": [1, 1, 1, 1], "segmentation": [[0, 0, 1, 1], square]},
        {"segmentation": [[1, 0.5, 3, 1, 2, 2.25]]},
        {"segmentation": {"size": [3, 4], "counts": [4, 2, 6]}},
        {"bbox": []},
        {"segmentation": {"size": [3, 4], "counts": [12]}},
    )
    runs = Outline(runs=(4, 2, 6), size_wh=(4, 3))
    corner = Outline(((1, 0.5, 3, 1, 2, 2.25),))
    assert objects(dataset)["a"] == [
        ("cat", (0, 0, 2, 2), False, Outline((tuple(square), (1.5, 1, 3, 1, 3, 2.5)))),
        ("cat", (1, 0, 3, 3), True, runs),
        ("cat", (1, 1, 2, 2), False, None),
        ("cat", (1, 1, 2, 2), False, Outline((tuple(square),))),
        ("cat", (1, 0.5, 3, 2.25), False, corner),  # the box around the polygon
        ("cat", (1, 1, 2, 3), False, runs),  # the second and third pixel of the second column
    ]
    assert dataset.notes == (
        "Polygons of fewer than three corners were left out: 1.",
        "Annotations without a box and without an outline were left out: 2.",
    )


def test_edges_are_the_decimal_sums_that_were_meant(tmp_path: Path) -> None:
    dataset = annotated(tmp_path, {"bbox": [0.1, 0.7, 0.2, 0.1]})  # in floating point 0.1 + 0.2 > 0.3
    assert objects(dataset)["a"][0][1] == (0.1, 0.7, 0.3, 0.8)


def test_where_no_object_has_an_outline_there_is_none(tmp_path: Path) -> None:
    truth = annotated(tmp_path, {"bbox": [0, 0, 1, 1]}).samples[0].truth
    assert isinstance(truth, Boxes)
    assert (truth.outlines, truth.is_crowd) == (None, None)


def text_of(runs: list[int]) -> str:
    """The compressed text of runs, after `rleToString` of the COCO API (maskApi.c): read it beside `runs_of`."""
    letters = []
    for i, run in enumerate(runs):
        x = run - runs[i - 2] if i > 2 else run
        more = True
        while more:
            c = x & 0x1F
            x >>= 5
            more = (x != -1) if c & 0x10 else (x != 0)
            letters.append(chr((c | 0x20 if more else c) + 48))
    return "".join(letters)


def test_the_encoder_agrees_with_a_text_of_the_coco_api() -> None:
    # pycocotools.mask.encode of a mask of 5 x 5 with ones in rows 1 to 3 of columns 1 to 3, by hand:
    # 6 outside, 3 inside, 2 outside (5 would be the bottom of one column and the top of the next), and so on.
    assert text_of([6, 3, 2, 3, 2, 3, 6]) == "6320004"
    assert runs_of("6320004") == (6, 3, 2, 3, 2, 3, 6)


@given(st.lists(st.integers(0, 2**31 - 1), max_size=60))
def test_the_compressed_text_of_runs(runs: list[int]) -> None:
    assert list(runs_of(text_of(runs))) == runs


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 12))
def test_compressed_runs_are_a_mask(pixels: list[bool], height: int) -> None:
    width = -(-len(pixels) // height)
    columns = np.array([*pixels, *[False] * (width * height - len(pixels))]).reshape(width, height)
    flat = columns.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges, flat.size]).tolist()
    if flat[0]:
        runs = [0, *runs]
    outline = Outline(runs=runs_of(text_of(runs)), size_wh=(width, height))
    back = np.repeat(np.arange(len(outline.runs)) % 2, outline.runs).astype(bool).reshape(width, height).T
    assert np.array_equal(back, columns.T)
    rows, across = np.nonzero(back)
    around = (across.min(), rows.min(), across.max() + 1, rows.max() + 1) if len(rows) else None
    assert outline.bounds == around


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"images": 3}, "images must be a list, found 3."),
    ({"images": []}, "there is no image in it."),
    ({"images": [7]}, "images[0] must be an object, found 7."),
    ({"images": [{"id": "1", "file_name": "a.png"}]}, "images[0].id must be a whole number, found '1'."),
    ({"images": [{"id": True, "file_name": "a.png"}]}, "images[0].id must be a whole number, found True."),
    (
        {"images": [{"id": 1}]},
        "images[0].file_name must be the name of a file with the suffix of an image, found None.",
    ),
    (
        {"images": [{"id": 1, "file_name": "a\0.png"}]},
        r"images[0].file_name must be the name of a file with the suffix of an image, found 'a\x00.png'.",
    ),
    (
        {"images": [{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "b.png"}]},
        "images[1].id must be one that no other image has, found 1.",
    ),
    (
        {"images": [{"id": 1, "file_name": "a.png", "width": 64}]},
        "images[0], width and height, must be whole numbers of pixels, found (64, None).",
    ),
    (
        {"images": [{"id": 1, "file_name": "a.png", "width": 0, "height": 48}]},
        "images[0], width and height, must be whole numbers of pixels, found (0, 48).",
    ),
    (
        {"images": [{"id": 1, "file_name": "a.png", "width": 10**9, "height": 10**9}]},
        "images[0], width and height, must be whole numbers of pixels, found (1000000000, 1000000000).",
    ),
    ({"categories": None}, "categories must be a list, found None."),
    ({"categories": [{"id": 1, "name": " "}]}, "categories[0].name must be a text, found ' '."),
    (
        {"categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "cat"}]},
        "categories[1]: another category has the name of {'id': 2, 'name': 'cat'}. "
        "Call it otherwise, or give both one id.",
    ),
    ({"annotations": {}}, "annotations must be a list, found {}."),
    (
        {"annotations": []},
        "there is no object in 'x.json': its list of annotations is empty. "
        "Give the file that was written after marking.",
    ),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_files_that_cannot_be_understood(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    for name in ("a.png", "b.png"):
        draw(tmp_path / name)
    file = write_json(tmp_path / "x.json", coco(**changes))
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    place = tmp_path if "no object" in message else file
    assert str(caught.value) == f"{place}: {message}"


BOX = "bbox must be [x, y, width, height] in pixels, with neither side below 0, found"
ODD = "segmentation cannot be understood:"
SIZE = f"{ODD} size must be"
POLYGONS = f"{ODD} expected a list of polygons, or an object with size and counts."
RUNS = f"{ODD} counts must be whole numbers from 0, or their compressed text."


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"image_id": 7}, "image_id must be the id of one of the images, found 7."),
        ({"image_id": 1.0}, "image_id must be a whole number, found 1.0."),
        ({"category_id": 7}, "category_id must be the id of one of the categories, found 7."),
        ({"iscrowd": "no"}, "iscrowd must be 0 or 1, found 'no'."),
        ({"iscrowd": []}, "iscrowd must be 0 or 1, found []."),
        *(
            ({"bbox": box}, f"{BOX} {box!r}.")
            for box in (
                [1, 2, 3], [1, 2, 3, "4"], [1, 2, -3, 4], [1, 2, 3, None], [1, 2, 3, True], "1234", [1e7, 0, 1, 1]
            )
        ),
        (
            {"bbox": [0, 0, 10**400, 1]},
            f"{BOX} [0, 0, 1{'0' * 52}....",
        ),
        (
            {"bbox": [999_999, 0, 2, 1]},
            "bbox must be a box of which no edge lies beyond 1,000,000 pixels, found [999999, 0, 2, 1].",
        ),
        ({"segmentation": "abc"}, POLYGONS),
        ({"segmentation": [0, 0, 2, 0, 2, 2]}, POLYGONS),
        ({"segmentation": [[0, 0, 2, 0, 2, "2"]]}, f"{ODD} a polygon is a list of numbers, in pixels."),
        ({"segmentation": [[0, 0, 2, 0, 2, 2, 1]]},
         f"{ODD} a polygon has at least three corners, each with x and y."),
        ({"segmentation": {"counts": [12]}}, f"{SIZE} [height, width], found None."),
        ({"segmentation": {"size": [3, -4], "counts": [12]}}, f"{SIZE} [height, width], found [3, -4]."),
        ({"segmentation": {"size": [4, 3], "counts": [12]}}, f"{SIZE} that of the image, found [4, 3]."),
        ({"segmentation": {"size": [3, 4], "counts": [11]}}, f"{ODD} runs cover 11 pixels, the image has 4 x 3."),
        ({"segmentation": {"size": [3, 4], "counts": [13, -1]}}, RUNS),
        ({"segmentation": {"size": [3, 4], "counts": [12.0]}}, RUNS),
        ({"segmentation": {"size": [3, 4]}}, RUNS),
        ({"segmentation": {"size": [3, 4], "counts": "<é"}}, f"{ODD} the letter 'é' cannot stand in counts."),
        ({"segmentation": {"size": [3, 4], "counts": "<P"}}, f"{ODD} counts is cut short."),
        ({"segmentation": {"size": [3, 4], "counts": "o" * 99}}, f"{ODD} a number in counts has no end."),
        ({"segmentation": {"size": [3, 4], "counts": "N"}}, RUNS),  # -2
    ],
)  # fmt: skip
def test_annotations_that_cannot_be_understood(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        annotated(tmp_path, {"bbox": [0, 0, 1, 1]}, {"bbox": [0, 0, 1, 1]} | row)
    assert str(caught.value) == f"{tmp_path}/x.json: annotations[1].{message}"


def test_numbers_that_json_does_not_know(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    for number in ("NaN", "Infinity", "-Infinity", "1e999"):
        text = json.dumps(coco(["a.png"])).replace("30", number)
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(DataError, match=r"annotations\[0\]\.bbox must be"):
            read(tmp_path)


def test_images_that_are_not_there(tmp_path: Path) -> None:
    file = write_json(tmp_path / "x.json", coco(["a.png", "b.png", "c.png"]))
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert str(caught.value).startswith(
        f"{file}: images such as 'a.png' are in none of the folders '{tmp_path}', '{tmp_path}/images', "
    )
    for folder in ("q", "p"):
        draw(tmp_path / folder / "a.png")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert str(caught.value) == (
        f"{file}: images such as 'a.png' are in several of the folders '{tmp_path}/p', '{tmp_path}/q'."
    )
    draw(tmp_path / "b.png")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert str(caught.value) == f"{file}: the image {tmp_path}/a.png does not exist. The same is true of 1 more."


def test_what_is_ambiguous_says_what_was_seen(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw(tmp_path / name)
    write_json(tmp_path / "1.json", coco())
    write_json(tmp_path / "annotations" / "2.json", coco())
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: '1.json', 'annotations/2.json' are COCO's, and all for no part in particular. "
        "Give one of the files itself."
    )
    (tmp_path / "1.json").rename(tmp_path / "train.json")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: annotations/2.json is of no part, but other files are. Call it train, val or test, or give one "
        "of the files itself."
    )
    (tmp_path / "annotations" / "2.json").rename(tmp_path / "val.json")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert str(caught.value) == f"{tmp_path}: 'a.png' is there twice, in train and in val. Keep it in one place."
    write_json(tmp_path / "val.json", coco(["b.png", "./b.png"]))
    with pytest.raises(DataError) as caught:
        read(tmp_path / "val.json")
    assert str(caught.value) == f"{tmp_path}/val.json: 'b.png' is there twice. Keep it in one place."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "expected an object with images, annotations and categories, found [1]."),
        ("{", "this is not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))."),
    ],
)
def test_a_file_that_is_no_object(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "x.json")
    assert str(caught.value) == f"{tmp_path}/x.json: {message}"
