from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from drawn import decoded
from hypothesis import given
from hypothesis import strategies as st

from mirada.learn import charts
from mirada.words import visible


@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_any_text_comes_back_from_an_element(word: str) -> None:
    element = ElementTree.fromstring(charts.tag("p", word, title=word).encode())
    shown = visible(word)
    assert (element.text or "") == shown
    assert element.attrib["title"] == shown.replace("\n", " ")  # so XML reads a line break in an attribute


@given(st.floats(0, 1))
def test_a_percentage_says_nothing_of_all_or_none(share: float) -> None:
    written = charts.percent(share)
    assert (written == "100.0%") == (share == 1)
    assert (written == "0.0%") == (share == 0)
    number = float(re.search(r"[\d.]+", written)[0])  # type: ignore[index]
    assert abs(number - 100 * share) <= 0.05 + 1e-9


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((40, 60, 3), (80, 120, 3)),
        ((480, 640, 3), (120, 160, 3)),
        ((640, 480, 3), (160, 120, 3)),
        ((8, 8, 3), (160, 160, 3)),
        ((28, 28, 1), (140, 140)),
        ((1, 1, 3), (160, 160, 3)),
        ((1, 3_000, 3), (1, 160, 3)),
        ((161, 90, 3), (160, 89, 3)),
    ],
)
def test_the_size_of_a_thumbnail(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    image = np.full(shape, 77, np.uint8)
    found = decoded(charts.thumbnail(image))
    assert found.shape == expected
    assert np.abs(found.astype(int) - 77).max() <= 3


def test_a_thumbnail_keeps_the_order_of_colours_and_the_place_of_things() -> None:
    image = np.zeros((80, 160, 3), np.uint8)
    image[:, :80] = (220, 40, 20)
    image[:, 80:] = (20, 60, 200)
    found = decoded(charts.thumbnail(image)).astype(int)
    assert np.abs(found[40, 20] - (220, 40, 20)).max() < 8
    assert np.abs(found[40, 140] - (20, 60, 200)).max() < 8


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
    ticks = charts._Axis(low, low * factor, 0, 1, is_time=True).ticks(5)
    assert len(ticks) <= 6
    assert all(low <= tick <= low * factor for tick in ticks)
