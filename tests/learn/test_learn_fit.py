"""The training loop on networks of a few numbers, where every step can be followed."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from mirada.annotations import Label
from mirada.data import Sample
from mirada.errors import DataError, TrainingError, UsageError
from mirada.image import Preparation
from mirada.learn.batches import shifted
from mirada.learn.fit import Epoch, fit
from mirada.learn.pixels import Pixels, in_batches, read_pixels
from mirada.learn.recipes import Recipe
from mirada.learn.update import AdamW
from mirada.tasks import Classify

CPU = torch.device("cpu")
SIDES = Preparation((4, 4), "stretch", channels=1, mean=(0.5,), std=(0.5,))
TASK = Classify(("left", "right"))
RECIPE = Recipe(epochs=4, batch_size=8, learning_rate=0.05, shift=0.0)


def _samples(count: int, seed: int) -> list[Sample]:
    """Half dark, half light pictures of 4 x 4: "left" where the light half is left."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        side = number % 2
        array = rng.integers(0, 120, (4, 4), dtype=np.uint8)
        array[:, 2 * side : 2 * side + 2] += 130
        made.append(Sample(f"{seed}[{number}]", Label(TASK.class_names[side], side), array=array))
    return made


TRAIN = read_pixels(_samples(40, 0), SIDES, stage="train")
VAL = read_pixels(_samples(20, 1), SIDES, stage="val")
NOTHING = read_pixels([], SIDES, stage="val")


pytestmark = pytest.mark.usefixtures("one_thread")


def _network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))


def _bytes(network: nn.Module) -> dict[str, bytes]:
    return {name: tensor.contiguous().numpy().tobytes() for name, tensor in network.state_dict().items()}


def _fitted(seed: int = 0, train: Pixels = TRAIN, val: Pixels = VAL, **changes: Any) -> tuple[nn.Module, list[Epoch]]:
    network = _network()
    recipe = RECIPE.with_values(**changes)
    return network, fit(network, train, val, TASK, recipe, seed=seed, device=CPU)


def test_it_learns_what_can_be_learnt() -> None:
    _, history = _fitted(epochs=8)
    assert [epoch.number for epoch in history] == list(range(1, 9))
    assert history[-1].train_loss < 0.1 < history[0].train_loss
    assert history[-1].val_accuracy == 1.0
    assert all(a.seconds <= b.seconds for a, b in itertools.pairwise(history))


@pytest.mark.parametrize("shift", [0.0, 0.25])
def test_the_same_seed_gives_the_same_weights_to_the_bit(shift: float) -> None:
    one, two, other = (_fitted(seed, shift=shift)[0] for seed in (3, 3, 4))
    assert _bytes(one) == _bytes(two)
    assert _bytes(one) != _bytes(other)


def test_pictures_read_again_each_epoch_give_the_same_weights() -> None:
    """`memory_bound=0`: nothing is held in memory."""
    streamed = [read_pixels(_samples(n, seed), SIDES, stage="s", memory_bound=0) for n, seed in ((40, 0), (20, 1))]
    assert [pixels.pixels for pixels in streamed] == [None, None]
    network, history = _fitted(train=streamed[0], val=streamed[1])
    held, expected = _fitted()
    assert _bytes(network) == _bytes(held)
    assert [(e.train_loss, e.val_loss) for e in history] == [(e.train_loss, e.val_loss) for e in expected]


class _Recorded(AdamW):
    """AdamW that tells what it was given, and the learning rate of every step."""

    made: list[_Recorded]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.rates: list[float] = []
        _Recorded.made.append(self)

    def step(self) -> None:
        self.rates.append(self.rate)
        super().step()


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[_Recorded]:
    _Recorded.made = []
    monkeypatch.setattr("mirada.learn.update.AdamW", _Recorded)
    return _Recorded.made


