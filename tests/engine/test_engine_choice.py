"""Which engine runs a network: wrong ones are planted, as programs that the test writes, and must be refused.

What a planted engine says of its speed is made up, so that which one is fastest does not depend on the clock.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from small_network import PREPARATION, assert_gives_the_right_numbers, pixels_of, program_of, right_of

from mirada.engine import Choice, Engine, kept_choices, open_engine, probe
from mirada.engine import choice as choosing
from mirada.engine.choice import CANDIDATES, REFERENCE, Candidate
from mirada.engine.openvino_engine import OpenVinoEngine, Precision, _openvino
from mirada.engine.process import LITTLE_NETWORK
from mirada.image import Preparation
from mirada.machine import available_cpus


@dataclass(frozen=True)
class _Plant:
    script: Path

    def __call__(self, way: str, precision: str = "f32", like: str = "openvino f32") -> Candidate:
        """A candidate that goes a way, held to the bounds of one of mirada's own."""
        own = next(candidate for candidate in CANDIDATES if candidate.name == like)
        command = (sys.executable, str(self.script), way)
        return replace(own, name=way, precision=cast(Precision, precision), command=command)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> _Plant:
    folder = tmp_path_factory.mktemp("planted")
    shutil.copy(Path(__file__).with_name("planted.py"), folder)
    maps, features = right_of(choosing.test_images(PREPARATION))
    np.savez(folder / "right.npz", maps.astype(np.float16), features)
    return _Plant(folder / "planted.py")


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIRADA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The processes that are started; they are."""
    real, started = subprocess.run, list[list[str]]()

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        started.append(command)
        return cast("subprocess.CompletedProcess[str]", real(command, **options))

    monkeypatch.setattr(choosing.subprocess, "run", run)
    return started


def _choice() -> Choice:
    [choice] = kept_choices()
    return choice


def test_the_right_one_is_chosen_among_wrong_ones_that_are_faster(plant: _Plant, cache_of_its_own: Path) -> None:
    wrong = ["scaled", "swapped", "segmentation fault", "nan"]
    candidates = [plant(way, f"wrong-{i}") for i, way in enumerate(wrong)]
    candidates[0] = plant("scaled", "wrong-0", like="openvino bf16")
    engine = open_engine(program_of("many"), candidates=[*candidates, plant("right")])
    assert isinstance(engine, OpenVinoEngine)
    assert engine.name == "openvino f32"
    assert engine.note is None
    assert_gives_the_right_numbers(engine)

    choice = _choice()
    assert choice.chosen == "right"
    assert [trial.name for trial in choice.trials] == [REFERENCE, *wrong, "right"]
    reasons = {trial.name: trial.refusal or "" for trial in choice.refused}
    assert list(reasons) == wrong
    assert reasons["scaled"] == "its outputs are 1.050 times those of float32"
    assert reasons["swapped"].startswith("its outputs differ from float32 by ")
    assert reasons["segmentation fault"] == "it crashed with signal 11"
    assert reasons["nan"] == "its outputs are not all numbers"
    right = choice.trials[-1]
    assert right.images_per_second == 1e6
    assert right.max_deviation is not None
    assert right.max_deviation < 1e-3
    assert right.same_top1 == 1.0
    [folder] = (cache_of_its_own / "engines").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["choice.json", "network.f32.blob"]


UNREADABLE = "it gave no answer that can be read"


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("division", "it crashed with signal 8"),
        ("status", "it failed: no such instruction"),
        ("no word", "it failed: no message"),
        ("infinite", "its outputs are not all numbers"),
        ("one image", "its outputs differ from float32 by "),
        ("zero", "its outputs differ from float32 by 50.0% on average, 100.0% at most"),
        ("shape", "its outputs have other shapes"),
        ("few images", "its outputs have other shapes"),
        ("one output", "its outputs have other shapes"),
        ("order", "its outputs have other shapes"),
        ("no file", UNREADABLE),
        ("empty file", UNREADABLE),
        ("other file", UNREADABLE),
        ("torn file", UNREADABLE),
        ("garbage", UNREADABLE),
        ("nothing", UNREADABLE),
        ("other JSON", UNREADABLE),
        ("no number", UNREADABLE),
        ("no text", UNREADABLE),
    ],
)
def test_a_wrong_one_is_refused_and_torch_runs_the_network(plant: _Plant, way: str, reason: str) -> None:
    engine = open_engine(program_of(way), candidates=[plant(way)])
    assert engine.name == REFERENCE
    [refused] = _choice().refused
    assert refused.name == way
    assert refused.refusal
    assert refused.refusal.startswith(reason)
    assert engine.note is not None
    assert f"{way}: {refused.refusal}" in engine.note
    assert "torch runs the network" in engine.note
    assert_gives_the_right_numbers(engine)


def test_an_engine_that_hangs_is_given_up(plant: _Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def run(command: list[str], *, timeout: float, **_: Any) -> None:
        asked.append(timeout)
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(choosing.subprocess, "run", run)
    engine = open_engine(program_of("hangs"), candidates=[plant("right")])
    assert engine.name == REFERENCE
    assert asked == [300]
    assert _choice().trials[1].refusal == "it did not finish within 300 s"


@pytest.mark.parametrize("error", [RuntimeError("no rule for aten::strange\nlong trace"), AssertionError()])
def test_a_network_that_cannot_be_converted(
    plant: _Plant, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def convert(*_: Any) -> None:
        raise error

    monkeypatch.setattr(choosing.openvino_engine, "convert", convert)
    engine = open_engine(program_of("strange"), candidates=[plant("right")])
    assert engine.name == REFERENCE
    assert engine.note is not None
    assert "OpenVINO cannot convert the network" in engine.note
    assert "long trace" not in engine.note
    assert commands == []
    assert_gives_the_right_numbers(engine)


def test_torch_is_chosen_where_it_is_fastest(plant: _Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nothing went wrong, and there is nothing to say."""
    ticks = itertools.count()
    monkeypatch.setattr(choosing.time, "perf_counter", lambda: 1e-9 * next(ticks))
    engine = open_engine(program_of("fast"), candidates=[plant("known")])
    assert engine.name == REFERENCE
    assert engine.note is None
    assert _choice().refused == ()


