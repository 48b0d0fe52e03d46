"""Mixed batches: pixels and targets by the same shares."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mirada.image.mix import mixed
from mirada.image.policy import POLICIES, Policy


def batch(
    count: int, height: int = 20, width: int = 30, channels: int = 3
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Even pictures of levels 0, 10, 20, ..., each a class of its own."""
    levels = np.arange(count, dtype=np.uint8) * 10
    pixels = np.broadcast_to(levels[:, None, None, None], (count, height, width, channels)).copy()
    return pixels, np.eye(count)


@settings(max_examples=100)
@given(
    count=st.integers(2, 8),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    channels=st.sampled_from([1, 3]),
    policy=st.builds(Policy, mixup=st.floats(0, 5), cutmix=st.floats(0, 5)),
    seed=st.integers(0, 2**32),
)
def test_each_is_mixed_with_the_one_before(
    count: int, size: tuple[int, int], channels: int, policy: Policy, seed: int
) -> None:
    """The mean level of a mixed view is that of its targets; shares sum to 1; what was given stays."""
    pixels, targets = batch(count, *size, channels)
    before = pixels.copy(), targets.copy()
    together, shares = mixed(pixels, targets, policy, np.random.default_rng(seed))
    assert (together.shape, together.dtype) == (pixels.shape, np.uint8)
    assert (shares.shape, shares.dtype) == (targets.shape, np.float32)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    for i in range(count):
        assert set(np.flatnonzero(shares[i] > 1e-6)) <= {i, (i - 1) % count}
        assert abs(together[i].mean() - float(shares[i] @ (10 * np.arange(count)))) <= 0.51
    assert np.array_equal(pixels, before[0])
    assert np.array_equal(targets, before[1])


def test_cutmix_puts_in_a_rectangle() -> None:
    """Whose area is the share, everywhere in the picture, of all sizes."""
    pixels, targets = batch(3, 40, 60)
    rng, kept, seen = np.random.default_rng(0), [], np.zeros((40, 60))
    for _ in range(400):
        together, shares = mixed(pixels, targets, Policy(cutmix=1.0), rng)
        is_other = (together[1] != 10).any(axis=2)
        rows, columns = is_other.any(axis=1), is_other.any(axis=0)
        assert np.array_equal(is_other, rows[:, None] & columns)
        assert all((np.diff(np.flatnonzero(line)) == 1).all() for line in (rows, columns))
        assert (together[1][is_other] == 0).all()
        assert shares[1, 0] == pytest.approx(is_other.mean(), abs=1e-6)
        assert shares[1, 1] == pytest.approx(1 - is_other.mean(), abs=1e-6)
        kept.append(shares[1, 1])
        seen += is_other
    assert abs(np.mean(kept) - 0.5) < 4 * np.sqrt(1 / 12 / 400)  # alpha 1 is uniform
    assert np.std(kept) == pytest.approx(np.sqrt(1 / 12), rel=0.15)
    assert seen.min() > 0


def test_mixup_is_the_sum_of_shares() -> None:
    """Equation 1 of the paper, in floating-point numbers, with lambda from a beta distribution."""
    pixels = np.random.default_rng(1).integers(0, 256, (4, 20, 30, 3), np.uint8)
    rng, kept = np.random.default_rng(0), []
    for _ in range(400):
        together, shares = mixed(pixels, np.eye(4), Policy(mixup=0.4), rng)
        share = float(shares[2, 2])
        expected = share * pixels[2] + (1 - share) * pixels[1].astype(float)
        assert np.abs(together[2] - expected).max() <= 0.51
        kept.append(share)
    assert np.var(kept) == pytest.approx(1 / (4 * (2 * 0.4 + 1)), rel=0.2)  # of Beta(0.4, 0.4)


def test_of_two_ways_each_is_taken_half_of_the_time() -> None:
    pixels, targets = batch(2)
    rng = np.random.default_rng(0)
    ways = [len(np.unique(mixed(pixels, targets, Policy(mixup=1, cutmix=1), rng)[0][1])) == 2 for _ in range(400)]
    assert 150 < sum(ways) < 250


@pytest.mark.parametrize("policy", [POLICIES["standard"], Policy()])
def test_nothing_is_mixed_without_a_number(policy: Policy) -> None:
    pixels, targets = batch(4)
    together, shares = mixed(pixels, targets, policy, np.random.default_rng(0))
    assert np.array_equal(together, pixels)
    assert np.array_equal(shares, targets)


def test_one_picture_alone_stays() -> None:
    pixels, targets = batch(1)
    together, shares = mixed(pixels, targets, POLICIES["strong"], np.random.default_rng(0))
    assert np.array_equal(together, pixels)
    assert shares.tolist() == [[1.0]]


def test_the_same_numbers_give_the_same_batch() -> None:
    pixels, targets = batch(5)
    found = [mixed(pixels, targets, POLICIES["strong"], np.random.default_rng(seed)) for seed in (3, 3, 4, 5)]
    assert np.array_equal(found[0][0], found[1][0])
    assert np.array_equal(found[0][1], found[1][1])
    assert any(not np.array_equal(one[1], other[1]) for one, other in pairwise(found[1:]))
