"""One rung: a small tail learns a toy problem whose answer is known. Activations are made, no network makes them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor

from mirada.backbone.stages import Stage, cut
from mirada.errors import TrainingError
from mirada.learn import rung
from mirada.learn.losses import calibrated_losses
from mirada.learn.rung import (
    Climbed,
    Inputs,
    RungRecipe,
    fit_tail,
    rung_recipe,
    scale_head,
    step_seconds,
)
from mirada.learn.tail import Tail
from mirada.learn.update import AdamW

CLASSES, SHAPE = 3, (32, 8, 8)
RECIPE = RungRecipe(epochs=4, batch_size=16, learning_rate=3e-3)


pytestmark = pytest.mark.usefixtures("one_thread")


@cache
def _stages() -> tuple[Stage, ...]:
    """The last two stages of timm's network for tests, with random weights; the first of them takes (32, 8, 8)."""
    torch.manual_seed(0)
    pieces = cut(timm.create_model("test_efficientnet", pretrained=False, num_classes=0), (3, 64, 64))
    assert pieces[-3].output_shape == SHAPE
    return pieces[-2:]


def _tail() -> Tail:
    rng, features = np.random.default_rng(1), _stages()[-1].output_shape[0]
    weight = rng.normal(0, 0.01, (CLASSES, features)).astype(np.float32)
    return Tail(_stages(), weight, np.zeros(CLASSES, np.float32))


class Made:
    """Images of three classes: the pattern of the class, and noise that another view has another of."""

    def __init__(self, images: int, seed: int, views: int = 2, noise: float = 0.7) -> None:
        patterns = np.random.default_rng(0).normal(size=(CLASSES, *SHAPE))
        rng = np.random.default_rng([1, seed])
        self.class_ids = np.arange(images) % CLASSES
        drawn = rng.normal(0, noise, (images, views, *SHAPE))
        self.x = torch.from_numpy((patterns[self.class_ids][:, None] + drawn).astype(np.float32))
        self.asked: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []

    def read(self, places: NDArray[np.int64], views: NDArray[np.int64]) -> Tensor:
        self.asked.append((places.copy(), views.copy()))
        return self.x[torch.from_numpy(places), torch.from_numpy(views)]

    def inputs(self, class_ids: NDArray[np.int64] | None = None) -> Inputs:
        return Inputs(self.read, self.class_ids if class_ids is None else class_ids, self.x.shape[1])


NOTHING = Inputs(Made(0, 0).read, np.zeros(0, np.int64), 1)


def _fit(tail: Tail | None = None, recipe: RungRecipe = RECIPE, **options: Any) -> Climbed:
    train, val = Made(60, 0).inputs(), Made(30, 1).inputs()
    return fit_tail(tail or _tail(), **({"train": train, "val": val, "recipe": recipe} | options))


def _weights(tail: Tail) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in tail.named_parameters()}


def _scores(tail: Tail, made: Made) -> NDArray[np.float32]:
    with torch.no_grad():
        return np.concatenate([tail(x[:1]).numpy() for x in made.x])


def test_it_learns_what_can_be_learnt() -> None:
    tail, val = _tail(), Made(90, 1)
    before = (_scores(tail, val).argmax(axis=1) == val.class_ids).mean()
    climbed = _fit(tail, val=val.inputs())
    assert before < 0.7
    assert climbed.epochs[-1].val_accuracy == 1.0
    assert (_scores(tail, val).argmax(axis=1) == val.class_ids).all()
    assert climbed.epochs[-1].train_loss < 0.75 * climbed.epochs[0].train_loss
    assert [epoch.number for epoch in climbed.epochs] == [1, 2, 3, 4]
    assert not climbed.was_stopped


def test_the_same_seed_gives_the_same_bits() -> None:
    results = []
    for seed in (5, 5, 6):
        tail = _tail()
        climbed = _fit(tail, seed=seed)
        losses = [(epoch.train_loss, epoch.val_loss, epoch.val_accuracy) for epoch in climbed.epochs]
        results.append((_weights(tail), climbed.val_logits.tobytes(), losses))
    assert results[0] == results[1]
    assert results[0][0] != results[2][0]


