"""One layer at a time: parameters, multiply-adds, windows and refusals, against hand calculations and counting."""

from __future__ import annotations

import pytest
from architectures import architectures, examples
from hypothesis import given
from numpy_reference import window_starts

from mirada.arch import Architecture, Pair, Volume
from mirada.arch.blocks import Block, Branch, Parallel, Repeat, Residual
from mirada.arch.layers import (
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
from mirada.arch.shapes import Rounding

F3, F2 = Pair(3, 3), Pair(2, 2)

BY_HAND = [
    # layer, given, volume, parameters, multiply-adds, weights if fully connected
    (Conv("C", 96, Pair(11, 11), Pair(4, 4)), (227, 227, 3), (55, 55, 96), 34_944, 105_415_200, 154_587 * 290_400),
    (Conv("C", 6, Pair(5, 5)), (32, 32, 1), (28, 28, 6), 156, 117_600, 1024 * 4704),
    (Conv("C", 256, Pair(5, 5), pad=Pair(2, 2), groups=2), (27, 27, 96), (27, 27, 256), 307_456, 223_948_800, None),
    (Conv("C", 4, Pair(3, 1), bias=False), (5, 5, 2), (3, 5, 4), 24, 24 * 15, 50 * 60),
    (Conv("C", 4, F3, bias=False, batch_norm=True), (5, 5, 2), (3, 3, 4), 72 + 8, 72 * 9, 50 * 36),
    (Conv("C", 4, F3, batch_norm=True), (5, 5, 2), (3, 3, 4), 72 + 4 + 8, 72 * 9, 50 * 36),
    (Conv("C", 3, F3, groups=3, dilation=F2), (7, 6, 3), (3, 2, 3), 27 + 3, 27 * 6, 126 * 18),
    (Pool("P", "max", F3, F2), (55, 55, 96), (27, 27, 96), 0, 0, None),
    (Pool("P", "avg", F2, F2), (4, 6, 3), (2, 3, 3), 0, 0, None),
    (GlobalPool("G"), (7, 7, 512), (1, 1, 512), 0, 0, None),
    (LocalResponseNorm("N"), (27, 27, 96), (27, 27, 96), 0, 0, None),
    (BatchNorm("B"), (5, 5, 64), (5, 5, 64), 128, 0, None),
    (FullyConnected("F", 4096), (6, 6, 256), (1, 1, 4096), 37_752_832, 37_748_736, 37_748_736),
    (FullyConnected("F", 10, bias=False), (1, 1, 84), (1, 1, 10), 840, 840, 840),
    (Dropout("D"), (1, 1, 9), (1, 1, 9), 0, 0, None),
    (Activation("A"), (3, 2, 1), (3, 2, 1), 0, 0, None),
    (SqueezeExcite("S", 16), (7, 7, 64), (7, 7, 64), 64 * 4 + 4 + 4 * 64 + 64, 2 * 64 * 4 + 49 * 64, None),
]


@pytest.mark.parametrize(("layer", "given_", "volume", "parameters", "multiply_adds", "dense"), BY_HAND)
def test_by_hand(layer: Layer, given_: tuple, volume: tuple, parameters: int, multiply_adds: int, dense: int | None):
    before = Volume(*given_)
    assert layer.volume(before) == Volume(*volume)
    assert layer.parameters(before) == parameters
    assert layer.multiply_adds(before) == multiply_adds
    if dense is not None or not isinstance(layer, Conv):
        assert layer.dense_weights(before) == dense
    # the sums that are shown come to what is counted
    shown = layer.parameters_sum(before)
    assert (eval(shown.replace("/", "//")) if shown else 0) == parameters


@pytest.mark.parametrize(
    ("layer", "given_", "size_sum", "parameters_sum"),
    [
        (BY_HAND[0][0], (227, 227, 3), "(227 - 11 + 2*0)/4 + 1 = 55", "(11*11*3)*96 + 96"),
        (BY_HAND[2][0], (27, 27, 96), "(27 - 5 + 2*2)/1 + 1 = 27", "(5*5*96/2)*256 + 256"),
        (BY_HAND[3][0], (5, 5, 2), "(5 - 3 + 2*0)/1 + 1 = 3; (5 - 1 + 2*0)/1 + 1 = 5", "(3*1*2)*4"),
        (BY_HAND[5][0], (5, 5, 2), "(5 - 3 + 2*0)/1 + 1 = 3", "(3*3*2)*4 + 4 + 2*4"),
        (
            Conv("C", 8, Pair(7, 7), F2, F3, rounding="floor"),
            (224, 224, 3),
            "(224 - 7 + 2*3)/2 + 1 = 112.5 -> 112",
            None,
        ),
        (Pool("P", "max", F3, F2, rounding="ceil"), (112, 112, 64), "(112 - 3 + 2*0)/2 + 1 = 55.5 -> 56", None),
        (FullyConnected("F", 10), (5, 5, 16), None, "(5*5*16)*10 + 10"),
        (FullyConnected("F", 10, bias=False), (1, 1, 84), None, "84*10"),
        (BatchNorm("B"), (5, 5, 64), None, "2*64"),
        (SqueezeExcite("S", 16), (7, 7, 64), None, "64*4 + 4 + 4*64 + 64"),
        (GlobalPool("G"), (7, 7, 64), None, None),
    ],
)
def test_sums_are_shown_with_their_numbers(layer: Layer, given_: tuple, size_sum: str, parameters_sum: str):
    assert layer.size_sum(Volume(*given_)) == size_sum
    assert parameters_sum is None or layer.parameters_sum(Volume(*given_)) == parameters_sum


def counted_multiply_adds(layer: Layer, given: Volume) -> int:
    """One for each weight at each place of a window, counted one window at a time."""
    match layer:
        case Conv(kernel=kernel, stride=S, pad=P, dilation=d, rounding=rounding):
            rows = window_starts(given.height, d.h * (kernel.h - 1) + 1, S.h, P.h, rounding)
            columns = window_starts(given.width, d.w * (kernel.w - 1) + 1, S.w, P.w, rounding)
            of_a_window = kernel.w * kernel.h * given.depth // layer.groups
            return sum(of_a_window for _ in rows for _ in columns for _ in range(layer.filters))
        case FullyConnected(neurons=neurons):
            return sum(given.width * given.height * given.depth for _ in range(neurons))
        case SqueezeExcite(reduction=reduction):
            reduced = given.depth // reduction
            of_both_layers = sum(given.depth for _ in range(reduced)) + sum(reduced for _ in range(given.depth))
            return of_both_layers + given.width * given.height * given.depth
    return 0


@given(architectures())
@examples(150)
def test_multiply_adds_are_those_that_are_counted(architecture: Architecture):
    for row in architecture.rows[1:]:
        assert row.multiply_adds == counted_multiply_adds(row.layer, row.given), row.path


@given(architectures())
@examples(150)
def test_sums_of_random_networks_come_to_what_is_counted(architecture: Architecture):
    for row in architecture.rows[1:]:
        shown = row.layer.parameters_sum(row.given)
        assert (eval(shown.replace("/", "//")) if shown else 0) == row.parameters, row.path
        dense = row.layer.dense_weights(row.given)
        assert dense in (None, row.given.size * row.volume.size)


def conv(kernel: Pair, stride: int = 1, pad: int = 0, rounding: Rounding = "exact", **more: object) -> Conv:
    return Conv("C", 4, kernel, Pair(stride, stride), Pair(pad, pad), rounding=rounding, **more)


def test_blocks_join_what_their_layers_give():
    one, three = conv(Pair(1, 1)), Conv("C", 6, F3, pad=Pair(1, 1))
    blocks: list[tuple[Block, Volume]] = [
        (
            Parallel("P", (Branch("BRANCH1", (one,)), Branch("BRANCH2", (one, three)), Branch("BRANCH3"))),
            Volume(5, 4, 13),
        ),
        (Residual("R", (one,), Branch("SHORTCUT", (three, one))), Volume(5, 4, 4)),
        (Repeat("R", 2, (conv(F2),)), Volume(3, 2, 4)),
    ]
    for block, volume in blocks:
        assert block.volume(Volume(5, 4, 3)) == volume
        assert (block.parameters(Volume(5, 4, 3)), block.multiply_adds(Volume(5, 4, 3))) == (0, 0)


def test_names_of_modules_have_no_blanks():
    assert Pool("MAX POOL1", "max", F2, F2).module_name == "MAX_POOL1"
