"""The head of a transfer: features of a frozen backbone -> class scores, by logistic regression."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirada.tasks import softmax

__all__ = ["STRENGTHS", "Head", "Trial", "fit_head"]

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""The inverse strengths of L2 regularisation that are tried, on features of mean square 1."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One strength that was tried.

    Attributes:
        strength: the inverse strength C of the L2 penalty.
        val_loss: mean cross entropy on the validation features; None where there are none.
        val_accuracy: share of them that is right, or None.
    """

    strength: float
    val_loss: float | None
    val_accuracy: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A fully connected layer: scores = features weight^T + bias.

    Attributes:
        weight: (K, F) float32.
        bias: (K,) float32.
        trials: what was tried, in the order of rising C.
        chosen: the C that was taken.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    trials: tuple[Trial, ...]
    chosen: float


def fit_head(
    features: NDArray[np.float32],
    class_ids: NDArray[np.int64],
    val_features: NDArray[np.float32],
    val_class_ids: NDArray[np.int64],
    classes: int,
) -> Head:
    """Multinomial logistic regression with an L2 penalty, by L-BFGS, of the strength with the lowest validation loss.

    Args:
        features: (N, F) of the training images.
        class_ids: (N,), each class at least once.
        val_features: (M, F); M may be 0, then C = 1 is taken.
        val_class_ids: (M,).
        classes: K.
    """
    scale = float(np.sqrt(np.mean(np.square(features, dtype=np.float64)))) or 1.0
    scaled = features.astype(np.float64) / scale
    best: Head | None = None
    best_loss = np.inf
    trials: list[Trial] = []
    for strength in STRENGTHS if len(val_features) else (1.0,):
        weight, bias = _regress(scaled, class_ids, classes, strength)
        weight /= scale
        trial = _try(weight, bias, strength, val_features, val_class_ids)
        trials.append(trial)
        loss = trial.val_loss if trial.val_loss is not None else -np.inf
        if best is None or loss < best_loss:
            best, best_loss = Head(weight, bias, (), strength), loss
    assert best is not None
    return Head(best.weight, best.bias, tuple(trials), best.chosen)


def _regress(
    features: NDArray[np.float64], class_ids: NDArray[np.int64], classes: int, strength: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopped early is as good: C is chosen by the result
        regression = LogisticRegression(C=strength, max_iter=300).fit(features, class_ids)
    weight, bias = np.asarray(regression.coef_), np.asarray(regression.intercept_)
    if classes == 2:  # scikit-learn gives one row: the score of class 1 against class 0
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight.astype(np.float32), bias.astype(np.float32)


def _try(
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    strength: float,
    features: NDArray[np.float32],
    class_ids: NDArray[np.int64],
) -> Trial:
    if not len(features):
        return Trial(strength, None, None)
    scores = features @ weight.T + bias
    chosen = softmax(scores)[np.arange(len(class_ids)), class_ids]
    return Trial(
        strength,
        float(-np.log(np.maximum(chosen, 1e-300)).mean()),
        float((scores.argmax(axis=1) == class_ids).mean()),
    )