@pytest.mark.parametrize(("epochs", "batch_size"), [(4, 8), (1, 40), (3, 7), (2, 2)])
def test_the_learning_rate_of_every_step(epochs: int, batch_size: int, recorded: list[_Recorded]) -> None:
    """A tenth of the steps up, linearly; then half a cosine down (SGDR, equation 5)."""
    _fitted(epochs=epochs, batch_size=batch_size)
    steps = epochs * math.ceil(40 / batch_size)
    warm = max(1, steps // 10)
    t = np.arange(steps)
    cosine = 0.5 * (1 + np.cos(np.pi * (t - warm) / max(1, steps - warm)))
    expected = 0.05 * np.where(t < warm, (t + 1) / warm, cosine)
    np.testing.assert_allclose(recorded[0].rates, expected, rtol=1e-12)
    assert max(recorded[0].rates) == pytest.approx(0.05)


def test_a_last_batch_of_one_is_left_to_another_epoch(recorded: list[_Recorded]) -> None:
    """40 images by 13: three steps and one image over, which batch norm could not use."""
    _fitted(epochs=2, batch_size=13)
    assert len(recorded[0].rates) == 2 * 3


def test_batch_norm_refuses_batches_of_one() -> None:
    with pytest.raises(UsageError) as caught:
        _fitted(epochs=1, batch_size=1)
    assert str(caught.value) == (
        "a batch of 1 image has too little variance for batch norm: use a batch size of 2 or more"
    )


def test_weights_decay_and_vectors_do_not(recorded: list[_Recorded]) -> None:
    network = _network()
    network[3].register_parameter("frozen", nn.Parameter(torch.ones(2, 2), requires_grad=False))
    fit(network, TRAIN, VAL, TASK, RECIPE, device=CPU)
    weights, vectors = recorded[0].groups
    assert (weights.weight_decay, vectors.weight_decay) == (5e-2, 0.0)
    assert [p is q for p, q in zip(weights.parameters, [network[0].weight, network[4].weight], strict=True)] == [
        True
    ] * 2
    expected = [network[0].bias, network[1].weight, network[1].bias, network[4].bias]
    assert [p is q for p, q in zip(vectors.parameters, expected, strict=True)] == [True] * 4
    assert torch.equal(network[3].frozen, torch.ones(2, 2))


def _slowly_shifted(images: NDArray[np.uint8], dy: NDArray[np.int64], dx: NDArray[np.int64]) -> NDArray[np.uint8]:
    n, h, w, _ = images.shape
    moved = np.empty_like(images)
    for i in range(n):
        for y in range(h):
            for x in range(w):
                moved[i, y, x] = images[i, min(max(y + dy[i], 0), h - 1), min(max(x + dx[i], 0), w - 1)]
    return moved


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 3), st.integers(1, 9), st.integers(1, 9), st.integers(0, 9), st.integers(0, 99))
def test_shifts_against_a_slow_loop(n: int, h: int, w: int, most: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, h, w, 3), dtype=np.uint8)
    dy, dx = rng.integers(-most, most + 1, (2, n))
    assert np.array_equal(shifted(images, dy, dx), _slowly_shifted(images, dy, dx))


