from __future__ import annotations

from pathlib import Path

import pytest
from annotated import draw, objects, parts
from PIL import Image

from mirada.annotations import Outline
from mirada.data import read
from mirada.errors import DataError

YAML = "train: images/train\nval: images/val\nnames: [dog, cat]\n"


def yolo(root: Path, text: str = YAML, **labels: str) -> Path:
    """A folder in the layout of YOLO, its pictures 64 x 48: `train_a="0 ..."` is the labels of images/train/a.png."""
    root.mkdir(exist_ok=True)
    (root / "data.yaml").write_text(text)
    for name, content in labels.items():
        part, stem = name.split("_")
        draw(root / "images" / part / f"{stem}.png")
        (root / "labels" / part).mkdir(parents=True, exist_ok=True)
        (root / "labels" / part / f"{stem}.txt").write_text(content)
    return root


def test_boxes_are_shares_of_the_image(tmp_path: Path) -> None:
    root = yolo(tmp_path / "set", train_a="1 0.5 0.5 0.25 0.5\n\n0 0.125 0.0625 0.25 0.125\n", val_b="")
    draw(root / "images" / "val" / "without.png")
    dataset = read(root)
    assert (dataset.name, dataset.root, dataset.kind, dataset.task) == ("set", root, "YOLO", "detect")
    assert dataset.class_names == ("cat", "dog")  # sorted: what YOLO calls 1 is 0 here
    assert objects(dataset) == {
        "a": [("cat", (24, 12, 40, 36), False, None), ("dog", (0, 0, 16, 6), False, None)],
        "b": [],
        "without": [],
    }
    assert [(sample.key, sample.part) for sample in dataset.samples] == [
        ("images/train/a.png", "train"),
        ("images/val/b.png", "val"),
        ("images/val/without.png", "val"),
    ]
    assert dataset.notes == ()
    assert objects(read(root / "data.yaml")) == objects(dataset)


def test_positions_are_of_the_upright_image(tmp_path: Path) -> None:
    root = yolo(tmp_path, train_a="0 0.5 0.5 1 1")
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (64, 48)).save(root / "images" / "train" / "a.png", exif=exif)
    (root / "images" / "val").mkdir()
    assert objects(read(root))["a"] == [("dog", (0, 0, 48, 64), False, None)]


def test_outlines(tmp_path: Path) -> None:
    root = yolo(
        tmp_path, "train: images/train\nnames: {0: dog, 7: cat}\n", train_a="7 0 0 0.5 0 0.25 0.75\n0 .5 .5 .5 .5"
    )
    outline = Outline(((0, 0, 32, 0, 16, 36),))
    assert objects(read(root))["a"] == [
        ("cat", (0, 0, 32, 36), False, outline),
        ("dog", (16, 12, 48, 36), False, None),
    ]


@pytest.mark.parametrize(
    ("text", "images", "labels"),
    [
        (YAML, "images/train/a.png", "labels/train/a.txt"),
        ("path: .\n" + YAML, "images/train/a.png", "labels/train/a.txt"),
        ("path: /no/such/folder\n" + YAML, "images/train/a.png", "labels/train/a.txt"),
        ("path: inner\n" + YAML, "inner/images/train/a.png", "inner/labels/train/a.txt"),
        ("train: ../train/images\nnames:\n- dog\n", "train/images/a.png", "train/labels/a.txt"),
        ("train: [one, two]\nval: ''\nnames: [dog]\n", "two/deep/a.png", "two/deep/a.txt"),
        ("train: images/train.txt\nnames: [dog]\n", "images/x/a.png", "labels/x/a.txt"),
        ("{'names': ['dog'], 'train': 'images'}", "images/images/a.png", "images/labels/a.txt"),
    ],
)
def test_where_images_and_labels_lie(tmp_path: Path, text: str, images: str, labels: str) -> None:
    root = tmp_path / "images" / "set"  # a folder above that is called images is no part of it
    for folder in ("one", "two", "images/val"):
        (root / folder).mkdir(parents=True)
    (root / "data.yaml").write_text(text)
    (root / "images" / "train.txt").write_text("./x/a.png\n\n")
    draw(root / images)
    (root / labels).parent.mkdir(parents=True, exist_ok=True)
    (root / labels).write_text("0 0.5 0.5 1 1\n")
    dataset = read(root)
    assert objects(dataset) == {"a": [("dog", (0, 0, 64, 48), False, None)]}
    assert parts(dataset) == {"a": "train"}


