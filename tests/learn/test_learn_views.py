"""Training on random views: where they come from, what they depend on, and that what is true of them is learnt."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mirada.data import read
from mirada.data.views import policy_for, policy_of
from mirada.errors import UsageError
from mirada.image import Preparation
from mirada.image.policy import POLICIES, Policy
from mirada.learn import train
from mirada.learn.pixels import Pixels, in_batches, read_pixels

SMALL = Preparation((24, 20), "stretch")
LIGHT = POLICIES["light"]


@pytest.fixture(scope="module")
def held(textures: Path) -> Pixels:
    """Thirty pictures, in memory."""
    return read_pixels(read(textures).samples, SMALL, stage="reading")


def seen(pixels: Pixels, policy: Policy, seed: int = 0, number: int = 1, size: int = 7) -> NDArray[np.uint8]:
    """All views, in the order of the samples."""
    batches = list(pixels.views(in_batches(np.arange(len(pixels)), size), policy, seed, number))
    assert [len(batch) for batch, _ in batches] == [7, 7, 7, 7, 2] if size == 7 else True
    assert np.concatenate([ids for _, ids in batches]).tolist() == pixels.class_ids.tolist()
    return np.concatenate([batch for batch, _ in batches])


def test_without_changes_views_are_the_pixels(held: Pixels) -> None:
    assert held.pixels is not None
    assert np.abs(seen(held, POLICIES["none"]).astype(int) - held.pixels.astype(int)).max() <= 1


def test_what_a_view_depends_on(held: Pixels) -> None:
    first = seen(held, LIGHT)
    assert np.array_equal(first, seen(held, LIGHT))
    assert np.array_equal(first, seen(held, LIGHT, size=4))
    assert not np.array_equal(first, seen(held, LIGHT, number=2))
    assert not np.array_equal(first, seen(held, LIGHT, seed=1))
    (turned, ids), *_ = held.views([np.arange(len(held))[::-1]], LIGHT, 0, 1)
    assert np.array_equal(turned[::-1], first)
    assert ids[::-1].tolist() == held.class_ids.tolist()


def test_views_of_what_is_not_held_come_from_the_pictures(textures: Path, held: Pixels) -> None:
    read_again = read_pixels(read(textures).samples, SMALL, stage="reading", memory_bound=0)
    assert read_again.pixels is None
    views = seen(read_again, LIGHT)
    assert views.shape == (30, 20, 24, 3)
    assert np.array_equal(views, seen(read_again, LIGHT))
    assert np.abs(seen(read_again, POLICIES["none"]).astype(int) - seen(held, POLICIES["none"]).astype(int)).mean() < 12


def test_a_grey_network_sees_grey_views(textures: Path) -> None:
    grey = replace(SMALL, channels=1, mean=(0.0,), std=(1.0,))
    pixels = read_pixels(read(textures).samples, grey, stage="reading")
    assert seen(pixels, POLICIES["strong"]).shape == (30, 20, 24, 1)


def test_digits_are_learnt_from_views() -> None:
    """With mixed pictures too: chance is 10 %."""
    model = train("digits", "lenet5", epochs=6, augment="strong")
    recipe = model.training["recipe"]
    assert recipe["policy"]["name"] == "strong"
    assert recipe["policy"]["mirror"] == 0
    assert json.loads(json.dumps(recipe)) == recipe
    assert model.scores["test"]["accuracy"] > 0.5


def test_the_ladder_sees_the_views_that_were_asked_for(textures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mirada.learn import ladder

    asked: list[Policy] = []
    rows = ladder.Rows

    def noted(job, part, stores, policy=LIGHT):
        if part == "train":
            asked.append(policy)
        return rows(job, part, stores, policy)

    monkeypatch.setattr(ladder, "Rows", noted)
    train(textures, retrain="head")
    train(textures, retrain="head", augment="alexnet")
    train(textures, retrain="head", mirror=False)
    assert [policy.name for policy in asked] == ["light", "alexnet", "light"]
    assert [policy.mirror for policy in asked] == [0.5, 0.5, 0.0]


def test_a_policy_for_a_data_set(textures: Path, tmp_path: Path) -> None:
    photos, digits = read(textures), read("digits")
    assert policy_for(photos, "light") == LIGHT
    assert policy_for(digits, "light") == LIGHT.without_mirror()
    assert policy_for(digits, "light", mirror=True) == LIGHT
    assert policy_for(photos, LIGHT, mirror=False) == LIGHT.without_mirror()
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "odd.json").write_text('{"twist": 3}')
    for given, message in (
        ("nowhere.json", "nowhere.json: the policy cannot be read"),
        (str(tmp_path / "broken.json"), "the policy is not JSON"),
        (str(tmp_path / "odd.json"), "a policy has no 'twist'"),
        ("ligth", "Did you mean 'light'"),
    ):
        with pytest.raises(UsageError, match=message):
            policy_of(given)