def test_mirada_s_own_candidates_give_float32_s_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in the precision it says, judged by its own probe, which takes no module from the current folder."""
    for name in ("json", "random", "numpy", "mirada"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('this is the person's own')")
    monkeypatch.chdir(tmp_path)
    engine = open_engine(program_of("own"))
    _, bf16, f32 = _choice().trials
    assert (bf16.name, f32.name) == tuple(candidate.name for candidate in CANDIDATES)
    assert f32.refusal is None
    assert f32.max_deviation is not None
    assert f32.max_deviation < 1e-3
    if "BF16" in _openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert bf16.refusal or 0.0 < (bf16.max_deviation or 0.0) < 0.1
    else:
        assert bf16.refusal == "this processor has no bf16: OpenVINO computes in f32"
    pixels = pixels_of(5, seed=9)
    for found, wanted in zip(engine(pixels), right_of(pixels), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=0.05 * float(np.abs(wanted).max()))


def test_a_precision_that_the_processor_does_not_have_is_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """OpenVINO then computes in another one, and says nothing."""

    class Silent:
        precision = "f32"

        def __init__(self, *_: Any) -> None:
            pass

    monkeypatch.setattr(probe, "OpenVinoEngine", Silent)
    np.save(tmp_path / "images.npy", pixels_of(2))
    probe.main(tmp_path, "bf16")
    assert json.loads(capsys.readouterr().out) == {"refusal": "this processor has no bf16: OpenVINO computes in f32"}


def _forbidden(*_: Any, **__: Any) -> None:
    raise AssertionError("a process is started, or the network built")


def test_the_choice_is_kept(plant: _Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_engine(program_of("kept"), candidates=[plant("known")])
    choice = _choice()
    monkeypatch.setattr(choosing.subprocess, "run", _forbidden)
    again = open_engine(replace(program_of("kept"), build=cast(Any, _forbidden)), candidates=[plant("known")])
    assert again.name == first.name == "openvino f32"
    for found, wanted in zip(again(pixels_of(3)), first(pixels_of(3)), strict=True):
        assert found.tobytes() == wanted.tobytes()
    assert _choice() == choice
    assert choice.where["processors"] == available_cpus()
    assert choice.where.keys() >= {"processor", "abilities", "openvino", "mirada"}


def test_that_all_were_refused_is_kept_with_its_reason(plant: _Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_engine(program_of("refused"), candidates=[plant("division")])
    monkeypatch.setattr(choosing.subprocess, "run", _forbidden)
    again = open_engine(program_of("refused"), candidates=[plant("division")])
    assert again.name == REFERENCE
    assert again.note == first.note
    assert again.note is not None
    assert_gives_the_right_numbers(again)


def _other_machine(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = choosing.machine
    monkeypatch.setattr(choosing, "machine", lambda: real() | {"processor": "another"})


def _other_version(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing.openvino_engine, "version", lambda: "99")


def _other_threads(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = choosing.machine
    monkeypatch.setattr(choosing, "machine", lambda: real() | {"processors": 77})


def _changed(name: str, change: Callable[[bytes], bytes | None]) -> Callable[[Path, pytest.MonkeyPatch], None]:
    def damage(folder: Path, _: pytest.MonkeyPatch) -> None:
        file = folder / name
        content = change(file.read_bytes())
        file.unlink()
        if content is not None:
            file.write_bytes(content)

    return damage


def _with(**values: Any) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps(json.loads(content) | values).encode()


REASONS = {
    "another machine": _other_machine,
    "another version": _other_version,
    "other threads": _other_threads,
    "no weights": _changed("network.bin", lambda _: None),
    "weights cut short": _changed("network.bin", lambda content: content[:-1]),
    "empty weights": _changed("network.bin", lambda _: b""),
    "no network": _changed("network.xml", lambda _: None),
    "network cut short": _changed("network.xml", lambda content: content[: len(content) // 2]),
    "no choice": _changed("choice.json", lambda _: None),
    "choice cut short": _changed("choice.json", lambda content: content[:-9]),
    "choice that is no text": _changed("choice.json", lambda _: bytes(range(256))),
    "choice that is a list": _changed("choice.json", lambda _: b"[1, 2]"),
    "choice that is null": _changed("choice.json", lambda _: b"null"),
    "choice of nothing": _changed("choice.json", lambda _: b"{}"),
    "choice of other trials": _changed("choice.json", _with(trials=[3])),
    "choice with more": _changed("choice.json", _with(made_by="a later version")),
    "choice of another program": _changed("choice.json", _with(key="0" * 64)),
}


@pytest.fixture(scope="module")
def warm(plant: _Plant, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which the program "anew" is converted, and the choice made."""
    folder = tmp_path_factory.mktemp("warm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIRADA_CACHE", str(folder))
        assert open_engine(program_of("anew"), candidates=[plant("known")]).name == "openvino f32"
    return folder


