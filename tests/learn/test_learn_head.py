from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from mirada.learn.head import STRENGTHS, fit_head
from mirada.tasks import softmax

Part = tuple[NDArray[np.float32], NDArray[np.int64]]


def _features(count: int, classes: int, seed: int, noise: float = 1.5, scale: float = 4.0) -> Part:
    """Features (count, 6) around a corner for each class, and the classes."""
    rng = np.random.default_rng(seed)
    ids = np.arange(count) % classes
    corners = np.random.default_rng(99).normal(0, 1, (classes, 6))
    return (scale * (corners[ids] + noise * rng.normal(0, 1, (count, 6)))).astype(np.float32), ids


NONE: Part = (np.zeros((0, 6), np.float32), np.zeros(0, np.int64))


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_probabilities_are_those_of_scikit_learn(classes: int) -> None:
    features, ids = _features(60, classes, 0)
    new, _ = _features(30, classes, 1)
    head = fit_head(features, ids, *NONE, classes)
    scale = np.sqrt(np.mean(np.square(features, dtype=np.float64)))
    reference = LogisticRegression(C=1.0, max_iter=1000).fit(features / scale, ids)
    assert head.weight.shape == (classes, 6)
    assert head.bias.shape == (classes,)
    assert head.weight.dtype == head.bias.dtype == np.float32
    np.testing.assert_allclose(
        softmax(new @ head.weight.T + head.bias), reference.predict_proba(new / scale), rtol=0, atol=2e-3
    )


def test_without_validation_c_is_one() -> None:
    head = fit_head(*_features(40, 3, 0), *NONE, 3)
    assert head.chosen == 1.0
    assert [(t.strength, t.val_loss, t.val_accuracy) for t in head.trials] == [(1.0, None, None)]


@pytest.mark.parametrize(("noise", "seed"), [(0.1, 0), (1.5, 0), (1.5, 7), (5.0, 3)])
def test_c_has_the_lowest_validation_loss(noise: float, seed: int) -> None:
    train, val = _features(60, 3, seed, noise), _features(45, 3, seed + 100, noise)
    head = fit_head(*train, *val, 3)
    assert tuple(trial.strength for trial in head.trials) == STRENGTHS
    losses = [trial.val_loss for trial in head.trials]
    assert None not in losses
    best = min(head.trials, key=lambda trial: trial.val_loss)  # type: ignore[arg-type, return-value]
    assert head.chosen == best.strength
    scores = (val[0] @ head.weight.T + head.bias).astype(np.float64)
    assert best.val_loss == pytest.approx(-log_softmax(scores, axis=1)[np.arange(45), val[1]].mean(), rel=1e-5)
    assert best.val_accuracy == (scores.argmax(axis=1) == val[1]).mean()


def test_noise_asks_for_a_stronger_penalty() -> None:
    chosen = [fit_head(*_features(60, 3, 0, noise), *_features(300, 3, 1, noise), 3).chosen for noise in (0.1, 5.0)]
    assert chosen[0] > chosen[1]


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_the_unit_of_the_features_does_not_matter(factor: float) -> None:
    (features, ids), (val, val_ids) = _features(60, 3, 0), _features(45, 3, 1)
    one = fit_head(features, ids, val, val_ids, 3)
    scaled = fit_head((features * factor).astype(np.float32), ids, (val * factor).astype(np.float32), val_ids, 3)
    assert scaled.chosen == one.chosen
    np.testing.assert_allclose(scaled.weight * factor, one.weight, rtol=1e-3, atol=1e-4)


def test_features_that_are_all_zero_give_the_shares_of_the_classes() -> None:
    ids = np.array([0, 0, 0, 1, 1, 2])
    head = fit_head(np.zeros((6, 4), np.float32), ids, np.zeros((0, 4), np.float32), np.zeros(0, np.int64), 3)
    np.testing.assert_allclose(softmax(head.bias), [3 / 6, 2 / 6, 1 / 6], atol=1e-3)
    assert not head.weight.any()