def test_names_are_as_they_are_written(tmp_path: Path) -> None:
    text = "train: images/train\nnames: {0: no, 1: 012, 2: ' Äpfel ', 3: 1.0, 4: ~}\n"
    root = yolo(tmp_path, text, train_a="\n".join(f"{i} .5 .5 .1 .1" for i in range(5)))
    assert [name for name, *_ in objects(read(root))["a"]] == ["no", "012", "Äpfel", "1.0", "~"]


def test_what_was_not_used_is_said(tmp_path: Path) -> None:
    root = yolo(tmp_path, train_a="0 0.5 0.5 1 1", val_b="0 0.5 0.5 1 1")
    (root / "images" / "val" / "b.png").write_bytes(b"no image")
    draw(root / "images" / "val" / ".hidden.png")
    (root / "images" / "val" / ".gitignore").write_text("*\n")
    dataset = read(root)
    assert dataset.class_names == ("cat", "dog")
    assert dataset.notes == (
        f"'{root}/images/val/.hidden.png' was not read: it is hidden.",
        "Classes without an object: 'cat'.",
        "Images that cannot be read were left out (1), such as images/val/b.png: is not an image that can be read "
        "(bytes begin 6e 6f 20 69 6d 61 67 65).",
    )


def test_labels_without_an_image_are_told(tmp_path: Path) -> None:
    draw(tmp_path / "images" / "train" / "a.png")
    labels = tmp_path / "labels" / "train"
    labels.mkdir(parents=True)
    for name in ("a.txt", "gone.txt", "classes.txt"):
        (labels / name).write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "data.yaml").write_text("train: images\\train\nval: null\ntest: ~\nnames: [cat]\n")
    dataset = read(tmp_path)
    assert len(dataset) == 1
    assert dataset.notes == ("Labels without an image were passed over (1): 'labels/train/gone.txt'.",)


def test_a_usual_name_comes_first(tmp_path: Path) -> None:
    root = yolo(tmp_path, train_a="0 0.5 0.5 1 1", val_b="")
    (root / "args.yaml").write_text(YAML)
    (root / "notes.yml").write_text("# how to train: names\nx: 1\n")
    assert len(read(root)) == 2
    (root / "data.yaml").rename(root / "mine.yaml")
    with pytest.raises(DataError) as caught:
        read(root)
    assert str(caught.value) == (
        f"{root}: 'args.yaml', 'mine.yaml' all describe a data set. Give one of the files itself."
    )
    assert read(root / "mine.yaml").root == root / "mine.yaml"


NAMES = "names must be a list of classes, or numbers with a class each, found"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: [a\ntrain: b\n", "this is not YAML that can be read (while parsing a flow sequence)."),
        ("names: &a [x]\ntrain: *a\n", "this is not YAML that can be read (it has aliases, which can be made to grow "
         "without end: write out what they stand for)."),
        ("- names: [a]\n- train: b\n", "expected train, val and names, found [{{'names': ['a']}}, {{'train': 'b'}}]."),
        ("train: images\nnames: cat\n", f"{NAMES} 'cat'."),
        ("train: images\nnames: []\n", f"{NAMES} []."),
        ("train: images\nnames: {a: b}\n", "names: a class has a whole number from 0, found 'a'."),
        ("train: images\nnames: {-1: b}\n", "names: a class has a whole number from 0, found '-1'."),
        ("train: images\nnames: [[a]]\n", "names: class 0 must have a name, found ['a']."),
        ("train: images\nnames: ['', a]\n", "names: class 0 must have a name, found ''."),
        ('train: images\nnames: ["\\ud800"]\n', "names: class 0 must have a name, found '\\ud800'."),
        ("train: images\nnames: [a, 'a ']\n", "names: class 1, 'a', has the number or the name of another."),
        ("train: images\nnames: {0: a, 00: b}\n", "names: class 00, 'b', has the number or the name of another."),
        ("train: images\nnames: [a]\nkpt_shape: [17, 3]\n", "its labels are of key points (kpt_shape), which are not "
         "read. Keep 5 numbers a line."),
        ("train: nowhere\nnames: [a]\n", "train: there is no folder {root}/nowhere."),
        ('train: "a\\0b"\nnames: [a]\n', "train must be a folder, or a list of folders, found 'a\\x00b'."),
        ("train: {a: b}\nnames: [a]\n", "train must be a folder, or a list of folders, found {{'a': 'b'}}."),
        ("train:\nval: ''\nnames: [a]\n", "it names no images: train, and perhaps val and test, must be folders."),
        ("train: images\nval: images/train\nnames: [dog]\n",
         "'images/train/a.png' is there twice, in train and in val. Keep it in one place."),
    ],
)  # fmt: skip
def test_descriptions_that_cannot_be_understood(tmp_path: Path, text: str, message: str) -> None:
    root = yolo(tmp_path, text, train_a="0 0.5 0.5 1 1")
    with pytest.raises(DataError) as caught:
        read(root / "data.yaml")
    assert str(caught.value) == f"{root}/data.yaml: {message.format(root=root)}"


