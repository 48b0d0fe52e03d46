"""The loss of each image, and what counts as better."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirada.learn.losses import (
    best_tried,
    calibrated_losses,
    is_clear,
    is_worth_a_stage,
    is_worth_another_trial,
    leaves_little,
)


@pytest.mark.parametrize(
    ("before", "loss", "is_worth"),
    [
        (0.70, 0.65, True),
        (0.70, 0.67, False),
        (0.70, 0.75, False),
        (0.24, 0.21, False),
        (0.24, 0.19, True),
        (0.10, 0.07, True),  # little is left: three tenths of it are much
        (0.10, 0.08, False),
        (0.0, 0.0, False),
    ],
)
def test_one_stage_more_must_save_enough(before: float, loss: float, is_worth: bool) -> None:
    assert is_worth_a_stage(before, loss) is is_worth


@pytest.mark.parametrize(
    ("losses", "best", "is_worth"),
    [
        ([0.36], 0, True),
        ([0.36, 0.35], 1, True),
        ([0.36, 0.37], 0, True),  # one trial that fails is not enough to stop
        ([0.36, 0.37, 0.22], 2, True),
        ([0.36, 0.37, 0.36], 0, False),
        ([0.36, 0.32, 0.22], 2, True),
        ([0.36, 0.32, 0.29], 1, False),
        ([0.36, 0.32, 0.22, 0.21], 2, False),
        ([0.36, 0.32, 0.22, 0.15], 3, True),
    ],
)
def test_which_depth_the_trials_speak_for_and_whether_to_go_on(losses: list[float], best: int, is_worth: bool) -> None:
    assert best_tried(losses) == best
    assert is_worth_another_trial(losses) is is_worth


@pytest.mark.parametrize(
    ("right", "loss", "is_little"), [(40, 0.009, True), (40, 0.011, False), (39, 0.009, False), (40, 0.0, True)]
)
def test_what_leaves_little_to_gain(right: int, loss: float, is_little: bool) -> None:
    assert leaves_little({"images": 40, "right": right, "loss": loss}) is is_little


def test_a_gain_is_clear_above_its_standard_error() -> None:
    """Deviations of 0.1 over 100 images: a standard error of 0.01."""
    deviations = np.tile([-0.1, 0.1], 50)
    assert is_clear(deviations + 0.011)
    assert not is_clear(deviations + 0.009)
    assert not is_clear(deviations - 0.011)
    assert not is_clear(np.array([0.5]))  # of one image nothing is known


@settings(max_examples=15)
@given(
    classes=st.integers(2, 6),
    factor=st.floats(0.2, 5),
    strength=st.floats(0.5, 3),
    seed=st.integers(0, 1000),
)
def test_calibrated_losses_do_not_ask_how_loud_the_logits_are(
    classes: int, factor: float, strength: float, seed: int
) -> None:
    """But for the prior that holds the temperature near 1 and weighs 8 images: of 20,000 it moves little."""
    rng = np.random.default_rng(seed)
    class_ids = rng.integers(0, classes, 20_000)
    logits = rng.normal(size=(20_000, classes)) + strength * np.eye(classes)[class_ids]
    once, scaled = calibrated_losses(logits, class_ids), calibrated_losses(factor * logits, class_ids)
    assert once.shape == (20_000,)
    assert scaled.mean() == pytest.approx(once.mean(), abs=2e-3)
    np.testing.assert_allclose(scaled, once, rtol=0.2, atol=0.05)


def test_calibrated_losses_by_hand() -> None:
    """Where the logits are right as they are, the temperature is 1: the classes have these odds."""
    odds = np.array([0.75, 0.25])
    logits, class_ids = np.tile(np.log(odds), (4000, 1)), np.repeat([0, 1], [3000, 1000])
    found = calibrated_losses(logits, class_ids)
    np.testing.assert_allclose(found, -np.log(odds)[class_ids], atol=1e-6)
    np.testing.assert_allclose(calibrated_losses(7 * logits, class_ids), found, rtol=0.01)
    assert calibrated_losses(np.zeros((0, 3)), np.zeros(0, np.int64)).shape == (0,)
