"""The ladder of transfer learning, on three textures of ten pictures each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mirada.errors import TrainingError, UsageError
from mirada.learn import train
from mirada.learn.estimate import Budget, Estimate
from mirada.learn.losses import best_tried, is_worth_another_trial
from mirada.learn.rung import Inputs, RungRecipe, rung_recipe, scale_head
from mirada.learn.tail import Tail
from mirada.model import Model, load
from mirada.model.store import is_unfinished

STAGES = ("conv_stem", "blocks.2", "blocks.4", "blocks.5", "blocks.6")


class Killed(BaseException):
    """As if the process had been killed: nothing may catch it."""


def _weights(model: Model | Path) -> str:
    state = (load(model) if isinstance(model, Path) else model).state
    return hashlib.sha256(b"".join(state[name].tobytes() for name in sorted(state))).hexdigest()


def _stop_at(stage: str, error: type[BaseException], step: int = 1) -> Callable[..., None]:
    """A progress that raises at a step of the first stage whose name begins so."""

    def progress(name: str, done: int, total: int | None, note: str = "") -> None:
        if name.startswith(stage) and done >= step:
            raise error

    return progress


def _assert_is_the_head_alone(model: Model, head_alone: Model, textures: Path) -> None:
    """Its features came with activations, from another engine than the other's: alike, not the same to the bit."""
    assert model.state.keys() == head_alone.state.keys()
    for name, array in model.state.items():
        if not name.startswith("head."):
            np.testing.assert_array_equal(array, head_alone.state[name])
    for one, other in zip(model.predict(textures), head_alone.predict(textures), strict=True):
        assert one.labels is not None
        assert other.labels is not None
        assert {label.name: label.probability for label in one.labels} == pytest.approx(
            {label.name: label.probability for label in other.labels}, abs=0.05
        )


def _best_above_the_head(losses: Sequence[float]) -> int:
    return best_tried(losses) or len(losses) - 1


@pytest.fixture(scope="module", autouse=True)
def a_longer_way_in_fewer_steps(a_little_network: None) -> Iterator[None]:
    """A rung of so few pictures takes 43 epochs, not 100; where the head is as good there is a rung all the same."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("mirada.learn.losses.LITTLE_LOSS", 0.0)
        patched.setattr("mirada.learn.rung.FEWEST_STEPS", 24)
        patched.setattr("mirada.learn.ladder.best_tried", _best_above_the_head)
        yield


@pytest.fixture(scope="module")
def head_alone(textures: Path) -> Model:
    """The head alone trained."""
    return train(textures, retrain="head")


@pytest.fixture(scope="module")
def two_stages(textures: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The last two stages trained at once."""
    return train(textures, retrain=2, out=tmp_path_factory.mktemp("ladder") / "two")


@pytest.fixture(scope="module")
def auto(textures: Path) -> Model:
    """As many stages as pay."""
    return train(textures)


def test_what_is_retrained_and_what_stays(two_stages: Model, head_alone: Model) -> None:
    names = [name for name in two_stages.state if not name.endswith("num_batches_tracked")]
    changed = {n for n in names if not np.array_equal(two_stages.state[n], head_alone.state[n])}
    assert {n for n in names if n.startswith("head.")} <= changed
    deep = {n for n in names if n.startswith(("backbone.blocks.5", "backbone.blocks.6", "backbone.conv_head"))}
    assert {n for n in deep if n.endswith(".weight") and "conv" in n} <= changed
    before = {n for n in names if not n.startswith(("backbone.blocks.5", "backbone.blocks.6", "backbone.conv_head"))}
    assert changed & before <= {n for n in before if n.startswith(("head.", "backbone.bn2"))}


def test_depthwise_filters_keep_their_pretrained_shape(two_stages: Model, head_alone: Model) -> None:
    """Batch norm is folded into them, which scales each filter as a whole; nothing else happens to them."""
    name = "backbone.blocks.5.1.conv_dw.weight"
    new, old = (model.state[name].reshape(len(model.state[name]), -1) for model in (two_stages, head_alone))
    cosines = (new * old).sum(axis=1) / (np.linalg.norm(new, axis=1) * np.linalg.norm(old, axis=1))
    np.testing.assert_allclose(np.abs(cosines), 1, atol=1e-5)


