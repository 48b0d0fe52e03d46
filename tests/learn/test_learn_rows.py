"""The inputs of a stage for the images of a part: from the pass that made the features, or from a network cut there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mirada.backbone import find
from mirada.backbone.body import Body
from mirada.data import Sample, read, split
from mirada.engine import Program
from mirada.image.policy import POLICIES
from mirada.learn.job import Job
from mirada.learn.rows import Rows, Stores
from mirada.progress import silent

PLACE = 3
"""Of the stage blocks.5, whose input is (112, 14, 14)."""


@pytest.fixture(scope="module")
def body() -> Body:
    return Body(find("efficientnet-lite0"))


@pytest.fixture(scope="module")
def job(textures: Path) -> Job:
    dataset = read(textures)
    return Job(dataset, split(dataset, seed=0), 0, silent)


@pytest.fixture
def stores() -> Iterator[Stores]:
    stores = Stores()
    yield stores
    stores.close(delete=True)


def _all(rows: Rows, body: Body, views: int) -> list[Tensor]:
    """The inputs of the stage for every view, (n, 112, 14, 14) each."""
    inputs = rows.inputs(body, body.preparation, PLACE, views, "activations")
    places = np.arange(len(inputs))
    return [inputs.read(places, np.full(len(places), view)) for view in range(views)]


def _assert_alike(one: Tensor, other: Tensor) -> None:
    """As two engines are: the difference is a few percent of the length."""
    one, other = one.float(), other.float()
    assert one.shape == other.shape
    assert float((one - other).norm() / other.norm()) < 0.05


def test_the_first_view_is_that_of_the_features(
    body: Body, job: Job, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Rows(job, "train", stores)
    features = rows.features(body, body.preparation, "features", (PLACE, PLACE + 1))

    def refuse(program: Program, job: Job) -> None:
        raise AssertionError(f"{program.name} is not needed")

    monkeypatch.setattr(stores, "engine", refuse)
    (first,) = _all(rows, body, 1)
    assert first.shape == (len(rows), 112, 14, 14)
    with torch.no_grad():
        x = first.float()
        for stage in body.stages[PLACE:]:
            x = stage.module(x)
    _assert_alike(torch.from_numpy(features), x)


def test_other_views_come_from_the_network_up_to_the_cut(body: Body, job: Job, stores: Stores) -> None:
    with_features, alone = Rows(job, "train", stores), Rows(job, "train", stores)
    with_features.features(body, body.preparation, "features", (PLACE,))
    views, same = _all(with_features, body, 3), _all(alone, body, 3)
    _assert_alike(views[0], same[0])
    assert torch.equal(views[1], same[1])
    assert torch.equal(views[2], same[2])
    assert not torch.allclose(views[1].float(), views[2].float(), atol=0.1)


def test_another_policy_has_other_views_but_the_same_features(
    body: Body, job: Job, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept of one is never taken for another; the features are kept once for all of them."""
    light, none = Rows(job, "val", stores), Rows(job, "val", stores, POLICIES["none"])
    views, unmoved = _all(light, body, 3), _all(none, body, 3)
    assert torch.equal(unmoved[1], unmoved[2])
    assert torch.equal(unmoved[0], views[0])
    assert not torch.allclose(unmoved[1].float(), views[1].float(), atol=0.1)
    features = light.features(body, body.preparation, "features")

    def refuse(items: Iterable[object]) -> Iterator[object]:
        for item in items:
            raise AssertionError(f"{item} is not needed")
        yield from ()

    monkeypatch.setattr(stores._engine, "stream", refuse)
    assert np.array_equal(none.features(body, body.preparation, "features"), features)


def test_a_batch_of_mixed_views(body: Body, job: Job, stores: Stores) -> None:
    rows = Rows(job, "val", stores)
    rows.features(body, body.preparation, "features", (PLACE,))
    views = _all(rows, body, 3)
    images, numbers = np.array([1, 0, 1, 2, 0]), np.array([2, 0, 0, 1, 2])
    found = rows.inputs(body, body.preparation, PLACE, 3, "activations").read(images, numbers)
    expected = torch.stack([views[number][image] for image, number in zip(images, numbers, strict=True)])
    assert torch.equal(found, expected)


def test_another_preparation_is_not_taken_from_the_features(body: Body, job: Job, stores: Stores) -> None:
    rows = Rows(job, "val", stores)
    rows.features(body, body.preparation, "features", (PLACE,))
    nearer = replace(body.preparation, zoom=2.0)
    inputs = rows.inputs(body, nearer, PLACE, 1, "activations")
    places = np.arange(len(inputs))
    found = inputs.read(places, np.zeros_like(places))
    assert not torch.allclose(found.float(), _all(rows, body, 1)[0].float(), atol=0.1)


def test_what_cannot_be_read_has_no_row(body: Body, job: Job, stores: Stores, tmp_path: Path) -> None:
    whole = Rows(job, "val", stores)
    whole.features(body, body.preparation, "features", (PLACE,))
    spoilt = tmp_path / "spoilt.png"
    spoilt.write_bytes(b"no picture")
    rows = Rows(job, "val", stores)
    rows._samples = [*rows._samples[:2], Sample("spoilt.png", rows._samples[2].label, path=spoilt), *rows._samples[3:]]
    rows._contents = [*rows._contents[:2], None, *rows._contents[3:]]
    features = rows.features(body, body.preparation, "features", (PLACE,))
    assert len(features) == len(rows) == len(whole) - 1
    assert [error.name for error in rows.failures] == ["spoilt.png"]
    for view, expected in zip(_all(rows, body, 2), _all(whole, body, 2), strict=True):
        assert torch.equal(view, torch.cat([expected[:2], expected[3:]]))


def test_a_part_without_images(body: Body, job: Job, stores: Stores) -> None:
    rows = Rows(job, "val", stores).some(np.zeros(0, np.int64))
    assert rows.features(body, body.preparation, "features", (PLACE,)).shape == (0, 1280)
    assert len(rows.inputs(body, body.preparation, PLACE, 1, "activations")) == 0
