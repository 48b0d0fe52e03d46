"""Layers that refuse what they are given: every word of what they say."""

from __future__ import annotations

import pytest

from mirada.arch import Pair, Volume
from mirada.arch.blocks import Branch, Parallel, Residual
from mirada.arch.layers import (
    Conv,
    Layer,
    Pool,
    SqueezeExcite,
)
from mirada.arch.shapes import Rounding
from mirada.arch.sliding import Refusal

F3, F2 = Pair(3, 3), Pair(2, 2)


def refusal_of(layer: Layer, *sides: int) -> tuple[str, ...]:
    with pytest.raises(Refusal) as caught:
        layer.volume(Volume(*sides))
    return caught.value.headline, *caught.value.details


def conv(kernel: Pair, stride: int = 1, pad: int = 0, rounding: Rounding = "exact", **more: object) -> Conv:
    return Conv("C", 4, kernel, Pair(stride, stride), Pair(pad, pad), rounding=rounding, **more)


REFUSALS = [
    (
        conv(Pair(11, 11), 4),
        (224, 224, 3),
        "does not fit its input",
        "(W - F + 2P)/S + 1 = (224 - 11 + 2*0)/4 + 1 = 54.25 is not whole: the last column and row would never be read",
        "fits: input 223 or 227 · filter 12 or 8 · stride 1 or 3 · rounding: floor (gives 54, drops 1)",
    ),
    (
        conv(F3, 2),
        (7, 8, 1),
        "does not fit its input",
        "height: (W - F + 2P)/S + 1 = (8 - 3 + 2*0)/2 + 1 = 3.5 is not whole: the last row would never be read",
        "fits: input 7 or 9 · filter 2 or 4 · stride 1 or 5 · rounding: floor (gives 3, drops 1)",
    ),
    (
        Pool("P", "max", F3, F3),
        (8, 9, 1),
        "does not fit its input",
        "width: (W - F + 2P)/S + 1 = (8 - 3 + 2*0)/3 + 1 = 2.66667 is not whole: the last 2 columns would never be "
        "read",
        "fits: input 9 or 6 · filter 2 or 5 · stride 1 or 5 · rounding: floor (gives 2, drops 2)",
    ),
    (
        conv(F3, 3),
        (8, 8, 1),
        "does not fit its input",
        "(W - F + 2P)/S + 1 = (8 - 3 + 2*0)/3 + 1 = 2.66667 is not whole: the last 2 columns and rows would never be "
        "read",
        "fits: input 9 or 6 · filter 2 or 5 · stride 1 or 5 · pad 2 · rounding: floor (gives 2, drops 2)",
    ),
    (
        conv(Pair(7, 7), 2, 3),
        (224, 224, 3),
        "does not fit its input",
        "(W - F + 2P)/S + 1 = (224 - 7 + 2*3)/2 + 1 = 112.5 is not whole: the last column and row of the padding would "
        "never be read",
        "fits: input 223 or 225 · filter 6 or 8 · stride 1 or 223 · rounding: floor (gives 112, drops 1)",
    ),
    (
        conv(F3, 2, dilation=F2),
        (8, 8, 1),
        "does not fit its input",
        "(W - F + 2P)/S + 1 = (8 - 5 + 2*0)/2 + 1 = 2.5 is not whole: the last column and row would never be read",
        "fits: input 7 or 9 · stride 1 or 3 · rounding: floor (gives 2, drops 1)",
    ),
    (
        conv(Pair(7, 7)),
        (5, 5, 1),
        "has a filter larger than its input",
        "side: the filter covers 7, the input has 5",
        "fits: input 7 or 8 · filter 5 or 4 · pad 1 or 2",
    ),
    (
        conv(Pair(3, 9), pad=1, rounding="ceil"),
        (9, 5, 1),
        "has a filter larger than its input",
        "height: the filter covers 9, the padded input has 5 + 2*1 = 7",
        "fits: input 7 or 8 · filter 7 or 6 · pad 2 or 3",
    ),
    (
        conv(F3, groups=3),
        (5, 5, 6),
        "cannot be split into its groups",
        "3 groups must divide both the depth of the input, 6, and the number of filters, 4",
        "fits: groups 1 or 2",
    ),
    (
        Conv("C", 24, F3, groups=5),
        (5, 5, 12),
        "cannot be split into its groups",
        "5 groups must divide both the depth of the input, 12, and the number of filters, 24",
        "fits: groups 3 or 4 or 6",
    ),
    (
        Pool("P", "avg", F3, F2, F2),
        (9, 9, 1),
        "is padded by more than half its filter",
        "with pad 2 and filter 3x3 a window could lie on padding alone",
        "fits: pad up to 1",
    ),
    (
        SqueezeExcite("S", 16),
        (3, 3, 24),
        "cannot reduce its input",
        "the depth 24 is not a multiple of the reduction 16",
        "fits: reduction 8 or 12 or 24",
    ),
    (
        Residual("R", (conv(F3, pad=1),)),
        (8, 8, 3),
        "cannot add its two ways",
        "its layers give 8x8x4, its input 8x8x3: a sum needs two equal volumes",
        "fits: SHORTCUT: CONV 4 1x1 filters",
    ),
    (
        Residual("R", (conv(F3, 2, 1, "floor"),)),
        (7, 7, 4),
        "cannot add its two ways",
        "its layers give 4x4x4, its input 7x7x4: a sum needs two equal volumes",
        "fits: SHORTCUT: CONV 4 1x1 filters at stride 2, rounding floor",
    ),
    (
        Residual("R", (conv(F3),), Branch("SHORTCUT", (conv(Pair(1, 1)),))),
        (7, 7, 4),
        "cannot add its two ways",
        "its layers give 5x5x4, its shortcut 7x7x4: a sum needs two equal volumes",
        "width and height of the two ways must be made equal first",
    ),
    (
        Parallel("P", (Branch("BRANCH1", (conv(F3),)), Branch("BRANCH2"))),
        (7, 7, 2),
        "cannot join its branches",
        "BRANCH1 gives 5x5x4; BRANCH2 gives 7x7x2",
        "branches are joined along the depth: width and height must be equal",
    ),
]


@pytest.mark.parametrize(("layer", "sides", "headline", "sum_", "fits"), REFUSALS)
def test_refusals(layer: Layer, sides: tuple[int, ...], headline: str, sum_: str, fits: str):
    assert refusal_of(layer, *sides) == (headline, sum_, fits)


def test_a_shortcut_that_is_proposed_does_fit():
    body = (conv(F3, 2, 1, "floor"),)
    proposed = Conv("CONV1", 4, Pair(1, 1), F2, rounding="floor")
    assert Residual("R", body, Branch("SHORTCUT", (proposed,))).volume(Volume(7, 7, 4)) == Volume(4, 4, 4)
