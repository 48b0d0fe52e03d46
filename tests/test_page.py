"""The pieces of a page: what is escaped, how shares are written, what thumbnails keep."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn import decoded
from mirada.page import tag, thumbnail
from mirada.words import percent, visible


@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_any_text_comes_back_from_an_element(word: str) -> None:
    element = ElementTree.fromstring(tag("p", word, title=word).encode())
    shown = visible(word)
    assert (element.text or "") == shown
    assert element.attrib["title"] == shown.replace("\n", " ")  # so XML reads a line break in an attribute


@given(st.floats(0, 1))
def test_a_percentage_says_nothing_of_all_or_none(share: float) -> None:
    written = percent(share)
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
    found = decoded(thumbnail(image))
    assert found.shape == expected
    assert np.abs(found.astype(int) - 77).max() <= 3


def test_a_thumbnail_keeps_the_order_of_colours_and_the_place_of_things() -> None:
    image = np.zeros((80, 160, 3), np.uint8)
    image[:, :80] = (220, 40, 20)
    image[:, 80:] = (20, 60, 200)
    found = decoded(thumbnail(image)).astype(int)
    assert np.abs(found[40, 20] - (220, 40, 20)).max() < 8
    assert np.abs(found[40, 140] - (20, 60, 200)).max() < 8
