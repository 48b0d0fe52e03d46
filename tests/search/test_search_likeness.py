"""How alike pictures are, and how alike random pairs of a collection are."""

from __future__ import annotations

import numpy as np
import pytest

from mirada.search.likeness import FEWEST, OTHERS, SHARES, WEIGHT, background, likeness, share_below
from mirada.search.places import GRID, packed, unit

COUNT = 2 * OTHERS + 1
"""Images of which every pair is compared, once."""


def drawn(rng: np.random.Generator, *shape: int) -> np.ndarray:
    vectors = rng.standard_normal(shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_without_places_it_is_the_cosine() -> None:
    cosines = np.array([0.2, 0.5], np.float32)
    assert likeness(cosines, None, [b"", b""]).tolist() == cosines.tolist()
    assert likeness(cosines, drawn(np.random.default_rng(0), GRID * GRID, 8), [None, None]).tolist() == cosines.tolist()


def test_places_count_more() -> None:
    places = drawn(np.random.default_rng(0), 2, GRID * GRID, 64)
    found = likeness(np.array([0.5, 0.5], np.float32), places[0], [packed(each) for each in places])
    assert found[0] == pytest.approx((0.5 + WEIGHT) / (1 + WEIGHT), abs=0.01)
    assert found[1] < found[0] - 0.2


def test_random_pairs_tell_how_alike_any_two_are() -> None:
    vectors = drawn(np.random.default_rng(0), COUNT, 8)
    told = background(vectors, [None] * COUNT)
    assert told is not None
    pairs = (vectors @ vectors.T)[np.triu_indices(COUNT, 1)]
    for share, cosine in zip(SHARES, told, strict=True):
        assert (pairs <= cosine).mean() == pytest.approx(share, abs=2e-4)
        assert share_below(told, cosine) == pytest.approx(share)
    assert share_below(told, 1.0) == SHARES[-1]
    assert share_below(told, -1.0) == 0.0


@pytest.mark.parametrize("count", [FEWEST, FEWEST + 1, COUNT])
def test_random_pairs_are_compared_by_their_places_too(count: int) -> None:
    """Each image with those that follow it in a circle, no pair twice."""
    rng = np.random.default_rng(1)
    vectors, places = drawn(rng, count, 8), drawn(rng, count, GRID * GRID, 6)
    kept = [packed(each) for each in places]
    pairs = {(one, (one + step) % count) for one in range(count) for step in range(1, (count - 1) // 2 + 1)}
    assert len({frozenset(pair) for pair in pairs}) == count * ((count - 1) // 2)
    found = [likeness(vectors[[b]] @ vectors[a], unit(kept[a]), [kept[b]])[0] for a, b in pairs]
    assert background(vectors, kept) == pytest.approx(np.quantile(found, SHARES), abs=1e-5)


def test_a_few_images_tell_nothing() -> None:
    vectors = drawn(np.random.default_rng(0), FEWEST - 1, 8)
    assert background(vectors, [None] * len(vectors)) is None
