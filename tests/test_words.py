from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mirada.words import visible


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S"]), max_size=40))
def test_what_can_be_printed_stays_as_it_is(word: str) -> None:
    assert visible(word) == word