def test_every_image_is_seen_once_an_epoch_in_one_of_its_views() -> None:
    train, val = Made(50, 0, views=3), Made(70, 1)
    _fit(train=train.inputs(), val=val.inputs())
    for epoch in range(4):
        places = np.concatenate([places for places, _ in train.asked[4 * epoch : 4 * epoch + 4]])
        assert sorted(places) == list(range(50))
    assert [len(places) for places, _ in train.asked] == [16, 16, 16, 2] * 4
    orders = {tuple(np.concatenate([p for p, _ in train.asked[i : i + 4]])) for i in range(0, 16, 4)}
    assert len(orders) == 4
    views = np.concatenate([views for _, views in train.asked])
    assert np.bincount(views, minlength=3).min() > 40  # of 200, by chance about 67
    assert all((views == 0).all() for _, views in val.asked)
    assert [len(places) for places, _ in val.asked] == [64, 6] * 4


def _crossed(made: Made) -> NDArray[np.int64]:
    """Class ids that are wrong: whoever learns the right ones gets worse at these."""
    return (made.class_ids + 1) % CLASSES


def test_the_best_epoch_is_kept_not_the_last() -> None:
    tail, val = _tail(), Made(60, 1)
    told: list[dict[str, bytes]] = []

    def listen(stage: str, done: int, total: int | None, note: str = "") -> None:
        if done % 4 == 0:  # the end of an epoch, just before it is judged
            told.append(_weights(tail))

    climbed = _fit(tail, val=val.inputs(_crossed(val)), progress=listen)
    losses = [epoch.val_loss for epoch in climbed.epochs]
    assert None not in losses
    best = int(np.argmin(losses))
    assert len(losses) == len(told) == 4
    assert best < 3
    assert _weights(tail) == told[best]
    assert _weights(tail) != told[-1]
    np.testing.assert_allclose(climbed.val_logits, _scores(tail, val), rtol=0, atol=1e-5)
    assert calibrated_losses(climbed.val_logits, _crossed(val)).mean() == pytest.approx(losses[best])


def test_its_records_are_of_the_validation_images() -> None:
    val = Made(45, 3, noise=6.0)
    tail = _tail()
    climbed = _fit(tail, val=val.inputs())
    best = min(climbed.epochs, key=lambda epoch: epoch.val_loss or 0.0)
    scores = _scores(tail, val)
    assert best.val_accuracy == pytest.approx((scores.argmax(axis=1) == val.class_ids).mean())
    assert best.val_accuracy < 1
    assert best.val_loss == pytest.approx(calibrated_losses(scores, val.class_ids).mean(), abs=1e-5)
    assert climbed.val_logits.shape == (45, CLASSES)


@pytest.mark.parametrize(("epochs", "patience", "done"), [(12, 2, 8), (5, 2, 4), (5, 1, 3), (4, 3, 4)])
def test_patience_ends_it(epochs: int, patience: int, done: int) -> None:
    """Counted from the best epoch, here the first, but not before the middle."""
    val = Made(60, 1)
    climbed = _fit(recipe=RungRecipe(epochs, 16, 3e-3, patience=patience), val=val.inputs(_crossed(val)))
    assert int(np.argmin([epoch.val_loss for epoch in climbed.epochs])) == 0
    assert [epoch.number for epoch in climbed.epochs] == list(range(1, done + 1))
    assert not climbed.was_stopped


def test_without_validation_images_the_last_epoch_counts() -> None:
    tail = _tail()
    told: list[dict[str, bytes]] = []
    climbed = _fit(
        tail,
        val=NOTHING,
        recipe=RungRecipe(4, 16, 3e-3, patience=1),
        progress=lambda stage, done, total, note="": told.append(_weights(tail)),
    )
    assert [(epoch.val_loss, epoch.val_accuracy) for epoch in climbed.epochs] == [(None, None)] * 4
    assert _weights(tail) == told[-1]
    assert climbed.val_logits.shape == (0, CLASSES)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still; its time is the one entry."""
    now = [100.0]
    monkeypatch.setattr(rung.time, "perf_counter", lambda: now[0])
    return now


@pytest.mark.parametrize("late_at", [1, 3, 4, 5, 7, 8, 15, 16])
def test_the_deadline_ends_it(clock: list[float], late_at: int) -> None:
    """After the step of that number the time is over; an epoch is four steps. What was begun is judged too, of the four
    epochs that were planned the last two, and the one that is the last because time is over.
    """
    tail, val = _tail(), Made(60, 1)
    told: list[dict[str, bytes]] = []

    def listen(stage: str, done: int, total: int | None, note: str = "") -> None:
        told.append(_weights(tail))
        clock[0] = 200.0 if done >= late_at else 100.0 + done

    climbed = _fit(tail, val=val.inputs(_crossed(val)), progress=listen, deadline=200.0)
    assert len(told) == late_at
    done = -(-late_at // 4)
    losses = {epoch.number: epoch.val_loss for epoch in climbed.epochs if epoch.val_loss is not None}
    assert len(climbed.epochs) == done
    assert list(losses) == [n for n in range(1, done + 1) if n > 2 or n == done]
    best = min(losses, key=losses.__getitem__)
    assert _weights(tail) == told[min(4 * best, late_at) - 1]
    assert not climbed.was_stopped


def _rates(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Where the learning rates of the steps to come are written."""
    rates: list[float] = []

    class Listening(AdamW):
        def step(self) -> None:
            rates.append(self.rate)
            super().step()

    monkeypatch.setattr(rung, "AdamW", Listening)
    return rates


