from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from mirada.engine import Program
from mirada.engine.torch_engine import BATCH_SIZES, TorchEngine, default_device, normalised
from mirada.image import Preparation

CPU = torch.device("cpu")
RGB = Preparation((12, 9), "stretch", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
GREY = Preparation((12, 9), "stretch", channels=1, mean=(0.1307,), std=(0.3081,))


def _engine(module: nn.Module, preparation: Preparation = RGB) -> TorchEngine:
    return TorchEngine(Program("a test", {}, preparation, lambda: module), device=CPU)


def _pixels(count: int, channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 9, 12, channels), dtype=np.uint8)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3, groups=16), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(32, 7)),
    )


@pytest.mark.parametrize("preparation", [RGB, GREY])
def test_normalised_is_what_the_preparation_does_in_numpy(preparation: Preparation) -> None:
    pixels = _pixels(5, preparation.channels)
    pixels[0], pixels[1] = 0, 255
    result = normalised(torch.from_numpy(pixels), preparation)
    assert result.dtype == torch.float32
    assert result.shape == (5, preparation.channels, 9, 12)
    np.testing.assert_allclose(result.numpy(), preparation.normalise(pixels), rtol=0, atol=2e-6)
    black, white = result[0, :, 0, 0].numpy(), result[1, :, 0, 0].numpy()
    np.testing.assert_allclose(black, -np.array(preparation.mean) / preparation.std, rtol=1e-6)
    np.testing.assert_allclose(white, (1 - np.array(preparation.mean)) / preparation.std, rtol=1e-6)


def test_normalising_leaves_the_pixels_as_they_are() -> None:
    pixels = torch.from_numpy(_pixels(2))
    before = pixels.clone()
    normalised(pixels, RGB)
    assert torch.equal(pixels, before)


@settings(max_examples=12, deadline=None)
@given(place=st.integers(0, 39), seed=st.integers(0, 5))
def test_an_image_has_the_same_scores_wherever_it_stands(network: nn.Module, place: int, seed: int) -> None:
    engine = _engine(network)
    (image,) = _pixels(1, seed=100 + seed)
    many = _pixels(40, seed=seed)
    many[place] = image
    (alone,) = engine(image[None])[0]
    np.testing.assert_allclose(engine(many)[0][place], alone, rtol=0, atol=1e-5)
    np.testing.assert_allclose(engine(many[place : place + 5])[0][0], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", BATCH_SIZES)
def test_within_one_batch_size_it_is_the_same_to_the_bit(network: nn.Module, size: int) -> None:
    engine = _engine(network)
    (image,) = _pixels(1, seed=7)
    least = 1 + max((smaller for smaller in BATCH_SIZES if smaller < size), default=0)
    results = []
    for count, seed in ((least, 1), (size, 2), (size, 3)):
        for place in (0, count // 2, count - 1):
            batch = _pixels(count, seed=seed)
            batch[place] = image
            results.append(engine(batch)[0][place].tobytes())
    assert len(set(results)) == 1


class _Shapes(nn.Module):
    """Gives the mean of each image, and keeps the shapes it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, ...]] = []
        self.layouts: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(tuple(x.shape))
        self.layouts.append(x.is_contiguous(memory_format=torch.channels_last))
        return x.mean(dim=(2, 3))  # (N, C)


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (1, [1]),
        (2, [8]),
        (8, [8]),
        (9, [8, 1]),
        (10, [8, 8]),
        (16, [8, 8]),
        (17, [8, 8, 1]),
        (20, [8, 8, 8]),
    ],
)
def test_only_a_few_shapes_reach_the_network(count: int, sizes: list[int]) -> None:
    module = _Shapes()
    pixels = _pixels(count)
    (result,) = _engine(module)(pixels)
    assert module.seen == [(size, 3, 9, 12) for size in sizes]
    assert all(module.layouts)
    assert set(sizes) <= set(BATCH_SIZES)
    assert result.dtype == np.float32
    assert result.shape == (count, 3)
    np.testing.assert_allclose(result, RGB.normalise(pixels).mean(axis=(2, 3), dtype=np.float64), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (8, [8]), (20, [8, 8, 8])])
def test_a_stream_gives_what_a_call_gives(count: int, sizes: list[int]) -> None:
    module = _Shapes()
    engine = _engine(module)
    pixels = _pixels(count)
    streamed = list(engine.stream(enumerate(pixels)))
    assert module.seen == [(size, 3, 9, 12) for size in sizes]
    assert [tag for tag, _ in streamed] == list(range(count))
    rows = [outputs for _, outputs in streamed if outputs is not None]
    assert [len(outputs) for outputs in rows] == [1] * count
    if count:
        assert np.array_equal(np.stack([row for (row,) in rows]), engine(pixels)[0])


@given(holes=st.sets(st.integers(0, 19)))
def test_what_has_no_pixels_keeps_its_place(holes: set[int]) -> None:
    pixels = _pixels(20)
    engine = _engine(_Shapes())
    (whole,) = engine(pixels)
    streamed = list(engine.stream((i, None if i in holes else image) for i, image in enumerate(pixels)))
    assert [tag for tag, _ in streamed] == list(range(20))
    assert {tag for tag, outputs in streamed if outputs is None} == holes
    for tag, outputs in streamed:
        if outputs is not None:
            np.testing.assert_allclose(outputs[0], whole[tag], rtol=0, atol=1e-6)


class _MapsAndMeans(nn.Module):
    """Gives an activation map, and its mean."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x.mean(dim=(2, 3))  # (N, C, h, w), (N, C)


def test_several_outputs_maps_in_half_precision_with_their_channels_last() -> None:
    pixels = _pixels(11)
    maps, means = _engine(_MapsAndMeans())(pixels)
    assert (maps.shape, maps.dtype) == ((11, 9, 12, 3), np.float16)
    assert (means.shape, means.dtype) == ((11, 3), np.float32)
    expected = RGB.normalise(pixels)  # (N, C, h, w)
    np.testing.assert_allclose(maps, expected.transpose(0, 2, 3, 1), rtol=2**-11, atol=1e-6)
    np.testing.assert_allclose(means, expected.mean(axis=(2, 3), dtype=np.float64), rtol=0, atol=1e-5)


def test_dropout_is_off_and_batch_statistics_are_not_moved(network: nn.Module) -> None:
    engine = _engine(network.train())
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    (first,), (second,) = engine(_pixels(6)), engine(_pixels(6))
    assert np.array_equal(first, second)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_the_device_that_is_chosen(cuda: bool, mps: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert default_device().type == expected
