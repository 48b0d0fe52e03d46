"""Running the command line in this process, and looking at what it said."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mirada.cli import main


@dataclass(frozen=True)
class Said:
    """What one command did: its exit status, and what stands on standard output and standard error."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Mirada = Callable[..., Said]
Pictures = Callable[..., Path]


@pytest.fixture
def mirada(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Mirada:
    """`mirada("layers", "alexnet")`, with `stdin` as its standard input."""

    def run(*arguments: str | Path, stdin: str | None = None) -> Said:
        if stdin is not None:
            monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Said(status, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def pictures() -> Pictures:
    """`pictures(folder, "0.png", "1.jpg")` makes images of one colour each, no two of them equal."""
    made = 0

    def make(folder: Path, *names: str) -> Path:
        nonlocal made
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            made += 1
            colour = (made * 29 % 256, made * 83 % 256, 90)
            Image.fromarray(np.full((8, 8, 3), colour, np.uint8)).save(folder / name)
        return folder

    return make


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, a step of training or a run of a network is a failure of the test."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a network was run before the request was refused")

    monkeypatch.setattr("mirada.learn.scratch.fit", refuse)
    monkeypatch.setattr("mirada.learn.first_rung.fit_head", refuse)
    monkeypatch.setattr("mirada.engine.torch_engine.TorchEngine._run", refuse)
    monkeypatch.setattr("mirada.engine.openvino_engine.OpenVinoEngine.stream", refuse)
