from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from mirada.data import read
from mirada.data.folders import LAYOUTS
from mirada.errors import DataError

Tree = Callable[[Iterable[str]], Path]


def test_class_folders(tree: Tree) -> None:
    root = tree(["dog/2.jpg", "dog/1.png", "cat/deep/er/3.jpeg", "cat/4.JPG"])
    dataset = read(root)
    assert (dataset.name, dataset.root, dataset.kind) == ("data", root, "class folders")
    assert dataset.class_names == ("cat", "dog")
    assert [(sample.key, sample.label.name, sample.label.class_id) for sample in dataset.samples if sample.label] == [
        ("cat/4.JPG", "cat", 0),
        ("cat/deep/er/3.jpeg", "cat", 0),
        ("dog/1.png", "dog", 1),
        ("dog/2.jpg", "dog", 1),
    ]
    assert {sample.part for sample in dataset.samples} == {None}
    assert dataset.notes == ()


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (["train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "test/b/1.jpg"], {"train": 2, "val": 1, "test": 1}),
        (["Training/a/1.jpg", "Training/b/1.jpg", "VALID/a/1.jpg"], {"train": 2, "val": 1}),
        (["train/a/1.jpg", "train/b/1.jpg", "validation/a/1.jpg"], {"train": 2, "val": 1}),
        (["train/a/1.jpg", "train/b/1.jpg", "testing/a/1.jpg"], {"train": 2, "test": 1}),
        (["train/a/1.jpg", "train/b/1.jpg"], {"train": 2}),
    ],
)
def test_parts(tree: Tree, names: list[str], parts: dict[str, int]) -> None:
    dataset = read(tree(names))
    assert dataset.kind == "train/val/test folders"
    assert Counter(sample.part for sample in dataset.samples) == parts
    assert [sample.part for sample in dataset.samples] == sorted(
        (sample.part or "" for sample in dataset.samples), key=["train", "val", "test"].index
    )


def test_a_class_that_val_lacks_shifts_no_id(tree: Tree) -> None:
    dataset = read(tree(["train/a/1.jpg", "train/b/1.jpg", "train/c/1.jpg", "val/c/1.jpg", "val/a/", "test/b/1.jpg"]))
    found = {sample.key: sample.label.class_id for sample in dataset.samples if sample.label}
    assert found == {"train/a/1.jpg": 0, "train/b/1.jpg": 1, "train/c/1.jpg": 2, "val/c/1.jpg": 2, "test/b/1.jpg": 1}
    assert dataset.notes == ("There is no image in 'val/a'.",)


def test_what_was_not_read_is_said(tree: Tree) -> None:
    names = ["train/a/1.jpg", "train/a/notes.txt", "train/a/.x.jpg", "train/b/1.jpg", "train/b/more.txt"]
    names += ["iconic/1.jpg", "iconic/2.jpg", "classes.csv", "train/loose.jpg", ".git/1.jpg", ".DS_Store"]
    dataset = read(tree(names))
    assert [sample.key for sample in dataset.samples] == ["train/a/1.jpg", "train/b/1.jpg"]
    assert dataset.notes == (
        "Hidden folders were not read: '.git'.",
        "Files outside the class folders were not read (1): 'train/loose.jpg'.",
        "The folder 'iconic' (2 images) was ignored: it is none of train, val and test.",
        "Files outside the class folders were not read (1): 'classes.csv'.",
        "2 files or folders were not read, such as 'train/a/notes.txt': .txt is not the suffix of an image.",
        "'train/a/.x.jpg' was not read: it is hidden.",
    )


def test_a_class_may_be_called_train(tree: Tree) -> None:
    dataset = read(tree(["train/1.jpg", "car/1.jpg", "bus/1.jpg"]))
    assert dataset.kind == "class folders"
    assert dataset.class_names == ("bus", "car", "train")


def test_a_class_folder_that_looks_like_a_data_set_is_noted(tree: Tree) -> None:
    dataset = read(tree(["pets/train/1.jpg", "cars/1.jpg"]))
    assert dataset.notes == ("Class folders that look like a divided data set of their own: 'pets'.",)


