from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import Said, coco, draw, files, objects, parts, write_json, write_mask
from hypothesis import given, settings
from hypothesis import strategies as st

from mirada.annotations import Outline
from mirada.data import Dataset, convert, read, split
from mirada.data.maskfile import MaskFile
from mirada.errors import DataError, UsageError

Tree = Callable[[Iterable[str]], Path]
Snapshot = Callable[[Path], object]

WIDTH, HEIGHT = 64, 48

# Pixels as files write them: many whole, many with two decimals, some with all that a number has.
along = st.one_of(st.integers(-5, 80).map(float), st.floats(-5, 80).map(lambda x: round(x, 2)), st.floats(-5, 80))
sides = st.one_of(st.integers(0, 80).map(float), st.floats(0, 80))
polygons = st.lists(st.tuples(along, along), min_size=3, max_size=6).map(
    lambda corners: [v for xy in corners for v in xy]
)


@st.composite
def runs(draw: st.DrawFn) -> dict[str, Any]:
    edges = sorted(draw(st.lists(st.integers(0, WIDTH * HEIGHT), max_size=9)))
    counts = np.diff([0, *edges, WIDTH * HEIGHT]).tolist()
    return {"size": [HEIGHT, WIDTH], "counts": counts}


@st.composite
def annotations(draw: st.DrawFn) -> dict[str, Any]:
    row: dict[str, Any] = {
        "image_id": draw(st.sampled_from([3, 10**12, 5])),
        "category_id": draw(st.integers(1, 3)),
        "bbox": [draw(along), draw(along), draw(sides), draw(sides)],
        "iscrowd": draw(st.sampled_from([0, 0, 0, 1])),
    }
    outline = draw(st.one_of(st.none(), st.lists(polygons, min_size=1, max_size=3), runs()))
    if outline is not None:
        row["segmentation"] = outline
    if isinstance(outline, list) and len(outline) == 1 and draw(st.booleans()):
        del row["bbox"]  # the box is that around the polygon
    return row


names = st.lists(
    st.sampled_from(["cat", "no", "Äpfel & <Birnen>", "a: b", "12", "猫", "'x' \"y\""]),
    min_size=3,
    max_size=3,
    unique=True,
)
first = {"image_id": 3, "category_id": 1, "bbox": [1, 2, 3, 4]}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images, in parts."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("train/a.png", "train/b c.png", "val/d.png"):
        draw(folder / name, (WIDTH, HEIGHT))
    return folder


def described(folder: Path, rows: list[dict[str, Any]], class_names: list[str]) -> Dataset:
    """The images with these annotations: two in train, one in val."""
    categories = [{"id": i, "name": name} for i, name in enumerate(class_names, 1)]
    for part, images in (("train", {3: "a.png", 10**12: "b c.png"}), ("val", {5: "d.png"})):
        listed = [{"id": number, "file_name": name} for number, name in images.items()]
        own = [row for row in rows if row["image_id"] in images]
        content = {"images": listed, "annotations": own, "categories": categories}
        write_json(folder / "annotations" / f"instances_{part}.json", content)
    return read(folder)


@settings(max_examples=40)
@given(rows=st.lists(annotations(), max_size=8), class_names=names)
def test_boxes_round_trip(
    pictures: Path, tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], class_names: list[str]
) -> None:
    source = described(pictures, [first, *rows], class_names)
    out = tmp_path_factory.mktemp("out")

    convert(source, out / "coco", "coco")
    convert(source, out / "voc", "voc")
    convert(source, out / "yolo", "yolo")
    by_coco, by_voc, by_yolo = (read(out / name) for name in ("coco", "voc", "yolo"))

    said = objects(source)
    assert objects(by_coco) == said
    assert objects(by_voc) == {stem: [(*each[:3], None) for each in of] for stem, of in said.items()}
    assert parts(by_coco) == parts(by_voc) == parts(by_yolo) == {"a": "train", "b c": "train", "d": "val"}
    assert by_coco.class_names == by_voc.class_names == source.class_names
    assert by_yolo.class_names == source.class_names
    for stem, of in objects(by_yolo).items():
        assert_as_yolo_can(of, [each for each in said[stem] if not each[2]])

    # from each of the others the way back loses nothing more
    convert(by_voc, out / "voc-coco", "coco")
    assert objects(read(out / "voc-coco")) == objects(by_voc)
    convert(by_yolo, out / "yolo-yolo", "yolo")
    assert objects(read(out / "yolo-yolo")) == objects(by_yolo)
    convert(by_yolo, out / "yolo-coco", "coco")
    assert objects(read(out / "yolo-coco")) == objects(by_yolo)
    shutil.rmtree(out)


