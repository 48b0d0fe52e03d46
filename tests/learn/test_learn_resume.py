"""A training that dies is taken up to the bit, wherever it died."""

from __future__ import annotations

import csv
import errno
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mirada.annotations import Label
from mirada.data import Sample
from mirada.errors import UsageError
from mirada.image import Preparation
from mirada.image.policy import Policy
from mirada.learn import checkpoint as checkpoint_module
from mirada.learn.checkpoint import Checkpoint
from mirada.learn.fit import fit
from mirada.learn.journal import Journal
from mirada.learn.key import check_same
from mirada.learn.pixels import read_pixels
from mirada.learn.place import Place
from mirada.learn.recipes import Recipe
from mirada.tasks import Classify

CPU = torch.device("cpu")
SIDES = Preparation((4, 4), "stretch", channels=1, mean=(0.5,), std=(0.5,))
TASK = Classify(("left", "right"))
pytestmark = pytest.mark.usefixtures("one_thread")


class Killed(BaseException):
    """As if the process had been killed: nothing may catch it."""


def _samples(count: int, seed: int) -> list[Sample]:
    rng = np.random.default_rng(seed)
    return [
        Sample(f"{i}", Label(TASK.class_names[i % 2], i % 2), array=rng.integers(0, 256, (4, 4), dtype=np.uint8))
        for i in range(count)
    ]


TRAIN = read_pixels(_samples(41, 0), SIDES, stage="train")
VAL = read_pixels(_samples(20, 1), SIDES, stage="val")


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Conv2d(3, 5, 3),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(20, 2),
    )


def _bytes(network: nn.Module) -> dict[str, bytes]:
    return {name: tensor.contiguous().numpy().tobytes() for name, tensor in network.state_dict().items()}


RECIPES = {
    "adamw": {"average": 0.9},
    "sgd": {"optimizer": "sgd", "schedule": "plateau", "patience": 1, "divisions": 9, "clip": 0.5},
    "views": {"policy": Policy(turn=20.0, slide=0.1, mixup=0.5).to_json()},
}


def _kill_at(step: int) -> Callable[..., None]:
    def progress(stage: str, done: int, total: int | None, note: str = "") -> None:
        if done == step:
            raise Killed

    return progress


