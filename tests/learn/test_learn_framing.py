"""The search for a preparation, on made features: how well they separate the classes is known beforehand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from mirada.image import Preparation
from mirada.learn import framing
from mirada.learn.framing import FEWEST, Seen, choose_preparation, some_of_each
from mirada.learn.scores import fit_temperature

CLASSES, TRAIN, VAL = 4, 120, 160
USUAL = Preparation((32, 32), "crop", 8 / 7)
IDS = np.arange(TRAIN) % CLASSES
VAL_IDS = np.arange(VAL) % CLASSES
ZOOMS = [8 / 7 * 1.25**i for i in range(5)]
"""The usual one and those that may be tried; the next would be nearer than 3."""

Made = tuple[NDArray[np.float32], NDArray[np.float32]]


def _features(strength: float, noise_seed: int = 0) -> Made:
    """The class as strong as given, and noise, the same each time."""
    centres, rng = np.random.default_rng(0).normal(size=(CLASSES, 24)), np.random.default_rng([1, noise_seed])
    noise, val_noise = rng.normal(size=(TRAIN, 24)), rng.normal(size=(VAL, 24))
    train, val = strength * centres[IDS] + noise, strength * centres[VAL_IDS] + val_noise
    return train.astype(np.float32), val.astype(np.float32)


class Looking:
    """Gives features whose strength is a function of fit and zoom, and keeps what it was asked for."""

    def __init__(self, strength: Callable[[str, float], float]) -> None:
        self.strength = strength
        self.asked: list[Preparation] = []
        self.names: list[str] = []

    def __call__(self, preparation: Preparation, name: str) -> tuple[Seen, Seen]:
        self.asked.append(preparation)
        self.names.append(name)
        train, val = _features(self.strength(preparation.fit, preparation.zoom))
        return Seen(train, IDS), Seen(val, VAL_IDS)


def _by_step(*strengths: float, whole: tuple[float, float] = (0.0, 0.0)) -> Looking:
    """The strengths of the zooms in turn, and those of the whole picture, stretched and padded."""

    def strength(fit: str, zoom: float) -> float:
        if fit == "crop":
            return strengths[round(np.log(zoom / USUAL.zoom) / np.log(1.25))]
        return whole[0] if fit == "stretch" else whole[1]

    return Looking(strength)


def _chosen(looking: Looking, usual: Preparation = USUAL) -> tuple[Preparation, list[dict[str, float]]]:
    return choose_preparation(usual, looking, CLASSES)


def _vertex(zooms: list[float], losses: list[float]) -> float:
    """The lowest point of the parabola through three points over log zoom, by Newton's divided differences."""
    (a, b, c), (p, q, r) = np.log(zooms), losses
    first, second = (q - p) / (b - a), (r - q) / (c - b)
    return float(np.exp((a + b) / 2 - first * (c - a) / (2 * (second - first))))


def test_it_goes_nearer_while_that_is_better_and_interpolates() -> None:
    looking = _by_step(0.2, 0.4, 0.7, 0.5, 0.1)
    best, tried = _chosen(looking)
    assert [frame["zoom"] for frame in tried] == pytest.approx(ZOOMS[:4], abs=1e-4)  # the fifth is not looked at
    losses = [frame["val_loss"] for frame in tried]
    assert np.argmin(losses) == 2
    assert best.zoom == pytest.approx(_vertex(ZOOMS[1:4], losses[1:4]), abs=1e-3)
    assert ZOOMS[1] < best.zoom < ZOOMS[3]
    assert best.zoom not in ZOOMS
    assert best == Preparation((32, 32), "crop", best.zoom)
    assert looking.names == ["crop 1.14", "crop 1.43", "crop 1.79", "crop 2.23"]


def test_it_stops_where_nearer_is_not_clearly_better() -> None:
    """The second step is better, but on so many images by no more than chance: other noise, and as strong a class."""

    def seen(preparation: Preparation, name: str) -> tuple[Seen, Seen]:
        step = round(np.log(preparation.zoom / USUAL.zoom) / np.log(1.25))
        asked.append(step)
        train, val = _features(*[(0.2, 0), (0.5, 0), (0.5, 3), (5.0, 0)][step])
        return Seen(train, IDS), Seen(val, VAL_IDS)

    asked: list[int] = []
    best, tried = choose_preparation(USUAL, seen, CLASSES)
    losses = [frame["val_loss"] for frame in tried]
    assert asked == [0, 1, 2]
    assert losses[0] > losses[1] > losses[2]
    assert best.zoom == pytest.approx(_vertex(ZOOMS[:3], losses), abs=1e-3)


@pytest.mark.parametrize("readable", [0, 1, FEWEST - 1])
def test_with_few_images_that_can_be_read_nothing_is_chosen(readable: int) -> None:
    train, val = _features(1.0)
    asked: list[str] = []

    def seen(_: Preparation, name: str) -> tuple[Seen, Seen]:
        asked.append(name)
        return Seen(train, IDS), Seen(val[:readable], VAL_IDS[:readable])

    assert choose_preparation(USUAL, seen, CLASSES) == (USUAL, [])
    assert asked == ["crop 1.14"]


def test_no_nearer_than_what_was_tried() -> None:
    """Where each step is better than the one before, the parabola's lowest point may lie beyond the last."""
    looking = _by_step(0.1, 0.2, 0.35, 0.55, 0.8)
    best, tried = _chosen(looking)
    assert len(tried) == 5
    assert tried[-1]["zoom"] == pytest.approx(ZOOMS[-1], abs=1e-4)
    assert ZOOMS[-1] * 1.25 > framing.NEAREST >= ZOOMS[-1]
    assert best.zoom == pytest.approx(ZOOMS[-1], abs=1e-3)


