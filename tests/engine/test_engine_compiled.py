"""The form in which a network is kept: as OpenVINO has compiled it, which is opened without being compiled again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from numpy.typing import NDArray
from small_network import CPU, PREPARATION, assert_gives_the_right_numbers, pixels_of, program_of

from mirada.engine import Engine, open_engine, openvino_engine, probe
from mirada.engine import choice as choosing
from mirada.engine.choice import CANDIDATES
from mirada.engine.openvino_engine import OpenVinoEngine, Precision, compiled_file, keep_only
from mirada.engine.torch_engine import TorchEngine

FLOAT32 = [candidate for candidate in CANDIDATES if candidate.precision == "f32"]


@pytest.fixture
def engines_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIRADA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "engines"


def _opened() -> Engine:
    return open_engine(program_of("compiled"), candidates=FLOAT32)


def _converted(folder: Path) -> Path:
    folder.mkdir()
    program = program_of("compiled")
    openvino_engine.convert(TorchEngine(program, device=CPU).on_cpu(), program.input_shape, folder)
    return folder


def _forbidden(*_: Any, **__: Any) -> NoReturn:
    raise AssertionError("what is compiled is compiled again")


def test_it_is_opened_without_being_compiled_again(
    engines_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _opened()
    [folder] = engines_folder.iterdir()
    assert sorted(file.name for file in folder.iterdir()) == ["choice.json", "network.f32.blob"]
    afresh = OpenVinoEngine(program_of("compiled"), _converted(tmp_path / "converted"), "f32")
    monkeypatch.setattr(choosing.subprocess, "run", _forbidden)
    monkeypatch.setattr(openvino_engine._openvino().Core, "compile_model", _forbidden)
    again = _opened()
    assert again.name == "openvino f32"
    for found, wanted in zip(again(pixels_of(5)), afresh(pixels_of(5)), strict=True):
        assert found.tobytes() == wanted.tobytes()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda content: content[:-100],
    "half": lambda content: content[: len(content) // 2],
    "empty": lambda _: b"",
    "zeros": lambda content: bytes(len(content)),
    "no text in its header": lambda content: content[:30] + b"\xbd" + content[31:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_cannot_be_opened_is_made_anew(engines_folder: Path, damage: str) -> None:
    _opened()
    [file] = engines_folder.glob("*/network.f32.blob")
    damaged = DAMAGES[damage](file.read_bytes())
    file.write_bytes(damaged)
    engine = _opened()
    assert engine.name == "openvino f32"
    assert_gives_the_right_numbers(engine)
    assert file.read_bytes() != damaged


def test_what_is_gone_is_made_anew(engines_folder: Path) -> None:
    _opened()
    [file] = engines_folder.glob("*/network.f32.blob")
    file.unlink()
    assert_gives_the_right_numbers(_opened())
    assert file.is_file()


@pytest.mark.usefixtures("engines_folder")
def test_another_process_that_chose_otherwise_at_the_same_time_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it left is there in the place of one's own."""
    real = choosing._try

    def overtaken(reference: Engine, folder: Path, _: Any) -> choosing.Choice:
        return replace(real(reference, folder, FLOAT32), chosen="openvino bf16")  # the folder is the other's

    monkeypatch.setattr(choosing, "_try", overtaken)
    engine = open_engine(program_of("compiled"), candidates=CANDIDATES)
    assert engine.name == "openvino f32"
    assert engine.note is None
    assert_gives_the_right_numbers(engine)


class _Again:
    """An engine that gives other numbers, or cannot be opened, when it is opened the second time."""

    precision, opened, breaks = "f32", 0, False

    def __init__(self, *_: Any) -> None:
        type(self).opened += 1
        if self.breaks and self.opened > 1:
            raise UnicodeDecodeError("utf-8", b"", 0, 1, "a message with bytes of the file")

    def __call__(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
        return (np.full((len(images), 3), self.opened, np.float32),)

    def exported(self) -> bytes:
        return b"compiled"


@pytest.mark.parametrize("breaks", [False, True])
def test_a_form_that_is_of_no_use_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], breaks: bool
) -> None:
    np.save(tmp_path / "images.npy", choosing.test_images(PREPARATION))
    monkeypatch.setattr(probe, "OpenVinoEngine", type("Again", (_Again,), {"breaks": breaks}))
    monkeypatch.setattr(probe, "LEAST_SECONDS", 0.0)
    probe.main(tmp_path, "f32")
    assert json.loads(capsys.readouterr().out)["images_per_second"] > 0  # the engine itself is as good as it was
    assert sorted(file.name for file in tmp_path.iterdir()) == ["images.npy", "outputs-f32.npz"]


@pytest.mark.parametrize(
    ("compiled", "precision", "kept"),
    [
        (["bf16", "f32"], "bf16", ["network.bf16.blob"]),
        (["f32"], "bf16", ["network.bin", "network.xml"]),
        ([], "f32", ["network.bin", "network.xml"]),
        (["bf16", "f32"], None, []),
    ],
)
def test_the_form_that_is_needed_is_kept(
    tmp_path: Path, compiled: list[Precision], precision: Precision | None, kept: list[str]
) -> None:
    folder = _converted(tmp_path / "folder")
    for each in compiled:
        compiled_file(folder, each).write_bytes(b"compiled")
    keep_only(folder, precision)
    assert sorted(file.name for file in folder.iterdir()) == kept
