"""Listings that are understood, but whose layers do not fit: class, line, layer and message."""

from __future__ import annotations

import pytest

from mirada.arch import parse
from mirada.errors import ArchitectureError, ClaimError, MisfitError

MISFITS: list[tuple[str, type[ArchitectureError], int, str, str]] = [
    # lines below `[9x9x3] INPUT`, the class, the line, the layer, the message
    (
        "[7x7x3] CONV 4 3x3",
        ClaimError,
        2,
        "CONV1",
        "CONV1 does not give what the listing claims (made.net, line 2)\n"
        "  claimed [7x7x3], computed [7x7x4] from its input [9x9x3]: the depth is 4, not 3",
    ),
    (
        "FC 5\n[4] FC 5",
        ClaimError,
        3,
        "FC2",
        "FC2 does not give what the listing claims (made.net, line 3)\n  claimed [4], computed [5] from its input [5]: "
        "the depth is 5, not 4",
    ),
    (
        "[9x9x4] RESIDUAL\n  CONV 3 1x1",
        ClaimError,
        2,
        "RESIDUAL1",
        "RESIDUAL1 does not give what the listing claims (made.net, line 2)\n"
        "  claimed [9x9x4], computed [9x9x3] from its input [9x9x3]: the depth is 3, not 4",
    ),
    (
        "PARALLEL\n  [5x5x5] BRANCH: CONV 3 1x1",
        ClaimError,
        3,
        "PARALLEL1.BRANCH1",
        "BRANCH1 in PARALLEL1 does not give what the listing claims (made.net, line 3)\n"
        "  claimed [5x5x5], computed [9x9x3] from its input [9x9x3]",
    ),
    (
        "REPEAT: 3 times\n  CONV: 3 4x4",
        MisfitError,
        3,
        "REPEAT1.3.CONV1",
        "CONV1 in REPEAT1.3 has a filter larger than its input (made.net, line 3)\n"
        "  side: the filter covers 4, the input has 3\n"
        "  fits: input 4 or 5 · filter 3 or 2 · pad 1 or 2",
    ),
    (
        "RESIDUAL\n  CONV 4 1x1",
        MisfitError,
        2,
        "RESIDUAL1",
        "RESIDUAL1 cannot add its two ways (made.net, line 2)\n"
        "  its layers give 9x9x4, its input 9x9x3: a sum needs two equal volumes\n"
        "  fits: SHORTCUT: CONV 4 1x1 filters",
    ),
]


@pytest.mark.parametrize(("lines", "kind", "line", "layer", "message"), MISFITS)
def test_networks_that_do_not_fit(lines: str, kind: type[ArchitectureError], line: int, layer: str, message: str):
    with pytest.raises(kind) as caught:
        parse(f"[9x9x3] INPUT\n{lines}", "made.net")
    assert str(caught.value) == message
    assert (caught.value.line, caught.value.layer, caught.value.source) == (line, layer, "made.net")


def test_alexnet_does_not_fit_the_input_that_its_paper_names():
    listing = "name: AlexNet\n[224x224x3] INPUT\nCONV1: 96 11x11 filters at stride 4, pad 0"
    refusal = """\
CONV1 does not fit its input ({}, line 3)
  (W - F + 2P)/S + 1 = (224 - 11 + 2*0)/4 + 1 = 54.25 is not whole: the last column and row would never be read
  fits: input 223 or 227 · filter 12 or 8 · stride 1 or 3 · rounding: floor (gives 54, drops 1)"""
    with pytest.raises(MisfitError) as caught:
        parse(listing, "alexnet.net")
    assert str(caught.value) == refusal.format("alexnet.net")
    with pytest.raises(MisfitError) as caught:  # without a file, the network's name
        parse(listing)
    assert str(caught.value) == refusal.format("AlexNet")


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("224x224", "223x223"),
        ("224x224", "227x227"),
        ("11x11", "12x12"),
        ("11x11", "8x8"),
        ("stride 4", "stride 1"),
        ("stride 4", "stride 3"),
        ("pad 0", "pad 0, rounding: floor"),
    ],
)
def test_everything_that_the_refusal_proposes_does_fit(said: str, cure: str):
    listing = "[224x224x3] INPUT\nCONV1: 96 11x11 filters at stride 4, pad 0"
    assert parse(listing.replace(said, cure)).output.depth == 96
