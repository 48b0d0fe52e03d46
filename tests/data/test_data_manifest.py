from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from mirada.data import Dataset, images_in, load_all, read, read_manifest, split, verify, write_manifest
from mirada.data.manifest import Changes, Entry, Fractions, Manifest
from mirada.errors import DataError
from mirada.image import Preparation

Tree = Callable[[Iterable[str]], Path]

A, B, C = "a" * 64, "b" * 64, "c" * 64
SMALL = Manifest(
    "pets",
    "class folders",
    7,
    Fractions(0.15, None),
    ("cat", "dög"),
    {
        "train": (Entry("cat/1.jpg", "cat", A), Entry("dög/1.jpg", "dög", B)),
        "val": (),
        "test": (Entry("x", "cat", None),),
    },
)


def test_the_file_by_hand(tmp_path: Path) -> None:
    write_manifest(SMALL, tmp_path / "split.json")
    assert (tmp_path / "split.json").read_text() == (
        '{\n"version": 1,\n"dataset": {"name": "pets", "kind": "class folders"},\n"seed": 7,\n'
        '"fractions": {"val": 0.15, "test": null},\n"class_names": ["cat", "d\\u00f6g"],\n"parts": {\n'
        f'"train": [\n{{"key": "cat/1.jpg", "label": "cat", "sha256": "{A}"}},\n'
        f'{{"key": "d\\u00f6g/1.jpg", "label": "d\\u00f6g", "sha256": "{B}"}}\n],\n'
        '"val": [\n\n],\n"test": [\n{"key": "x", "label": "cat", "sha256": null}\n]\n}\n}\n'
    )
    assert read_manifest(tmp_path / "split.json") == SMALL
    assert os.listdir(tmp_path) == ["split.json"]  # noqa: PTH208  nothing is left aside


def test_a_name_that_is_not_unicode_survives(tmp_path: Path) -> None:
    parts = {"train": (Entry("\udcff.jpg", "a", C),), "val": (), "test": ()}
    odd = Manifest("n", "k", 0, Fractions(None, None), ("a",), parts)
    write_manifest(odd, tmp_path / "split.json")
    assert read_manifest(tmp_path / "split.json") == odd


def test_an_earlier_manifest_stays_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "split.json"
    path.write_text("earlier")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError) as caught:
        write_manifest(SMALL, path)
    assert str(caught.value) == f"{path}: the manifest cannot be written (No space left on device)."
    assert path.read_text() == "earlier"
    assert [each.name for each in tmp_path.iterdir()] == ["split.json"]


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        write_manifest(SMALL, tmp_path / "no" / "split.json")
    assert str(caught.value) == f"{tmp_path}/no/split.json: the manifest cannot be written (No such file or directory)."


def changed(*place: str | int, to: Any) -> str:
    """The JSON of the small manifest with one value replaced."""
    top = {
        "version": 1,
        "dataset": {"name": "pets", "kind": "class folders"},
        "seed": 7,
        "fractions": {"val": 0.15, "test": None},
        "class_names": ["cat", "dog"],
        "parts": {
            "train": [{"key": "1", "label": "cat", "sha256": A}],
            "val": [{"key": "2", "label": "dog", "sha256": None}],
            "test": [],
        },
    }
    inner: Any = top
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = to
    return json.dumps(top)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a manifest of a split, because it is not JSON "
         "(Expecting property name enclosed in double quotes: line 1 column 2 (char 1))."),
        ("[]", "the file must be an object with "
         "'class_names', 'dataset', 'fractions', 'parts', 'seed', 'version', found []."),
        (changed("version", to=2), "the manifest has version 2; this mirada reads version 1. "
         "Use the mirada that wrote it, or divide the data set anew."),
        (changed("seed", to=True), "seed must be a whole number from 0, found True."),
        (changed("seed", to=-1), "seed must be a whole number from 0, found -1."),
        (changed("dataset", to={"name": "x"}), "dataset must be an object with 'kind', 'name', found {'name': 'x'}."),
        (changed("dataset", "name", to=3), "dataset.name must be a text, found 3."),
        (changed("fractions", "val", to=1), "fractions.val must be a number from 0 to below 1, or null, found 1."),
        (changed("fractions", "val", to=float("nan")),
         "fractions.val must be a number from 0 to below 1, or null, found nan."),
        (changed("class_names", to="cat"), "class_names must be a list, found 'cat'."),
        (changed("class_names", to=["dog", "cat", "dog"]),
         "class_names must be names without repetition, found ('dog', 'cat', 'dog')."),
        (changed("parts", "train", 0, "label", to="fox"),
         "parts.train[0].label must be one of class_names, or a hash, found 'fox'."),
        (changed("parts", "train", 0, "sha256", to=A[:-1] + "g"),
         f"parts.train[0].sha256 must be 64 hexadecimal digits, or null, found '{A[:59]}...."),
        (changed("parts", "val", 0, "key", to="1"),
         "parts.val[0].key must be a key that is nowhere else in the file, found '1'."),
        (changed("parts", "val", 0, "key", to=""), "parts.val[0].key must be a text, found ''."),
        (changed("parts", "test", to=None), "parts.test must be a list, found None."),
        (changed("parts", "dev", to=[]), "parts must be an object with 'test', 'train', 'val', found "
         "{'train': [{'key': '1', 'label': 'cat', 'sha256': 'aaaaaaaaa...."),
    ],
)  # fmt: skip
def test_manifests_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "split.json"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_manifest(path)
    assert str(caught.value) == f"{path}: {message}"


