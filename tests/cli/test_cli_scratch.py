"""Training from scratch that cannot work: each way ends in one clear error, and what was there before is whole."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mirada.data.member import file_system
from mirada.learn.pixels import read_pixels

DIGITS = ("train", "digits", "--from", "lenet5", "--epochs", "2")


def _contents(folder):
    """Every file with its bytes, every folder."""
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in, beside which a picture and a model of one's own lie."""
    (tmp_path / "photo.png").write_bytes(b"a picture")
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "model.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_learning_rate_of_a_thousand(here, mirada):
    before = _contents(here)
    said = mirada(*DIGITS, "--learning-rate", "1000", "-o", "m")
    assert said.status == 2
    assert said.out == ""
    assert "step" in said.err
    assert "learning rate" in said.err
    assert "--learning-rate 100" in said.err
    assert _contents(here) == before


def test_pictures_that_are_all_black(here, mirada):
    for name in ("cat", "dog"):
        (here / "black" / name).mkdir(parents=True)
        for size in range(8, 18):  # so that no two files are equal
            Image.fromarray(np.zeros((size, size, 3), np.uint8)).save(here / "black" / name / f"{name}{size}.png")
            Image.fromarray(np.zeros((size, 30, 3), np.uint8)).save(here / "black" / name / f"{name}{size}w.png")
    before = _contents(here)
    said = mirada("train", "black", "--from", "lenet5", "-o", "m")
    assert said.status == 2
    assert "every training image is of one colour, level 0 of 255 everywhere" in said.err
    assert _contents(here) == before


def test_labels_that_are_all_alike(here, mirada, pictures):
    names = [f"{number}.png" for number in range(6)]
    pictures(here / "data", *names)
    (here / "labels.csv").write_text("path,label\n" + "".join(f"data/{name},cat\n" for name in names))
    before = _contents(here)
    said = mirada("train", "labels.csv", "--from", "lenet5", "-o", "m")
    assert said.status == 2
    assert "there is one class only, 'cat'" in said.err
    assert _contents(here) == before


def test_shards_in_object_storage_train_what_they_train_on_a_disk(here, mirada, textures, object_storage, monkeypatch):
    assert mirada("convert", str(textures), "-o", "shards", "--to", "shards").status == 0
    place = f"{object_storage}/textures"
    system, base = file_system(place)
    for path in (here / "shards").iterdir():
        with system.open_output_stream(f"{base}/{path.name}") as stream:
            stream.write(path.read_bytes())
    each_epoch = partial(read_pixels, memory_bound=0)  # nothing is held, so each epoch reads them again
    monkeypatch.setattr("mirada.learn.scratch.read_pixels", each_epoch)
    weights = []
    for data, out in (("shards", "near"), (place, "far")):
        said = mirada("train", data, "--from", "lenet5", "--epochs", "1", "-o", out)
        assert said.status == 0, said.err
        weights.append((here / out / "weights.safetensors").read_bytes())
    assert weights[0] == weights[1]
    said = mirada("train", f"{place}-not", "--from", "lenet5", "-o", "m")
    assert said.status == 2
    assert f"{place}-not" in said.err
    assert not (here / "m").exists()


def test_a_folder_that_is_read_only(here, mirada, monkeypatch):
    (here / "locked").mkdir()
    (here / "locked").chmod(0o555)
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # to whom nothing is locked: as anyone else would be told
        monkeypatch.setattr("os.access", lambda path, _: bool(Path(path).stat().st_mode & stat.S_IWUSR))
    before = _contents(here)
    said = mirada(*DIGITS, "-o", "locked/m")
    assert said.status == 2
    assert f"the folder {here / 'locked'} cannot be written to: give another name with -o" in said.err
    assert _contents(here) == before


LIMITED = """
import resource, sys
import mirada.cli
from mirada.learn import checkpoint
checkpoint.SECONDS = {seconds}
resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))
sys.exit(mirada.cli.main({arguments}))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the system has no limit of file sizes")
@pytest.mark.parametrize(("seconds", "what"), [(0.0, "checkpoint"), (1e9, "model")], ids=["checkpoint", "model"])
def test_a_disk_that_is_full(here, seconds, what):
    """No file may grow beyond 100 kB, where the weights take 250."""
    before = _contents(here)
    code = LIMITED.format(seconds=seconds, most=100_000, arguments=[*DIGITS, "-o", "m"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert f"the {what}" in done.stderr
    assert "cannot be written" in done.stderr
    assert not (here / "m").exists()
    assert {name: held for name, held in _contents(here).items() if not name.startswith("m.unfinished")} == before


def test_set_gives_any_value_and_an_option_of_its_own_comes_first(here, mirada):
    said = mirada("train", "digits", "--from", "lenet5", "--set", "epochs=2", "--epochs", "1", "--set", "batch_size=64")
    assert said.status == 0, said.err
    assert "61,706 parameters, 1 epoch," in said.out
    said = mirada("train", "digits", "--from", "lenet5", "--set", "network=alexnet", "-o", "m")
    assert (said.status, said.out) == (2, "")
    assert "--set network is not for choosing one: name it with --from" in said.err
    said = mirada("train", "digits", "--from", "lenet5", "--augment", "none", "--set", "policy=light", "-o", "m")
    assert (said.status, said.out) == (2, "")
    assert "--augment and --set policy contradict each other" in said.err
    (here / "odd.yaml").write_text("network: nothing.net\n")
    said = mirada("train", "digits", "--recipe", "odd.yaml", "-o", "m")
    assert (said.status, said.out) == (2, "")
    assert "odd.yaml: network: " in said.err