def test_the_table_of_rungs(two_stages: Model) -> None:
    head, rung = two_stages.training["rungs"]
    assert (head["name"], head["stages"], head["parameters"], head["p_value"]) == ("head", 0, 1280 * 3 + 3, None)
    assert (rung["name"], rung["stages"]) == ("blocks.5", 2)
    filters = [
        array
        for name, array in two_stages.state.items()
        if name.startswith(("backbone.blocks.5", "backbone.blocks.6", "backbone.conv_head"))
        and array.ndim == 4
        and array.shape[1] > 1
    ]
    biases = [
        array.size
        for name, array in two_stages.state.items()
        if name.endswith(".running_mean")
        and name.startswith(("backbone.blocks.5", "backbone.blocks.6", "backbone.bn2"))
    ]
    assert rung["parameters"] == sum(f.size for f in filters) + sum(biases) + head["parameters"]
    val = rung["val"]
    assert val["images"] == two_stages.training["images"]["val"]
    assert val["accuracy"] == val["right"] / val["images"]
    assert 0 <= rung["p_value"] <= 1
    assert head["is_kept"]
    assert rung["is_kept"]
    is_worse = val["loss"] >= head["val"]["loss"]
    assert not is_worse or any("than the head alone: --retrain head" in note for note in two_stages.training["notes"])
    losses = [epoch["val_loss"] for epoch in rung["history"]]
    assert val["loss"] == pytest.approx(min(losses))


