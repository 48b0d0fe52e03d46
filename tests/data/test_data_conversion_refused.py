from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import draw, write_mask
from PIL import Image

from mirada.annotations import Boxes, Label
from mirada.data import Dataset, Sample, convert, read
from mirada.data.conversion import Format
from mirada.errors import DataError, MiradaError, UsageError

Tree = Callable[[Iterable[str]], Path]


def small(tree: Tree) -> Dataset:
    return read(tree(["cat/1.png", "cat/2.png", "dog/3.png", "dog/4.png"]))


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nothing_is_left_behind_where_an_image_is_missing_halfway(tree: Tree, tmp_path: Path) -> None:
    source = small(tree)
    (tmp_path / "data" / "dog" / "3.png").unlink()
    for place in (tmp_path / "new", tmp_path / "deep" / "er" / "new"):
        with pytest.raises(DataError) as caught:
            convert(source, place, "folders")
        assert str(caught.value) == (f"{tmp_path}/data/dog/3.png: the image cannot be copied (does not exist).")
        assert left(tmp_path) == ["data"]


def test_nothing_is_left_behind_where_a_mask_is_missing_halfway(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw(tmp_path / "set" / "images" / name, (2, 2))
        write_mask(tmp_path / "set" / "masks" / name, [[0, 1], [1, 0]])
    source = read(tmp_path / "set")
    (tmp_path / "set" / "masks" / "b.png").unlink()
    with pytest.raises(DataError, match="the mask cannot be read: it does not exist"):
        convert(source, tmp_path / "new", "masks")
    assert left(tmp_path) == ["set"]


def test_nothing_is_left_behind_where_it_is_interrupted(tree: Tree, tmp_path: Path) -> None:
    source = small(tree)

    def interrupt(stage: str, done: int, total: int | None, note: str = "") -> None:
        assert (stage, total) == ("copying images", 4)
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, tmp_path / "new", "folders", progress=interrupt)
    assert left(tmp_path) == ["data"]


def test_a_folder_that_is_there_is_never_written_to(tree: Tree, tmp_path: Path) -> None:
    source = small(tree)
    (tmp_path / "there").mkdir()
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    for name in ("there", "broken", "file"):
        with pytest.raises(UsageError) as caught:
            convert(source, tmp_path / name, "folders")
        assert str(caught.value) == f"{tmp_path}/{name} is there already: name a new folder with -o"
    with pytest.raises(UsageError) as caught:
        convert(source, tmp_path / "file" / "new", "folders")
    assert str(caught.value) == f"{tmp_path}/file/new: the data set cannot be written (File exists)"
    with pytest.raises(UsageError) as caught:
        convert(source, tmp_path / "data" / "new", "folders")
    assert str(caught.value) == (
        f"{tmp_path}/data/new lies in {tmp_path}/data, into which nothing is written: name a folder elsewhere with -o"
    )
    assert left(tmp_path) == ["broken", "data", "file", "there"]
    assert list((tmp_path / "there").iterdir()) == []


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("coco", "{where} holds one class an image, and coco is for boxes; it fits folders or shards"),
        ("masks", "{where} holds one class an image, and masks is for masks; it fits folders or shards"),
        ("zip", "there is no format 'zip': there are coco, voc, yolo, folders, shards, masks"),
    ],
)
def test_formats_that_do_not_fit(tree: Tree, tmp_path: Path, to: Format, message: str) -> None:
    source = small(tree)
    with pytest.raises(UsageError) as caught:
        convert(source, tmp_path / "new", to)
    assert str(caught.value) == message.format(where=tmp_path / "data")


def one_of(name: str, *, part: Any = None, task: Any = "classify") -> Dataset:
    """A data set of one class."""
    truth = Label(name, 0) if task == "classify" else Boxes(np.zeros((1, 4)), np.zeros(1, np.int64))
    sample = Sample("s", truth, part, array=np.zeros((4, 4), np.uint8))
    return Dataset("made", None, "made", (name,), (sample,), (), task)


@pytest.mark.parametrize(
    ("name", "to", "message"),
    [
        ("a/b", "folders", "the class 'a/b' cannot be the name of a folder: call it otherwise."),
        (".a", "folders", "the class '.a' cannot be the name of a folder: call it otherwise."),
        ("Thumbs.db", "folders", "the class 'Thumbs.db' cannot be the name of a folder: call it otherwise."),
        ("Test", "folders", "a folder 'Test' would be read as a part: call the class otherwise."),
        ("a\nb", "voc", r"the class 'a\nb' cannot be written: take odd characters out of its name."),
        ("a\x07", "yolo", r"the class 'a\x07' cannot be written: take odd characters out of its name."),
        (" a", "coco", "the class ' a' cannot be written: take odd characters out of its name."),
        ("\ud800", "folders", r"the class '\ud800' cannot be written: take odd characters out of its name."),
    ],
)
def test_classes_that_cannot_be_written(tmp_path: Path, name: str, to: Format, message: str) -> None:
    source = one_of(name, task="classify" if to == "folders" else "detect")
    with pytest.raises(DataError) as caught:
        convert(source, tmp_path / "new", to)
    assert str(caught.value) == f"made: {message}"
    assert left(tmp_path) == []


def test_a_class_may_be_called_like_a_part_inside_a_part(tmp_path: Path) -> None:
    convert(one_of("test", part="train"), tmp_path / "new", "folders")
    assert read(tmp_path / "new").class_names == ("test",)


def test_a_new_folder_has_the_rights_of_others(tree: Tree, tmp_path: Path) -> None:
    convert(small(tree), tmp_path / "new", "folders")
    (tmp_path / "other").mkdir()
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_more_classes_than_a_mask_has_numbers(tmp_path: Path) -> None:
    draw(tmp_path / "set" / "images" / "a.png", (2, 1))
    write_mask(tmp_path / "set" / "masks" / "a.png", [[0, 1]])
    (tmp_path / "set" / "classes.txt").write_text("\n".join(f"c{i}" for i in range(256)))
    with pytest.raises(MiradaError, match="a mask of 8 bits has room for 255 classes"):
        convert(read(tmp_path / "set"), tmp_path / "new", "masks")
    (tmp_path / "set" / "classes.txt").write_text("\n".join(f"c{i}" for i in range(255)))
    convert(read(tmp_path / "set"), tmp_path / "new", "masks")
    with Image.open(tmp_path / "new" / "masks" / "a.png") as image:
        assert np.asarray(image).tolist() == [[0, 1]]
