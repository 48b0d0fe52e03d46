from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from mirada.data.samples import Sample, Skipped
from mirada.data.walk import images_in, is_system, list_folder, skip_notes
from mirada.errors import DataError, ImageError

Tree = Callable[[Iterable[str]], Path]


def seen(root: Path, *paths: str | Path) -> list[tuple[str, str | None]]:
    """Keys relative to the root, with the reason where a file was skipped."""
    found = images_in(paths or [root])
    return [
        (Path(each.key).relative_to(root).as_posix(), each.reason if isinstance(each, Skipped) else None)
        for each in found
    ]


def test_every_file_of_a_folder_is_accounted_for(tree: Tree) -> None:
    root = tree(
        ["b/2.PNG", "b/1.jpg", "a.jpg", "notes.txt", "b/c/3.jpeg", "b/c/README", ".git/x.jpg", ".hidden.jpg", "empty/"]
    )
    assert seen(root) == [
        (".git", "it is hidden"),
        (".hidden.jpg", "it is hidden"),
        ("a.jpg", None),
        ("b/1.jpg", None),
        ("b/2.PNG", None),
        ("b/c/3.jpeg", None),
        ("b/c/README", "its name has no suffix of an image"),
        ("notes.txt", ".txt is not the suffix of an image"),
    ]


def test_system_files_are_passed_over_without_a_word(tree: Tree) -> None:
    root = tree(["a.jpg", "._a.jpg", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/a.jpg"])
    assert seen(root) == [("a.jpg", None)]
    assert is_system("THUMBS.DB")
    assert not is_system(".gitignore")


def test_a_file_that_is_given_is_always_taken(tree: Tree) -> None:
    root = tree(["photo", "a.txt", ".hidden.jpg"])
    names = ["photo", "a.txt", ".hidden.jpg", "missing.jpg"]
    assert seen(root, *(root / name for name in names)) == [(name, None) for name in names]
    (missing,) = images_in(root / "missing.jpg")  # one path may stand alone
    assert isinstance(missing, Sample)
    assert (missing.label, missing.part) == (None, None)
    with pytest.raises(ImageError):
        missing.image()


def test_a_hidden_folder_that_is_given_is_walked(tree: Tree) -> None:
    root = tree([".cache/a.jpg"])
    assert seen(root, root / ".cache") == [(".cache/a.jpg", None)]


def test_keys_are_the_paths_as_given(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree(["pets/a.jpg"]))
    assert [each.key for each in images_in(["pets", "pets/a.jpg", "./pets"])] == ["pets/a.jpg"] * 3


def test_links_are_followed_and_loops_are_not(tree: Tree) -> None:
    root = tree(["a/1.jpg", "b/2.jpg"])
    (root / "a" / "up").symlink_to(root)
    (root / "c.jpg").symlink_to(root / "a" / "1.jpg")
    (root / "d").symlink_to(root / "b")
    (root / "e.jpg").symlink_to(root / "nowhere.jpg")
    (root / "f").symlink_to(root / "f")
    again = "it is a link to a folder that was read already"
    assert seen(root) == [
        ("a/1.jpg", None),
        ("a/up", again),
        ("b/2.jpg", None),
        ("c.jpg", None),
        ("d", again),
        ("e.jpg", None),
        ("f", "its name has no suffix of an image"),
    ]


def test_a_pipe_is_not_opened(tree: Tree) -> None:
    root = tree(["a.jpg"])
    os.mkfifo(root / "b.jpg")
    assert seen(root) == [("a.jpg", None), ("b.jpg", "it is not a regular file")]


def test_a_folder_that_cannot_be_opened_is_reported(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(["a/1.jpg", "b/2.jpg"])
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert seen(root) == [("a", "the folder cannot be opened (Permission denied)"), ("b/2.jpg", None)]


def test_walking_is_lazy(tree: Tree) -> None:
    root = tree(["a.jpg"])

    def paths() -> Iterable[Path]:
        while True:
            yield root

    found = images_in(paths())
    assert [next(found).key for _ in range(3)] == [(root / "a.jpg").as_posix()] * 3


def test_list_folder(tree: Tree, tmp_path: Path) -> None:
    root = tree(["b/1.jpg", "a/", "2.jpg", ".DS_Store", ".x"])
    folders, files = list_folder(root)
    assert [each.name for each in folders] == ["a", "b"]
    assert [each.name for each in files] == [".x", "2.jpg"]
    with pytest.raises(DataError) as caught:
        list_folder(tmp_path / "none")
    assert str(caught.value) == f"{tmp_path / 'none'}: the folder cannot be opened (No such file or directory)."


def test_one_sentence_a_reason() -> None:
    skipped = [Skipped("a.txt", "R1"), Skipped("b", "R2"), Skipped("c.txt", "R1")]
    assert skip_notes(skipped) == ["2 files or folders were not read, such as 'a.txt': R1.", "'b' was not read: R2."]
