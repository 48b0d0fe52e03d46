"""What a built layer gives, and its gradients, against a slow reference in NumPy: within 1e-8 in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from architectures import architectures, examples
from hypothesis import given
from numpy_reference import FUNCTIONS, forward, gradients

from mirada.arch import Architecture, parse
from mirada.arch.build import Network, build
from mirada.arch.layers import ACTIVATIONS

TOLERANCE = 1e-8

CONVOLUTIONS = {
    "plain": ("5x4x2", "CONV: 3 3x3"),
    "stride": ("7x5x2", "CONV: 2 3x3 at stride 2"),
    "stride and pad of two sides": ("6x7x2", "CONV: 2 2x3 at stride 2x1, pad 1x0, rounding floor"),
    "pad larger than the filter": ("3x3x1", "CONV: 1 2x2, pad 3"),
    "groups": ("4x3x4", "CONV: 6 2x2 groups 2"),
    "depthwise": ("4x4x3", "CONV: 3 3x3 pad 1, groups 3"),
    "dilation": ("6x6x1", "CONV: 2 3x2 dilation 2x3, pad 1"),
    "no bias": ("4x4x2", "CONV: 2 3x3, no bias"),
    "floor": ("6x6x1", "CONV: 2 3x3 at stride 2, rounding floor"),
    "ceil": ("6x5x1", "CONV: 2 3x2 at stride 2, rounding ceil"),
    "ceil whose padding holds all it reads": ("4x4x1", "CONV: 1 2x2 at stride 3, pad 2, rounding ceil"),
    "ceil with dilation": ("6x6x1", "CONV: 1 2x2 at stride 3, dilation 2, rounding ceil"),
    "batch norm": ("4x4x2", "CONV: 3 3x3, batch norm"),
    "batch norm and bias": ("4x4x2", "CONV: 2 3x3, batch norm, bias"),
}

OTHERS = {
    "max pool": ("6x4x2", "MAX POOL: 2x2 filters at stride 2"),
    "overlapping max pool": ("7x5x2", "MAX POOL: 3x3 at stride 2"),
    "max pool, pad": ("5x5x2", "MAX POOL: 3x3 at stride 2, pad 1"),
    "max pool, ceil": ("6x7x2", "MAX POOL: 3x2 at stride 2, rounding ceil"),
    "max pool, pad and ceil": ("6x6x1", "MAX POOL: 3x3 at stride 2, pad 1, rounding ceil"),
    "avg pool": ("6x4x2", "AVG POOL: 3x2"),
    "avg pool, pad": ("5x5x2", "AVG POOL: 3x3 at stride 2, pad 1"),
    "avg pool, ceil": ("6x7x2", "AVG POOL: 3x2 at stride 2, rounding ceil"),
    "avg pool, pad and ceil": ("6x6x1", "AVG POOL: 3x3 at stride 2, pad 1, rounding ceil"),
    "global pool": ("4x3x3", "GLOBAL AVG POOL"),
    "norm": ("3x2x7", "NORM: Normalization layer"),
    "norm, even n": ("2x2x6", "NORM: n 4, k 1, alpha 0.3, beta 0.5"),
    "norm, n 1": ("2x2x3", "NORM: n 1, k 0.5, alpha 0.7, beta 1.5"),
    "norm, n larger than the depth": ("2x2x3", "NORM: n 9, k 1, alpha 0.2, beta 0.75"),
    "batch norm": ("3x2x3", "BATCH NORM: tanh"),
    "fully connected": ("3x2x2", "FC: 4 neurons, tanh"),
    "fully connected, no bias": ("1x1x5", "FC: 3 neurons, no bias, linear"),
    "dropout": ("2x2x2", "DROPOUT: 0.4"),
    "activation": ("2x2x2", "ACTIVATION: silu"),
    "squeeze excite": ("3x2x4", "SQUEEZE EXCITE: reduction 2"),
}

BLOCKS = {
    "residual": ("4x4x2", "RESIDUAL\n  CONV 2 3x3 pad 1\n  CONV 2 3x3 pad 1"),
    "residual, shortcut": (
        "4x4x2",
        "RESIDUAL: tanh\n  CONV 3 2x2 stride 2, batch norm\n  SE: reduction 3\n  SHORTCUT: CONV 3 2x2 at stride 2",
    ),
    "parallel": (
        "4x3x2",
        "PARALLEL\n  BRANCH: CONV 1 1x1 -> CONV 2 3x3 pad 1\n  BRANCH: identity\n  BRANCH: MAX POOL 3x3 stride 1 pad 1",
    ),
    "repeat": ("5x5x1", "REPEAT: 2 times\n  CONV 2 2x2\n  NORM: n 3"),
    "blocks in blocks": (
        "3x3x2",
        "REPEAT: 2 times\n  RESIDUAL\n    PARALLEL\n      BRANCH: CONV 1 1x1\n      BRANCH: CONV 1 3x3 pad 1\nFC 2",
    ),
}
CASES = {**{f"conv: {name}": case for name, case in CONVOLUTIONS.items()}, **OTHERS, **BLOCKS}


def random_network(architecture: Architecture, seed: int = 0) -> Network:
    """Built in float64, every parameter and running figure drawn anew, so that none is 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    network = build(architecture).double()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                drawn = torch.randn(value.shape, generator=generator, dtype=value.dtype) * 0.7
                value.copy_(drawn.abs() + 0.5 if name.endswith("running_var") else drawn)
    return network


