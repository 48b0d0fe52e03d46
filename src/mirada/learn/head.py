"""The head of a transfer: features of a frozen backbone -> class scores, by logistic regression."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mirada.learn.losses import cross_entropies

__all__ = ["STRENGTHS", "Head", "Strength", "balanced_weights", "fit_head"]

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""The inverse strengths C of the L2 penalty that may be tried, on features of variance 1."""

MILD = STRENGTHS[len(STRENGTHS) // 2]
"""The inverse strength that is tried first, and taken where nothing can choose."""

UNBALANCED = 3.0
"""How many times as many images the largest class must have as the smallest for classes to be weighted."""

ROWS = 4096
"""Images whose scores are held at once."""


LossAndGradient = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]


@dataclass(frozen=True, slots=True)
class Strength:
    """One strength that was tried.

    Attributes:
        strength: the inverse strength C of the L2 penalty.
        val_loss: mean cross entropy on the validation features.
        val_accuracy: share of them that is right.
    """

    strength: float
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A fully connected layer: scores = features weight^T + bias.

    Attributes:
        weight: (K, F) float32.
        bias: (K,) float32.
        tried: the strengths on validation features, in the order of rising C; none where there are no such features.
        chosen: the C that was taken.
        mild: the one of the middle strength, from which further training starts; None where it is this one.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    tried: tuple[Strength, ...]
    chosen: float
    mild: Head | None = None

    def __call__(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """Features (N, F) -> class scores (N, K)."""
        return np.asarray(features @ self.weight.T + self.bias, np.float32)


def balanced_weights(class_ids: NDArray[np.int64], classes: int) -> NDArray[np.float32] | None:
    """How much an image of each class is to count, (K,), so that classes count alike: 1 on average over the images.

    None where the classes are of much the same size.
    """
    counts = np.bincount(class_ids, minlength=classes)
    if counts.max() < UNBALANCED * max(counts.min(), 1):
        return None
    return (len(class_ids) / (classes * np.maximum(counts, 1))).astype(np.float32)


def fit_head(
    features: NDArray[np.float32],
    class_ids: NDArray[np.int64],
    val_features: NDArray[np.float32],
    val_class_ids: NDArray[np.int64],
    classes: int,
    *,
    weights: NDArray[np.float32] | None = None,
    strengths: tuple[float, ...] = STRENGTHS,
) -> Head:
    """Multinomial logistic regression with an L2 penalty, by L-BFGS, of the strength with the lowest validation loss.

    Every feature is shifted and scaled to mean 0 and variance 1 for the penalty, and the result given for the features
    as they are. From the middle one, strengths are tried upwards, each from the solution of the one before, until the
    validation loss rises; where it rises at once, downwards.

    Args:
        features: (N, F) of the training images.
        class_ids: (N,), each class at least once.
        val_features: (M, F); M may be 0, then `MILD` is taken.
        val_class_ids: (M,).
        classes: K.
        weights: (N,) how much each image counts, 1 on average; None for all alike.
        strengths: the C to try.
    """
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    chunks = np.array_split(features, -(-len(features) // ROWS))
    variance = sum(np.square(rows - mean).sum(axis=0, dtype=np.float64) for rows in chunks) / len(features)
    scale = np.sqrt(variance + 1e-6 * max(float(variance.mean()), 1e-12)).astype(np.float32)
    nothing = np.zeros(classes * (features.shape[1] + 1))

    def solved(strength: float, start: NDArray[np.float64]) -> tuple[Head, NDArray[np.float64]]:
        solution = _minimised(_loss(features, class_ids, weights, mean, scale, classes, strength), start)
        standard = solution.reshape(classes, -1)
        weight = (standard[:, :-1] / scale).astype(np.float32)
        return Head(weight, (standard[:, -1] - weight @ mean).astype(np.float32), (), strength), solution

    if not len(val_features):
        return solved(MILD, nothing)[0]
    middle = len(strengths) // 2
    first, begin = solved(strengths[middle], nothing)
    best = first
    tried = [_tried(best, val_features, val_class_ids)]
    lowest = tried[0].val_loss
    for direction in (strengths[middle + 1 :], strengths[:middle][::-1]):
        solution, was_better = begin, False
        for strength in direction:
            head, solution = solved(strength, solution)
            tried.append(_tried(head, val_features, val_class_ids))
            if not tried[-1].val_loss < lowest:
                break
            best, lowest, was_better = head, tried[-1].val_loss, True
        if was_better:
            break
    tried.sort(key=lambda strength: strength.strength)
    return replace(best, tried=tuple(tried), mild=None if best is first else first)


def _tried(head: Head, features: NDArray[np.float32], class_ids: NDArray[np.int64]) -> Strength:
    logits = head(features)
    accuracy = float((logits.argmax(axis=1) == class_ids).mean())
    return Strength(head.chosen, float(cross_entropies(logits, class_ids).mean()), accuracy)


def _minimised(loss_of: LossAndGradient, start: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.optimize import minimize

    # Stopped early is as good: the strength is chosen by the result.
    options = {"maxiter": 200, "maxcor": 5, "ftol": 1e-5, "gtol": 1e-6}
    with _scipy_on_one_thread():
        found: NDArray[np.float64] = minimize(loss_of, start, jac=True, method="L-BFGS-B", options=options).x
    return found


def _scipy_on_one_thread() -> AbstractContextManager[object]:
    """Keep the threads of scipy's own copy of OpenBLAS from waiting for work on the processors that numpy's copy needs.

    They spin for some milliseconds after each call: both copies with all threads take three times as long.
    """
    from threadpoolctl import ThreadpoolController

    pools = ThreadpoolController()
    own = [pool.filepath for pool in pools.lib_controllers if "scipy" in Path(pool.filepath).parent.name]
    return pools.select(filepath=own).limit(limits=1)  # type: ignore[no-any-return]


def _loss(
    features: NDArray[np.float32],
    class_ids: NDArray[np.int64],
    weights: NDArray[np.float32] | None,
    mean: NDArray[np.float32],
    scale: NDArray[np.float32],
    classes: int,
    strength: float,
) -> LossAndGradient:
    """The mean cross entropy plus the penalty |W|^2 / (2 C N), and its gradient, for standardised features.

    The features are never copied: W (x - mean) / scale = (W / scale) x - (W / scale) mean.
    """
    images = len(features)

    def loss(solution: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        standard = solution.reshape(classes, -1).astype(np.float32)
        weight = standard[:, :-1] / scale  # (K, F)
        bias = standard[:, -1] - weight @ mean
        total, gradient = 0.0, np.zeros((classes, weight.shape[1] + 1))
        for begin in range(0, images, ROWS):
            rows, ids = features[begin : begin + ROWS], class_ids[begin : begin + ROWS]
            scores = rows @ weight.T + bias  # (n, K)
            scores -= scores.max(axis=1, keepdims=True)
            each = np.arange(len(ids))
            right = scores[each, ids].astype(np.float64)
            np.exp(scores, out=scores)
            sums = scores.sum(axis=1, keepdims=True)
            losses = np.log(sums[:, 0].astype(np.float64)) - right
            scores /= sums
            scores[each, ids] -= 1  # d loss / d scores
            if weights is not None:
                own = weights[begin : begin + ROWS]
                losses *= own
                scores *= own[:, None]
            total += float(losses.sum())
            gradient[:, :-1] += scores.T @ rows
            gradient[:, -1] += scores.sum(axis=0)
        gradient[:, :-1] = (gradient[:, :-1] - gradient[:, -1:] * mean) / scale
        gradient /= images
        penalty = float(np.square(solution.reshape(classes, -1)[:, :-1]).sum()) / (2 * strength * images)
        gradient[:, :-1] += solution.reshape(classes, -1)[:, :-1] / (strength * images)
        return total / images + penalty, gradient.ravel()

    return loss
