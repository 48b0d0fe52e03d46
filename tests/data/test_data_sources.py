from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from annotated import coco, draw, write_json, write_mask, xml
from sklearn.datasets import load_digits

from mirada.data import convert, read, split
from mirada.data.folders import LAYOUTS
from mirada.data.sources import KINDS
from mirada.errors import DataError, UsageError

Tree = Callable[[Iterable[str]], Path]


def test_digits() -> None:
    dataset = read("digits")
    assert (dataset.name, dataset.root, dataset.kind, dataset.where) == ("digits", None, "digits", "digits")
    assert dataset.class_names == tuple("0123456789")
    assert len(dataset) == 1797
    source = load_digits()
    assert [sample.label.class_id for sample in dataset.samples if sample.label] == source.target.tolist()
    first = dataset.samples[17]
    assert first.key == "digits[17]"
    assert first.array is not None
    assert first.array.shape == (8, 8)
    # v in 0..16 becomes round(v * 255 / 16): 0 -> 0, 8 -> 127.5 -> 128, 16 -> 255
    levels = [0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255]
    for sample, image in zip(dataset.samples, source.images, strict=True):
        assert np.array_equal(sample.array, np.array(levels)[image.astype(int)])


def test_a_folder_called_digits_comes_first(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree(["digits/a/1.jpg", "digits/b/1.jpg"]))
    dataset = read("digits")
    assert dataset.kind == "class folders"
    assert dataset.notes == ("'digits' is a folder here, so it was read instead of the built-in set of that name.",)
    assert read(Path("digits")).notes == ()


def test_the_name_of_the_current_folder(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree(["a/1.jpg", "b/1.jpg"]))
    assert read(".").name == "data"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Pets", "{root}/Pets: there is no such file or folder. Did you mean {root}/pets or {root}/pets2?"),
        ("pets/cta", "{root}/pets/cta: there is no such file or folder. Did you mean {root}/pets/cat?"),
        ("pest/cat/x", "{root}/pest/cat/x: there is no such file or folder. Did you mean {root}/pets or {root}/pets2?"),
        (
            "cars",
            "{root}/cars: there is no such file or folder. "
            "Give a folder of images, a CSV file, or the word digits for a built-in set.",
        ),
        ("cars/x", "{root}/cars/x: there is no such file or folder. {root}/cars does not exist either."),
        ("c" * 300, "{root}/" + "c" * 300 + ": there is no such file or folder. "
         "Give a folder of images, a CSV file, or the word digits for a built-in set."),
        (
            "pets/notes.md",
            "{root}/pets/notes.md: a file of no known kind. Give a folder of images, a CSV file (.csv, .tsv) with the "
            "columns path and label, COCO's .json, a data.yaml, or the word digits.",
        ),
        (
            "pets/cat/1.jpg",
            "{root}/pets/cat/1.jpg: this is one image. To learn, give the folder that holds the images:\n" + LAYOUTS,
        ),
        (
            "pets/all.tar.gz",
            "{root}/pets/all.tar.gz: this is an archive. Unpack it, and give the folder that comes out.",
        ),
        (
            "pets/train-images.idx3-ubyte.gz",
            "{root}/pets/train-images.idx3-ubyte.gz: this is one of MNIST's four IDX files. "
            "Give the folder that holds them: {root}/pets",
        ),
    ],
)  # fmt: skip
def test_paths_of_no_known_kind(tree: Tree, name: str, message: str) -> None:
    root = tree(
        ["pets/cat/1.jpg", "pets/dog/1.jpg", "pets/notes.md", "pets2/", "pets/all.tar.gz",
         "pets/train-images.idx3-ubyte.gz", "zoo.txt"]
    )  # fmt: skip
    with pytest.raises(DataError) as caught:
        read(root / name)
    assert str(caught.value) == message.format(root=root)


