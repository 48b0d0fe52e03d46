from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from mirada.data import read
from mirada.data.folders import LAYOUTS
from mirada.errors import DataError

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
            "columns path and label, or the word digits.",
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
