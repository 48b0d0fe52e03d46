from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import beta, binom, binomtest
from sklearn import metrics

from mirada.learn.scores import (
    ReliabilityBin,
    Threshold,
    balanced_accuracy,
    balanced_accuracy_interval,
    confusion_matrix,
    expected_calibration_error,
    fit_temperature,
    paired_test,
    reliability,
    share_interval,
    sure_threshold,
)

Ids = NDArray[np.int64]

COUNTS = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
LEVELS = st.sampled_from([0.5, 0.8, 0.95, 0.99])
PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=70)
NOTHING = np.zeros(0, np.int64)


def _ids(pairs: list[tuple[int, int]]) -> tuple[Ids, Ids]:
    return np.array([truth for truth, _ in pairs], np.int64), np.array([called for _, called in pairs], np.int64)


def _confusion(right: Any, images: Any) -> Ids:
    """Counts with the given right answers and images of each class; all mistakes name the next class."""
    classes = len(images)
    confusion = np.diag(np.asarray(right, np.int64))
    confusion[np.arange(classes), (np.arange(classes) + 1) % classes] += np.subtract(images, right)
    return confusion


# Shares.


@given(COUNTS, LEVELS)
def test_the_interval_of_a_share_is_that_of_scipys_beta(counts: tuple[int, int], level: float) -> None:
    right, images = counts
    jeffreys = beta(right + 0.5, images - right + 0.5)
    low, high = share_interval(right, images, level)
    assert low == (0 if right == 0 else pytest.approx(jeffreys.ppf((1 - level) / 2), abs=1e-9))
    assert high == (1 if right == images else pytest.approx(jeffreys.isf((1 - level) / 2), abs=1e-9))


@given(COUNTS)
def test_the_interval_of_a_share_holds_it_and_lies_within_the_exact_one(counts: tuple[int, int]) -> None:
    right, images = counts
    low, high = share_interval(right, images)
    exact = binomtest(right, images).proportion_ci(0.95, method="exact")
    assert 0 <= exact.low <= low + 1e-12 < right / images + 1e-9
    assert right / images - 1e-9 < high - 1e-12 <= exact.high <= 1
    other_low, other_high = share_interval(images - right, images)
    assert (low, high) == pytest.approx((1 - other_high, 1 - other_low), abs=1e-12)


@given(st.integers(2, 500).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
def test_one_right_answer_more_moves_both_ends_up(counts: tuple[int, int]) -> None:
    (low, high), (next_low, next_high) = share_interval(*counts), share_interval(counts[0] + 1, counts[1])
    assert low < next_low
    assert high < next_high or high == 1 == next_high


def test_the_interval_of_no_image_is_everything() -> None:
    assert share_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("images", "mean", "least"), [(10, 0.9549, 0.8681), (100, 0.9500, 0.8802)])
def test_the_coverage_that_the_docstring_states(images: int, mean: float, least: float) -> None:
    """Exactly: for each share the probabilities of the counts whose interval holds it, summed."""
    shares = np.linspace(0.6, 1, 4001)[:-1]
    ends = [share_interval(right, images) for right in range(images + 1)]
    coverage = sum(
        binom.pmf(right, images, shares) * ((low <= shares) & (shares <= high))
        for right, (low, high) in enumerate(ends)
    )
    assert (np.mean(coverage), np.min(coverage)) == pytest.approx((mean, least), abs=1e-3)


# The confusion matrix and the balanced accuracy.


@given(PAIRS)
def test_the_confusion_matrix_and_the_balanced_accuracy_are_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    truth, called = _ids(pairs)
    confusion = confusion_matrix(truth, called, 4)
    assert confusion.dtype == np.int64
    assert np.array_equal(confusion, metrics.confusion_matrix(truth, called, labels=range(4)))
    recalls = metrics.recall_score(truth, called, labels=np.unique(truth), average=None)
    assert balanced_accuracy(confusion) == pytest.approx(recalls.mean())


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_ids_of_any_whole_type_are_counted(dtype: type[Any]) -> None:
    ids = np.array([0, 200, 200], dtype)
    confusion = confusion_matrix(ids, ids[::-1], 201)
    assert {(int(i), int(j)): int(confusion[i, j]) for i, j in np.argwhere(confusion)} == {
        (0, 200): 1,
        (200, 0): 1,
        (200, 200): 1,
    }