@pytest.mark.parametrize("reason", REASONS)
def test_it_is_made_anew(
    plant: _Plant,
    warm: Path,
    commands: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    cache_of_its_own: Path,
    reason: str,
) -> None:
    shutil.copytree(warm, cache_of_its_own)
    [folder] = (cache_of_its_own / "engines").iterdir()
    open_engine(program_of("anew"), candidates=[plant("known")])
    assert commands == []
    whole = {path.name for path in folder.iterdir()}
    REASONS[reason](folder, monkeypatch)
    engine = open_engine(program_of("anew"), candidates=[plant("known")])
    assert len(commands) == 1
    assert engine.name == "openvino f32"
    assert_gives_the_right_numbers(engine)
    assert {path.name for path in folder.iterdir()} == whole
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    open_engine(program_of("anew"), candidates=[plant("known")])
    assert len(commands) == 1
    assert _choice().chosen == "known"


def test_other_weights_are_another_program(plant: _Plant, commands: list[list[str]]) -> None:
    for name in ("one", "another"):
        open_engine(program_of(name), candidates=[plant("known")])
    darker = replace(PREPARATION, mean=(0.6, 0.4, 0.3))
    open_engine(replace(program_of("one"), preparation=darker), candidates=[plant("known")])
    assert len(commands) == 3
    assert [choice.name for choice in kept_choices()] == ["another", "one", "one"]
    zoomed = replace(PREPARATION, zoom=2.0)  # the frame does not change what a pixel is
    open_engine(replace(program_of("one"), preparation=zoomed), candidates=[plant("known")])
    assert len(commands) == 3


def _ways(commands: list[list[str]]) -> list[str]:
    """Which candidates were tried, and nothing is remembered of it."""
    ways = [command[2] for command in commands]
    commands.clear()
    return ways


