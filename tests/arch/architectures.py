"""Random valid architectures, small enough to run in milliseconds: a strategy for hypothesis."""

from __future__ import annotations

from typing import get_args

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from mirada.arch import Architecture, Pair, Volume
from mirada.arch.blocks import Branch, Parallel, Repeat, Residual
from mirada.arch.layers import (
    ACTIVATIONS,
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    FullyConnected,
    GlobalPool,
    Layer,
    LocalResponseNorm,
    Pool,
    SqueezeExcite,
)
from mirada.arch.shapes import Misfit, Rounding, output_size
from mirada.arch.sliding import Refusal

_LARGEST = 14
"""No side grows beyond this many pixels."""

_SUFFIXES = ("_a", "-1", "3b", "2_1", "007", "_é")
_activations = st.sampled_from(ACTIVATIONS)
_roundings = st.sampled_from(get_args(Rounding))
_positive = st.floats(1e-6, 10, allow_nan=False)


def examples(number: int) -> settings:
    """How a test that draws architectures is run: slow drawing is expected, and no run is timed."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=number, deadline=None, suppress_health_check=slow)


@st.composite
def architectures(draw: st.DrawFn, most_layers: int = 5) -> Architecture:
    """A network whose every layer fits, with or without blocks, of random settings."""
    volume = Volume(draw(st.integers(1, 9)), draw(st.integers(1, 9)), draw(st.integers(1, 4)))
    layers, _ = _chain(draw, volume, blocks=2, most=most_layers, least=2)
    return Architecture(
        volume,
        layers,
        name=draw(_settings),
        source=draw(_settings),
        activation=draw(_activations),
        rounding=draw(_roundings),
        batch_norm=draw(st.booleans()),
    )


_settings = st.just("") | st.text(
    st.characters(categories=("L", "N", "P", "S"), exclude_characters="#", include_characters=" "), max_size=12
).map(str.strip)


def _chain(
    draw: st.DrawFn, given: Volume, *, blocks: int, most: int, least: int = 1
) -> tuple[tuple[Layer, ...], Volume]:
    """`least` to `most` layers and what they give; blocks stand at most `blocks` deep."""
    layers: list[Layer] = []
    for _ in range(draw(st.integers(least, most))):
        layer = _layer(draw, given, [layer.name for layer in layers], blocks)
        layers.append(layer)
        given = layer.volume(given)
    return tuple(layers), given


def _name(draw: st.DrawFn, kind: str, taken: list[str]) -> str:
    free = [f"{kind}{suffix}" for suffix in (*range(1, 40), *_SUFFIXES)]
    free = [name for name in free if name not in taken]
    return free[0] if draw(st.integers(0, 3)) else draw(st.sampled_from(free))


def _layer(draw: st.DrawFn, given: Volume, taken: list[str], blocks: int) -> Layer:
    kinds = ["CONV"] * 4 + ["MAX POOL", "AVG POOL", "NORM", "BATCH NORM", "DROPOUT", "SQUEEZE EXCITE"]
    kinds += ["FC", "GLOBAL AVG POOL", "ACTIVATION", "RELU", "TANH", "SIGMOID"]
    kinds += ["RESIDUAL", "PARALLEL", "REPEAT"] * 2 * (blocks > 0)
    kind = draw(st.sampled_from(kinds))
    name = _name(draw, kind, taken)
    match kind:
        case "CONV":
            return _conv(draw, name, given)
        case "MAX POOL" | "AVG POOL":
            return _pool(draw, name, "max" if kind == "MAX POOL" else "avg", given)
        case "NORM":
            return LocalResponseNorm(name, draw(st.integers(1, 7)), draw(_positive), draw(_positive), draw(_positive))
        case "BATCH NORM":
            return BatchNorm(name, draw(_activations))
        case "DROPOUT":
            return Dropout(name, draw(st.floats(0, 0.99)))
        case "SQUEEZE EXCITE":
            return SqueezeExcite(name, draw(st.sampled_from(_divisors(given.depth))))
        case "FC":
            return FullyConnected(name, draw(st.integers(1, 5)), draw(st.booleans()), draw(_activations))
        case "GLOBAL AVG POOL":
            return GlobalPool(name)
        case "ACTIVATION" | "RELU" | "TANH" | "SIGMOID":
            return Activation(name, draw(_activations))
        case "RESIDUAL":
            return _residual(draw, name, given, blocks - 1)
        case "PARALLEL":
            return _parallel(draw, name, given, blocks - 1)
        case _:
            return _repeat(draw, name, given, blocks - 1)


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def _window(draw: st.DrawFn, W: int, dilation: int, is_pool: bool, rounding: Rounding) -> tuple[int, int, int]:
    """Filter, stride and padding along one side of W that fit."""
    S = draw(st.integers(1, 3))
    P = 0 if W > _LARGEST else draw(st.integers(0, 2))
    F = draw(st.integers(1, max(1, min(4, (W + 2 * P - 1) // dilation + 1))))
    P = min(P, F // 2) if is_pool else P
    if dilation * (F - 1) + 1 > W + 2 * P:
        F = 1
        P = 0
    if isinstance(output_size(W, dilation * (F - 1) + 1, S, P, rounding), Misfit):
        S = 1
    return F, S, P


def _conv(draw: st.DrawFn, name: str, given: Volume) -> Conv:
    dilation = Pair(draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    rounding = draw(_roundings)
    groups = draw(st.sampled_from(_divisors(given.depth)))
    w = _window(draw, given.width, dilation.w, False, rounding)
    h = _window(draw, given.height, dilation.h, False, rounding)
    kernel, stride, pad = (Pair(a, b) for a, b in zip(w, h, strict=True))
    filters = groups * draw(st.integers(1, max(1, 5 // groups)))
    bias, batch_norm = draw(st.booleans()), draw(st.booleans())
    return Conv(name, filters, kernel, stride, pad, groups, dilation, bias, batch_norm, draw(_activations), rounding)


def _pool(draw: st.DrawFn, name: str, kind: str, given: Volume) -> Pool:
    rounding = draw(_roundings)
    w = _window(draw, given.width, 1, True, rounding)
    h = _window(draw, given.height, 1, True, rounding)
    kernel, stride, pad = (Pair(a, b) for a, b in zip(w, h, strict=True))
    return Pool(name, kind, kernel, stride, pad, rounding)


def _conv_to(draw: st.DrawFn, given: Volume, width: int, height: int, depth: int, taken: list[str]) -> Conv:
    """A convolution at stride 1 that makes exactly this volume."""
    pad = Pair(max(0, -(-(width - given.width) // 2)), max(0, -(-(height - given.height) // 2)))
    kernel = Pair(given.width + 2 * pad.w - width + 1, given.height + 2 * pad.h - height + 1)
    return Conv(_name(draw, "CONV", taken), depth, kernel, pad=pad, activation=draw(_activations))


def _residual(draw: st.DrawFn, name: str, given: Volume, blocks: int) -> Residual:
    body, end = _chain(draw, given, blocks=blocks, most=3)
    shortcut: tuple[Layer, ...] = ()
    if draw(st.booleans()):
        shortcut, start = _chain(draw, given, blocks=blocks, most=2)
        shortcut += (_conv_to(draw, start, end.width, end.height, end.depth, [layer.name for layer in shortcut]),)
    elif end != given:
        taken = [layer.name for layer in body]
        body += (_conv_to(draw, end, given.width, given.height, given.depth, taken),)
    return Residual(name, body, Branch("SHORTCUT", shortcut), draw(_activations))


def _parallel(draw: st.DrawFn, name: str, given: Volume, blocks: int) -> Parallel:
    width, height = given.width, given.height
    branches: list[Branch] = []
    for i in range(draw(st.integers(1, 3))):
        layers, end = ((), given) if draw(st.integers(0, 4)) == 0 else _chain(draw, given, blocks=blocks, most=2)
        if i == 0:
            width, height = end.width, end.height
        elif (end.width, end.height) != (width, height):
            depth = draw(st.integers(1, 3))
            layers += (_conv_to(draw, end, width, height, depth, [layer.name for layer in layers]),)
        branches.append(Branch(_name(draw, "BRANCH", [b.name for b in branches]), layers))
    return Parallel(name, tuple(branches))


def _repeat(draw: st.DrawFn, name: str, given: Volume, blocks: int) -> Repeat:
    body, _ = _chain(draw, given, blocks=blocks, most=2)
    for times in draw(st.permutations([2, 3])):
        repeat = Repeat(name, times, body)
        try:
            end = repeat.volume(given)
        except Refusal:
            continue
        if max(end.width, end.height, end.depth) <= 3 * _LARGEST:
            return repeat
    return Repeat(name, 1, body)
