from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mirada.annotations import Boxes, Label, Labels, Outline
from mirada.data.faults import Fault, Faults
from mirada.data.maskfile import MaskFile
from mirada.data.samples import (
    Dataset,
    Sample,
    Truth,
    check_learnable,
    class_labels,
    distinct,
    key_of,
    part_order,
    some,
)
from mirada.errors import DataError, ImageError

CAT = Label("cat", 0)


def test_a_grey_array_becomes_three_equal_channels() -> None:
    grey = np.array([[1, 2], [3, 4], [5, 6]], np.uint8)
    image = Sample("a[0]", CAT, array=grey).image()
    assert image.shape == (3, 2, 3)
    for channel in range(3):
        assert np.array_equal(image[:, :, channel], grey)


def test_an_rgb_array_comes_back_as_a_copy() -> None:
    rgb = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    image = Sample("a[0]", CAT, array=rgb).image()
    image[0, 0, 0] = 99
    assert rgb[0, 0, 0] == 0


def test_a_file_is_decoded_to_rgb(tmp_path: Path) -> None:
    path = tmp_path / "1.png"
    Image.new("RGB", (3, 2), (200, 100, 50)).save(path)
    image = Sample("cat/1.png", CAT, path=path).image()
    assert image.shape == (2, 3, 3)
    assert image[1, 2].tolist() == [200, 100, 50]


def test_a_file_that_cannot_be_decoded_is_named_by_its_key(tmp_path: Path) -> None:
    path = tmp_path / "1.jpg"
    path.write_bytes(b"not an image")
    with pytest.raises(ImageError) as caught:
        Sample("cat/1.jpg", CAT, path=path).image()
    assert caught.value.name == "cat/1.jpg"


def test_the_hash_of_a_file_is_the_sha256_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "1.jpg"
    path.write_bytes(b"no image, and no matter")
    assert Sample("1.jpg", CAT, path=path).content_hash() == hashlib.sha256(b"no image, and no matter").hexdigest()


def test_the_hash_of_an_array_depends_on_its_shape_and_not_on_its_memory() -> None:
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    of = lambda values: Sample("a", CAT, array=values).content_hash()  # noqa: E731
    assert of(array) == hashlib.sha256(b"(2, 3)" + bytes(range(6))).hexdigest()
    assert of(array) != of(array.reshape(3, 2))
    assert of(array.T) == of(array.T.copy())