def test_for_another_network_of_a_family_only_the_chosen_way_is_tried(
    plant: _Plant, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates = [plant("division"), plant("known"), plant("nan", "bf16")]

    def opened(name: str, family: str) -> Engine:
        return open_engine(replace(program_of(name), family=family), candidates=candidates)

    opened("first", "f")
    assert _ways(commands) == ["division", "known", "nan"]
    engine = opened("second", "f")
    assert _ways(commands) == ["known"]
    assert (engine.name, engine.note) == ("openvino f32", None)
    assert_gives_the_right_numbers(engine)
    opened("of another family", "g")
    assert _ways(commands) == ["division", "known", "nan"]
    for name in ("alone", "alone too"):
        opened(name, "")
        assert _ways(commands) == ["division", "known", "nan"]
    _other_machine(Path(), monkeypatch)
    opened("third", "f")
    assert _ways(commands) == ["division", "known", "nan"]


@pytest.mark.parametrize(
    ("way", "is_accident"), [("status", True), ("no file", True), ("killed", True), ("division", False), ("nan", False)]
)
def test_what_may_have_been_a_passing_trouble_is_tried_again_when_asked(
    plant: _Plant, commands: list[list[str]], way: str, is_accident: bool
) -> None:
    for tries_all in (False, False, True):
        engine = open_engine(program_of("again"), candidates=[plant(way)], tries_all=tries_all)
        assert engine.name == REFERENCE
    assert _ways(commands) == [way] * (2 if is_accident else 1)
    assert ("To try again: mirada engines" in (engine.note or "")) == is_accident


def test_all_ways_are_tried_where_that_is_asked(plant: _Plant, commands: list[list[str]]) -> None:
    candidates = [plant("division"), plant("known"), plant("nan", "bf16")]
    first, later = (replace(program_of(name), family="f") for name in ("first", "later"))
    open_engine(first, candidates=candidates)
    open_engine(later, candidates=candidates)
    assert _ways(commands) == ["division", "known", "nan", "known"]
    for _ in range(2):
        engine = open_engine(later, candidates=candidates, tries_all=True)
        assert_gives_the_right_numbers(engine)
    assert _ways(commands) == ["division", "known", "nan"]
    assert [len(choice.trials) for choice in kept_choices()] == [4, 4]


def test_where_the_way_of_the_family_fails_the_others_are_tried(plant: _Plant, commands: list[list[str]]) -> None:
    first, later = replace(program_of("first"), family="f"), replace(program_of("later"), family="f")
    failing = replace(plant("known"), command=plant("status").command)
    open_engine(first, candidates=[plant("known")])
    commands.clear()
    engine = open_engine(later, candidates=[failing, plant("right")])
    assert _ways(commands) == ["status", "status", "right"]
    assert engine.name == "openvino f32"
    assert_gives_the_right_numbers(engine)
    assert {choice.name: choice.chosen for choice in kept_choices()} == {"first": "known", "later": "right"}


def test_networks_that_were_converted_longest_ago_are_deleted(
    plant: _Plant, monkeypatch: pytest.MonkeyPatch, cache_of_its_own: Path
) -> None:
    monkeypatch.setattr(choosing, "MOST_KEPT", 3)
    for age, name in enumerate("abcde"):
        open_engine(program_of(name), candidates=[plant("known")])
        [newest] = (cache_of_its_own / "engines").glob(f"{program_of(name).key[:32]}-*/choice.json")
        os.utime(newest, (1e9 + age, 1e9 + age))
        assert [choice.name for choice in kept_choices()] == list("abcde"[max(0, age - 2) : age + 1])
    assert len(list((cache_of_its_own / "engines").iterdir())) == 3


def test_without_openvino_torch_runs_the_network(
    plant: _Plant, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing.openvino_engine, "is_installed", lambda: False)
    engine = open_engine(program_of("without"), candidates=[plant("known")])
    assert engine.name == REFERENCE
    assert engine.note == "OpenVINO is not installed: torch runs the network, slower (pip install openvino)"
    assert commands == []
    assert kept_choices() == []
    assert_gives_the_right_numbers(engine)


def test_little_work_is_left_to_torch(plant: _Plant, commands: list[list[str]], cache_of_its_own: Path) -> None:
    engine = open_engine(program_of("little", LITTLE_NETWORK - 1), candidates=[plant("known")])
    assert (engine.name, engine.note) == (REFERENCE, None)
    assert commands == []
    assert list((cache_of_its_own / "engines").iterdir()) == []
    assert_gives_the_right_numbers(engine)
    assert open_engine(program_of("much", LITTLE_NETWORK), candidates=[plant("known")]).name == "openvino f32"


def test_running_needs_no_torch(plant: _Plant) -> None:
    right = open_engine(program_of("warm"), candidates=[plant("known")])(pixels_of(3))
    run = (
        "import json, sys, numpy as np\n"
        "from mirada.engine import Program, open_engine\n"
        "from mirada.engine.choice import Candidate\n"
        "from mirada.image import Preparation\n"
        f"program = Program('warm', {{'of': 'warm'}}, {PREPARATION!r}, None)\n"
        "engine = open_engine(program, candidates=[Candidate('known', 'f32', 0, 0, ())])\n"
        "pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 40, 3), dtype=np.uint8)\n"
        "outputs = [output.tobytes().hex() for output in engine(pixels)]\n"
        "print(json.dumps([engine.name, outputs, sorted({'torch', 'timm'} & sys.modules.keys())]))\n"
    )
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["openvino f32", [output.tobytes().hex() for output in right], []]


def test_the_images_of_the_test_are_real_and_differ() -> None:
    images = choosing.test_images(PREPARATION)
    assert images.shape == (16, 32, 40, 3)
    assert images.dtype == np.uint8
    assert len({image.tobytes() for image in images}) == 16
    assert all(float(image.std()) > 10 for image in images)
    assert np.array_equal(images, choosing.test_images(PREPARATION))
    grey = Preparation((9, 9), "stretch", channels=1, mean=(0.5,), std=(0.5,))
    assert choosing.test_images(grey).shape == (16, 9, 9, 1)
