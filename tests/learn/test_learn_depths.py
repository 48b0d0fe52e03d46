from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from mirada.backbone.body import Body
from mirada.errors import ArchitectureError, UsageError
from mirada.learn.depths import depths


class _Cut:
    """A network of four stages whose last two are given no activation maps."""

    backbone = SimpleNamespace(name="strange")
    stages = tuple(SimpleNamespace(multiply_adds=work) for work in (4, 3, 2, 1))

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def input_shape(self, place: int) -> tuple[int, ...]:
        return (9, 5) if len(self.stages) - place <= self.tokens else (9, 5, 5)


def test_how_deep_a_network_may_be_retrained() -> None:
    maps, tokens = (cast(Body, _Cut(count)) for count in (0, 2))
    assert depths(maps, "head") == []
    assert depths(maps, "auto") == [1, 2, 3]  # up to two thirds of the work
    assert [depths(maps, 2), depths(maps, "all")] == [[2], [4]]
    assert [depths(tokens, 3), depths(tokens, "all")] == [[3], [4]]
    with pytest.raises(UsageError, match=r"--retrain 5: strange has 4 stages, give 1 to 4"):
        depths(maps, 5)
    with pytest.raises(UsageError, match=r"--retrain 2: the last 2 stages of strange cannot .* give one of 3, 4"):
        depths(tokens, 2)
    with pytest.raises(ArchitectureError, match="no activation maps are given to the last stage of strange"):
        depths(tokens, "auto")
