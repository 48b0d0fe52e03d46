"""Places of pictures: how they are whitened, kept and compared, against NumPy."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mirada.search.places import GRID, KEPT, Projection, alike, crops, packed, unpacked


@pytest.fixture(scope="module")
def maps() -> np.ndarray:
    """Places (N, P, D) whose numbers depend on each other, a few outweighing the rest."""
    rng = np.random.default_rng(0)
    return (rng.standard_normal((60, GRID * GRID, 80)) * np.linspace(5, 0.2, 80)) @ rng.standard_normal((80, 80)) + 3


def test_whitened_places_vary_alike_in_every_direction(maps: np.ndarray) -> None:
    projection = Projection.learnt(maps)
    flat = maps.reshape(-1, 80)
    raw = (flat - projection.mean) @ projection.basis
    assert raw.shape[1] == KEPT
    assert np.allclose(np.cov(raw.T), np.eye(KEPT), atol=0.02)
    assert np.allclose(raw.mean(axis=0), 0, atol=1e-3)
    kept = projection(maps)
    assert kept.shape == (60, GRID * GRID, KEPT)
    assert np.allclose(np.linalg.norm(kept, axis=-1), 1, atol=1e-5)


def test_a_projection_comes_back_from_json(maps: np.ndarray) -> None:
    projection = Projection.learnt(maps)
    again = Projection.from_json(json.loads(json.dumps(projection.to_json())))
    assert np.array_equal(again.mean, projection.mean)
    assert np.array_equal(again.basis, projection.basis)


def test_alike_is_the_weighted_mean_of_the_best_fits(maps: np.ndarray) -> None:
    kept = Projection.learnt(maps)(maps)
    others = unpacked([packed(places) for places in kept[:9]])
    assert others.dtype == np.int8
    found = alike(kept[0], others)
    for other in range(9):
        best = np.array([[a @ b for b in kept[other]] for a in kept[0]]).max(axis=1)
        line = np.exp(-0.5 * (np.linspace(-1, 1, GRID) / 0.6) ** 2)
        weights = np.array([a * b for a in line for b in line])
        assert found[other] == pytest.approx(float(best @ weights / weights.sum()), abs=0.01)
    assert found[0] == pytest.approx(1, abs=0.01)
    assert found.max() <= 1


def test_a_thing_that_has_moved_is_found(maps: np.ndarray) -> None:
    """The places are the same, in another order: as alike as can be, up to the rounding."""
    kept = Projection.learnt(maps)(maps[:1])[0]
    moved = np.roll(kept.reshape(GRID, GRID, -1), (2, 3), axis=(0, 1)).reshape(kept.shape)
    assert alike(kept, unpacked([packed(moved)]))[0] == pytest.approx(1, abs=0.01)


def test_the_photographs_give_the_same_squares_each_time() -> None:
    once, again = crops(), crops()
    assert len(once) == 72
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    assert {square.shape[0] == square.shape[1] for square in once} == {True}
    assert {square.shape[0] for square in once} == {224, 300, 427}
