"""Vectors and their makers: what is compared, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from mirada.errors import UsageError
from mirada.image import Preparation
from mirada.search.embedder import embedder
from mirada.search.embedding import Embedding, Maker, check_same_maker

MAKER = Maker("efficientnet-lite0", "abc", None, Preparation((224, 224), "crop"), has_places=False, dimension=2)
OTHERS = [
    (replace(MAKER, program="x"), "they differ in the weights"),
    (replace(MAKER, network="timm:resnet18", program="x"), "they differ in the network"),
    (replace(MAKER, layer="blocks.3", program="x"), "they differ in the layer"),
    (replace(MAKER, layer="blocks.3", program="x", dimension=3), "they differ in the layer and the number of values"),
    (replace(MAKER, preparation=Preparation((192, 192), "crop")), "they differ in the preparation of the picture"),
]


@pytest.mark.parametrize(("other", "reason"), OTHERS)
def test_makers_that_differ_are_told_apart(other: Maker, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        check_same_maker(MAKER, other)


def test_what_it_is_called_does_not_matter() -> None:
    """The same network, given by another path."""
    check_same_maker(MAKER, replace(MAKER, network="./lite0"))


NO_VECTORS = [
    (np.zeros((0, 2), np.float32), "there must be a vector at least"),
    (np.array([[1, np.nan]], np.float32), "all its values must be numbers"),
    (np.zeros((1, 3), np.float32), r"vectors must be \(N, 2\), got \(1, 3\)"),
]


@pytest.mark.parametrize(("vectors", "message"), NO_VECTORS)
def test_what_is_no_vector(vectors: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Embedding(vectors, MAKER)


def test_a_maker_comes_back_from_json() -> None:
    again = Maker.from_json(json.loads(json.dumps(MAKER.to_json())))
    assert again == MAKER
    assert again.key == MAKER.key


def test_vectors_of_another_length() -> None:
    with pytest.raises(ValueError, match=r"vectors must be \(N, 2\), got \(1, 3\)"):
        Embedding(np.ones((1, 3), np.float32), MAKER)


def test_a_listing_without_weights() -> None:
    with pytest.raises(UsageError, match="alexnet is a listing without weights: train it first"):
        embedder("alexnet")


def test_there_is_no_such_layer() -> None:
    with pytest.raises(UsageError, match=r"the network has no layer 'blocks.9'; there are blocks"):
        embedder(layer="blocks.9")


def test_a_model_gives_the_features_under_its_head(digits_model) -> None:
    """Of a listing: the roots of the last hidden layer, as it is after its activation, computed by hand."""
    import torch

    made = embedder(digits_model.path)
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (28, 28), np.uint8) for _ in range(3)]
    seen = made.see(pictures)
    module = digits_model.module.eval()
    hidden: list[torch.Tensor] = []
    names = [name for name, _ in module.named_children()]
    last = dict(module.named_children())[names[-1]]
    handle = last.register_forward_pre_hook(lambda _, given: hidden.append(given[0]))
    pixels = np.stack([made.maker.preparation.pixels(picture) for picture in pictures])
    with torch.inference_mode():
        module(torch.from_numpy(made.maker.preparation.normalise(pixels)))
    handle.remove()
    right = np.sign(hidden[0].flatten(1).numpy()) * np.abs(hidden[0].flatten(1).numpy()) ** 0.5
    right = right / np.linalg.norm(right, axis=1, keepdims=True)
    assert made.maker.dimension == right.shape[1]
    assert np.allclose(np.stack([each.vector for each in seen]), right, atol=2e-2)
