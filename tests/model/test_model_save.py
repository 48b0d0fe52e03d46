"""Saving a model: whole or not at all, and never over anything of the person's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file
from tiny import FILES, tiny

from mirada.errors import UsageError
from mirada.model import load
from mirada.model.store import free_place, is_unfinished, save


@pytest.mark.parametrize("kind", ["folder", "file", "broken link"])
def test_nothing_is_overwritten(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "taken"
    if kind == "folder":
        path.mkdir()
        (path / "mine.txt").write_text("mine")
    elif kind == "file":
        path.write_text("mine")
    else:
        path.symlink_to(tmp_path / "gone")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError) as caught:
        tiny().save(path)
    assert str(caught.value) == (
        f"{path} exists already: nothing is overwritten. Give another name with -o, or move it away"
    )
    assert sorted(tmp_path.rglob("*")) == before
    if kind != "broken link":
        assert (path / "mine.txt" if kind == "folder" else path).read_text() == "mine"


def test_a_parent_that_cannot_hold_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError) as caught:
        tiny().save(tmp_path / "no" / "model")
    assert str(caught.value) == (
        f"the folder {tmp_path / 'no'} does not exist: make it first, or give another name with -o"
    )
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError) as caught:
        tiny().save(tmp_path / "file" / "model")
    assert str(caught.value) == (
        f"{tmp_path / 'file'} is a file, and no folder that can hold the model: give another name with -o"
    )
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(UsageError) as caught:
        tiny().save(tmp_path / "model")
    assert str(caught.value) == f"the folder {tmp_path} cannot be written to: give another name with -o"


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (
            OSError(28, "No space left on device"),
            UsageError,
            "the model cannot be written to {} (No space left on device)",
        ),
        (SafetensorError("I/O error"), UsageError, "the model cannot be written to {} (I/O error)"),
        (KeyboardInterrupt("stop"), KeyboardInterrupt, "stop"),
    ],
)
def test_a_save_that_fails_leaves_nothing_behind(
    error: BaseException, raised: type[BaseException], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(state: dict[str, NDArray[np.generic]], path: Path) -> None:
        save_file(state, path)
        raise error

    monkeypatch.setattr(safetensors.numpy, "save_file", half)
    path = tmp_path / "model"
    with pytest.raises(raised) as caught:
        tiny().save(path)
    assert str(caught.value) == message.format(path)
    assert list(tmp_path.iterdir()) == []


UNFINISHED = {"climbing": {}, "notes": [], "seed": 1}


def test_what_is_unfinished(tmp_path: Path) -> None:
    saved = tiny().save(tmp_path / "whole").path or Path()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    for path in (saved, tmp_path / "file", tmp_path / "folder", tmp_path / "no", tmp_path / ("x" * 300), Path()):
        assert not is_unfinished(path)
    assert is_unfinished(tiny(training=UNFINISHED).save(tmp_path / "begun").path or Path())


def test_another_training_that_is_not_finished_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "model"
    assert free_place(path, "mine") == path
    tiny(training=UNFINISHED | {"key": "mine"}).save(path)
    assert free_place(path) == free_place(path, "mine") == path
    assert free_place(path, "another") == tmp_path / "model-2"
    tiny().save(tmp_path / "model-2")
    assert free_place(path, "another") == tmp_path / "model-3"


@pytest.mark.parametrize("name", ["model", "x" * 250, "x" * 255])
def test_an_unfinished_model_is_replaced_whole(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    save(tiny(training=UNFINISHED), path, over=is_unfinished(path))
    (path / "mine.txt").write_text("mine")
    save(tiny(training={"seed": 2}), path, report="<!doctype html>", over=is_unfinished(path))
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert {each.name for each in path.iterdir()} == FILES - {"split.json"} | {"mine.txt"}
    assert (path / "mine.txt").read_text() == "mine"
    assert (path / "report.html").read_text() == "<!doctype html>"
    assert load(path).training == {"seed": 2}
    assert not is_unfinished(path)
    with pytest.raises(UsageError, match="exists already: nothing is overwritten"):
        save(tiny(), path, over=is_unfinished(path))


@pytest.mark.parametrize("name", ["model", "x" * 255])
def test_killed_in_the_instant_of_replacing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unfinished model was moved away, and the new one not yet moved there: the unfinished one comes back."""
    path = tmp_path / name
    save(tiny(training=UNFINISHED), path)
    rename = Path.rename

    def killed(self: Path, target: Path) -> Path:
        if self.suffix == ".part":
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            save(tiny(training={}), path, over=True)
    assert not path.exists()
    assert is_unfinished(path)
    assert load(path).training == UNFINISHED
    save(tiny(training={}), path, over=True)
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert load(path).training == {}


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 300)
    with pytest.raises((UsageError, OSError), match="is longer than a folder"):
        tiny().save(path)
    assert list(tmp_path.iterdir()) == []
    assert tiny().save(tmp_path / ("x" * 250)).path == tmp_path / ("x" * 250)


def test_names_that_are_not_utf8_survive(tmp_path: Path) -> None:
    """Python reads the Latin-1 file name "caf\\xe9.jpg" with a lone surrogate in it, which UTF-8 cannot write."""
    training = {"unreadable": [{"path": "caf\udce9.jpg", "error": "is empty"}], "notes": ["ümläut"]}
    tiny(training=training).save(tmp_path / "model")
    assert load(tmp_path / "model").training == training
    text = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "- not used, could not be read: caf\\udce9.jpg: is empty\n- ümläut\n" in text
    assert "ümläut" in (tmp_path / "model" / "model.json").read_text(encoding="utf-8")
