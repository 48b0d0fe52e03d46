from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from mirada.learn.estimate import Estimate, deepest_in_time
from mirada.learn.rung import RungRecipe


@pytest.mark.parametrize(
    ("left", "depth"),
    [
        (math.inf, 0),
        (100.0, 0),  # 2 + 4 + 8 for the trials, and 80 for the third
        (93.0, 3),
        (41.0, 3),  # 40 for half of the third
        (39.0, 2),
        (21.0, 2),  # 20 for half of the second
        (19.0, 1),
        (1.0, 1),  # with as few epochs as it takes
    ],
)
def test_the_deepest_rung_for_which_there_is_time(left: float, depth: int) -> None:
    """A rung takes 20, 40 and 80 s here, a trial a tenth of that."""

    def estimate(epochs: int) -> Callable[[int], Estimate]:
        return lambda stages: Estimate(RungRecipe(epochs), 1, 0.0, 1.5**stages, 2.0**stages - 1.5**stages)

    assert deepest_in_time([1, 2, 3], estimate(10), estimate(1), left) == depth