class _Constant(nn.Module):
    """Its validation loss is chosen; its weight moves with every step."""

    def __init__(self, margins: list[float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.margins, self.weights = iter(margins), list[Tensor]()

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return self.weight.expand(len(x), 2) + torch.tensor([0.0, 1.0])
        self.weights.append(self.weight.detach().clone())
        margin = next(self.margins)
        return torch.tensor([0.0, margin]).expand(len(x), 2)


ONES = Pixels(VAL.samples[1:16:2], VAL.class_ids[1:16:2], SIDES, None if VAL.pixels is None else VAL.pixels[1:16:2])
"""Eight images, so that one batch judges an epoch."""


@pytest.mark.parametrize(("margins", "best"), [([1, 3, 2], 1), ([3, 2, 1], 0), ([1, 2, 3], 2), ([2, 2, 1], 0)])
def test_the_epoch_with_the_lowest_validation_loss_is_kept(margins: list[float], best: int) -> None:
    """All of `ONES` are of class 1, so the loss of a margin m is log(1 + exp(-m))."""
    network = _Constant(margins)
    history = fit(network, TRAIN, ONES, TASK, Recipe(epochs=3, batch_size=40, learning_rate=0.1), device=CPU)
    assert [e.val_loss for e in history] == pytest.approx([math.log(1 + math.exp(-m)) for m in margins], rel=1e-6)
    assert [e.val_accuracy for e in history] == [1.0] * 3
    assert torch.equal(network.weight, network.weights[best])
    assert not any(torch.equal(network.weights[i], network.weights[j]) for i, j in ((0, 1), (1, 2)))


def test_without_validation_the_last_epoch_counts() -> None:
    _, history = _fitted(val=NOTHING)
    assert [(e.val_loss, e.val_accuracy) for e in history] == [(None, None)] * 4
    assert history[-1].train_loss < history[0].train_loss
    last: dict[str, Tensor] = {}

    def progress(stage: str, done: int, total: int | None, note: str = "") -> None:
        last.update({name: tensor.clone() for name, tensor in watched.state_dict().items()})

    watched = _network()
    fit(watched, TRAIN, NOTHING, TASK, RECIPE, device=CPU, progress=progress)
    assert all(torch.equal(tensor, last[name]) for name, tensor in watched.state_dict().items())


def _stop_at(epoch: int) -> Callable[..., None]:
    def progress(stage: str, done: int, total: int | None, note: str = "") -> None:
        assert (stage, total) == ("training", 20)
        if done == 5 * (epoch - 1) + 2:
            raise KeyboardInterrupt

    return progress


def test_an_interruption_in_the_second_epoch_keeps_the_first() -> None:
    network = _network()
    history = fit(network, TRAIN, VAL, TASK, RECIPE, device=CPU, progress=_stop_at(2))
    assert [epoch.number for epoch in history] == [1]
    kept = _bytes(network)
    once = _network()

    def after_first(stage: str, done: int, total: int | None, note: str = "") -> None:
        if done == 6:
            raise KeyboardInterrupt

    fit(once, TRAIN, VAL, TASK, RECIPE, device=CPU, progress=after_first)
    assert _bytes(once) == kept  # wherever in the second epoch it was stopped
    assert kept != _bytes(_network())


def test_an_interruption_in_the_first_epoch_goes_on() -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(_network(), TRAIN, VAL, TASK, RECIPE, device=CPU, progress=_stop_at(1))


def test_what_progress_is_told() -> None:
    told: list[tuple[str, int, int | None, str]] = []
    fit(_network(), TRAIN, VAL, TASK, RECIPE, device=CPU, progress=lambda *args: told.append(args))
    assert [done for _, done, _, _ in told] == list(range(1, 21))
    assert {(stage, total) for stage, _, total, _ in told} == {("training", 20)}
    assert told[0][3].startswith("epoch 1/4, loss 0.")
    assert "val" not in told[4][3]
    assert told[5][3].startswith("epoch 2/4, loss ")
    assert ", val " in told[5][3]


class _Diverges(nn.Module):
    """Its scores are no numbers from a step on, or where it is judged."""

    def __init__(self, steps: int, judged: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.steps, self.judged = steps, judged

    def forward(self, x: Tensor) -> Tensor:
        self.steps -= self.training
        factor = self.judged if not self.training else 1.0 if self.steps >= 0 else math.nan
        return self.weight.expand(len(x), 2) * factor


@pytest.mark.parametrize(
    ("network", "where", "rate"),
    [
        (_Diverges(0), "at step 1 of epoch 1, weight being the first whose weights are no numbers", "0.025"),
        (_Diverges(99, math.nan), "on the validation images after epoch 1", "0.0485"),
    ],
)
def test_a_loss_that_is_no_number(network: nn.Module, where: str, rate: str) -> None:
    with pytest.raises(TrainingError) as caught:
        fit(network, TRAIN, VAL, TASK, RECIPE, device=CPU)
    assert str(caught.value) == (
        f"the loss is nan {where}: training diverged at a learning rate of {rate} (it is 0.05 at most). "
        "Try a smaller one: --learning-rate 0.005, or limit the gradient: --set clip=1"
    )


def test_a_loss_that_is_no_number_later_keeps_what_was_learnt() -> None:
    notes: list[str] = []
    history = fit(_Diverges(7), TRAIN, VAL, TASK, RECIPE, device=CPU, on_note=notes.append)
    assert [epoch.number for epoch in history] == [1]
    assert re.fullmatch(
        r"Training ended after step (\d) of \d in epoch 2 of \d+, because the loss is nan at step \1 of epoch 2, .*"
        r"training diverged at a learning rate of .*Try a smaller one.*The best epoch so far was kept\.",
        notes[0],
    )


@pytest.mark.parametrize("memory_bound", [0, 10**9])
def test_pictures_that_cannot_be_read_are_named(memory_bound: int, tmp_path: Path) -> None:
    """Streamed or held: the rest is used, in order, and no batch is empty."""
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"")
    samples = _samples(12, 5)
    for place in (0, 1, 2, 3, 7):
        samples[place] = Sample(f"bad{place}.png", Label("left", 0), path=bad)
    pixels = read_pixels(samples, SIDES, stage="s", memory_bound=memory_bound)
    assert [error.name for error in pixels.failures] == [f"bad{place}.png" for place in (0, 1, 2, 3, 7)]
    assert [sample.key for sample in pixels.samples] == [f"5[{i}]" for i in (4, 5, 6, 8, 9, 10, 11)]
    assert pixels.class_ids.tolist() == [0, 1, 0, 0, 1, 0, 1]
    order = np.array([6, 0, 3, 1, 2, 4, 5])
    batches = list(pixels.batches(in_batches(order, 3)))
    assert [ids.tolist() for _, ids in batches] == [[1, 0, 0], [1, 0, 1], [0]]
    expected = np.stack([SIDES.pixels(pixels.samples[i].array) for i in order])  # type: ignore[arg-type]
    assert np.array_equal(np.concatenate([batch for batch, _ in batches]), expected)
    with pytest.raises(
        DataError, match=r"^not one of the 4 images can be read; the first: bad0\.png: is empty \(0 bytes\)$"
    ):
        read_pixels(samples[:4], SIDES, stage="s", memory_bound=memory_bound)


def test_files_that_go_away_while_streaming_leave_no_empty_batch(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for path in paths:
        Image.fromarray(np.full((4, 4), 9, np.uint8)).save(path)
    pixels = read_pixels([Sample(p.name, Label("left", 0), path=p) for p in paths], SIDES, stage="s", memory_bound=0)
    paths[0].unlink()
    paths[1].unlink()
    assert [len(batch) for batch, _ in pixels.batches(in_batches(np.arange(4), 2))] == [2]
