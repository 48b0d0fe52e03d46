"""Which way of running a network is right and fastest on this machine: tried once, judged against float32, kept.

A candidate runs in a process of its own on crops of two real photographs. It is refused where it crashes, gives what is
no number, or differs from torch's float32 by more than its number format explains. The fastest of those that pass is
kept with the network, as OpenVINO has compiled it, for this machine and these versions, so that the next run begins at
once.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirada.engine import openvino_engine
from mirada.engine.engine import Engine
from mirada.engine.process import LITTLE_NETWORK, prepare_process
from mirada.engine.program import Program
from mirada.image import Preparation
from mirada.image.photographs import photographs
from mirada.machine import available_cpus, cache_folder, machine, written_aside
from mirada.version import __version__

__all__ = ["CANDIDATES", "Candidate", "Choice", "Trial", "kept_choices", "open_engine", "test_images"]

LONGEST = 300.0
"""Seconds after which a candidate is given up."""
IMAGES = 16
SLOPE = 0.02
"""How far the outputs may be from float32 in size: rounding errs to both sides, a wrong scale to one."""
MOST_KEPT = 40
"""Networks in the cache."""
REFERENCE = "torch float32"
_CHOICE = "choice.json"
_CRASHES = {signal.SIGSEGV, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, getattr(signal, "SIGBUS", None)}


@dataclass(frozen=True)
class Candidate:
    """A way of running a network that was converted.

    Args:
        name: for people, and in the file of the choice.
        precision: how OpenVINO computes.
        most_mean, most_max: the largest deviation from float32 that the number format explains, relative to the length
            of an output: on average, and of one image. bf16 keeps 8 bits: 0.4 % a rounding, gathered over the layers.
        command: the process that tries it, the folder and the precision are appended; it takes no module from the
            current folder, which is the person's.
    """

    name: str
    precision: openvino_engine.Precision
    most_mean: float
    most_max: float
    command: tuple[str, ...] = (sys.executable, "-P", "-m", "mirada.engine.probe")


CANDIDATES = (
    Candidate("openvino bf16", "bf16", 0.12, 0.40),
    Candidate("openvino f32", "f32", 1e-3, 1e-2),
)


@dataclass(frozen=True)
class Trial:
    """What came of a candidate.

    Attributes:
        name: of the candidate.
        images_per_second: of the network alone, prepared pixels in memory; None where it did not finish.
        mean_deviation, max_deviation: from float32, relative to the length of the output; over all outputs.
        same_top1: share of the images whose largest output is the same; of the last output.
        refusal: why it may not be used, or None.
        is_accident: whether it was refused for something that may have been a passing trouble of the machine.
    """

    name: str
    images_per_second: float | None = None
    mean_deviation: float | None = None
    max_deviation: float | None = None
    same_top1: float | None = None
    refusal: str | None = None
    is_accident: bool = False


@dataclass(frozen=True)
class Choice:
    """What was tried for a program on a machine, and what was chosen.

    Attributes:
        name: of the program.
        key: of the program.
        where: machine and versions for which it holds.
        trials: every candidate, and torch's float32.
        chosen: the name of the fastest that passed.
        family: of the program.
    """

    name: str
    key: str
    where: dict[str, Any]
    trials: tuple[Trial, ...]
    chosen: str
    family: str = ""

    @property
    def refused(self) -> tuple[Trial, ...]:
        """The candidates that may not be used."""
        return tuple(trial for trial in self.trials if trial.refusal)

    @property
    def had_accident(self) -> bool:
        """Whether a candidate was refused for what may have been a passing trouble."""
        return any(trial.is_accident for trial in self.trials)

    def holds_for(self, program: Program) -> bool:
        """Whether it was made for this program, on this machine and with these versions."""
        return self.key == program.key and self.where == _where()


def open_engine(program: Program, *, candidates: Sequence[Candidate] = CANDIDATES, tries_all: bool = False) -> Engine:
    """The fastest engine that gives right answers here. What was chosen before is taken without being tried again.

    Without OpenVINO, or where no candidate passes, torch runs the network, and the engine's `note` says so.

    Args:
        tries_all: whether everything is tried anew where a candidate was not tried, because another network of the
            family told which one is likely the best, or had an accident.
    """
    is_little = program.multiply_adds is not None and program.multiply_adds < LITTLE_NETWORK
    folder = cache_folder("engines") / f"{program.key[:32]}-{available_cpus()}"
    choice = None if is_little else _read(folder / _CHOICE)
    if choice and choice.holds_for(program) and not (tries_all and _has_more_to_try(choice, candidates)):
        engine = _open(choice, program, folder, candidates)
        if engine is not None:
            return engine
    from mirada.engine.torch_engine import TorchEngine

    prepare_process(program.multiply_adds)
    reference = TorchEngine(program)
    if reference.device.type != "cpu" or is_little:
        return reference
    if not openvino_engine.is_installed():
        reference.note = "OpenVINO is not installed: torch runs the network, slower (pip install openvino)"
        return reference
    _prune(folder.parent)
    chosen = None if tries_all else _chosen_for(program)
    likely = [candidate for candidate in candidates if candidate.name == chosen]
    choice = _try(reference, folder, likely or candidates)
    if likely and choice.chosen == REFERENCE:
        choice = _try(reference, folder, candidates)
    if choice.chosen == REFERENCE:
        reference.note = _note(choice)
        return reference
    for last in (choice, _read(folder / _CHOICE)):  # another process may have chosen otherwise at the same time
        engine = _open(last, program, folder, candidates) if last and last.holds_for(program) else None
        if engine is not None:
            return engine
    reference.note = "torch runs the network, slower: another process has changed its kept form, run again"
    return reference


def _has_more_to_try(choice: Choice, candidates: Sequence[Candidate]) -> bool:
    tried = {trial.name for trial in choice.trials if not trial.is_accident}
    return any(candidate.name not in tried for candidate in candidates)


def _called(name: str, candidates: Sequence[Candidate]) -> Candidate | None:
    """The candidate of this name; None for torch, which is none."""
    return next((candidate for candidate in candidates if candidate.name == name), None)


def _open(choice: Choice, program: Program, folder: Path, candidates: Sequence[Candidate]) -> Engine | None:
    """The engine that was chosen; None where its network is not there whole."""
    chosen = _called(choice.chosen, candidates)
    if chosen is not None:
        try:
            engine: Engine = openvino_engine.OpenVinoEngine(program, folder, chosen.precision)
            engine.note = _note(choice)
            return engine
        except openvino_engine.CANNOT_BE_OPENED:  # a file of the cache was deleted or damaged: it is made again
            return None
    from mirada.engine.torch_engine import TorchEngine

    prepare_process()
    engine = TorchEngine(program)
    engine.note = _note(choice)
    return engine


def _note(choice: Choice) -> str | None:
    """What should be said of ways that failed: where none passed, or where one had an accident that may have passed."""
    reasons = "; ".join(f"{trial.name}: {trial.refusal}" for trial in choice.refused)
    again = ""
    if choice.had_accident:
        again = f" To try again: mirada engines NETWORK, or delete {cache_folder('engines')}."
    if choice.refused and len(choice.refused) >= len(choice.trials) - 1:
        return (
            f"torch runs the network, slower, because the faster ways failed their self-test here ({reasons}).{again}"
        )
    if choice.had_accident:
        return f"{choice.chosen} runs the network: another way had an accident in its self-test ({reasons}).{again}"
    return None


def _try(reference: Engine, folder: Path, candidates: Sequence[Candidate]) -> Choice:
    """Convert the network, try every candidate, and keep network and choice."""
    from mirada.engine.torch_engine import TorchEngine

    assert isinstance(reference, TorchEngine)
    program = reference.program
    images = test_images(program.preparation)
    right = reference(images)
    begin = time.perf_counter()
    reference(images)
    rate = len(images) / (time.perf_counter() - begin)
    with written_aside(folder) as aside:
        trials = [Trial(REFERENCE, round(rate, 1), 0.0, 0.0, 1.0)]
        refusal = _converted(reference, aside)
        np.save(aside / "images.npy", images)
        for candidate in candidates:
            trial = Trial(candidate.name, refusal=refusal) if refusal else _tried(candidate, aside, right)
            trials.append(trial)
        passed = [trial for trial in trials if trial.refusal is None]
        best = max(passed, key=lambda trial: trial.images_per_second or 0.0)
        for file in (*aside.glob("outputs-*.npz"), aside / "images.npy"):
            file.unlink()
        chosen = _called(best.name, candidates)
        openvino_engine.keep_only(aside, chosen.precision if chosen else None)
        choice = Choice(program.name, program.key, _where(), tuple(trials), best.name, program.family)
        _write(choice, aside / _CHOICE)
        shutil.rmtree(folder, ignore_errors=True)  # of another machine or version, or no longer whole
    return choice


def _chosen_for(program: Program) -> str | None:
    """What was chosen for another network of the family on this machine, where no accident had a part in it."""
    alike = [choice for choice in kept_choices() if choice.family == program.family and choice.where == _where()]
    sound = [choice for choice in alike if not choice.had_accident]
    return sound[-1].chosen if sound and program.family else None


def _prune(engines: Path) -> None:
    """Delete the networks that were made longest ago: each model that is retrained adds one."""
    kept = sorted(engines.glob(f"*/{_CHOICE}"), key=lambda file: file.stat().st_mtime)
    for file in kept[: max(0, len(kept) - MOST_KEPT + 1)]:
        shutil.rmtree(file.parent, ignore_errors=True)


def _converted(reference: Any, folder: Path) -> str | None:
    """Convert the network into the folder; why it could not be, or None."""
    try:
        openvino_engine.convert(reference.on_cpu(), reference.program.input_shape, folder)
    except Exception as error:  # noqa: BLE001  an engine may refuse a network in any way; torch then runs it
        words = str(error).splitlines() or [type(error).__name__]
        return f"OpenVINO cannot convert the network ({words[0][:200]})"
    return None


def _tried(candidate: Candidate, folder: Path, right: Sequence[NDArray[np.floating]]) -> Trial:
    """Run a candidate in its own process, and judge what it gave."""
    command = [*candidate.command, str(folder), candidate.precision]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=LONGEST, check=False)
    except subprocess.TimeoutExpired:
        return Trial(candidate.name, refusal=f"it did not finish within {LONGEST:.0f} s", is_accident=True)
    if done.returncode < 0:
        was_stopped = -done.returncode not in _CRASHES  # such as by the system, for want of memory
        return Trial(candidate.name, refusal=f"it crashed with signal {-done.returncode}", is_accident=was_stopped)
    if done.returncode > 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Trial(candidate.name, refusal=f"it failed: {last[:200]}", is_accident=True)
    try:
        said = json.loads(done.stdout.splitlines()[-1])
        if "refusal" in said:
            return Trial(candidate.name, refusal=str(said["refusal"]))
        rate = float(said["images_per_second"])
        outputs = folder / f"outputs-{candidate.precision}.npz"
        with outputs.open("rb") as file, np.load(file, allow_pickle=False) as kept:  # numpy leaves a torn file open
            given = [kept[name] for name in kept.files]
    except (OSError, ValueError, KeyError, IndexError, TypeError, EOFError, zipfile.BadZipFile) as error:
        return Trial(candidate.name, refusal=f"it gave no answer that can be read ({error})", is_accident=True)
    return _judged(candidate, rate, given, right)


def _judged(
    candidate: Candidate, rate: float, given: Sequence[NDArray[np.floating]], right: Sequence[NDArray[np.floating]]
) -> Trial:
    """Compare the outputs of a candidate with those of float32."""
    if [array.shape for array in given] != [array.shape for array in right]:
        return Trial(candidate.name, refusal="its outputs have other shapes")
    if not all(np.isfinite(array).all() for array in given):
        return Trial(candidate.name, refusal="its outputs are not all numbers")
    deviations, slopes, same = [], [], 1.0
    for a, b in zip(given, right, strict=True):
        found, wanted = (x.reshape(len(x), -1).astype(np.float64) for x in (a, b))
        length = np.maximum(np.linalg.norm(wanted, axis=1), 1e-12)
        deviations.append(np.linalg.norm(found - wanted, axis=1) / length)
        slopes.append(float((found * wanted).sum() / max((wanted * wanted).sum(), 1e-12)))
        same = float((found.argmax(axis=1) == wanted.argmax(axis=1)).mean())
    mean, largest = float(np.mean(deviations)), float(np.max(deviations))
    refusal = None
    if mean > candidate.most_mean or largest > candidate.most_max:
        refusal = f"its outputs differ from float32 by {mean:.1%} on average, {largest:.1%} at most"
    elif wrong := [slope for slope in slopes if abs(slope - 1) > SLOPE]:
        refusal = f"its outputs are {wrong[0]:.3f} times those of float32"
    return Trial(candidate.name, round(rate, 1), round(mean, 6), round(largest, 6), round(same, 4), refusal)


def test_images(preparation: Preparation) -> NDArray[np.uint8]:
    """Crops of the two photographs that scikit-learn carries, prepared: (16, h, w, C) uint8."""
    pictures = photographs()
    whole = replace(preparation, fit="stretch", zoom=1.0)
    rng, images = np.random.default_rng(0), []
    for number in range(IMAGES):
        picture = pictures[number % 2]
        height, width = picture.shape[:2]
        side = int(rng.integers(height // 3, height))
        top, left = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
        images.append(whole.pixels(picture[top : top + side, left : left + side]))
    return np.stack(images)


def kept_choices() -> list[Choice]:
    """Every choice in the cache that can be read, by name."""
    found = (_read(file) for file in cache_folder("engines").glob(f"*/{_CHOICE}"))
    return sorted((choice for choice in found if choice is not None), key=lambda choice: choice.name)


def _where() -> dict[str, Any]:
    return machine() | {"openvino": openvino_engine.version(), "mirada": __version__}


def _write(choice: Choice, file: Path) -> None:
    file.write_text(json.dumps(asdict(choice), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read(file: Path) -> Choice | None:
    """A kept choice; None where there is none, or what is there cannot be used."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return Choice(**(values | {"trials": tuple(Trial(**trial) for trial in values["trials"])}))
    except (OSError, ValueError, TypeError, KeyError):
        return None
