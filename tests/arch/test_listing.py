"""Printing: the listing of a lecture is its own canonical form."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lecture import ALEXNET
from mirada.arch import Architecture, Pair, Volume, format_listing, parse, zoo
from mirada.arch.blocks import Branch, Parallel
from mirada.arch.layers import (
    Activation,
    Conv,
    GlobalPool,
    Layer,
)
from mirada.errors import ArchitectureError

ONE = Pair(1, 1)


def test_the_listing_of_a_lecture_is_canonical(network_of_the_zoo: Callable[[str], Architecture]):
    architecture = parse(ALEXNET)
    assert format_listing(architecture) == ALEXNET
    assert architecture == network_of_the_zoo("alexnet")


@pytest.mark.parametrize("name", ["lenet5", "alexnet", "zfnet", "vgg11", "vgg13", "vgg16", "vgg19"])
def test_files_of_the_zoo_are_canonical(name: str):
    """But for the comment below them: what is printed is what is kept."""
    kept = [line for line in zoo.text(name).splitlines() if line and not line.startswith("#")]
    assert format_listing(parse(zoo.text(name))).splitlines() == kept


NAMELESS: dict[str, tuple[Layer, str]] = {
    "another kind": (Conv("FC1", 1, ONE), "CONV"),
    "no number": (Conv("CONV", 1, ONE), "CONV"),
    "blank": (Conv("CONV 1", 1, ONE), "CONV"),
    "its own": (GlobalPool("last"), "GLOBAL AVG POOL"),
    "branch": (Parallel("PARALLEL1", (Branch("left"),)), "BRANCH"),
    "in a branch": (Parallel("PARALLEL1", (Branch("BRANCH1", (Activation("act"),)),)), "ACTIVATION"),
}


@pytest.mark.parametrize("case", NAMELESS)
def test_names_that_no_line_can_have_are_not_printed(case: str):
    layer, kind = NAMELESS[case]
    with pytest.raises(ArchitectureError, match=f"cannot be the name of a line: call it {kind} and a number or _word"):
        format_listing(Architecture(Volume(1, 1, 1), (layer,)))