def test_hostile_files(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    for content in (b"\xff\xfe", b"[" * 100_000):
        path.write_bytes(content)
        with pytest.raises(DataError, match="not a manifest of a split, because it is not JSON"):
            read_manifest(path)
    with pytest.raises(DataError) as caught:
        read_manifest(tmp_path / "none.json")
    assert str(caught.value) == f"{tmp_path}/none.json: the manifest cannot be read (No such file or directory)."


def small(tree: Tree) -> Dataset:
    return read(tree(f"{name}/{number}.png" for name in ("cat", "dog") for number in range(5)))


def test_verify(tree: Tree) -> None:
    dataset = small(tree)
    manifest = split(dataset).manifest
    unchanged = verify(dataset, manifest)
    assert not unchanged
    assert str(unchanged) == "Nothing has changed."

    root = tree([])
    (root / "cat/0.png").write_bytes(b"other")
    (root / "cat/1.png").unlink()
    (root / "dog/0.png").rename(root / "dog/9.png")
    changes = verify(read(root), manifest)
    assert changes == Changes(gone=changes.gone, new=("dog/9.png",), changed=("cat/0.png",))
    assert set(changes.gone) == {"cat/1.png", "dog/0.png"}
    assert changes
    assert str(Changes(("a", "b"), (), ("c",))) == "2 gone ('a', 'b'), 1 changed ('c')."


def test_another_label_or_another_part_is_a_change(tree: Tree) -> None:
    root = tree(f"{number}.png" for number in range(8))
    table = root / "pets.csv"

    def write(last: str) -> Dataset:
        lines = [
            f"{number}.png,{'cat' if number % 2 else 'dog'},{'test' if number > 5 else 'train'}" for number in range(7)
        ]
        table.write_text("\n".join(["path,label,split", *lines, last]))
        return read(table)

    manifest = split(write("7.png,cat,test")).manifest
    assert verify(write("7.png,cat,test"), manifest) == Changes((), (), ())
    assert verify(write("7.png,dog,test"), manifest) == Changes((), (), ("7.png",))
    assert verify(write("7.png,cat,val"), manifest) == Changes((), (), ("7.png",))


def test_nothing_is_written_into_the_data(tree: Tree, tmp_path: Path) -> None:
    root = tree([f"{name}/{number}.jpg" for name in ("cat", "dog") for number in range(5)] + ["cat/x.txt"])
    (root / "dog/bad.jpg").write_bytes(b"")

    def state() -> dict[str, tuple[int, bytes]]:
        return {
            path.relative_to(root).as_posix(): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
            for path in [root, *root.rglob("*")]
        }

    before = state()
    dataset = read(root)
    drawn = split(dataset)
    write_manifest(drawn.manifest, tmp_path / "split.json")
    verify(dataset, read_manifest(tmp_path / "split.json"))
    pixels, _, failures = load_all(dataset.samples, Preparation((4, 4), "stretch"))
    assert (len(pixels), [index for index, _ in failures]) == (10, [10])
    assert len(list(images_in(root))) == 12
    assert state() == before