def compare(architecture: Architecture, *, training: bool = False) -> None:
    """Output, gradient of the input and of every parameter equal the reference."""
    network = random_network(architecture).train(training)
    values = {n: v.detach().numpy().copy() for n, v in network.state_dict().items() if v.is_floating_point()}
    random = np.random.default_rng(1)
    volume = architecture.input
    x = random.normal(size=(2, volume.depth, volume.height, volume.width))
    image = torch.from_numpy(x).requires_grad_()

    out = network(image)
    expected = forward(architecture, values, x, training=training)
    np.testing.assert_allclose(out.detach().numpy(), expected, rtol=0, atol=TOLERANCE)

    weights = random.normal(size=expected.shape)
    (out * torch.from_numpy(weights)).sum().backward()
    exact = gradients(architecture, values, x, weights, training=training)
    found = {"input": image.grad, **{name: p.grad for name, p in network.named_parameters()}}
    assert found.keys() == exact.keys()
    for name, gradient in found.items():
        assert gradient is not None, name
        np.testing.assert_allclose(gradient.numpy(), exact[name], rtol=0, atol=TOLERANCE, err_msg=name)


def network_of(size: str, lines: str) -> Architecture:
    return parse(f"[{size}] INPUT\n{lines}")


@pytest.mark.parametrize("case", CASES)
def test_layer_gives_what_the_definition_says_and_so_does_its_gradient(case: str):
    compare(network_of(*CASES[case]))


@pytest.mark.parametrize("case", [case for case in CASES if "batch norm" in CASES[case][1].lower()])
def test_batch_norm_in_training_uses_the_figures_of_the_batch(case: str):
    compare(network_of(*CASES[case]), training=True)


@pytest.mark.parametrize("function", ACTIVATIONS)
@pytest.mark.parametrize("line", ["CONV: 2 2x2, {}", "FC: 4 neurons, {}", "BATCH NORM: {}", "ACTIVATION: {}"])
def test_every_activation(function: str, line: str):
    compare(network_of("3x3x2", line.format(function if function != "none" else "no activation")))


@pytest.mark.parametrize("function", ACTIVATIONS)
def test_activations_at_round_numbers(function: str):
    """Both sides of every kink, and far out, where a random draw seldom falls."""
    x = torch.tensor([-9.0, -3.5, -3.0, -2.0, -0.5, 0.0, 0.5, 2.0, 3.0, 3.5, 6.5, 9.0], dtype=torch.float64)
    module = build(network_of("1x1x12", f"ACTIVATION: {function if function != 'none' else 'no activation'}"))
    expected = FUNCTIONS[function](x.numpy())
    np.testing.assert_allclose(module(x.reshape(1, 12, 1, 1))[0].numpy(), expected, rtol=0, atol=1e-12)