def many_ways(root: Path) -> Path:
    """A folder that is VOC with masks, YOLO and COCO at once, and class folders besides."""
    for stem, mode in (("a", "L"), ("b", "P")):
        draw(root / "JPEGImages" / f"{stem}.png")
        write_mask(root / "SegmentationClass" / f"{stem}.bmp", np.full((48, 64), 3), mode)
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{stem}.xml").write_text(xml())
    (root / "JPEGImages" / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (root / "data.yaml").write_text("train: JPEGImages\nnames: [dog]\n")
    write_json(root / "coco.json", coco())
    return root


def test_what_can_be_read_in_several_ways(tmp_path: Path) -> None:
    root = many_ways(tmp_path / "set")
    with pytest.raises(DataError) as caught:
        read(root)
    assert str(caught.value) == (
        f"{root}: this can be read in more than one way: COCO (coco.json) and Pascal VOC (Annotations/a.xml) and YOLO "
        "(data.yaml) and masks (SegmentationClass). Say which with --kind: coco, voc, yolo, masks."
    )
    found = {kind: read(root, kind=kind, is_learnt_from=False) for kind in KINDS}
    assert {kind: dataset.kind for kind, dataset in found.items()} == {
        "coco": "COCO",
        "voc": "Pascal VOC",
        "yolo": "YOLO",
        "masks": "masks",
        "folders": "class folders",
    }
    assert {kind: dataset.class_names for kind, dataset in found.items()} == {
        "coco": ("cat",),
        "voc": ("cat",),
        "yolo": ("dog",),
        "masks": ("3",),
        "folders": ("JPEGImages", "SegmentationClass"),
    }


@pytest.mark.parametrize(
    ("name", "kind", "error", "message"),
    [
        ("", "zip", UsageError, "there is no kind 'zip': there are coco, voc, yolo, masks, folders"),
        ("", "coco", DataError, "{root}: nothing of the kind 'coco' is there."),
        ("voc", "yolo", DataError, "{root}/voc: nothing of the kind 'yolo' is there. It holds Pascal VOC (a.xml)."),
        (
            "a/t.csv",
            "coco",
            UsageError,
            "{root}/a/t.csv is a file, and of no kind 'coco': leave --kind out, or give the folder",
        ),
        (
            "voc/x.json",
            "yolo",
            UsageError,
            "{root}/voc/x.json is a file, and of no kind 'yolo': leave --kind out, or give the folder",
        ),
    ],
)
def test_kinds_that_are_not_there(tree: Tree, name: str, kind: str, error: type[Exception], message: str) -> None:
    root = tree(["a/1.jpg", "b/1.jpg", "a/t.csv", "voc/a.png", "voc/x.json"])
    (root / "voc" / "a.xml").write_text(xml())
    with pytest.raises(error) as caught:
        read(root / name, kind=kind)
    assert str(caught.value) == message.format(root=root)


@pytest.mark.parametrize(
    ("names", "texts"),
    [
        (["a/1.jpg", "b/1.jpg"], {"notes.json": '{"images": 3}', "a/x.json": "{}"}),
        (["a/1.jpg", "b/1.jpg"], {"train.yaml": "# names of what to train\nlr: 0.1\n"}),
        (["a/1.jpg", "b/1.jpg"], {"project.xml": "<project/>"}),
        (["images/1.jpg", "labels/1.jpg"], {"labels/x.txt": "0"}),
        (["image/1.jpg", "sketch/1.png"], {}),
        (["train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg"], {"train/x.json": "[]"}),
    ],
)
def test_class_folders_stay_class_folders(tree: Tree, names: list[str], texts: dict[str, str]) -> None:
    root = tree(names)
    for name, text in texts.items():
        (root / name).write_text(text)
    dataset = read(root)
    assert dataset.task == "classify"
    assert len(dataset.class_names) == 2


def test_nothing_is_written_by_reading_dividing_and_converting(
    tmp_path: Path, snapshot: Callable[[Path], object]
) -> None:
    root = many_ways(tmp_path / "set")
    before = snapshot(root)
    for kind in KINDS:
        dataset = read(root, kind=kind, is_learnt_from=False)
        for sample in dataset.samples:
            sample.image()
            sample.said(dataset.class_names)
        drawn = split(dataset, val=0.4, test=0.0)
        assert sorted([*drawn.train, *drawn.val]) == list(range(len(dataset)))
        convert(dataset, tmp_path / kind, kind)
        assert len(read(tmp_path / kind, kind=kind)) == len(dataset)
    for name in ("coco.json", "data.yaml"):
        read(root / name)
    assert snapshot(root) == before
