"""A rung in full that is done again while there is time: the mean of the weights of all runs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mirada.errors import TrainingError
from mirada.learn import rung as rungs
from mirada.learn import train
from mirada.learn.depths import Options
from mirada.learn.ends import Ends
from mirada.learn.estimate import Budget, Estimate
from mirada.learn.ladder import _Ladder
from mirada.learn.rung import Climbed, RungRecipe
from mirada.learn.standing import Standing
from mirada.learn.tail import Tail
from mirada.model import Model, load
from mirada.model.store import is_unfinished

State = dict[str, NDArray[np.generic]]


class Killed(BaseException):
    """As if the process had been killed."""


@pytest.fixture(autouse=True)
def few_steps(a_little_network: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirada.learn.rung.FEWEST_STEPS", 2)
    monkeypatch.setattr("mirada.learn.losses.LITTLE_LOSS", 0.0)


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[State]:
    """What each run ends with, before anything is averaged."""
    found: list[State] = []
    fit_tail = rungs.fit_tail

    def fit(tail: Tail, *arguments: Any, **options: Any) -> Climbed:
        climbed = fit_tail(tail, *arguments, **options)
        found.append(tail.state())
        return climbed

    monkeypatch.setattr(rungs, "fit_tail", fit)
    return found


def _clear_until(run: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rung is clearly better than what was before, up to this run of it."""
    answers: Iterator[bool] = iter([True] * run + [False] * 9)
    monkeypatch.setattr("mirada.learn.ladder.is_clear", lambda gains: next(answers))


def _runs(model: Model) -> list[tuple[int, bool]]:
    return [(rung["runs"], rung["is_kept"]) for rung in model.training["rungs"] if rung["stages"]]


def test_the_weights_of_the_runs_that_were_kept_are_averaged(
    textures: Path, ends: list[State], monkeypatch: pytest.MonkeyPatch
) -> None:
    _clear_until(3, monkeypatch)
    model = train(textures, retrain=1, minutes=10)
    assert _runs(model) == [(1, True), (2, True), (3, True), (4, False)]
    assert len(ends) == 4
    learnt = [name for name in ends[0] if not np.array_equal(ends[0][name], ends[1][name])]
    assert learnt
    for name in ends[0]:
        mean = np.mean([end[name] for end in ends[:3]], axis=0)
        np.testing.assert_allclose(model.state[f"backbone.{name}"], mean, rtol=1e-4, atol=1e-6)


def test_the_mean_is_what_is_judged(textures: Path, ends: list[State], monkeypatch: pytest.MonkeyPatch) -> None:
    averaged = Ends.averaged

    def without_a_head(self: Ends, model: Model, tail: Tail, share: float) -> Tail:
        mean = averaged(self, model, tail, share)
        for parameter in mean.head.parameters():
            parameter.data.zero_()
        return mean

    monkeypatch.setattr(Ends, "averaged", without_a_head)
    model = train(textures, retrain=1, minutes=10)
    assert _runs(model) == [(1, True), (2, False)]
    assert model.training["rungs"][-1]["val"]["loss"] == pytest.approx(np.log(3))
    for name, array in ends[0].items():
        np.testing.assert_array_equal(model.state[f"backbone.{name}"], array)


VAL = {"images": 9, "right": 8, "loss": 0.3}
HEAD = {"stages": 0, "is_trial": False, "is_kept": True, "val": VAL}
TRIAL = HEAD | {"stages": 2, "is_trial": True}
IN_FULL = HEAD | {"stages": 2}


