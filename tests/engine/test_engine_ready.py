"""The form in which a network is kept: as OpenVINO has prepared it, which is opened without being prepared again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from numpy.typing import NDArray
from small_network import CPU, PREPARATION, assert_gives_the_right_numbers, pixels_of, program_of

from mirada.engine import Engine, open_engine, openvino_engine, probe
from mirada.engine import choice as choosing
from mirada.engine.choice import CANDIDATES
from mirada.engine.openvino_engine import OpenVinoEngine, keep_only, ready_file
from mirada.engine.torch_engine import TorchEngine

FLOAT32 = [candidate for candidate in CANDIDATES if candidate.precision == "f32"]


@pytest.fixture
def engines_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIRADA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "engines"


def _opened() -> Engine:
    return open_engine(program_of("ready"), candidates=FLOAT32)


def _converted(folder: Path) -> Path:
    folder.mkdir()
    program = program_of("ready")
    openvino_engine.convert(TorchEngine(program, device=CPU).on_cpu(), program.input_shape, folder)
    return folder


def _forbidden(*_: Any, **__: Any) -> NoReturn:
    raise AssertionError("what is ready is prepared again")


def test_it_is_opened_without_being_prepared_again(
    engines_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _opened()
    [folder] = engines_folder.iterdir()
    assert sorted(file.name for file in folder.iterdir()) == ["choice.json", "network.f32.blob"]
    prepared = OpenVinoEngine(program_of("ready"), _converted(tmp_path / "converted"), "f32")
    monkeypatch.setattr(choosing.subprocess, "run", _forbidden)
    monkeypatch.setattr(openvino_engine._openvino().Core, "compile_model", _forbidden)
    again = _opened()
    assert again.name == "openvino f32"
    for found, wanted in zip(again(pixels_of(5)), prepared(pixels_of(5)), strict=True):
        assert found.tobytes() == wanted.tobytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[:-100],
        lambda content: content[: len(content) // 2],
        lambda _: b"",
        lambda content: bytes(len(content)),
    ],
    ids=["cut short", "half", "empty", "zeros"],
)
def test_what_cannot_be_opened_is_made_anew(engines_folder: Path, change: Callable[[bytes], bytes]) -> None:
    _opened()
    [file] = engines_folder.glob("*/network.f32.blob")
    whole = file.read_bytes()
    file.write_bytes(change(whole))
    engine = _opened()
    assert engine.name == "openvino f32"
    assert_gives_the_right_numbers(engine)
    assert len(file.read_bytes()) == len(whole)


class _Forgetful:
    """Gives other numbers each time that it is opened."""

    precision, opened = "f32", 0

    def __init__(self, *_: Any) -> None:
        _Forgetful.opened += 1

    def __call__(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
        return (np.full((len(images), 3), _Forgetful.opened, np.float32),)

    def ready(self) -> bytes:
        return b"ready"


def test_a_form_that_gives_other_numbers_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "images.npy", choosing.test_images(PREPARATION))
    monkeypatch.setattr(probe, "OpenVinoEngine", _Forgetful)
    monkeypatch.setattr(probe, "LEAST_SECONDS", 0.0)
    probe.main(tmp_path, "f32")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["images.npy", "outputs-f32.npz"]


def test_the_forms_that_are_needed_are_kept(tmp_path: Path) -> None:
    folder = _converted(tmp_path / "folder")
    for precision in ("bf16", "f32"):
        ready_file(folder, precision).write_bytes(b"ready")  # type: ignore[arg-type]
    keep_only(folder, "bf16")
    assert [file.name for file in folder.iterdir()] == ["network.bf16.blob"]

    other = _converted(tmp_path / "other")
    ready_file(other, "f32").write_bytes(b"ready")
    keep_only(other, "bf16")  # it was not made ready
    assert sorted(file.name for file in other.iterdir()) == ["network.bin", "network.xml"]

    ready_file(other, "f32").write_bytes(b"ready")
    keep_only(other, None)
    assert sorted(file.name for file in other.iterdir()) == ["network.bin", "network.xml"]