@pytest.mark.parametrize("settings", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("kills", [(1,), (9,), (10, 11, 12), (2, 17, 18, 29)])
def test_wherever_it_is_killed_the_weights_are_the_same(
    settings: dict[str, Any], kills: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three epochs of ten steps, kept after each step; the step that is killed was not kept."""
    monkeypatch.setattr(checkpoint_module, "SECONDS", 0.0)
    monkeypatch.setattr(checkpoint_module, "SHARE", 0)
    recipe = Recipe.from_values({"epochs": 3, "batch_size": 4, "learning_rate": 0.03, **settings})
    undisturbed = _network()
    journal = Journal(tmp_path / "undisturbed")
    expected = fit(undisturbed, TRAIN, VAL, TASK, recipe, device=CPU, journal=journal)
    seen: list[int] = []
    for step in (*kills, None):
        network, kept = _network(), Checkpoint(tmp_path / "kept" / "0.safetensors", "a key")
        journal = Journal(tmp_path / "killed")

        def progress(stage: str, done: int, total: int | None, note: str = "", step: int | None = step) -> None:
            seen.extend([done] if stage == "training" else [])
            if done == step:
                raise Killed

        try:
            history = fit(
                network, TRAIN, VAL, TASK, recipe, device=CPU, progress=progress, checkpoint=kept, journal=journal
            )
        except Killed:
            continue
    assert seen == sorted(seen)  # nothing is done twice but the step that was killed
    assert len(seen) == 30 + len(kills)
    assert _bytes(network) == _bytes(undisturbed)
    assert [(e.train_loss, e.val_loss) for e in history] == [(e.train_loss, e.val_loss) for e in expected]
    for name in ("steps.csv", "epochs.csv"):
        tables = [_table(tmp_path / run / name) for run in ("undisturbed", "killed")]
        assert tables[0] == tables[1]
        assert len(tables[0]) == (30 if name == "steps.csv" else 3)


def _table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "0.safetensors"
    Checkpoint(path, "one").write({"a": torch.ones(2)}, {"epoch": 1})
    assert Checkpoint(path, "one").read() is not None
    with pytest.raises(UsageError, match="holds an unfinished training, which differs in images or options"):
        Checkpoint(path, "two").read()
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(UsageError, match=r"0\.safetensors: the checkpoint cannot be read"):
        Checkpoint(path, "one").read()


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Checkpoint(tmp_path / "0.safetensors", "key")
    kept.write({"a": torch.ones(2)}, {"epoch": 1})

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mirada.learn.checkpoint.os.fsync", full)
    with pytest.raises(
        UsageError, match=r"cannot be written \(No space left on device\); what was kept before is whole"
    ):
        kept.write({"a": torch.zeros(2)}, {"epoch": 2})
    found = kept.read()
    assert found is not None
    assert found[0]["a"].tolist() == [1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["0.safetensors"]


def test_what_differs_is_named(tmp_path: Path) -> None:
    kept = {"images": "a", "seed": 0, "recipe": {"epochs": 60, "clip": None, "policy": {"turn": 1.0}}}
    now = {"images": "a", "seed": 1, "recipe": {"epochs": 30, "clip": 1.0, "policy": None}}
    with pytest.raises(
        UsageError,
        match=r"clip \(none there, 1.0 here\), epochs \(60 there, 30 here\), policy \(.*\), seed \(0 there, 1 here\):",
    ):
        check_same(tmp_path, json.dumps(kept), json.dumps(now))
    check_same(tmp_path, json.dumps(now), json.dumps(now))


def test_one_process_trains_at_a_place(tmp_path: Path) -> None:
    """A second is refused while the first lasts; afterwards nothing is left of the lock."""
    place = Place(tmp_path / "m.unfinished", "key")
    with (
        place.held(),
        pytest.raises(UsageError, match=r"m\.unfinished: another process is training here: wait"),
        Place(tmp_path / "m.unfinished", "key").held(),
    ):
        pass
    assert not (tmp_path / "m.unfinished").exists()
    assert not place.is_begun
    with place.held():
        checkpoint = place.checkpoint(0, is_writer=True)
        assert checkpoint is not None
        checkpoint.write({}, {})
    assert [path.name for path in (tmp_path / "m.unfinished").iterdir()] == ["0.safetensors"]
    assert place.is_begun


def _train(*more: str) -> list[str]:
    return [sys.executable, "-m", "mirada", "train", "digits", "--from", "lenet5", "--epochs", "8", "-o", "m", *more]


@pytest.mark.long
def test_a_process_that_is_killed_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL, then the same command with --resume; then there is nothing to resume."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkpoint_module, "SECONDS", 0.0)
    place = Path("m.unfinished") / "0.safetensors"
    code = (
        "import sys; from mirada.learn import checkpoint; checkpoint.SECONDS = 0; sys.argv[1:] = {}; import mirada.cli"
    )
    command = [sys.executable, "-c", f"{code.format(_train()[3:])}; mirada.cli.main()"]
    process = subprocess.Popen(command)
    while not place.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not Path("m").exists()
    refused = subprocess.run(_train("--seed", "5"), capture_output=True, text=True)
    assert refused.returncode == 2
    assert "holds an unfinished training, which differs in images, seed (0 there, 5 here): give the" in refused.stderr
    done = subprocess.run(_train("--resume"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"note: An interrupted training was taken up after (step|epoch) \d+ of", done.stderr)
    assert not Path("m.unfinished").exists()
    subprocess.run([*_train()[:-1], "undisturbed"], check=True, capture_output=True)
    assert Path("m/weights.safetensors").read_bytes() == Path("undisturbed/weights.safetensors").read_bytes()
    refused = subprocess.run([*_train()[:-1], "other", "--resume"], capture_output=True, text=True)
    assert refused.returncode == 2
    assert "there is no interrupted training of other to take up" in refused.stderr
