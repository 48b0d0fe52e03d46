from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from mirada.learn.head import MILD, STRENGTHS, fit_head
from mirada.learn.losses import cross_entropies
from mirada.tasks import softmax

Part = tuple[NDArray[np.float32], NDArray[np.int64]]


def _features(count: int, classes: int, seed: int, noise: float = 1.5, scale: float = 4.0) -> Part:
    """Features (count, 6) around a corner for each class, and the classes."""
    rng = np.random.default_rng(seed)
    ids = np.arange(count) % classes
    corners = np.random.default_rng(99).normal(0, 1, (classes, 6))
    return (scale * (corners[ids] + noise * rng.normal(0, 1, (count, 6)))).astype(np.float32), ids


NONE: Part = (np.zeros((0, 6), np.float32), np.zeros(0, np.int64))


def _reference(
    features: NDArray[np.float32], ids: NDArray[np.int64], new: NDArray[np.float32], strength: float, **options: Any
) -> NDArray[np.float64]:
    """Probabilities by scikit-learn, on features of mean 0 and variance 1.

    Of two classes it has one row of weights, w, where ours are w / 2 and -w / 2: half the penalty.
    """
    mean, std = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    is_binary = ids.max() == 1
    regression = LogisticRegression(C=strength * (2 if is_binary else 1), tol=1e-8, max_iter=5000)
    regression.fit((features - mean) / std, ids, **options)
    return np.asarray(regression.predict_proba((new - mean) / std))


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("strength", [MILD, 1.0])
def test_probabilities_are_those_of_scikit_learn(classes: int, strength: float) -> None:
    features, ids = _features(60, classes, 0)
    features += np.arange(6, dtype=np.float32)  # features of other means, and of other widths
    features *= np.geomspace(0.1, 10, 6).astype(np.float32)
    new = features[::2] + np.float32(0.3)
    part = NONE if strength == MILD else (features, ids)
    head = fit_head(features, ids, *part, classes, strengths=(strength,))
    assert head.chosen == strength
    assert head.weight.shape == (classes, 6)
    assert head.bias.shape == (classes,)
    assert head.weight.dtype == head.bias.dtype == np.float32
    scores = head(new)
    assert (scores.shape, scores.dtype) == ((30, classes), np.float32)
    np.testing.assert_allclose(scores, new @ head.weight.T + head.bias, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(softmax(scores), _reference(features, ids, new, strength), rtol=0, atol=2e-3)


def test_images_may_count_more_and_less() -> None:
    """Weights are those of scikit-learn's samples; images that count 3 are like 3 images."""
    features, ids = _features(60, 3, 0)
    new, _ = _features(30, 3, 1)
    weights = np.where(ids == 0, 0.25, 1.375).astype(np.float32)  # 1 on average
    head = fit_head(features, ids, *NONE, 3, weights=weights)
    expected = _reference(features, ids, new, MILD, sample_weight=weights)
    np.testing.assert_allclose(softmax(head(new)), expected, rtol=0, atol=2e-3)
    alike = fit_head(features, ids, *NONE, 3)
    assert np.abs(softmax(head(new)) - softmax(alike(new))).max() > 0.1
    assert np.array_equal(fit_head(features, ids, *NONE, 3, weights=np.ones(60, np.float32)).weight, alike.weight)


def test_the_order_of_many_images_does_not_matter() -> None:
    """Images come class by class: those of one chunk are alike, and the spread lies between the chunks."""
    rng = np.random.default_rng(0)
    ids = np.repeat(np.arange(3), 3000)
    features = (rng.normal(size=(9000, 4)) + 5 * ids[:, None]).astype(np.float32)
    order = rng.permutation(9000)
    heads = [fit_head(features[rows], ids[rows], *NONE, 3) for rows in (np.arange(9000), order)]
    np.testing.assert_allclose(heads[0].weight, heads[1].weight, rtol=2e-2, atol=2e-3)
    scores = [softmax(head(features[:50])) for head in heads]
    np.testing.assert_allclose(scores[0], scores[1], atol=2e-3)
    np.testing.assert_allclose(
        softmax(heads[0](features[:50])), _reference(features, ids, features[:50], MILD), atol=2e-3
    )


def test_without_validation_c_is_a_tenth() -> None:
    head = fit_head(*_features(40, 3, 0), *NONE, 3)
    assert head.chosen == MILD == 0.1
    assert head.tried == ()


@pytest.mark.parametrize(("noise", "seed"), [(0.1, 0), (1.5, 0), (1.5, 7), (5.0, 3)])
def test_c_has_the_lowest_validation_loss(noise: float, seed: int) -> None:
    """Of all strengths, though those beyond the first that is worse were not tried."""
    train, val = _features(60, 3, seed, noise), _features(45, 3, seed + 100, noise)
    head = fit_head(*train, *val, 3)
    each = [fit_head(*train, *val, 3, strengths=(strength,)).tried[0] for strength in STRENGTHS]
    assert head.chosen == min(each, key=lambda trial: trial.val_loss).strength

    tried = [trial.strength for trial in head.tried]
    first = STRENGTHS.index(tried[0])
    assert tuple(tried) == STRENGTHS[first : first + len(tried)]
    assert STRENGTHS[2] in tried
    losses = [trial.val_loss for trial in head.tried]
    np.testing.assert_allclose(
        losses, [trial.val_loss for trial in each[first : first + len(tried)]], rtol=5e-3, atol=1e-4
    )
    place = int(np.argmin(losses))
    assert head.chosen == tried[place]
    assert losses[: place + 1] == sorted(losses[: place + 1], reverse=True)
    assert losses[place:] == sorted(losses[place:])

    best = head.tried[place]
    scores = head(val[0]).astype(np.float64)
    assert best.val_loss == pytest.approx(-log_softmax(scores, axis=1)[np.arange(45), val[1]].mean(), rel=1e-5)
    assert best.val_loss == pytest.approx(cross_entropies(scores, val[1]).mean())
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
