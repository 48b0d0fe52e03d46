from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.calibration import calibration_curve

from mirada.learn.scores import (
    PRIOR_WEIGHT,
    Threshold,
    expected_calibration_error,
    fit_temperature,
    reliability,
    share_interval,
    sure_threshold,
)

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

ANSWERS = st.lists(st.tuples(st.integers(0, 40).map(lambda k: k / 40), st.booleans()), max_size=150)


def _answers(pairs: list[tuple[float, bool]]) -> tuple[Floats, Bools]:
    return np.array([p for p, _ in pairs], np.float64), np.array([right for _, right in pairs], np.bool_)


# Calibration.


@given(ANSWERS, st.integers(1, 20))
def test_calibration_by_a_loop_over_the_images(pairs: list[tuple[float, bool]], bins: int) -> None:
    assume(pairs)
    found = reliability(*_answers(pairs), bins)
    error = 0.0
    expected = []
    for m in range(bins):
        inside = [(p, right) for p, right in pairs if m / bins < p <= (m + 1) / bins or p == m == 0]
        if inside:
            confidence = sum(p for p, _ in inside) / len(inside)
            right = sum(right for _, right in inside)
            expected.append((m / bins, (m + 1) / bins, len(inside), right / len(inside)))
            error += len(inside) / len(pairs) * abs(right / len(inside) - confidence)
            assert found[len(expected) - 1].confidence == pytest.approx(confidence)
            assert found[len(expected) - 1].interval == share_interval(right, len(inside))
    assert [(b.low, b.high, b.images, b.accuracy) for b in found] == expected
    assert expected_calibration_error(*_answers(pairs), bins) == pytest.approx(error)
    assert 0 <= error <= 1


def test_the_diagram_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.uniform(size=500)  # none on an edge: scikit-learn's bins are closed on the left
    is_right = rng.uniform(size=500) < probabilities**2
    accuracy, confidence = calibration_curve(is_right, probabilities, n_bins=10)
    found = reliability(probabilities, is_right)
    assert [b.accuracy for b in found] == pytest.approx(accuracy)
    assert [b.confidence for b in found] == pytest.approx(confidence)


@pytest.mark.parametrize(
    ("probability", "low", "high"), [(0.0, 0.0, 0.1), (0.1, 0.0, 0.1), (0.3, 0.2, 0.3), (0.7, 0.6, 0.7), (1.0, 0.9, 1)]
)
def test_an_edge_belongs_to_the_bin_below_it(probability: float, low: float, high: float) -> None:
    [found] = reliability(np.array([probability]), np.array([True]))
    assert (found.low, found.high) == (low, high)


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_who_is_always_sure_errs_by_the_share_that_is_wrong(bins: int) -> None:
    assert expected_calibration_error(np.ones(8), np.arange(8) < 6, bins) == 0.25


def test_no_image_has_no_calibration() -> None:
    assert np.isnan(expected_calibration_error(np.zeros(0), np.zeros(0, np.bool_)))
    assert reliability(np.zeros(0), np.zeros(0, np.bool_)) == ()


# Temperature.


def _logits(images: int, classes: int, temperature: float, seed: int, spread: float = 3.0) -> tuple[Floats, Ids]:
    """Logits that are the `temperature` too large for the classes that are drawn from them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (images, classes))
    return temperature * logits, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


def _cross_entropy(logits: Floats, class_ids: Ids) -> float:
    return float(-log_softmax(logits, axis=1)[np.arange(len(class_ids)), class_ids].mean())


@given(st.integers(0, 60), st.integers(1, 8), st.sampled_from([0.3, 0.9, 2.0, 5.0]), st.integers(0, 99))
@settings(max_examples=40)
def test_no_other_temperature_is_better(images: int, classes: int, too_large: float, seed: int) -> None:
    logits, class_ids = _logits(images, classes, too_large, seed)
    found = fit_temperature(logits, class_ids)

    def loss(temperature: float) -> float:
        entropy = images * _cross_entropy(logits / temperature, class_ids) if images else 0.0
        return entropy + PRIOR_WEIGHT * (1 / temperature - 1 - np.log(1 / temperature))

    assert 1 / 20 <= found <= 20
    around = found * np.exp(np.array([-1, -0.1, -1e-4, 1e-4, 0.1, 1]))
    assert all(loss(found) <= loss(t) + 1e-12 * max(1, images) for t in around if 1 / 20 <= t <= 20)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("classes", [2, 10])
def test_the_temperature_that_logits_were_made_with_is_found(temperature: float, classes: int) -> None:
    logits, class_ids = _logits(20_000, classes, temperature, 1)
    assert fit_temperature(logits, class_ids) == pytest.approx(temperature, rel=0.05)


@given(st.integers(0, 99), st.floats(-50, 50))
@settings(max_examples=20)
def test_neither_order_nor_a_constant_changes_the_temperature(seed: int, constant: float) -> None:
    logits, class_ids = _logits(30, 4, 2, seed)
    order = np.random.default_rng(seed).permutation(30)
    assert fit_temperature(logits[order] + constant, class_ids[order]) == pytest.approx(
        fit_temperature(logits, class_ids), rel=1e-6
    )


def test_logits_that_separate_the_classes_do_not_run_away() -> None:
    """By hand: the slope by 1/T of N images with a margin of 5 is 8 (1 - T) - 5 N / (1 + exp(5 / T)), and 0 at T."""
    for images in (1, 100, 10_000):
        t = fit_temperature(np.tile([5.0, 0.0], (images, 1)), np.zeros(images, np.int64))
        assert 0.3 < t < 1
        assert 5 * images / (1 + np.exp(5 / t)) == pytest.approx(8 * (1 - t), rel=1e-5)


def test_the_temperature_has_two_ends() -> None:
    """By hand: the slope by 1/T is negative still at T = 1/20, or positive already at T = 20."""
    timid, wrong = np.tile([0.1, 0.0], (100_000, 1)), np.tile([500.0, 0.0], (1000, 1))
    assert 0.1 * 100_000 / (1 + np.exp(0.1 * 20)) > PRIOR_WEIGHT * (1 - 1 / 20)
    assert fit_temperature(timid, np.zeros(100_000, np.int64)) == 1 / 20
    assert 500 * 1000 / (1 + np.exp(-500 / 20)) > PRIOR_WEIGHT * (20 - 1)
    assert fit_temperature(wrong, np.ones(1000, np.int64)) == 20


def test_nothing_to_learn_from_leaves_logits_as_they_are() -> None:
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, np.int64)) == pytest.approx(1, abs=1e-7)
    assert fit_temperature(np.ones((50, 3)), np.zeros(50, np.int64)) == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize(
    ("too_large", "expected"),
    [(1.0, (0.652, 0.661, 0.715)), (1.5, (0.704, 0.676, 0.742)), (2.0, (0.807, 0.695, 0.729))],
)
def test_twenty_images_do_more_good_than_harm(too_large: float, expected: tuple[float, float, float]) -> None:
    """The docstring's cross entropy of other images: as given, at T, and at a T without a prior, which T must beat."""
    losses = []
    for seed in range(200):
        logits, class_ids = _logits(520, 5, too_large, seed)
        temperature = fit_temperature(logits[:20], class_ids[:20])
        losses.append([_cross_entropy(logits[20:] / t, class_ids[20:]) for t in (1, temperature)])
    assert np.mean(losses, axis=0) == pytest.approx(expected[:2], abs=0.02)
    assert np.mean(losses, axis=0)[1] < expected[2] - 0.02


