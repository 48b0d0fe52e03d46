"""Changes of colour against NumPy, Pillow, torchvision and colorsys, and as properties."""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from torchvision.transforms.v2 import functional

from mirada.image import colour

Change = NDArray[np.float64]

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
factors = st.floats(0.1, 3)
changes = st.one_of(
    st.builds(colour.brightness, factors),
    st.builds(colour.lighter, st.floats(-100, 100)),
    st.builds(colour.contrast, factors),
    st.builds(colour.saturation, factors),
    st.builds(colour.hue, st.floats(-180, 180)),
    st.builds(lambda *amounts: colour.lighting(np.array(amounts)), *[st.floats(-0.3, 0.3)] * 3),
)


def applied(change: Change, pixels: NDArray[np.generic]) -> NDArray[np.float64]:
    """In floating-point numbers, neither rounded nor cut off."""
    return np.asarray(pixels @ change[:, :3].T + change[:, 3])


def rounded(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.rint(levels).clip(0, 255)


@given(chain=st.lists(changes, max_size=6))
def test_chained_is_one_change_after_the_other(chain: list[Change]) -> None:
    levels: NDArray[np.float64] = PIXELS.astype(np.float64)
    for change in chain:
        levels = applied(change, levels)
    whole = colour.chained(*chain)
    assert whole.shape == (3, 4)
    np.testing.assert_allclose(applied(whole, PIXELS), levels, rtol=1e-9, atol=1e-6)


@given(chain=st.lists(changes, min_size=1, max_size=4))
def test_undone_leads_back(chain: list[Change]) -> None:
    whole = colour.chained(*chain)
    back = applied(colour.undone(whole), applied(whole, PIXELS))
    np.testing.assert_allclose(back, PIXELS, atol=1e-3)


def test_a_grey_picture_has_no_way_back() -> None:
    with pytest.raises(ValueError, match="loses colours"):
        colour.undone(colour.saturation(0))


@given(chain=st.lists(changes, max_size=5))
def test_pixels_are_those_of_the_matrix(chain: list[Change]) -> None:
    """Within one level, cut off at 0 and 255. The pixels given stay as they are."""
    whole, before = colour.chained(*chain), PIXELS.copy()
    found = colour.recoloured(PIXELS, whole)
    assert found.dtype == np.uint8
    assert np.abs(found - applied(whole, PIXELS).clip(0, 255)).max() <= 1
    assert np.array_equal(PIXELS, before)


@given(chain=st.lists(changes, max_size=5))
def test_of_a_grey_picture_the_luminance_is_changed(chain: list[Change]) -> None:
    whole, grey = colour.chained(*chain), PIXELS[:, :, 0]
    expected = applied(whole, np.repeat(grey[:, :, None], 3, axis=2)) @ colour.LUMINANCE
    found = colour.recoloured(grey, whole)
    assert found.shape == grey.shape
    assert np.abs(found - expected.clip(0, 255)).max() <= 0.51


def test_no_change_changes_nothing() -> None:
    for nothing in (
        colour.chained(),
        colour.brightness(1),
        colour.lighter(0),
        colour.contrast(1),
        colour.saturation(1),
        colour.hue(0),
        colour.lighting(np.zeros(3)),
    ):
        np.testing.assert_allclose(nothing, np.eye(3, 4), atol=1e-12)
        assert np.array_equal(colour.recoloured(PIXELS, nothing), PIXELS)


# Against others


@pytest.mark.parametrize("factor", [0.2, 0.7, 1.0, 1.4, 2.5])
def test_brightness_is_that_of_pillow_and_torchvision(factor: float) -> None:
    found = colour.recoloured(PIXELS, colour.brightness(factor)).astype(float)
    pillow = np.asarray(ImageEnhance.Brightness(Image.fromarray(PIXELS)).enhance(factor), float)
    theirs = functional.adjust_brightness(torch.from_numpy(PIXELS).permute(2, 0, 1), factor).permute(1, 2, 0).numpy()
    assert np.abs(found - pillow).max() <= 1
    assert np.abs(found - theirs).max() <= 1


@pytest.mark.parametrize("factor", [0.0, 0.3, 0.8, 1.4, 2.0])
def test_saturation_is_that_of_pillow_and_torchvision(factor: float) -> None:
    """They round the grey picture first, to whole levels."""
    found = colour.recoloured(PIXELS, colour.saturation(factor)).astype(float)
    pillow = np.asarray(ImageEnhance.Color(Image.fromarray(PIXELS)).enhance(factor), float)
    theirs = functional.adjust_saturation(torch.from_numpy(PIXELS).permute(2, 0, 1), factor).permute(1, 2, 0).numpy()
    assert np.abs(found - pillow).max() <= 2
    assert np.abs(found - theirs).max() <= 2


@pytest.mark.parametrize("factor", [0.3, 0.8, 1.4, 2.0])
def test_contrast_is_that_of_torchvision_where_the_mean_is_the_middle(factor: float) -> None:
    """Of a picture and its negative side by side the mean is 127.5, about which torchvision changes contrast then."""
    balanced = np.concatenate([PIXELS, 255 - PIXELS], axis=1)
    found = colour.recoloured(balanced, colour.contrast(factor)).astype(float)
    theirs = functional.adjust_contrast(torch.from_numpy(balanced).permute(2, 0, 1), factor).permute(1, 2, 0).numpy()
    assert np.abs(found - theirs).max() <= 2


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("lighter", colour.lighter(30), [130, 40, 230]),
        ("darker", colour.lighter(-20), [80, -10, 180]),
        ("contrast", colour.contrast(2), [72.5, -107.5, 272.5]),
        ("grey", colour.saturation(0), [0.299 * 100 + 0.587 * 10 + 0.114 * 200] * 3),
    ],
)
def test_by_hand(name: str, change: Change, expected: list[float]) -> None:
    np.testing.assert_allclose(applied(change, np.array([100.0, 10.0, 200.0])), expected, atol=1e-9)