def test_the_saved_model_is_finished_calibrated_and_scored(two_stages: Model) -> None:
    assert two_stages.path is not None
    assert not is_unfinished(two_stages.path)
    again = load(two_stages.path)
    assert again.task == two_stages.task
    assert 0.05 <= again.task.temperature <= 20
    assert set(again.scores) == {"val", "test"}
    assert {"calibration_error", "calibration_error_uncalibrated", "balanced_accuracy_interval"} <= set(
        again.scores["test"]
    )
    assert (two_stages.path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_same_call_gives_the_same_weights(two_stages: Model, textures: Path) -> None:
    assert _weights(train(textures, retrain=2)) == _weights(two_stages)


def test_auto_tries_depths_and_trains_the_best_in_full(auto: Model) -> None:
    """Each trial is one stage deeper, as long as the one before was worth it."""
    rungs = auto.training["rungs"]
    head, *trials = [rung for rung in rungs if rung["is_trial"] or not rung["stages"]]
    assert head["stages"] == 0
    assert [rung["stages"] for rung in trials] == list(range(1, len(trials) + 1))
    assert [rung["name"] for rung in trials] == list(reversed(STAGES))[: len(trials)]
    tried = [rung["val"]["loss"] for rung in (head, *trials)]
    assert all(is_worth_another_trial(tried[:count]) for count in range(1, len(tried)))  # it went on as long as it paid
    assert len(trials) == 3 or not is_worth_another_trial(tried)
    assert all(len(trial["history"]) < 100 / 5 for trial in trials)
    losses = [rung["val"]["loss"] for rung in rungs]
    best = 0
    for i, rung in enumerate(rungs[1:], 1):
        assert losses[i] < losses[best] or not rung["is_kept"]
        best = i if rung["is_kept"] else best
    assert all(not trial["is_kept"] or _best_above_the_head(tried[: i + 1]) == i for i, trial in enumerate(trials, 1))
    in_full = [rung for rung in rungs if rung["stages"] and not rung["is_trial"]]
    assert [rung["stages"] for rung in in_full] == [_best_above_the_head(tried)]
    assert rungs[len(trials) + 1 :] == in_full


def test_where_the_head_is_right_and_sure_it_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On pictures of two colours, with some noise."""
    monkeypatch.setattr("mirada.learn.losses.LITTLE_LOSS", 0.01)
    rng = np.random.default_rng(0)
    for name, colour in (("red", (200, 60, 60)), ("blue", (60, 60, 200))):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(12):
            picture = np.array(colour) + rng.integers(0, 50, (90, 120, 3))
            Image.fromarray(picture.astype(np.uint8)).save(tmp_path / "data" / name / f"{number:02}.png")
    model = train(tmp_path / "data")
    [head] = model.training["rungs"]
    assert head["val"]["loss"] < 0.01
    assert model.training["is_head_enough"]
    assert any("has all validation images right" in note for note in model.training["notes"])


def test_a_rung_in_full_goes_on_from_its_trial(textures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where that is the best so far, as it is made to be here: its head is not made mild again; all epochs follow."""
    monkeypatch.setattr("mirada.learn.ladder.is_clear", lambda gains: True)
    monkeypatch.setattr("mirada.learn.ladder.best_tried", lambda losses: len(losses) - 1)
    scaled: list[int] = []

    def scale(tail: Tail, train: Inputs, spread: float) -> None:
        scaled.append(len(tail.stages))
        scale_head(tail, train, spread)

    monkeypatch.setattr("mirada.learn.rung.scale_head", scale)
    begun: list[str] = []

    def progress(name: str, done: int, total: int | None, note: str = "") -> None:
        if name.startswith("the last") and name.endswith(": training"):
            begun.append(note)
            raise Killed

    with pytest.raises(Killed):
        train(textures, out=tmp_path / "m", progress=progress)
    training = load(tmp_path / "m").training
    _, *trials = training["rungs"]
    assert scaled == [trial["stages"] for trial in trials]
    epochs = rung_recipe(training["images"]["train"], trials[-1]["stages"], 2).epochs
    assert begun == [f"epoch 1/{epochs}"]


@pytest.mark.parametrize(
    "stage", ["trying the last stage: tr", "trying the last 2 stages: tr", "the last", "evaluating on test"]
)
def test_a_killed_run_that_chooses_is_taken_up(stage: str, auto: Model, textures: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(textures, out=tmp_path / "m", progress=_stop_at(stage, Killed))
    assert is_unfinished(tmp_path / "m")
    model = train(textures, out=tmp_path / "m")
    assert _weights(model) == _weights(auto)
    said = "This went on with an interrupted training, whose time is not counted."
    assert (model.training["notes"].count(said), auto.training["notes"].count(said)) == (1, 0)
    found, wanted = (
        [(r["stages"], r["is_trial"], r["is_kept"], r["val"]) for r in m.training["rungs"]] for m in (model, auto)
    )
    assert found == wanted


@pytest.mark.parametrize(
    ("stage", "step", "has_model"),
    [
        ("features of the training", 5, False),
        ("the last 2 stages: activations", 20, True),
        ("the last 2 stages: tr", 4, True),
    ],
)
def test_a_run_that_is_killed_is_taken_up(
    stage: str,
    step: int,
    has_model: bool,
    two_stages: Model,
    textures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MIRADA_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "two"
    with pytest.raises(Killed):
        train(textures, retrain=2, out=out, progress=_stop_at(stage, Killed, step))
    assert is_unfinished(out) == has_model
    if has_model:
        assert load(out).training["rungs"][0]["name"] == "head"
        assert load(out).predict(textures / "dots" / "00.png")[0].label is not None
    done = dict[str, int]()

    def count(name: str, done_now: int, total: int | None, note: str = "") -> None:
        done[name] = done_now

    model = train(textures, retrain=2, out=out, progress=count)
    assert _weights(model) == _weights(two_stages) == _weights(out)
    assert model.training["rungs"][1]["val"] == two_stages.training["rungs"][1]["val"]
    if has_model:
        assert "solving for the head" not in done
    if "activations" in stage:
        assert (
            0
            < done["the last 2 stages: activations of the training images"]
            < 2 * model.training["images"]["train"]  # the first of three views was run for the head
        )


def test_an_unfinished_model_of_another_call_is_left_alone(textures: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    with pytest.raises(Killed):
        train(textures, retrain=1, out=out, progress=_stop_at("the last stage: tr", Killed))
    before = _weights(out)
    with pytest.raises(
        UsageError, match=r"holds an unfinished training, which differs in images, seed \(0 there, 5 here\)"
    ):
        train(textures, retrain=1, seed=5, out=out)
    assert _weights(out) == before
    assert is_unfinished(out)


def test_ctrl_c_in_a_rung_keeps_the_head_and_tests_it(textures: Path, head_alone: Model) -> None:
    model = train(textures, retrain=2, progress=_stop_at("the last 2 stages: tr", KeyboardInterrupt))
    _assert_is_the_head_alone(model, head_alone, textures)
    assert [rung["name"] for rung in model.training["rungs"]] == ["head"]
    assert model.scores["test"]["accuracy"] == head_alone.scores["test"]["accuracy"]
    assert any("Ctrl-C" in note for note in model.training["notes"])


def test_ctrl_c_in_a_later_epoch_keeps_the_best_epoch(textures: Path) -> None:
    seen = []

    def progress(name: str, done: int, total: int | None, note: str = "") -> None:
        if name.startswith("the last stage: tr"):
            seen.append(note)
            if note.startswith("epoch 3/"):
                raise KeyboardInterrupt

    model = train(textures, retrain=1, progress=progress)
    head, rung = model.training["rungs"]
    assert len(rung["history"]) == 2
    assert rung["val"]["loss"] == min(epoch["val_loss"] for epoch in rung["history"])
    # What was broken off is not kept at any price.
    assert rung["val"]["loss"] < head["val"]["loss"] or not rung["is_kept"]
    assert any(note.startswith("Ctrl-C ended training the last stage: 2 of ") for note in model.training["notes"])


def test_ctrl_c_after_a_trial_that_was_kept_keeps_it(
    auto: Model, textures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirada.learn.ladder.is_clear", lambda gains: True)
    saved: list[str] = []

    def progress(name: str, done: int, total: int | None, note: str = "") -> None:
        if name.startswith("trying the last 2 stages: tr"):
            saved.append(_weights(tmp_path / "m"))
            raise KeyboardInterrupt

    model = train(textures, out=tmp_path / "m", progress=progress)
    _, trial = model.training["rungs"]
    assert (trial["stages"], trial["is_trial"], trial["is_kept"]) == (1, True, True)
    assert _weights(model) == saved[0]
    assert not np.array_equal(model.state["head.weight"], train(textures, retrain="head").state["head.weight"])


def test_a_loss_that_is_no_number_keeps_what_was_there_before(
    textures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirada.learn.rung.calibrated_losses", lambda logits, ids: np.zeros(len(ids)))
    monkeypatch.setattr(
        "mirada.learn.rung.val_logits", lambda tail, val: np.full((len(val), tail.head.out_features), np.nan)
    )
    reason = "trying the last stage: training: in epoch 1 the loss was no longer a number"
    model = train(textures, out=tmp_path / "m")
    assert [rung["name"] for rung in model.training["rungs"]] == ["head"]
    assert f"{reason}: the best rung before was kept." in model.training["notes"]
    with pytest.raises(
        TrainingError, match=r"no longer a number\. Train less: --retrain head, with another name for -o"
    ):
        train(textures, retrain=1)


@pytest.mark.parametrize(
    ("seconds", "epochs", "views"),
    [
        (1e6, 8, [3]),
        (1e6, 2, [2]),  # all of its epochs
        (3.2, 8, [3, 1]),  # enough for three epochs, but not for two more views first
        (0.1, 8, [3, 1]),
    ],
)
def test_where_time_is_short_one_view_is_taken(
    seconds: float, epochs: int, views: list[int], textures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch takes a second here, two more views a hundred."""
    asked: list[int] = []

    def estimate(self: Budget, *_: int, most_views: int, **__: object) -> Estimate:
        asked.append(min(most_views, epochs))
        return Estimate(RungRecipe(epochs), asked[-1], 50.0 * (most_views - 1), 1.0, 0.0)

    monkeypatch.setattr(Budget, "estimate", estimate)
    monkeypatch.setattr(Budget, "seconds_left", lambda self: seconds)
    model = train(textures, retrain=1, progress=_stop_at("the last stage: training", KeyboardInterrupt, 1))
    assert asked == views
    is_begun = "Training was stopped by Ctrl-C: the best rung so far was kept." in model.training["notes"]
    assert is_begun == (seconds > 1)
    assert ("There was time for one view of each image only." in model.training["notes"]) == (seconds == 3.2)


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ({"until": 0.01}, "The climb ended: "),
        ({"minutes": 0.001}, "There was no time for more than the head."),
        ({"minutes": 0.001}, "It took "),
    ],
)
def test_what_ends_the_climb_at_the_head(options: dict[str, Any], note: str, textures: Path, head_alone: Model) -> None:
    model = train(textures, **options)
    _assert_is_the_head_alone(model, head_alone, textures)
    assert any(found.startswith(note) for found in model.training["notes"])
    assert model.training.get("minutes") == options.get("minutes")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"retrain": 6}, "--retrain 6: efficientnet-lite0 has 5 stages, give 1 to 5"),
        ({"retrain": 0}, "--retrain must be auto, head, all or a number of stages from 1, got 0"),
        ({"retrain": "some"}, "--retrain must be auto, head, all or a number of stages from 1, got some"),
        ({"retrain": True}, "--retrain must be auto, head, all or a number of stages from 1, got True"),
        ({"minutes": 0}, "--minutes must be a number above 0, got 0"),
        ({"until": 1.5}, "--until must be an accuracy above 0 and up to 1, such as 0.9 or 90%, got 1.5"),
        ({"network": "lenet5", "minutes": 1}, "--minutes is for a pretrained network"),
        ({"network": "lenet5", "retrain": "head"}, "--retrain is for a pretrained network"),
    ],
)
def test_what_cannot_be_asked_for(options: dict[str, Any], message: str, textures: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        train(textures, out=tmp_path / "m", **options)
    assert str(caught.value).startswith(message)
    assert not (tmp_path / "m").exists() or is_unfinished(tmp_path / "m")


def test_where_something_takes_the_place_meanwhile_the_model_lies_beside_it(textures: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"

    def progress(name: str, done: int, total: int | None, note: str = "") -> None:
        if name == "solving for the head":
            out.mkdir()
            (out / "mine.txt").write_text("mine")

    model = train(textures, retrain="head", out=out, progress=progress)
    assert model.path == tmp_path / "m-2"
    assert _weights(tmp_path / "m-2") == _weights(model)
    assert [file.name for file in out.iterdir()] == ["mine.txt"]
    assert any(f"{out} was taken by something else" in note for note in model.training["notes"])