def test_the_steps_grow_small_as_the_deadline_comes_near(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty steps were planned; each takes a tenth of the time."""
    rates = _rates(monkeypatch)

    def listen(stage: str, done: int, total: int | None, note: str = "") -> None:
        clock[0] = 100.0 + done

    _fit(recipe=RungRecipe(10, 16, 1e-3), progress=listen, deadline=110.0)
    found = [rate / 1e-3 for rate in rates]
    assert found == pytest.approx([0.02] + [0.5 * (1 + math.cos(math.pi * i / 9)) for i in range(9)])


def test_a_deadline_that_is_not_reached_changes_nothing(clock: list[float]) -> None:
    free, bound = _tail(), _tail()
    _fit(free)
    climbed = _fit(bound, deadline=100.5)
    assert _weights(free) == _weights(bound)
    assert not climbed.was_stopped
    assert [epoch.seconds for epoch in climbed.epochs] == [0.0] * 4


def test_ctrl_c_before_a_bounded_rung_was_judged_keeps_its_last_epoch(clock: list[float]) -> None:
    val = Made(60, 1)
    tail = _tail()
    climbed = _fit(tail, val=val.inputs(), progress=_interrupting(6), deadline=200.0)
    assert [epoch.val_loss for epoch in climbed.epochs] == [None]
    assert np.allclose(climbed.val_logits, _scores(tail, val), atol=1e-6)


def test_scores_that_are_no_numbers_are_told_where_nothing_was_judged(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rung, "val_logits", lambda tail, val: np.full((len(val), CLASSES), np.nan, np.float32))
    with pytest.raises(TrainingError, match="after epoch 1 the class scores were no longer numbers"):
        _fit(progress=_interrupting(6), deadline=200.0)


def test_weights_that_are_no_numbers_are_not_kept_where_nothing_is_judged(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The eighth step, the last of the second epoch, ruins them; its own loss is still a number."""
    steps = list[int]()

    class Ruining(AdamW):
        def step(self) -> None:
            super().step()
            steps.append(1)
            if len(steps) == 8:
                with torch.no_grad():
                    next(p for group in self.groups for p in group.parameters).fill_(float("nan"))

    monkeypatch.setattr(rung, "AdamW", Ruining)
    tail = _tail()
    climbed = _fit(tail, deadline=200.0)
    assert climbed.has_diverged
    assert [epoch.number for epoch in climbed.epochs] == [1]
    assert np.isfinite(climbed.val_logits).all()


def _interrupting(at: int) -> Callable[..., None]:
    def listen(stage: str, done: int, total: int | None, note: str = "") -> None:
        if done == at:
            raise KeyboardInterrupt

    return listen


def test_ctrl_c_keeps_the_best_epoch() -> None:
    val = Made(60, 1)
    tail, whole = _tail(), _tail()
    climbed = _fit(tail, val=val.inputs(_crossed(val)), progress=_interrupting(14))
    assert climbed.was_stopped
    assert [epoch.number for epoch in climbed.epochs] == [1, 2, 3]
    uninterrupted = _fit(whole, val=val.inputs(_crossed(val)))
    for mine, theirs in zip(climbed.epochs, uninterrupted.epochs, strict=False):
        assert (mine.train_loss, mine.val_loss) == (theirs.train_loss, theirs.val_loss)
    best = min(climbed.epochs, key=lambda epoch: epoch.val_loss or 0.0)
    assert calibrated_losses(_scores(tail, val), _crossed(val)).mean() == pytest.approx(best.val_loss, abs=1e-5)


@pytest.mark.parametrize("at", [1, 4])
def test_ctrl_c_before_the_first_epoch_is_done_is_raised(at: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        _fit(progress=_interrupting(at))


def test_what_the_progress_is_told() -> None:
    told: list[tuple[str, int, int | None, str]] = []
    climbed = _fit(stage="rung 2", progress=lambda *words: told.append(words))
    assert [(stage, done, total) for stage, done, total, _ in told] == [("rung 2", i, 16) for i in range(1, 17)]
    notes = [note for *_, note in told]
    assert notes[0] == "epoch 1/4"
    assert notes[15] == f"epoch 4/4, val {climbed.epochs[2].val_accuracy:.1%}"


def _first_step(recipe: RungRecipe) -> list[list[float]]:
    """How far the parameters of each depth moved in the one step there is: the last stage first, then the head."""
    tail = _tail()
    before = [[p.detach().clone() for p in parameters] for parameters in tail.parameters_by_depth()]
    _fit(tail, recipe, train=Made(16, 0).inputs(), val=NOTHING)
    moved = []
    for old, new in zip(before, tail.parameters_by_depth(), strict=True):
        changes = torch.cat([(a - b).abs().flatten() for a, b in zip(old, new, strict=True) if b.requires_grad])
        moved.append(changes[changes > 0].tolist())
    return moved


@pytest.mark.parametrize("decay", [0.7, 0.5, 1.0])
def test_stages_further_from_the_end_learn_more_slowly(decay: float) -> None:
    """The first step of Adam moves each parameter by the learning rate, whatever its gradient (Kingma and Ba 2015,
    algorithm 1: m / sqrt(v) is 1 at first). At the beginning of the warm-up that is 0.02 of the recipe's.
    """
    recipe = RungRecipe(1, 16, learning_rate=0.5, stage_decay=decay, weight_decay=0.0)
    first, last, head = (float(np.median(changes)) for changes in _first_step(recipe))
    assert head == pytest.approx(0.5 * 0.02, rel=1e-3)
    assert last == pytest.approx(0.5 * 0.02, rel=1e-3)
    assert first == pytest.approx(0.5 * 0.02 * decay, rel=1e-3)


def test_the_learning_rate_rises_and_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the first tenth of 40 steps, and then along half a cosine, in every group alike."""
    rates = _rates(monkeypatch)
    _fit(recipe=RungRecipe(10, 16, 1e-3))
    assert len(rates) == 40
    found = [rate / 1e-3 for rate in rates]
    assert found[:4] == pytest.approx([0.02, 0.27, 0.52, 0.77])
    assert found[4:] == pytest.approx([0.5 * (1 + math.cos(math.pi * i / 36)) for i in range(36)])


def test_weights_decay_and_biases_do_not() -> None:
    """The difference between a step with decay and one without: learning rate x decay x weight (Loshchilov and Hutter
    2019, algorithm 2, line 12).
    """
    tails = []
    for decay in (0.0, 0.5):
        tail = _tail()
        with torch.no_grad():
            tail.head.bias += 1.0
        start = {name: p.detach().clone() for name, p in tail.named_parameters()}
        recipe = RungRecipe(1, 16, 0.1, stage_decay=1.0, weight_decay=decay)
        _fit(tail, recipe, train=Made(16, 0).inputs(), val=NOTHING)
        tails.append(dict(tail.named_parameters()))
    kinds = set()
    for name, old in start.items():
        difference = (tails[0][name] - tails[1][name]).detach()
        is_decayed = old.ndim > 1 and tails[0][name].requires_grad
        wanted = 0.1 * 0.02 * 0.5 * old if is_decayed else torch.zeros_like(old)
        torch.testing.assert_close(difference, wanted, rtol=0, atol=2e-6)
        kinds.add(is_decayed)
    assert kinds == {False, True}


def test_the_loss_is_weighted_smoothed_cross_entropy() -> None:
    """By hand in NumPy: the truth is 1 - s at its class and s / K everywhere, a class counts by its weight."""
    weights, smoothing = np.array([0.5, 1.0, 3.0], np.float32), 0.1
    made, tail = Made(15, 0, views=1), _tail()
    logits = _scores(tail, made).astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    truth = (1 - smoothing) * np.eye(CLASSES)[made.class_ids] + smoothing / CLASSES
    right = -(truth * weights * log_p).sum() / weights[made.class_ids].sum()
    climbed = _fit(tail, RungRecipe(1, 16, dropout=0), train=made.inputs(), class_weights=weights)
    assert climbed.epochs[0].train_loss == pytest.approx(right, rel=1e-4)


def test_the_head_is_scaled_to_a_spread() -> None:
    """And nothing else is changed: the spread is over the classes, the root of its mean square over the images."""
    tail, made = _tail(), Made(50, 0, views=3)
    before = _scores(tail, made)
    scale_head(tail, made.inputs(), 0.5)
    after = _scores(tail, made)
    assert np.sqrt(after.var(axis=1).mean()) == pytest.approx(0.5, rel=1e-4)
    np.testing.assert_allclose(after, before * (after[0, 0] / before[0, 0]), rtol=1e-3, atol=1e-5)


def test_a_head_that_says_nothing_stays_as_it_is() -> None:
    tail = _tail()
    with torch.no_grad():
        for parameter in tail.head.parameters():
            parameter.zero_()
    scale_head(tail, Made(50, 0).inputs(), 0.5)
    assert all((parameter == 0).all() for parameter in tail.head.parameters())


def test_dropout_leaves_the_sums_as_they_are() -> None:
    features = torch.ones(200, 500)
    dropped = rung._dropped(features, 0.3, np.random.default_rng(0))
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert float((dropped == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert float(dropped.mean()) == pytest.approx(1, abs=0.01)
    torch.testing.assert_close(rung._dropped(features, 0.0, np.random.default_rng(0)), features)


def test_training_that_diverges_says_so() -> None:
    """As `errors` says of a loss that is no number. It must not come out as a bug of the calibration."""
    with pytest.raises(TrainingError):
        _fit(recipe=RungRecipe(3, 16, learning_rate=1e12))


def test_a_loss_that_is_no_number_keeps_the_best_epoch_before(monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = rung.val_logits, list[int]()

    def logits(tail: Tail, val: Inputs) -> NDArray[np.float32]:
        asked.append(1)
        return real(tail, val) * (np.float32("nan") if len(asked) == 3 else np.float32(1))

    monkeypatch.setattr(rung, "val_logits", logits)
    tail = _tail()
    climbed = _fit(tail)
    assert climbed.has_diverged
    assert [epoch.number for epoch in climbed.epochs] == [1, 2]
    assert np.isfinite(climbed.val_logits).all()
    assert all(torch.isfinite(parameter).all() for parameter in tail.parameters())
    assert climbed.shortfall(4, 4) == "The loss was no longer a number in"


@pytest.mark.parametrize(
    ("images", "epochs", "of_the_last_stage"),
    [
        (1, 100, 100),  # never more
        (64, 100, 100),  # 200 steps of 32
        (100, 64, 64),
        (1000, 12, 8),
        (2500, 12, 8),
        (5000, 6, 6),  # 30,000 images in all
        (10_000, 3, 3),
        (1_000_000, 3, 3),  # never fewer
    ],
)
def test_the_recipe_by_the_number_of_images(images: int, epochs: int, of_the_last_stage: int) -> None:
    assert rung_recipe(images, 1, 10).json()["epochs"] == of_the_last_stage
    assert rung_recipe(images, 2, 10).json()["epochs"] == epochs


@pytest.mark.parametrize("classes", [2, 10, 24])
def test_the_right_class_is_aimed_at_with_the_same_odds_whatever_the_number_of_classes(classes: int) -> None:
    share = rung_recipe(1_000, 2, classes).label_smoothing
    right, wrong = 1 - share + share / classes, share / classes
    assert right / wrong == pytest.approx(100)


@pytest.mark.parametrize("classes", [25, 1_000])
def test_with_many_classes_most_of_the_truth_stays_with_the_right_one(classes: int) -> None:
    assert rung_recipe(1_000, 2, classes).label_smoothing == 0.2


def test_measuring_a_step_leaves_the_tail_as_it_is() -> None:
    tail = _tail()
    before = _weights(tail)
    assert 0 < step_seconds(tail, SHAPE, 4) < math.inf
    assert _weights(tail) == before
    assert all(p.grad is None for p in tail.parameters())


@pytest.mark.parametrize(("stages", "rate"), [(1, 1e-3), (3, 4.15e-4), (32, 6.25e-5)])
def test_the_more_is_trained_the_smaller_the_steps(stages: int, rate: float) -> None:
    assert rung_recipe(1_000, stages, 10).learning_rate == pytest.approx(rate, rel=1e-3)