def test_a_loop_of_links_ends(tree: Tree) -> None:
    root = tree(["a/1.jpg", "b/1.jpg"])
    (root / "a" / "self").symlink_to(root / "a")
    dataset = read(root)
    assert [sample.key for sample in dataset.samples] == ["a/1.jpg", "b/1.jpg"]
    assert dataset.notes == ("'a/self' was not read: it is a link to a folder that was read already.",)


def test_a_link_back_to_a_folder_above_is_no_class(tree: Tree) -> None:
    root = tree(["train/a/1.jpg", "train/b/1.jpg"])
    (root / "train" / "c").symlink_to(root)
    (root / "d").symlink_to(root.parent)
    dataset = read(root)
    assert dataset.class_names == ("a", "b")
    assert dataset.notes == (
        "Links back to a folder above were not read: 'd'.",
        "Links back to a folder above were not read: 'train/c'.",
    )


def test_a_class_folder_may_be_a_link(tree: Tree, tmp_path: Path) -> None:
    root = tree(["a/1.jpg"])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "2.jpg").write_bytes((root / "a" / "1.jpg").read_bytes())
    (root / "b").symlink_to(elsewhere)
    assert [sample.key for sample in read(root).samples] == ["a/1.jpg", "b/2.jpg"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], f"{{root}}: the folder is empty. Expected:\n{LAYOUTS}"),
        (
            ["a.txt", "b/c.md"],
            f"{{root}}: there is no image in this folder. It holds 'b/', 'a.txt'. Expected:\n{LAYOUTS}",
        ),
        (
            ["1.jpg", "2.jpg"],
            "{root}: the folder holds images (2) but no class folders, so nothing says what they show. "
            f"Expected:\n{LAYOUTS}",
        ),
        (
            ["1.jpg", "labels.csv"],
            "{root}: the folder holds images (1) but no class folders, so nothing says what they show. "
            f"Expected:\n{LAYOUTS}\n"
            "Or give the table that lies there, if it has the columns path and label: {root}/labels.csv",
        ),
        (
            ["pets/a/1.jpg", "pets/b/1.jpg"],
            "{root}: there is one folder only, 'pets', and it holds folders: 'a', 'b'. "
            "If these are the classes, give {root}/pets.",
        ),
        (
            ["a/1.jpg", "b/1.jpg", "c/", "d/"],
            "{root}: a class needs images, and there is none in 'c', 'd'. Add images, or remove the folder.",
        ),
        (
            ["a/1.jpg", "b/", "c/x.raw"],
            "{root}: a class needs images, and there is none in 'b', 'c' ('c/x.raw' was not read: "
            ".raw is not the suffix of an image). Add images, or remove the folder.",
        ),
        (
            ["train/a/1.jpg", "train/b/"],
            "{root}: a class needs images, and there is none in 'train/b'. Add images, or remove the folder.",
        ),
        (
            ["test/a/1.jpg", "val/b/1.jpg"],
            f"{{root}}: there is 'test', 'val', but no folder 'train' to learn from. Expected:\n{LAYOUTS}",
        ),
        (
            ["test/a/1.jpg", "cat/1.jpg", "dog/1.jpg"],
            "{root}: 'test' lies beside class folders, but there is no 'train'. Put the class folders into 'train', "
            f"or, if 'test' is a class, give it another name. Expected:\n{LAYOUTS}",
        ),
        (
            ["train/1.jpg", "test/1.jpg"],
            f"{{root}}/train: there are no class folders in it. Expected:\n{LAYOUTS}",
        ),
        (
            ["train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "valid/b/1.jpg"],
            "{root}: 'val' and 'valid' both mean val. Keep one of them, or put the images of both into one.",
        ),
    ],
)
def test_folders_that_cannot_be_used(tree: Tree, names: list[str], message: str) -> None:
    root = tree(names)
    with pytest.raises(DataError) as caught:
        read(root)
    assert str(caught.value) == message.format(root=root)
