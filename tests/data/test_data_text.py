from __future__ import annotations

import os
from pathlib import Path

import pytest

from mirada.data.text import bytes_of, class_name, shown, text_of
from mirada.errors import DataError


def test_text_with_and_without_a_mark(tmp_path: Path) -> None:
    for raw in ("ä\n".encode(), "ä\n".encode("utf-8-sig")):
        (tmp_path / "a").write_bytes(raw)
        assert text_of(tmp_path / "a") == "ä\n"
        assert bytes_of(tmp_path / "a") == raw


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", "{path}: there is no such file."),
        ("folder", "{path}: there is no such file."),
        ("pipe", "{path}: there is no such file."),
        ("x" * 300, "{path}: there is no such file."),
        ("long", "{path}: the file has 1,001 bytes, more than the 1,000 that are read."),
        ("latin", "{path}, line 2: the byte 0xe4 is not UTF-8. Save it as UTF-8."),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "long").write_bytes(b" " * 1_001)
    (tmp_path / "latin").write_bytes("a\nä".encode("latin-1"))
    with pytest.raises(DataError) as caught:
        text_of(tmp_path / name, 1_000)
    assert str(caught.value) == message.format(path=tmp_path / name)


def test_a_file_may_be_as_long_as_the_bound(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b" " * 1_000)
    assert len(bytes_of(tmp_path / "a", 1_000)) == 1_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (" cat ", "cat"),
        ("a b", "a b"),
        ("", None),
        (" \n", None),
        (3, None),
        (None, None),
        (["a"], None),
        ("\ud800", None),
    ],
)
def test_names_of_classes(value: object, expected: str | None) -> None:
    assert class_name(value) == expected


def deep() -> list[object]:
    inner: list[object] = []
    for _ in range(100_000):
        inner = [inner]
    return inner


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a\nb", r"'a\nb'"),
        (None, "None"),
        ("x" * 70, f"'{'x' * 59}..."),
        (int("f" * 5_000, 16), "what cannot be shown (int)"),
        (deep(), "what cannot be shown (list)"),
    ],
    ids=["text", "nothing", "long", "number", "nested"],
)
def test_values_are_shown_in_a_few_words(value: object, expected: str) -> None:
    assert shown(value) == expected