def assert_as_yolo_can(found: list[Said], said: list[Said]) -> None:
    """Boxes to half of the sixth decimal; a polygon where it is one, and the box is around it."""
    assert [name for name, *_ in found] == [name for name, *_ in said]
    for (_, box, _, outline), (_, said_box, _, said_outline) in zip(found, said, strict=True):
        assert np.allclose(box, said_box, rtol=0, atol=1.01e-6)
        if outline is not None:
            assert np.allclose(outline.polygons, said_outline.polygons, rtol=0, atol=0.51e-6)
        elif said_outline is not None and len(said_outline.polygons) == 1:
            assert np.abs(np.subtract(said_outline.bounds, said_box)).max() > 0.49e-6


SQUARE = [0.0, 0.0, 9.0, 0.0, 9.0, 9.0, 0.0, 9.0]


def test_what_a_format_cannot_say_is_told(pictures: Path, tmp_path: Path) -> None:
    rows = [
        {"bbox": [0, 0, 9, 9], "segmentation": [SQUARE]},
        {"bbox": [0, 0, 9, 8], "segmentation": [SQUARE]},
        {"bbox": [0, 0, 9, 9], "segmentation": [SQUARE, SQUARE]},
        {"bbox": [0, 0, 9, 9], "iscrowd": 1},
    ]
    source = described(pictures, [first | row for row in rows], ["cat", "dog", "fox"])
    assert convert(source, tmp_path / "coco", "coco") == ()
    assert convert(source, tmp_path / "voc", "voc") == ("Outlines, which Pascal VOC's XML cannot hold: 3.",)
    assert convert(source, tmp_path / "yolo", "yolo") == (
        "Crowds and objects that are not to be judged are left out, as YOLO cannot mark them: 1.",
        "Outlines of several parts, of runs, or with another box, of which YOLO keeps the box: 2.",
    )
    found = objects(read(tmp_path / "yolo"))["a"]
    assert [outline for *_, outline in found] == [Outline((tuple(SQUARE),)), None, None]
    assert [box for _, box, *_ in found] == [(0, 0, 9, 9), (0, 0, 9, 8), (0, 0, 9, 9)]


def test_classes_without_an_object(tmp_path: Path) -> None:
    draw(tmp_path / "yolo" / "images" / "a.png")
    (tmp_path / "yolo" / "labels").mkdir()
    (tmp_path / "yolo" / "labels" / "a.txt").write_text("1 0.5 0.5 0.5 0.5\n")
    (tmp_path / "yolo" / "data.yaml").write_text("train: images\nnames: [dog, cat]\n")
    source = read(tmp_path / "yolo")
    assert source.class_names == ("cat", "dog")
    for to in ("coco", "voc"):
        assert convert(source, tmp_path / to, to) == ("Classes without an object, which are left out: 1.",)
        assert read(tmp_path / to).class_names == ("cat",)
    assert convert(source, tmp_path / "again", "yolo") == ()
    assert read(tmp_path / "again").class_names == ("cat", "dog")