def test_the_hash_of_a_file_that_is_gone_names_it(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        Sample("cat/1.jpg", CAT, path=tmp_path / "1.jpg").content_hash()
    assert str(caught.value) == "cat/1.jpg: the file cannot be read (No such file or directory)"


@pytest.mark.parametrize(
    ("path", "array", "message"),
    [
        (None, None, "k: a sample has either a path, a member of an archive, or an array"),
        (Path("a"), np.zeros((2, 2), np.uint8), "k: a sample has either a path, a member of an archive, or an array"),
        (None, np.zeros((2, 2)), "k: expected uint8 (H, W) or (H, W, 3), got float64 (2, 2)"),
        (None, np.zeros((2, 2, 4), np.uint8), "k: expected uint8 (H, W) or (H, W, 3), got uint8 (2, 2, 4)"),
    ],
)
def test_a_sample_checks_its_content(path: Path | None, array: np.ndarray | None, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        Sample("k", CAT, path=path, array=array)
    assert str(caught.value) == message


NAMES = ("ant", "cat", "dog")
EDGES = np.array([[0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 3.0, 4.0]])
PAIR = Boxes(EDGES, np.array([2, 0]))


def sample(truth: Truth | None) -> Sample:
    return Sample("a", truth, array=np.zeros((1, 1), np.uint8))


def test_the_classes_of_a_sample(tmp_path: Path) -> None:
    truths: dict[tuple[int, ...], Truth | None] = {
        (1,): Label("cat", 1),
        (0, 2): Labels((Label("ant", 0), Label("dog", 2))),
        (0, 1): Boxes(np.zeros((3, 4)), np.array([1, 0, 1])),
        (2,): MaskFile(tmp_path, (0, 1, 2), 255, (2,)),
        (): None,
    }
    for class_ids, truth in truths.items():
        assert sample(truth).class_ids == class_ids
        assert sample(truth).label is (truth if isinstance(truth, Label) else None)
    assert sample(Labels(())).class_ids == ()


def test_what_is_said_of_one_class_is_its_name() -> None:
    assert sample(Label("cat", 1)).said(NAMES) == "cat"


def test_what_is_said_otherwise_has_another_hash(tmp_path: Path) -> None:
    for name, content in (("1", b"a"), ("2", b"b"), ("3", b"a")):
        (tmp_path / name).write_bytes(content)
    outline = Outline(((0.0, 0.0, 2.0, 0.0, 2.0, 2.0),))
    different: list[Truth | None] = [
        PAIR,
        Boxes(EDGES + 0.125, PAIR.class_ids),
        Boxes(EDGES, np.array([2, 1])),
        Boxes(EDGES, PAIR.class_ids, is_crowd=np.array([True, False])),
        Boxes(EDGES, PAIR.class_ids, outlines=(outline, None)),
        Boxes(EDGES, PAIR.class_ids, outlines=(None, outline)),
        PAIR.chosen([0]),
        Labels((Label("ant", 0), Label("dog", 2))),
        Labels((Label("ant", 0),)),
        None,
        MaskFile(tmp_path / "1", (0, 1, 2), None, (0, 1)),
        MaskFile(tmp_path / "2", (0, 1, 2), None, (0, 1)),
        MaskFile(tmp_path / "1", (1, 0, 2), None, (0, 1)),
    ]
    said = [sample(truth).said(NAMES) for truth in different]
    assert len(set(said)) == len(said)
    assert all(text.startswith("sha256:") and len(text) == 7 + 64 for text in said)
    assert said[0] == sample(Boxes(EDGES.copy(), PAIR.class_ids.astype(np.int32))).said(NAMES)
    assert said[10] == sample(MaskFile(tmp_path / "3", (0, 1, 2), None, (0, 1))).said(NAMES)
    assert said[0] == sample(Boxes(EDGES, np.array([3, 1]))).said(("aardvark", *NAMES))  # ids move, names stay
    assert said[0] != sample(PAIR).said(("ant", "cat", "wolf"))
    with pytest.raises(ImageError) as caught:
        sample(MaskFile(tmp_path / "4", (0,))).said(NAMES)
    assert str(caught.value) == f"{tmp_path}/4: the file cannot be read (No such file or directory)"


def test_keys_are_paths_inside_the_data_set() -> None:
    assert key_of(Path("d/x/a.jpg"), Path("d")) == "x/a.jpg"
    assert key_of(Path("/e/a.jpg"), Path("/d")) == "/e/a.jpg"


def test_parts_have_an_order() -> None:
    assert sorted(["test", None, "val", "train"], key=part_order) == [None, "train", "val", "test"]


def test_no_two_samples_have_the_same_key() -> None:
    one, two = (Sample("a", None, part, array=np.zeros((1, 1), np.uint8)) for part in ("train", "val"))
    other = Sample("b", None, array=np.zeros((1, 1), np.uint8))
    assert distinct("pets", [one, other], Faults()) == (one, other)
    for pair, both in (((one, one), ""), ((one, two), ", in train and in val")):
        with pytest.raises(DataError) as caught:
            distinct("pets", pair, Faults())
        assert str(caught.value) == f"pets: 'a' is there twice{both}. Keep it in one place."
        faults = Faults(are_kept=True)
        assert distinct("pets", [*pair, other], faults) == (pair[0], other)
        assert faults.found == [Fault("twice", str(caught.value), "a")]


def test_labels_are_numbered_in_plain_sorted_order() -> None:
    labels = class_labels(["pear", "Apple", "10", "2", "pear"])
    assert [(label.name, label.class_id) for label in labels.values()] == [
        ("10", 0),
        ("2", 1),
        ("Apple", 2),
        ("pear", 3),
    ]


def dataset_of(*pairs: tuple[str, str | None]) -> Dataset:
    labels = class_labels(name for name, _ in pairs)
    grey = np.zeros((1, 1), np.uint8)
    samples = tuple(Sample(f"s[{i}]", labels[name], part, array=grey) for i, (name, part) in enumerate(pairs))
    return Dataset("pets", Path("pets"), "CSV", tuple(labels), samples)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (
            [("cat", None), ("cat", None)],
            "pets: there is one class only, 'cat'. A classifier needs at least two: add the images of another class.",
        ),
        (
            [("cat", "train"), ("dog", "train"), ("fox", "val")],
            "pets: val has classes that train lacks: 'fox'. A model cannot know them: "
            "add them to train, or take them out of val.",
        ),
        (
            [("cat", "train"), ("dog", "train"), ("Cat", "test"), ("dgo", "test")],
            "pets: test has classes that train lacks: 'Cat', 'dgo'. A model cannot know them: "
            "add them to train, or take them out of test. Did you mean 'cat'?",
        ),
        (
            [("house cat", "train"), ("dog", "train"), ("house-cat", "test")],
            "pets: test has classes that train lacks: 'house-cat'. A model cannot know them: "
            "add them to train, or take them out of test. Did you mean 'house cat'?",
        ),
    ],
)
def test_classes_that_cannot_be_learnt(pairs: list[tuple[str, str | None]], message: str) -> None:
    with pytest.raises(DataError) as caught:
        check_learnable(dataset_of(*pairs))
    assert str(caught.value) == message


def test_a_class_may_be_missing_outside_train() -> None:
    dataset = dataset_of(("cat", "train"), ("dog", "train"), ("dog", "test"))
    assert check_learnable(dataset) is dataset
    assert len(dataset) == 3
    assert dataset.where == "pets"


def test_some_names() -> None:
    assert some(["a", "b"]) == "'a', 'b'"
    assert some("abcdefg") == "'a', 'b', 'c', 'd', 'e' and 2 more"
