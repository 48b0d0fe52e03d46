from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from scipy import special

from mirada.annotations import Label
from mirada.tasks import Classify, softmax

TASK = Classify(("ant", "bee", "cat", "dog"))

Scores = arrays(np.float32, array_shapes(min_dims=1, max_dims=3, max_side=6), elements=st.floats(-80, 80, width=32))


@given(Scores)
def test_softmax_is_scipys(scores: NDArray[np.float32]) -> None:
    result = softmax(scores)
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, special.softmax(scores.astype(np.float64), axis=-1), rtol=1e-12)
    np.testing.assert_allclose(result.sum(axis=-1), 1, rtol=1e-12)


@given(Scores, st.floats(-1e3, 1e3))
def test_softmax_does_not_change_when_all_scores_rise_alike(scores: NDArray[np.float32], rise: float) -> None:
    exact = scores.astype(np.float64)
    np.testing.assert_allclose(softmax(exact + rise), softmax(exact), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([1000.0, 0.0], [1.0, 0.0]),
        ([-1e30, -1e30], [0.5, 0.5]),
        ([3e38, 3e38, -3e38], [0.5, 0.5, 0.0]),
        ([0.0, np.log(3.0)], [0.25, 0.75]),
    ],
)
def test_softmax_of_large_scores(scores: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(softmax(np.array(scores, np.float32)), expected, rtol=1e-6)


def test_annotations_by_hand() -> None:
    scores = np.log(np.array([[0.1, 0.6, 0.1, 0.2], [0.25, 0.25, 0.25, 0.25]], np.float64))
    first, second = TASK.annotations(scores, 3)
    assert [(label.name, label.class_id) for label in first] == [("bee", 1), ("dog", 3), ("ant", 0)]
    assert [label.probability for label in first] == pytest.approx([0.6, 0.2, 0.1])
    # ties keep the order of the classes
    assert second == (Label("ant", 0, 0.25), Label("bee", 1, 0.25), Label("cat", 2, 0.25))


@given(arrays(np.float32, st.tuples(st.integers(0, 5), st.just(4)), elements=st.integers(-50, 50).map(float)))
def test_annotations_are_in_order_and_sum_to_one(scores: NDArray[np.float32]) -> None:
    answers = TASK.annotations(scores, 9)  # more than there are classes: all of them
    assert len(answers) == len(scores)
    for row, labels in zip(scores, answers, strict=True):
        probabilities = [label.probability for label in labels]
        assert sorted(probabilities, reverse=True) == probabilities
        assert sum(probabilities) == pytest.approx(1)
        assert sorted(label.class_id for label in labels) == [0, 1, 2, 3]
        assert all(label.name == TASK.class_names[label.class_id] for label in labels)
        assert row[labels[0].class_id] == row.max()


@given(st.integers(1, 6), st.integers(0, 1000))
def test_the_loss_is_the_mean_negative_logarithm(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, truth = rng.normal(0, 5, (count, 4)).astype(np.float32), rng.integers(0, 4, count)
    expected = -np.mean(
        [np.log(special.softmax(row.astype(np.float64))[k]) for row, k in zip(scores, truth, strict=True)]
    )
    loss = TASK.loss(torch.from_numpy(scores), torch.from_numpy(truth))
    assert loss.shape == ()
    assert loss.item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_the_gradient_of_the_loss_is_probability_minus_truth() -> None:
    scores = torch.tensor([[1.0, 2.0, 0.5, -1.0]], requires_grad=True)
    TASK.loss(scores, torch.tensor([2])).backward()
    assert scores.grad is not None
    expected = special.softmax([1.0, 2.0, 0.5, -1.0]) - np.array([0, 0, 1, 0])
    np.testing.assert_allclose(scores.grad.numpy()[0], expected, rtol=1e-5)


def test_a_task_is_a_value() -> None:
    assert Classify(("a", "b")) == Classify(("a", "b"))
    assert Classify(("a", "b")) != Classify(("b", "a"))
    assert Classify.kind == "classify"