def test_no_image_has_no_balanced_accuracy() -> None:
    nothing = confusion_matrix(NOTHING, NOTHING, 3)
    assert nothing.tolist() == [[0] * 3] * 3
    assert np.isnan(balanced_accuracy(nothing))
    assert balanced_accuracy_interval(nothing) == (0.0, 1.0)


@given(PAIRS, LEVELS)
def test_the_interval_of_the_balanced_accuracy_by_the_formula(pairs: list[tuple[int, int]], level: float) -> None:
    """A loop over the classes, after the docstring and with scipy.stats."""
    confusion = confusion_matrix(*_ids(pairs), 4).tolist()
    rows = [(row[k], sum(row)) for k, row in enumerate(confusion) if sum(row)]
    m = sum(right / n for right, n in rows) / len(rows)
    variance = 0.0
    for right, n in rows:
        q = (right + m) / (n + 1)
        variance += q * (1 - q) / n / (1 - n / (n + 1) ** 2) / len(rows) ** 2
    low, high = balanced_accuracy_interval(np.array(confusion), level)
    assert low <= m + 1e-12
    assert high >= m - 1e-12
    if variance > 1e-15:
        jeffreys = beta(m * m * (1 - m) / variance + 0.5, m * (1 - m) ** 2 / variance + 0.5)
        assert (low, high) == pytest.approx((jeffreys.ppf((1 - level) / 2), jeffreys.isf((1 - level) / 2)), abs=1e-7)
    else:
        assert (low, high)[round(m)] == round(m)


@given(PAIRS, st.permutations(range(4)))
def test_the_order_of_the_classes_changes_nothing(pairs: list[tuple[int, int]], order: list[int]) -> None:
    confusion = confusion_matrix(*_ids(pairs), 4)
    shuffled = confusion[np.ix_(order, order)]
    assert balanced_accuracy(shuffled) == pytest.approx(balanced_accuracy(confusion))
    assert balanced_accuracy_interval(shuffled) == pytest.approx(balanced_accuracy_interval(confusion))


@pytest.mark.parametrize(("right", "end"), [(7, 1), (0, 0)])
def test_classes_of_equal_size_and_recall_are_one_large_class(right: int, end: int) -> None:
    """All right, or all wrong: each class adds its images in full."""
    found = balanced_accuracy_interval(_confusion([right] * 5, [7] * 5))
    assert found == pytest.approx(share_interval(5 * right, 35))
    assert found[end] == end


def test_more_images_narrow_the_interval_as_their_root() -> None:
    (low, high), (next_low, next_high) = (
        balanced_accuracy_interval(_confusion([n * 8, n * 6, n * 9], [n * 10] * 3)) for n in (10, 40)
    )
    assert (high - low) / (next_high - next_low) == pytest.approx(2, rel=0.01)


def test_95_of_100_intervals_hold_the_truth() -> None:
    """500 seeded data sets of 20 classes of 8 to 60 images, whose recalls are known."""
    rng = np.random.default_rng(2024)
    held = np.zeros(2)
    for _ in range(500):
        images, recalls = rng.integers(8, 61, 20), rng.uniform(0.6, 1, 20)
        right = rng.binomial(images, recalls)
        low, high = share_interval(int(right.sum()), int(images.sum()))
        held[0] += low <= np.average(recalls, weights=images) <= high
        low, high = balanced_accuracy_interval(_confusion(right, images))
        held[1] += low <= recalls.mean() <= high
    assert (held >= 0.93 * 500).all()
    assert (held <= 0.97 * 500).all()


@pytest.mark.parametrize(("least", "most", "lowest"), [(5, 12, 0.6), (5, 12, 0.9), (1, 4, 0.6)])
def test_the_balanced_accuracy_of_small_classes_is_held_too(least: int, most: int, lowest: float) -> None:
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(2000):
        images, recalls = rng.integers(least, most + 1, 20), rng.uniform(lowest, 1, 20)
        low, high = balanced_accuracy_interval(_confusion(rng.binomial(images, recalls), images))
        held += low <= recalls.mean() <= high
    assert 0.93 * 2000 <= held <= 0.97 * 2000


# The paired test.