@given(degrees=st.floats(-180, 180))
def test_hue_keeps_luminance_and_grey(degrees: float) -> None:
    turned = applied(colour.hue(degrees), PIXELS)
    np.testing.assert_allclose(turned @ colour.LUMINANCE, PIXELS @ colour.LUMINANCE, atol=1e-9)
    np.testing.assert_allclose(applied(colour.hue(degrees), np.full((1, 3), 90.0)), 90, atol=1e-9)


@given(one=st.floats(-180, 180), other=st.floats(-180, 180))
def test_turns_of_hue_add_up(one: float, other: float) -> None:
    both = colour.chained(colour.hue(one), colour.hue(other))
    np.testing.assert_allclose(both, colour.hue(one + other), atol=1e-9)


def test_hue_turns_as_it_is_counted_elsewhere() -> None:
    """By a few degrees, of many colours; HSV's circle is not that of YIQ, but goes the same way round."""
    rng = np.random.default_rng(0)
    for red, green, blue in rng.uniform(60, 200, (200, 3)):
        before, _, _ = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
        after, _, _ = colorsys.rgb_to_hsv(*applied(colour.hue(5), np.array([red, green, blue])) / 255)
        assert 2 < ((after - before) * 360 + 180) % 360 - 180 < 9


# AlexNet's light


def test_lighting_adds_the_same_colour_everywhere() -> None:
    """By hand: 0.1 of the first direction, 255 x 0.1 x 0.2175 x (-0.5675, -0.5808, -0.5836)."""
    added = applied(colour.lighting(np.array([0.1, 0, 0])), PIXELS) - PIXELS
    np.testing.assert_allclose(added, np.broadcast_to([-3.1475, -3.2213, -3.2368], PIXELS.shape), atol=1e-3)


def test_lighting_has_the_statistics_of_its_components() -> None:
    """Drawn with a deviation of 0.1, the covariance is P diag((25.5 s)^2) P^T; P is orthonormal as printed."""
    directions = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
    spread = 25.5 * np.array([0.2175, 0.0188, 0.0045])
    np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=2e-3)
    rng = np.random.default_rng(0)
    offsets = np.array([colour.lighting(rng.normal(0, 0.1, 3))[:, 3] for _ in range(20_000)])
    np.testing.assert_allclose(offsets.mean(axis=0), 0, atol=4 * 3.3 / np.sqrt(20_000))
    np.testing.assert_allclose(np.cov(offsets.T), directions @ np.diag(spread**2) @ directions.T, rtol=0.05, atol=0.02)


@pytest.mark.parametrize("change", [colour.brightness, colour.contrast, colour.saturation])
def test_what_is_too_bright_or_dark_is_cut_off(change: Callable[[float], Change]) -> None:
    extremes = np.array([[[255, 0, 128], [255, 255, 255], [0, 0, 0]]], np.uint8)
    found = colour.recoloured(extremes, change(3))
    assert np.abs(found - rounded(applied(change(3), extremes))).max() <= 1
    assert found[0, 0, 0] == 255
