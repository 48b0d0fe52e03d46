from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirada.learn import charts


@given(
    st.integers(1, 9).flatmap(
        lambda k: st.lists(st.lists(st.integers(0, 5), min_size=k, max_size=k), min_size=k, max_size=k)
    )
)
def test_the_order_of_classes_is_whole_and_puts_the_worst_pair_together(rows: list[list[int]]) -> None:
    confusion = np.array(rows)
    order = charts.ordered_by_confusion(confusion)
    assert sorted(order) == list(range(len(rows)))
    between = np.triu(confusion + confusion.T, 1)
    if between.any():
        i, j = np.unravel_index(between.argmax(), between.shape)
        assert abs(order.index(int(i)) - order.index(int(j))) == 1
    else:
        assert order == list(range(len(rows)))


def test_an_order_by_hand() -> None:
    """4 and 0 are mixed up most, then 0 and 2; 1 and 3 are not, and keep their places after the group of 0."""
    confusion = np.zeros((5, 5), int)
    confusion[4, 0], confusion[2, 0] = 5, 3
    assert charts.ordered_by_confusion(confusion) == [4, 0, 2, 1, 3]


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.55, 0.93, 5, [0.6, 0.7, 0.8, 0.9]),
        (1, 7, 4, [2, 4, 6]),
        (0, 0.05, 5, [0, 0.01, 0.02, 0.03, 0.04, 0.05]),
    ],
)
def test_the_numbers_of_an_axis(low: float, high: float, most: int, expected: list[float]) -> None:
    assert charts._Axis(low, high, 0, 1).ticks(most) == pytest.approx(expected)


@given(st.floats(0.01, 1e6), st.floats(1.5, 1e4))
def test_the_times_of_an_axis_are_few_and_inside(low: float, factor: float) -> None:
    ticks = charts._Axis(low, low * factor, 0, 1, charts._TIMES).ticks(5)
    assert len(ticks) <= 6
    assert all(low <= tick <= low * factor for tick in ticks)