EXPECTED = "expected a class and x, y, width, height, or a class and at least three corners;"


SHARES = "positions are shares of the image, 0 to 1 inside and up to 10 outside"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0 a 1 1 1", "expected numbers only, found '0 a 1 1 1'."),
        ("0 nan 1 1 1", f"{SHARES}, found '0 nan 1 1 1'."),
        (
            "0 0.5 0.5 1e400 1",
            f"{SHARES}, found '0 0.5 0.5 1e400 1'.",
        ),
        (
            "0 320 240 64 48",
            f"{SHARES}, found '0 320 240 64 48'.",
        ),
        ("2 .5 .5 .1 .1", "there is no class '2'; names has 2, counted from 0."),
        ("-1 .5 .5 .1 .1", "there is no class '-1'; names has 2, counted from 0."),
        ("0.5 .5 .5 .1 .1", "there is no class '0.5'; names has 2, counted from 0."),
        ("nan .5 .5 .1 .1", "there is no class 'nan'; names has 2, counted from 0."),
        ("0 .5 .5 -.1 .1", "width and height cannot be below 0, found '0 .5 .5 -.1 .1'."),
        ("0 .5 .5 .1", f"{EXPECTED} found 4 numbers."),
        ("0 .5 .5 .1 .1 .9", f"{EXPECTED} found 6 numbers."),
        ("0 .1 .1 .2 .2 .3 .3 .4", f"{EXPECTED} found 8 numbers."),
    ],
)
def test_labels_that_cannot_be_understood(tmp_path: Path, row: str, message: str) -> None:
    root = yolo(tmp_path, train_a=f"1 .5 .5 .5 .5\n\n{row}\n", val_b="")
    with pytest.raises(DataError) as caught:
        read(root)
    assert str(caught.value) == f"{root}/labels/train/a.txt, line 3: {message}"


def test_a_list_of_images_names_one_that_is_not_there(tmp_path: Path) -> None:
    root = yolo(tmp_path, "train: train.txt\nnames: [dog]\n", train_a="0 .5 .5 1 1")
    (root / "train.txt").write_text("images/train/a.png\n\nimages/train/b.png\n")
    with pytest.raises(DataError) as caught:
        read(root)
    assert str(caught.value) == f"{root}/train.txt, line 3: there is no image 'images/train/b.png'."


def test_no_object_at_all(tmp_path: Path) -> None:
    root = yolo(tmp_path, train_a="", val_b="")
    with pytest.raises(DataError) as caught:
        read(root)
    assert str(caught.value) == (
        f"{root}/data.yaml: there is no object in it. Labels were looked for in {root}/labels/train/a.txt, for example."
    )


def test_no_image_can_be_read(tmp_path: Path) -> None:
    root = yolo(tmp_path, "train: images/train\nnames: [dog]\n", train_a="0 .5 .5 1 1")
    (root / "images" / "train" / "a.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        read(root)
    assert str(caught.value) == (
        f"{root}/data.yaml: none of its images can be read, such as images/train/a.png: is empty (0 bytes)."
    )
