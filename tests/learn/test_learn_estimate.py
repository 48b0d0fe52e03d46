from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from mirada.backbone import BUILTIN, Backbone, find
from mirada.backbone.body import Body
from mirada.learn import rung
from mirada.learn.estimate import Budget, Estimate, deepest_in_time
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


def budget(deadline: float, rate: float) -> Budget:
    network = find(BUILTIN)
    assert isinstance(network, Backbone)
    return Budget(deadline, Body(network), lambda stages: None, 600, 5, rate)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("rate", "end"),
    [
        (100.0, 87.0),  # 7 s of the end, though 1,300 images take 13, and 6 for the 600 of the test
        (250.0, 92.4),  # 5.2 s and 2.4
        (2_000.0, 95.7),  # 4 s at least
    ],
)
def test_what_comes_after_the_last_step_has_its_time(rate: float, end: float) -> None:
    assert budget(100.0, rate).last_step == pytest.approx(end)


@pytest.mark.parametrize(("most_views", "extra"), [(3, 2), (2, 1), (1, 0)])
def test_fewer_views_take_less_time(most_views: int, extra: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rung, "step_seconds", lambda *_: 0.32)
    found = budget(math.inf, 100.0).estimate(1, 1_000, 200, is_first_view_kept=True, most_views=most_views)
    assert found.views == most_views
    not_run = 49 * (192 * 1_152 + 9 * 1_152 + 1_152 * 320 + 320 * 1_280) / 385e6  # the last stage's share of the work
    assert found.extraction == pytest.approx(extra * 1_000 / 100 * (1 - not_run / 2), rel=0.005)


@pytest.mark.parametrize(
    ("deadline", "judged"),
    [
        (math.inf, 1.0),
        (1e9, 0.5),  # the last 4 of 8
    ],
)
def test_with_a_deadline_half_of_the_epochs_are_judged(
    deadline: float, judged: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rung, "step_seconds", lambda *_: 0.32)
    found = budget(deadline, 100.0).estimate(1, 1_000, 200, is_first_view_kept=True)
    assert found.recipe.epochs == 8
    assert found.judged == judged
    assert found.epoch == pytest.approx(32 * 0.32)  # 32 steps of 32 images
    assert found.validation == pytest.approx(1.0)  # 200 images forward, a two-hundredth of a second each
    assert found.seconds() == pytest.approx(found.extraction + 8 * (32 * 0.32 + judged))
