"""AlexNet's recipe against its paper's equations, computed once more in NumPy (Krizhevsky et al. 2012)."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from mirada.arch import Architecture, parse, zoo
from mirada.arch.build import build
from mirada.learn import train
from mirada.learn.criterion import squared
from mirada.learn.rates import Rates
from mirada.learn.recipes import Recipe, find_recipe
from mirada.learn.start import initialise
from mirada.learn.update import Average, Descent, clip, optimizer_of
from mirada.model import Model, load
from mirada.model.crowd import Averaged, TenCrops


def _listed(name: str) -> Architecture:
    return parse(zoo.text(name))


ALEXNET = find_recipe("alexnet")


def test_the_update_rule() -> None:
    """Section 5: v <- 0.9 v - 0.0005 e w - e g, w <- w + v; also where the rate e is divided by 10 on the way."""
    rng = np.random.default_rng(0)
    layer = nn.Linear(3, 2)
    optimizer = optimizer_of(layer, ALEXNET)
    w = [p.detach().numpy().astype(np.float64) for p in layer.parameters()]
    v = [np.zeros_like(each) for each in w]
    for step in range(30):
        rate = 0.01 if step < 12 else 0.001
        optimizer.rate = rate
        for i, parameter in enumerate(layer.parameters()):
            g = rng.normal(size=parameter.shape)
            parameter.grad = torch.from_numpy(g.astype(np.float32))
            v[i] = 0.9 * v[i] - 0.0005 * rate * w[i] - rate * g
            w[i] = w[i] + v[i]
        optimizer.step()
        for parameter, expected in zip(layer.parameters(), w, strict=True):
            np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=0, atol=1e-6)


def test_torch_alone_would_not_follow_the_rule_where_the_rate_changes() -> None:
    """What the test above can see: without the care for the velocity the weights are others by far."""
    ends = []
    for careful in (True, False):
        layer = nn.Linear(1, 1, bias=False)
        nn.init.ones_(layer.weight)
        optimizer = optimizer_of(layer, ALEXNET)
        assert isinstance(optimizer, Descent)
        for rate in (0.01, 0.01, 0.001):
            optimizer.rate = rate
            if not careful:
                optimizer.velocity_rate = rate
            layer.weight.grad = torch.ones(1, 1)
            optimizer.step()
        ends.append(layer.weight.item())
    assert abs(ends[0] - ends[1]) > 0.01


def test_the_schedule() -> None:
    """Divided by 10 where the validation error has stopped improving, three times; then it is over."""
    rates = Rates(ALEXNET, steps_an_epoch=100)
    errors = [0.9, 0.8, *[0.8] * 5, 0.7, *[0.75] * 5, *[0.7] * 5, *[0.7] * 5]
    seen, over = [], []
    for epoch, error in enumerate(errors, 1):
        seen.append(rates.rate(epoch, 0))
        over.append(rates.is_over(error))
    expected = [1e-2] * 7 + [1e-3] * 6 + [1e-4] * 5 + [1e-5] * 5
    np.testing.assert_allclose(seen, expected, rtol=1e-12)
    assert over == [False] * (len(errors) - 1) + [True]
    without = Rates(ALEXNET, steps_an_epoch=100)
    assert [without.is_over(None) for _ in range(50)] == [False] * 50
    assert without.rate(50, 0) == 0.01


def test_steps_and_where_a_schedule_goes_on() -> None:
    rates = Rates(find_recipe("lenet5-1998"), steps_an_epoch=10)
    seen = [rates.rate(epoch, 3) for epoch in (1, 2, 3, 5, 6, 8, 9, 12, 13, 20)]
    np.testing.assert_allclose(np.array(seen) / 0.03, [1, 1, 0.4, 0.4, 0.2, 0.2, 0.1, 0.1, 0.02, 0.02])
    one, other = (Rates(ALEXNET, 1) for _ in range(2))
    for _ in range(8):
        one.is_over(0.5)
    other.restore(one.to_json())
    assert [one.is_over(0.5) for _ in range(20)] == [other.is_over(0.5) for _ in range(20)]


def test_the_initial_values() -> None:
    """Section 5: N(0, 0.01); biases 1 in CONV2, CONV4, CONV5 and the hidden fully connected layers, else 0."""
    network = build(_listed("alexnet").with_classes(10))
    torch.manual_seed(0)
    assert initialise(network, ALEXNET) == ()
    for name, layer in network.named_children():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            weights = layer.weight.detach().numpy().ravel().astype(np.float64)
            assert abs(weights.mean()) < 5 * 0.01 / math.sqrt(weights.size)
            assert weights.std() == pytest.approx(0.01, rel=5 / math.sqrt(2 * weights.size))
            kurtosis = ((weights / weights.std()) ** 4).mean()
            assert kurtosis == pytest.approx(3, abs=5 * math.sqrt(24 / weights.size))  # as of a normal distribution
            assert layer.bias is not None
            expected = 1.0 if name in ("CONV2", "CONV4", "CONV5", "FC6", "FC7") else 0.0
            assert (layer.bias == expected).all()


@pytest.mark.parametrize(
    ("start", "spread", "is_uniform"), [("glorot", math.sqrt(2 / (50 + 200)), False), ("lecun", 2.4 / 50, True)]
)
def test_other_initial_values(start: str, spread: float, is_uniform: bool) -> None:
    network = nn.Sequential(nn.Linear(50, 200))
    assert initialise(network, Recipe.from_values({"start": start, "ones": ["0", "CONV9"]})) == ("CONV9",)
    weights = network[0].weight.detach().numpy()
    if is_uniform:
        assert np.abs(weights).max() == pytest.approx(spread, rel=0.01)
        assert weights.std() == pytest.approx(spread / math.sqrt(3), rel=0.05)
    else:
        assert weights.std() == pytest.approx(spread, rel=0.05)
    assert (network[0].bias == 1).all()


def test_dropout_stands_behind_the_hidden_fully_connected_layers() -> None:
    architecture = _listed("alexnet").with_dropout(0.5)
    names = [layer.name for layer in architecture.layers]
    assert names[-5:] == ["FC6", "DROPOUT1", "FC7", "DROPOUT2", "FC8"]
    assert architecture.with_dropout(0.2) == architecture
    assert _listed("alexnet").with_dropout(0) == _listed("alexnet")


class _Linear(nn.Module):
    """Class scores that are sums over a picture with fixed weights."""

    def __init__(self, weights: NDArray[np.float32]) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.from_numpy(weights))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.einsum("nchw,kchw->nk", x, self.weights)


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


def test_ten_crops() -> None:
    """Section 4.1: the four corner patches and the center patch and their reflections, the softmax of them averaged."""
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(4, 3, 5, 6)).astype(np.float32) / 5
    pictures = rng.normal(size=(3, 3, 9, 11)).astype(np.float32)
    found = TenCrops(_Linear(weights), (6, 5))(torch.from_numpy(pictures)).detach().numpy()
    answers = []
    for top, left in ((0, 0), (0, 5), (4, 0), (4, 5), (2, 2)):
        crop = pictures[:, :, top : top + 5, left : left + 6].astype(np.float64)
        answers += [_softmax(np.einsum("nchw,kchw->nk", view, weights)) for view in (crop, crop[..., ::-1])]
    np.testing.assert_allclose(_softmax(found), np.mean(answers, axis=0), rtol=1e-5)


def test_networks_are_averaged() -> None:
    rng = np.random.default_rng(2)
    every = [rng.normal(size=(4, 3, 5, 6)).astype(np.float32) for _ in range(3)]
    pictures = rng.normal(size=(7, 3, 5, 6)).astype(np.float32)
    found = Averaged(map(_Linear, every))(torch.from_numpy(pictures)).detach().numpy()
    expected = np.mean([_softmax(np.einsum("nchw,kchw->nk", pictures.astype(np.float64), w)) for w in every], axis=0)
    np.testing.assert_allclose(_softmax(found), expected, rtol=1e-4, atol=1e-7)


def test_the_squared_loss() -> None:
    outputs = torch.tensor([[0.5, -1.0, 2.0], [1.0, 0.0, 0.0]])
    by_hand = (0.5 * ((0.5 + 1) ** 2 + (-1 - 1) ** 2 + (2 + 1) ** 2) + 0.5 * (0 + 1 + 1)) / 2
    assert squared(outputs, torch.tensor([1, 0])).item() == pytest.approx(by_hand)
    shares = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    assert squared(outputs, shares).item() == pytest.approx(by_hand)


def test_a_gradient_is_scaled_down_to_the_largest_norm() -> None:
    layer = nn.Linear(2, 1)
    for most, expected in ((1.0, [0.6, 0.8]), (10.0, [3.0, 4.0]), (None, [3.0, 4.0])):
        layer.weight.grad, layer.bias.grad = torch.tensor([[3.0, 4.0]]), torch.zeros(1)
        clip(layer, Recipe(clip=most))
        assert layer.weight.grad.tolist()[0] == pytest.approx(expected, rel=1e-5)


def test_the_average_of_the_weights() -> None:
    layer = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    average = Average(layer, 0.9)
    expected = layer[0].weight.item()
    for step in range(40):
        with torch.no_grad():
            layer[0].weight.fill_(step)
            layer[1].running_mean.fill_(step)  # type: ignore[union-attr]
        average.follow()
        share = min(0.9, (1 + step) / (10 + step))
        expected = share * expected + (1 - share) * step
    assert average.network[0].weight.item() == pytest.approx(expected, rel=1e-5)
    assert average.network[1].running_mean.item() == 39


def test_an_ensemble_is_one_model(tmp_path: Path) -> None:
    """Two networks of different seeds; saved, loaded, and the mean of what each alone would say."""
    train("digits", "lenet5", epochs=1, settings={"ensemble": 2}, out=tmp_path / "both", seed=3)
    both = load(tmp_path / "both")
    assert both.members == 2
    assert len(both.training["histories"]) == 2
    alone = [train("digits", "lenet5", epochs=1, seed=seed) for seed in (3, 4)]
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 1), dtype=np.uint8)
    for name, array in alone[0].state.items():
        np.testing.assert_array_equal(array, both.state[f"0.{name}"])
    members = [replace(alone[0], state=_of(both, number), members=1) for number in range(2)]
    mean = np.mean([_softmax(member.logits(pixels).astype(float)) for member in members], axis=0)
    np.testing.assert_allclose(_softmax(both.logits(pixels).astype(float)), mean, rtol=1e-4)


def _of(model: Model, number: int) -> dict[str, NDArray[np.generic]]:
    prefix = f"{number}."
    return {n.removeprefix(prefix): array for n, array in model.state.items() if n.startswith(prefix)}


def test_ctrl_c_in_the_second_network_keeps_the_first() -> None:
    def progress(stage: str, done: int, total: int | None, note: str = "") -> None:
        if stage.startswith("network 2 of 3"):
            raise KeyboardInterrupt

    model = train("digits", "lenet5", epochs=1, settings={"ensemble": 3}, progress=progress)
    assert model.members == 1
    assert "Ctrl-C ended training after 1 of 3 networks; these are averaged." in model.training["notes"]


def test_ten_crops_are_saved_with_the_model(tmp_path: Path) -> None:
    settings = {"crops": 10, "held": 1.25, "policy": "alexnet"}
    model = train("digits", "lenet5", epochs=1, settings=settings, out=tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert (loaded.crops, loaded.preparation.size_wh, loaded.network.input.width) == (10, (40, 40), 32)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 1), dtype=np.uint8)
    np.testing.assert_array_equal(loaded.logits(pixels), model.logits(pixels))
    answers = [answer.label for answer in loaded.predict(pixels[0, :, :, 0])]
    assert answers[0] is not None
    once = train("digits", "lenet5", epochs=1, settings=settings | {"crops": 1})
    assert (once.preparation.size_wh, once.preparation.zoom) == ((32, 32), 1.25)