@pytest.mark.parametrize(
    ("a_alone", "b_alone", "expected"), [(1, 7, 0.0390625), (7, 1, 0.0390625), (0, 2, 0.25), (3, 3, 0.84375), (0, 0, 1)]
)
def test_the_mid_p_by_hand(a_alone: int, b_alone: int, expected: float) -> None:
    """The first is example 1 of Fagerland et al. 2013: airway hyper-responsiveness before and after a transplant."""
    right_a = np.repeat([True, False, True, False], [a_alone, b_alone, 12, 1])
    right_b = np.repeat([False, True, True, False], [a_alone, b_alone, 12, 1])
    assert paired_test(right_a, right_b) == pytest.approx(expected)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_the_mid_p_by_counting_divisions(pairs: list[tuple[bool, bool]]) -> None:
    right_a, right_b = np.array(pairs, np.bool_).reshape(-1, 2).T
    a_alone = sum(a and not b for a, b in pairs)
    n = a_alone + sum(b and not a for a, b in pairs)
    uneven = abs(2 * a_alone - n)
    more = sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) > uneven)
    equally = sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) == uneven)
    found = paired_test(right_a, right_b)
    assert found == pytest.approx((more + equally / 2) / 2**n if n else 1)
    assert found == paired_test(right_b, right_a)
    assert 0 < found <= (binomtest(a_alone, n).pvalue + 1e-12 if n else 1)


def test_a_lead_that_grows_makes_the_p_value_smaller() -> None:
    found = [paired_test(np.arange(20) < lead, np.arange(20) >= lead) for lead in range(10, 21)]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == len(found)


# What is refused.

IDS, YES = np.array([0, 1, 1]), np.array([True, False, True])
HALF = np.array([0.5, 0.5, 0.5])
REFUSED: list[tuple[str, Callable[[], object]]] = [
    ("right: expected 0 to 5", lambda: share_interval(6, 5)),
    ("right: expected 0 to 5", lambda: share_interval(-1, 5)),
    ("right: expected 0 to -1", lambda: share_interval(0, -1)),
    ("level:", lambda: share_interval(1, 5, 1.0)),
    ("level:", lambda: balanced_accuracy_interval(np.eye(2, dtype=np.int64), 0.0)),
    ("truth: .* integer", lambda: confusion_matrix(HALF, IDS, 2)),  # type: ignore[arg-type]
    ("truth: .* shape", lambda: confusion_matrix(IDS[None], IDS, 2)),
    ("truth: .* 0 to 1, got 0 to 2", lambda: confusion_matrix(IDS * 2, IDS, 2)),
    ("called: .* 0 to 1, got -1 to 0", lambda: confusion_matrix(IDS, IDS - 1, 2)),
    ("called: expected 3", lambda: confusion_matrix(IDS, IDS[:2], 2)),
    ("confusion:", lambda: balanced_accuracy(np.zeros((2, 3), np.int64))),
    ("confusion:", lambda: balanced_accuracy_interval(np.zeros(4, np.int64))),
    ("level:", lambda: balanced_accuracy_interval(np.eye(2, dtype=np.int64), level=95)),
    ("bins:", lambda: expected_calibration_error(HALF, YES, 0)),
    ("probabilities: .* from 0 to 1", lambda: expected_calibration_error(HALF * 3, YES)),
    ("probabilities: .* from 0 to 1", lambda: reliability(HALF * np.nan, YES)),
    ("probabilities: .* shape", lambda: reliability(HALF[None], YES)),
    ("is_right: expected 3", lambda: reliability(HALF, YES[:2])),
    ("is_right: .* bool", lambda: sure_threshold(HALF, IDS)),  # type: ignore[arg-type]
    ("precision:", lambda: sure_threshold(HALF, YES, 95)),
    ("logits: expected .N, K.", lambda: fit_temperature(HALF, IDS)),
    ("logits: .* finite", lambda: fit_temperature(np.full((3, 2), np.inf), IDS)),
    ("class_ids: expected 4", lambda: fit_temperature(np.zeros((4, 2)), IDS)),
    ("class_ids: .* 0 to 0, got 0 to 1", lambda: fit_temperature(np.zeros((3, 1)), IDS)),
    ("right_a: .* bool", lambda: paired_test(IDS, YES)),  # type: ignore[arg-type]
    ("right_b: expected 3", lambda: paired_test(YES, YES[:2])),
]


@pytest.mark.parametrize(("message", "call"), REFUSED)
def test_a_wrong_argument_is_named(message: str, call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        call()


@pytest.mark.parametrize("value", [Threshold(0.5, 0.9, 0.95, 0.5, 10), ReliabilityBin(0, 1, 1, 0.5, 1, (0.1, 1))])
def test_values_cannot_be_changed(value: Threshold | ReliabilityBin) -> None:
    with pytest.raises(FrozenInstanceError):
        value.images = 3  # type: ignore[misc]