def test_two_points_are_no_parabola() -> None:
    near = Preparation((32, 32), "crop", 2.0)
    looking = Looking(lambda fit, zoom: 0.2 * zoom)
    best, tried = _chosen(looking, near)
    assert [frame["zoom"] for frame in tried] == [2.0, 2.5]
    assert best.zoom == 2.5


@pytest.mark.parametrize(
    ("strengths", "whole", "fits", "best"),
    [
        ((0.5, 0.3), (0.2, 0.9), ["crop", "crop", "stretch"], "crop"),
        ((0.4, 0.3), (0.7, 0.5), ["crop", "crop", "stretch", "pad"], "stretch"),
        ((0.4, 0.3), (0.7, 1.1), ["crop", "crop", "stretch", "pad"], "pad"),
        ((0.5, 0.5), (0.5, 0.5), ["crop", "crop", "stretch"], "crop"),
    ],
)
def test_where_nearer_is_no_better_the_whole_picture_is_tried(
    strengths: tuple[float, float], whole: tuple[float, float], fits: list[str], best: str
) -> None:
    looking = _by_step(*strengths, whole=whole)
    chosen, tried = _chosen(looking)
    assert [frame["fit"] for frame in tried] == fits
    assert [preparation.fit for preparation in looking.asked] == fits
    assert chosen == (USUAL if best == "crop" else Preparation((32, 32), best))  # type: ignore[arg-type]


def test_where_nearer_is_better_the_whole_picture_is_not_tried() -> None:
    looking = _by_step(0.2, 0.6, 0.3, whole=(5.0, 5.0))
    best, _ = _chosen(looking)
    assert {preparation.fit for preparation in looking.asked} == {"crop"}
    assert best.fit == "crop"


@pytest.mark.parametrize(
    ("usual", "fits"),
    [
        (Preparation((32, 32), "stretch"), ["stretch", "pad"]),
        (Preparation((32, 32), "pad"), ["pad", "stretch"]),
        (Preparation((32, 32), "crop", 2.9), ["crop", "stretch"]),
    ],
)
def test_what_is_tried_beside_another_usual_preparation(usual: Preparation, fits: list[str]) -> None:
    looking = Looking(lambda fit, zoom: 0.5)
    assert _chosen(looking, usual)[0] == usual
    assert [preparation.fit for preparation in looking.asked] == fits


def test_what_is_kept_of_the_usual_preparation() -> None:
    usual = Preparation((48, 32), "crop", 1.2, 1, (0.3,), (0.2,), pad_value=9)
    best, _ = _chosen(Looking(lambda fit, zoom: {"crop": 0.2, "stretch": 0.5, "pad": 0.9}[fit]), usual)
    assert best == Preparation((48, 32), "pad", 1.0, 1, (0.3,), (0.2,), pad_value=9)


def test_a_frame_is_judged_by_ridge_regression() -> None:
    """Against scikit-learn's, whose penalty is in the units of the sum of squares, and log-softmax by hand."""
    _, tried = _chosen(Looking(lambda fit, zoom: 0.3))
    train, val = (array.astype(np.float64) for array in _features(0.3))
    penalty = framing.RIDGE * float(np.square(train - train.mean(axis=0)).sum(axis=1).mean())
    logits = CLASSES * Ridge(alpha=penalty).fit(train, np.eye(CLASSES)[IDS]).predict(val)
    scaled = logits / fit_temperature(logits, VAL_IDS)
    losses = np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(VAL), VAL_IDS]
    assert tried[0]["val_loss"] == pytest.approx(losses.mean(), abs=1e-5)
    assert tried[0]["val_accuracy"] == pytest.approx((logits.argmax(axis=1) == VAL_IDS).mean())
    assert 0.3 < tried[0]["val_accuracy"] < 0.95
    assert tried[0] | {"val_loss": 0, "val_accuracy": 0} == {
        "fit": "crop",
        "zoom": round(8 / 7, 4),
        "val_loss": 0,
        "val_accuracy": 0,
    }


def test_the_choice_has_no_chance_in_it() -> None:
    assert _chosen(_by_step(0.2, 0.4, 0.7, 0.5, 0.1)) == _chosen(_by_step(0.2, 0.4, 0.7, 0.5, 0.1))


@given(counts=st.lists(st.integers(0, 60), min_size=1, max_size=8), most=st.integers(1, 120), seed=st.integers(0, 9))
def test_some_of_each_keeps_every_class_and_the_proportions(counts: list[int], most: int, seed: int) -> None:
    class_ids = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    places = some_of_each(class_ids, most)
    assert (np.diff(places) > 0).all()
    if len(class_ids) <= most:
        assert places.tolist() == list(range(len(class_ids)))
        return
    assert places.min() >= 0
    assert places.max() < len(class_ids)
    for class_id, count in enumerate(counts):
        kept = int((class_ids[places] == class_id).sum())
        share = count * most / len(class_ids)
        assert abs(kept - share) <= 0.5 or (kept == 1 and 0 < share < 1)
        own = np.flatnonzero(class_ids == class_id)
        if kept > 1:  # evenly spread, from the first to the last
            steps = np.diff(np.flatnonzero(np.isin(own, places)))
            assert {own[0], own[-1]} <= set(places.tolist())
            assert steps.max() - steps.min() <= 1


def test_some_of_each_by_hand() -> None:
    class_ids = np.array([0] * 6 + [1] * 3 + [2])
    assert some_of_each(class_ids, 5).tolist() == [0, 2, 5, 6, 8, 9]  # 3, 1.5 -> 2 and 0.5 -> 1
    assert some_of_each(class_ids, 10).tolist() == list(range(10))
    assert some_of_each(class_ids, 1).tolist() == [0, 6, 9]
    assert some_of_each(np.zeros(0, np.int64), 5).tolist() == []