def test_images_of_no_part(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw(tmp_path / "set" / name)
    write_json(tmp_path / "set" / "labels.json", coco())
    source = read(tmp_path / "set")
    assert parts(source) == {"a": None, "b": None}
    for to in ("coco", "voc"):
        assert convert(source, tmp_path / to, to) == ()
        assert parts(read(tmp_path / to)) == {"a": None, "b": None}
    assert convert(source, tmp_path / "yolo", "yolo") == ("Images of no part, which YOLO has in train: 2.",)
    assert parts(read(tmp_path / "yolo")) == {"a": "train", "b": "train"}


def test_areas_are_those_of_the_outlines(pictures: Path, tmp_path: Path) -> None:
    rows = [
        {"bbox": [0, 0, 2.5, 4]},
        {"segmentation": [[0, 0, 4, 0, 0, 3], SQUARE]},
        {"bbox": [0, 0, 1, 1], "segmentation": {"size": [HEIGHT, WIDTH], "counts": [5, 7, WIDTH * HEIGHT - 12]}},
    ]
    convert(described(pictures, [first | row for row in rows], ["a", "b", "c"]), tmp_path / "coco", "coco")
    written = json.loads((tmp_path / "coco" / "annotations" / "instances_train.json").read_text())
    assert [row["area"] for row in written["annotations"]] == [10.0, 6 + 81, 7]
    assert [row["id"] for row in written["annotations"]] == [1, 2, 3]
    assert [(row["width"], row["height"]) for row in written["images"]] == [(WIDTH, HEIGHT)] * 2


@pytest.mark.parametrize(
    "names",
    [
        ["cat/1.jpg", "cat/2.png", "dog/3.jpg"],
        ["train/cat/1.jpg", "train/dog/1.jpg", "train/dog/deep/1.jpg", "val/cat/1.jpg", "val/dog/1.jpg"],
    ],
)
def test_class_folders_round_trip(tree: Tree, tmp_path: Path, names: list[str]) -> None:
    source = read(tree(names))
    assert convert(source, tmp_path / "new", "folders") == ()
    again = read(tmp_path / "new")

    def said(dataset: Dataset) -> list[tuple[str, str | None, str]]:
        return sorted((s.label.name if s.label else "", s.part, s.content_hash()) for s in dataset.samples)

    assert said(again) == said(source)
    assert again.class_names == source.class_names
    if "train/cat/1.jpg" not in names:
        assert files(tmp_path / "new") == files(tmp_path / "data")


def test_a_table_becomes_folders(tree: Tree, tmp_path: Path) -> None:
    root = tree(["a.png", "b.png", "c.dat"])
    (root / "c.dat").write_bytes((root / "b.png").read_bytes())
    (root / ".hidden.png").write_bytes((root / "a.png").read_bytes())
    (root / "pets.csv").write_text(
        "path,label,split,who\na.png,cat,train,x\n.hidden.png,cat,test,\nc.dat,dog,train,y\n"
    )
    notes = convert(read(root / "pets.csv"), tmp_path / "new", "folders")
    assert notes == ("Cells of the column 'who', which folders cannot hold: 3.",)
    assert set(files(tmp_path / "new")) == {"train/cat/a.png", "test/cat/hidden.png", "train/dog/c.dat.png"}


def test_arrays_become_png(tmp_path: Path) -> None:
    source = read("digits")
    few = Dataset("digits", None, "digits", source.class_names, source.samples[:30])
    convert(few, tmp_path / "new", "folders")
    again = read(tmp_path / "new")
    by_name = {sample.key.split("/")[1]: sample for sample in again.samples}
    for sample in few.samples:
        assert np.array_equal(by_name[f"{sample.key}.png"].image(), sample.image())


def test_names_that_no_file_system_should_hold(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    long = "猫" * 80
    for name in ("a\nb.png", "a?b.png", "..png", " x .png", f"{long}.png", f"{long[:-1]}犬.png", "A.png", "a.bmp"):
        draw(folder / name)
    stems = sorted(path.name for path in folder.iterdir())
    write_json(folder / "x.json", coco(stems))
    source = read(folder)
    for to in ("coco", "voc", "yolo"):
        convert(source, tmp_path / to, to)
        again = read(tmp_path / to)
        assert sorted(s.content_hash() for s in again.samples) == sorted(s.content_hash() for s in source.samples)
        written = [sample.path.name for sample in again.samples if sample.path is not None]
        assert all(name.isprintable() and len(name.encode()) < 255 for name in written)
        assert len({name.casefold().rpartition(".")[0] for name in written}) == len(stems)


@pytest.mark.parametrize("has_parts", [False, True])
@pytest.mark.parametrize(
    ("rows", "class_names"),
    [
        ([[[5, 9, 255], [9, 9, 5]], [[9, 9, 9], [9, 9, 12]]], ("5", "9", "12")),
        ([[[0, 255, 255], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]], ("background", "object")),
    ],
)
def test_masks_round_trip(tmp_path: Path, has_parts: bool, rows: Any, class_names: tuple[str, ...]) -> None:
    for part, values in zip(("train/", "val/") if has_parts else ("", ""), rows, strict=True):
        name = f"{len(files(tmp_path))}.png"
        draw(tmp_path / "set" / part / "images" / name, (3, 2))
        write_mask(tmp_path / "set" / part / "masks" / name, values)
    source = read(tmp_path / "set")
    assert source.class_names == class_names
    assert convert(source, tmp_path / "new", "masks") == ()
    again = read(tmp_path / "new")
    assert again.class_names == class_names
    assert [sample.part for sample in again.samples] == [sample.part for sample in source.samples]
    for one, other in zip(source.samples, again.samples, strict=True):
        assert isinstance(one.truth, MaskFile)
        assert isinstance(other.truth, MaskFile)
        assert np.array_equal(one.truth.read().class_ids, other.truth.read().class_ids)
        assert one.class_ids == other.class_ids
        assert one.content_hash() == other.content_hash()


def test_what_yolo_cannot_say_is_refused(tmp_path: Path) -> None:
    draw(tmp_path / "in" / "a.png", (64, 48))
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 10, 60, 40], "iscrowd": 0}
    content = {"images": [{"id": 1, "file_name": "a.png"}], "categories": [{"id": 1, "name": "cat"}]}
    for changed, size, message in (
        ({}, (48, 64), "a.png: the annotations are of the picture lying on its side, 48 x 64"),
        ({"bbox": [700, 10, 60, 40]}, (64, 48), "a.png: a box lies too far outside for YOLO"),
    ):
        images = [content["images"][0] | {"width": size[0], "height": size[1]}]
        write_json(tmp_path / "in" / "x.json", content | {"images": images, "annotations": [annotation | changed]})
        with pytest.raises(DataError, match=message):
            convert(tmp_path / "in", tmp_path / "yolo", "yolo")
        assert not (tmp_path / "yolo").exists()