def test_one_convolution_by_hand():
    """One 2 x 2 filter over a 3 x 3 input: small enough to do on paper."""
    network = build(network_of("3x3x1", "CONV: 1 2x2, linear")).double()
    with torch.no_grad():
        network.CONV1.weight.copy_(torch.tensor([[1.0, 2.0], [3.0, -1.0]]))
        network.CONV1.bias.fill_(10.0)
    x = torch.arange(1.0, 10.0, dtype=torch.float64).reshape(1, 1, 3, 3)
    # top left: 1*1 + 2*2 + 3*4 - 1*5 + 10 = 22, and each step right or down adds 5 times that step
    assert network(x).tolist() == [[[[22.0, 27.0], [37.0, 42.0]]]]


def test_running_figures_follow_the_batch():
    """New = 0.9 old + 0.1 of the batch, the variance without bias (Ioffe and Szegedy 2015, algorithm 2)."""
    network = random_network(network_of("3x3x2", "BATCH NORM")).train()
    old_mean, old_variance = (network.BATCH_NORM1.get_buffer(n).numpy().copy() for n in ("running_mean", "running_var"))
    x = np.random.default_rng(2).normal(3.0, 2.0, size=(4, 2, 3, 3))
    network(torch.from_numpy(x))
    slices = x.transpose(1, 0, 2, 3).reshape(2, -1)
    mean = 0.9 * old_mean + 0.1 * slices.mean(1)
    variance = 0.9 * old_variance + 0.1 * slices.var(1, ddof=1)
    np.testing.assert_allclose(network.BATCH_NORM1.running_mean.numpy(), mean, rtol=0, atol=1e-12)
    np.testing.assert_allclose(network.BATCH_NORM1.running_var.numpy(), variance, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_dropout_in_training_drops_its_share_and_scales_up_the_rest(rate: float):
    network = build(network_of("100x100x2", f"DROPOUT: {rate}")).train()
    torch.manual_seed(3)
    x = torch.rand(1, 2, 100, 100, dtype=torch.float64) + 0.5
    y = network(x)
    kept = y != 0
    torch.testing.assert_close(y[kept], x[kept] / (1 - rate), rtol=0, atol=1e-12)
    n, dropped = x.numel(), int((~kept).sum())
    assert abs(dropped - n * rate) <= 5 * math.sqrt(n * rate * (1 - rate))


@given(architectures(most_layers=3))
@examples(80)
def test_random_networks_give_what_the_definitions_say(architecture: Architecture):
    network = random_network(architecture, seed=4).eval()
    values = {n: v.numpy() for n, v in network.state_dict().items() if v.is_floating_point()}
    volume = architecture.input
    x = np.random.default_rng(5).normal(size=(1, volume.depth, volume.height, volume.width))
    with np.errstate(over="ignore"):  # exp of a large number, of which the reciprocal is taken
        expected = forward(architecture, values, x)
    with torch.no_grad():
        out = network(torch.from_numpy(x))
    np.testing.assert_allclose(out.numpy(), expected, rtol=0, atol=TOLERANCE * max(1, np.abs(expected).max()))


def test_a_network_with_everything():
    compare(
        parse(
            """
            batch norm: yes
            activation: tanh
            [4x4x1] INPUT
            CONV: 2 3x3, pad same
            NORM
            MAX POOL: 2x2
            RESIDUAL
                CONV 2 3x3 pad 1
                SE: reduction 2
            PARALLEL
                BRANCH: CONV 1 1x1
                BRANCH: AVG POOL 2x2 at stride 1, pad 1, rounding floor -> CONV 1 2x2
            GAP
            DROPOUT: 0.3
            FC 3
            """
        )
    )