# The threshold.


@given(ANSWERS, st.sampled_from([0.5, 0.8, 0.9, 0.95]))
def test_the_threshold_by_trying_each(pairs: list[tuple[float, bool]], precision: float) -> None:
    best: tuple[float, int, int] | None = None
    for value in sorted({p for p, _ in pairs}, reverse=True):
        kept = [right for p, right in pairs if p >= value]
        if share_interval(sum(kept), len(kept))[0] >= precision:
            best = (value, sum(kept), len(kept))
    found = sure_threshold(*_answers(pairs), precision)
    if best is None:
        assert found == Threshold(None, precision, None, 0.0, len(pairs))
    else:
        value, right, kept_count = best
        value = 0.0 if kept_count == len(pairs) else value
        assert found == Threshold(value, precision, right / kept_count, kept_count / len(pairs), len(pairs))
        assert right / kept_count >= precision


@given(ANSWERS, st.randoms(use_true_random=False))
def test_a_stricter_threshold_is_never_lower_and_order_says_nothing(
    pairs: list[tuple[float, bool]], random: Any
) -> None:
    found = [sure_threshold(*_answers(pairs), precision).value for precision in (0.0, 0.3, 0.6, 0.9, 1.0)]
    values = [2.0 if value is None else value for value in found]
    assert values == sorted(values)
    assert values[0] == (0.0 if pairs else 2.0)
    assert values[-1] == 2.0
    shuffled = random.sample(pairs, len(pairs))
    assert sure_threshold(*_answers(shuffled), 0.6) == sure_threshold(*_answers(pairs), 0.6)


@pytest.mark.parametrize(
    ("images", "wrong", "promised"), [(48, 0, False), (49, 0, True), (91, 1, False), (92, 1, True), (0, 0, False)]
)
def test_how_many_images_a_promise_takes(images: int, wrong: int, promised: bool) -> None:
    found = sure_threshold(np.full(images, 0.8), np.arange(images) >= wrong)
    assert found.value == (0.0 if promised else None)
    assert found.share == promised


def test_a_lucky_run_is_not_picked_and_a_mistake_at_the_top_forgiven() -> None:
    falling = np.linspace(1, 0.3, 400)
    lucky = (np.arange(400) < 30) | (np.arange(400) % 2 == 0)
    assert sure_threshold(falling, lucky).value is None
    sure = (np.arange(400) < 250) & (np.arange(400) != 3)
    found = sure_threshold(falling, sure)
    assert found.value is not None
    assert falling[249] >= found.value > falling[260]
    assert found.found == np.mean(sure[falling >= found.value])
    assert found.share == np.mean(falling >= found.value)


def test_a_promise_is_kept() -> None:
    """500 data sets; confidence u is right with the probability (1 + u) / 2: above t that is (3 + t) / 4 on average."""
    rng = np.random.default_rng(5)
    promised, broken = 0, 0
    for _ in range(500):
        confidences = rng.uniform(size=300)
        value = sure_threshold(confidences, rng.uniform(size=300) < (1 + confidences) / 2, 0.85).value
        promised += value is not None
        broken += value is not None and (3 + value) / 4 < 0.85
    assert promised > 450
    assert broken <= 0.05 * 500