def test_a_wrong_size_is_still_found_after_converting(tmp_path: Path) -> None:
    """Boxes of a version twice as large: COCO and VOC keep the size that was said, YOLO's shares are of it."""
    draw(tmp_path / "in" / "a.png", (64, 48))
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 10, 60, 40], "iscrowd": 0}
    images = [{"id": 1, "file_name": "a.png", "width": 128, "height": 96}]
    content = {"images": images, "annotations": [annotation], "categories": [{"id": 1, "name": "cat"}]}
    write_json(tmp_path / "in" / "x.json", content)
    dataset = read(tmp_path / "in")
    for form in ("coco", "voc"):
        assert convert(dataset, tmp_path / form, form) == ()
        sample = read(tmp_path / form).samples[0]
        assert sample.claimed_wh == (128, 96)
        assert sample.truth.boxes_xyxy.tolist() == [[20, 10, 80, 50]]
    (note, _) = convert(dataset, tmp_path / "yolo", "yolo")
    assert note == "Images of another size than was said, of which YOLO's shares are of the size that was said: 1."
    assert read(tmp_path / "yolo").samples[0].truth.boxes_xyxy.tolist() == [[10, 5, 40, 25]]


def test_images_are_copied_byte_for_byte_and_the_source_is_left_alone(
    pictures: Path, tmp_path: Path, snapshot: Snapshot
) -> None:
    broken = pictures / "train" / "a.png"
    whole = broken.read_bytes()
    try:
        broken.write_bytes(whole[:40])  # what cannot be read is copied too
        source = described(pictures, [first], ["cat", "dog", "fox"])
        before = snapshot(pictures)
        dataset = read(pictures)
        split(dataset)
        for to in ("coco", "voc"):
            convert(dataset, tmp_path / to, to)
        assert snapshot(pictures) == before
        for to in ("coco", "voc"):
            copied = {s.path.stem: s.path.read_bytes() for s in read(tmp_path / to).samples if s.path is not None}
            assert copied == {s.path.stem: s.path.read_bytes() for s in source.samples if s.path is not None}
        with pytest.raises(DataError) as caught:
            convert(dataset, tmp_path / "yolo", "yolo")
        assert str(caught.value) == (
            f"{broken}: the image cannot be read, and YOLO's positions are shares of its size. "
            "Fetch it again, or take it out."
        )
    finally:
        broken.write_bytes(whole)


def test_what_fits_is_said_of_boxes_and_of_several_labels(pictures: Path, tree: Tree, tmp_path: Path) -> None:
    boxes = described(pictures, [first], ["a", "b", "c"])
    with pytest.raises(
        UsageError, match="holds boxes, and folders is for one class an image; it fits coco or voc or yolo"
    ):
        convert(boxes, tmp_path / "new", "folders")
    root = tree(["1.png", "2.png"])
    (root / "t.csv").write_text("path,labels\n1.png,a;b\n2.png,\n")
    with pytest.raises(UsageError, match=r"holds several classes an image, .* it fits no format yet"):
        convert(read(root / "t.csv"), tmp_path / "new", "folders")