@pytest.mark.parametrize(
    ("rungs", "seconds", "until", "is_repeated"),
    [
        ([HEAD, IN_FULL], 61, None, True),
        ([HEAD, TRIAL, IN_FULL, IN_FULL], 61, 0.95, True),
        ([HEAD, IN_FULL], 59, None, False),  # no time
        ([HEAD, IN_FULL], None, None, False),  # no limit of time
        ([HEAD], 61, None, False),
        ([HEAD, TRIAL], 61, None, False),
        ([HEAD, IN_FULL | {"is_kept": False}], 61, None, False),
        ([HEAD, IN_FULL, IN_FULL | {"is_kept": False}], 61, None, False),
        ([HEAD, IN_FULL | {"val": None}], 61, None, False),  # nothing tells whether it helps
        ([HEAD, IN_FULL | {"val": {"images": 9, "right": 9, "loss": 0.001}}], 61, None, False),  # little to gain
        ([HEAD, IN_FULL | {"was_stopped": True}], 61, None, False),
        ([HEAD, IN_FULL], 61, 0.8, False),  # as good as was asked for
    ],
)
def test_when_a_rung_is_done_again(
    rungs: list[dict[str, Any]],
    seconds: float | None,
    until: float | None,
    is_repeated: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run takes a minute here, and eight of nine validation images are right."""
    monkeypatch.setattr("mirada.learn.losses.LITTLE_LOSS", 0.01)
    ladder = _Ladder.__new__(_Ladder)
    ladder.rungs, ladder.options = rungs, Options(2, until=until)
    ladder.standing = Standing(Model.__new__(Model), np.zeros(9), np.arange(9) < 8)
    ladder.budget = Budget(math.inf if seconds is None else 0.0, None, None, 0, 3)  # type: ignore[arg-type]
    monkeypatch.setattr(Budget, "seconds_left", lambda self: math.inf if seconds is None else seconds)
    monkeypatch.setattr(ladder, "_estimate", lambda stages, is_repeat: Estimate(RungRecipe(10), 3, 10.0, 5.0, 0.0))
    assert ladder._is_repeated() is is_repeated


def test_the_depth_is_not_looked_for_again(textures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the test, where the first process had no time to try depths: the second has, and leaves it so."""
    monkeypatch.setattr(_Ladder, "_in_haste", lambda self, allowed: 1)

    def progress(stage: str, done: int, total: int | None, note: str = "") -> None:
        if stage == "evaluating on test":
            raise Killed

    _clear_until(1, monkeypatch)
    with pytest.raises(Killed):
        train(textures, minutes=10, out=tmp_path / "m", progress=progress)
    monkeypatch.setattr(_Ladder, "_in_haste", lambda self, allowed: 0)
    model = train(textures, minutes=10, out=tmp_path / "m")
    assert [rung["stages"] for rung in model.training["rungs"]] == [0, 1, 1]
    assert _runs(model) == [(1, True), (2, False)]


def test_a_run_that_is_killed_is_taken_up(textures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the rate, which with a limit of time follows the clock."""
    monkeypatch.setattr("mirada.learn.rung._share_of_time", lambda begin, deadline: 0.0)
    _clear_until(2, monkeypatch)
    whole = train(textures, retrain=1, minutes=10)

    def progress(stage: str, done: int, total: int | None, note: str = "") -> None:
        if stage == "the last stage, run 2: training" and done == 2:
            raise Killed

    _clear_until(1, monkeypatch)
    with pytest.raises(Killed):
        train(textures, retrain=1, minutes=10, out=tmp_path / "m", progress=progress)
    assert is_unfinished(tmp_path / "m")
    assert _runs(load(tmp_path / "m")) == [(1, True)]
    _clear_until(1, monkeypatch)
    model = train(textures, retrain=1, minutes=10, out=tmp_path / "m")
    assert _runs(model) == _runs(whole) == [(1, True), (2, True), (3, False)]
    for name, array in whole.state.items():
        np.testing.assert_array_equal(model.state[name], array)


@pytest.mark.parametrize("error", [TrainingError("no number"), KeyboardInterrupt()])
def test_what_ends_a_second_run_leaves_the_first(
    error: BaseException, textures: Path, ends: list[State], monkeypatch: pytest.MonkeyPatch
) -> None:
    _clear_until(9, monkeypatch)
    fit_once = rungs.fit_tail

    def fit(*arguments: Any, **options: Any) -> Climbed:
        if ends:
            raise error
        return fit_once(*arguments, **options)

    monkeypatch.setattr(rungs, "fit_tail", fit)
    model = train(textures, retrain=1, minutes=10)
    assert _runs(model) == [(1, True)]
    for name, array in ends[0].items():
        np.testing.assert_array_equal(model.state[f"backbone.{name}"], array)
    assert any("the best rung" in note for note in model.training["notes"])
