"""Several processes that train one network: each image once, the same losses, and going on where one dies."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirada.errors import TrainingError, UsageError
from mirada.learn import train
from mirada.learn.ranks import ALONE, Ranks
from mirada.machine import ranks as machine_ranks

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
TRAIN = ["train", "digits", "--from", "lenet5", "--epochs", "3"]


@given(st.integers(1, 9), st.integers(1, 40))
def test_together_they_see_each_image_of_a_batch_once(count: int, size: int) -> None:
    batch = np.random.default_rng(0).permutation(100)[:size]
    every = [Ranks(rank, count) for rank in range(count)]
    seen = [each.share(batch) for each in every if each.weight(size)]
    assert sorted(np.concatenate(seen).tolist()) == sorted(batch.tolist())
    values = np.random.default_rng(1).normal(size=100)
    means = [each.weight(size) * values[each.share(batch)].mean() for each in every]
    assert np.mean(means) == pytest.approx(values[batch].mean())
    assert all(len(each.share(batch)) for each in every)


def test_alone() -> None:
    assert ALONE.is_first
    assert ALONE.summed([1, 2]) == [1, 2]
    assert ALONE.weight(7) == 1.0


@pytest.mark.parametrize(
    ("count", "said", "expected"),
    [
        (2, "[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:9", TrainingError),
        (2, "mat1 and mat2 shapes cannot be multiplied", RuntimeError),
        (1, "Connection closed by peer", RuntimeError),
    ],
)
def test_a_lost_process_is_told_from_another_error(count: int, said: str, expected: type[Exception]) -> None:
    words = "another of the 2 processes was lost" if expected is TrainingError else said
    with pytest.raises(expected, match=words), Ranks(0, count).together():
        raise RuntimeError(said)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (0, 1)),
        ({"RANK": "1", "WORLD_SIZE": "2"}, (1, 2)),
        ({"RANK": "3"}, (0, 1)),
        ({"RANK": "x", "WORLD_SIZE": "y"}, (0, 1)),
    ],
)
def test_what_torchrun_says(
    environment: dict[str, str], expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (machine_ranks.rank(), machine_ranks.rank_count()) == expected


def test_the_ladder_is_climbed_by_one_process(textures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="climbs the ladder in one"):
        train(textures)


def _table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def _losses(folder: Path) -> list[float]:
    return [float(row["loss"]) for row in _table(folder / "steps.csv")]


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


KILLED = """
import os, signal, sys
from pathlib import Path
import mirada.cli
from mirada.learn import checkpoint
from mirada.learn.run import Run

checkpoint.SECONDS, add_step = 0, Run.add_step

def add_and_die(self, loss):
    add_step(self, loss)
    if self.steps_done == 60 and os.environ["RANK"] == "1" and not Path("died").exists():
        Path("died").touch()
        os.kill(os.getpid(), signal.SIGKILL)

Run.add_step = add_and_die
sys.exit(mirada.cli.main(sys.argv[1:]))
"""


@pytest.mark.long
def test_two_processes_learn_what_one_learns_and_go_on_where_one_dies(tmp_path: Path) -> None:
    one = _run([sys.executable, "-m", "mirada", *TRAIN, "-o", "one", "--journal", "j1"], tmp_path)
    assert one.returncode == 0, one.stderr
    two = _run([*TORCHRUN, "-m", "mirada", *TRAIN, "-o", "two", "--journal", "j2"], tmp_path)
    assert two.returncode == 0, two.stderr
    assert two.stdout.count("saved") == 1
    assert np.abs(np.subtract(_losses(tmp_path / "j1"), _losses(tmp_path / "j2"))).max() < 1e-3
    curves = [[float(row["train_loss"]) for row in _table(tmp_path / j / "epochs.csv")] for j in ("j1", "j2")]
    assert np.abs(np.subtract(*curves)).max() < 1e-4
    (tmp_path / "killed.py").write_text(KILLED)
    killed = _run([*TORCHRUN, "--max-restarts", "2", "killed.py", *TRAIN, "-o", "three", "--journal", "j3"], tmp_path)
    assert killed.returncode == 0, killed.stderr
    assert (tmp_path / "died").exists()
    assert _losses(tmp_path / "j3") == _losses(tmp_path / "j2")
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("two", "three")]
    assert len({hashlib.sha256(each).hexdigest() for each in weights}) == 1
    assert not (tmp_path / "three.unfinished").exists()
