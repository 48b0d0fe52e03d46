"""Random views of pictures whose every pixel is known: ramps, from whose levels the geometry can be read off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mirada.image import Preparation
from mirada.image.augment import view_pixels
from mirada.image.policy import POLICIES, Policy

CROP = Preparation((64, 48), "crop", 1.143)
PAD = Preparation((64, 48), "pad", pad_value=200)
STRETCH = Preparation((64, 48), "stretch")
LIGHT = POLICIES["light"]
UNMOVED = Policy(mirror=0.5)
"""Nothing is random but the mirror."""
ALL = [pytest.param(CROP, id="crop"), pytest.param(PAD, id="pad"), pytest.param(STRETCH, id="stretch")]


def ramps(height: int, width: int) -> NDArray[np.uint8]:
    """Red grows to the right from 20 to 220, green downwards, blue is 90 everywhere."""
    y, x = (np.arange(n) / max(n - 1, 1) for n in (height, width))
    planes = np.broadcast_arrays(20 + 200 * x, 20 + 200 * y[:, None], 90.0)
    return np.stack(planes, axis=2).round().astype(np.uint8)


def level(value: int, height: int, width: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), value, np.uint8)


shapes = st.tuples(st.integers(1, 90), st.integers(1, 90))
preparations = st.builds(
    lambda size, fit, zoom, channels: Preparation(
        size,
        fit,
        zoom if fit == "crop" else 1.0,
        channels=channels,
        mean=(0.5,) * channels,
        std=(0.5,) * channels,
    ),
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.sampled_from(["crop", "pad", "stretch"]),
    st.floats(1, 3),
    st.sampled_from([1, 3]),
)


@settings(max_examples=60)
@given(shape=shapes, preparation=preparations, is_grey=st.booleans(), seed=st.integers(0, 2**60))
def test_size_type_and_repeatability(
    shape: tuple[int, int], preparation: Preparation, is_grey: bool, seed: int
) -> None:
    """Whatever the picture: view 0 is the preparation, the same numbers give the same pixels, the picture stays."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, shape if is_grey else (*shape, 3), dtype=np.uint8)
    before = image.copy()
    width, height = preparation.size_wh
    assert np.array_equal(view_pixels(image, preparation, LIGHT, seed, 0), preparation.pixels(image))
    for number in (1, 7):
        view = view_pixels(image, preparation, LIGHT, seed, number)
        assert view.dtype == np.uint8
        assert view.shape == (height, width, preparation.channels)
        assert view.flags.c_contiguous
        assert view.tobytes() == view_pixels(image, preparation, LIGHT, seed, number).tobytes()
    assert np.array_equal(image, before)


@pytest.mark.parametrize("preparation", ALL)
def test_other_numbers_and_seeds_give_other_pixels(preparation: Preparation) -> None:
    image = ramps(70, 110)
    numbers = [(seed, number) for seed in range(3) for number in range(1, 21)]
    seen = {view_pixels(image, preparation, LIGHT, *pair).tobytes() for pair in numbers}
    assert len(seen) == 60
    assert preparation.pixels(image).tobytes() not in seen


def test_grey_is_as_the_same_grey_in_colour() -> None:
    """To one level: colours are changed in whole numbers, grey is not."""
    grey = ramps(70, 110)[:, :, 0]
    one = replace(CROP, channels=1, mean=(0.5,), std=(0.5,))
    for number in range(1, 6):
        colour = view_pixels(np.repeat(grey[:, :, None], 3, axis=2), CROP, LIGHT, 0, number)
        assert np.abs(view_pixels(grey, CROP, LIGHT, 0, number).astype(int) - colour).max() <= 1
        assert np.abs(view_pixels(grey, one, LIGHT, 0, number).astype(int) - colour[:, :, :1]).max() <= 1


@pytest.mark.parametrize("preparation", ALL)
@pytest.mark.parametrize("shape", [(48, 64), (100, 100), (90, 33), (333, 500), (1500, 2000)])
def test_without_the_random_part_it_is_the_prepared_picture_or_its_mirror(
    preparation: Preparation, shape: tuple[int, int]
) -> None:
    """To two levels: rounding to whole pixels, and of the resampling. Where pixels lie is exact to a tenth of one."""
    image = ramps(*shape)
    plain = preparation.pixels(image).astype(int)
    ways = set()
    for number in range(1, 13):
        view = view_pixels(image, preparation, UNMOVED, 3, number).astype(int)
        apart = [int(np.abs(view - other).max()) for other in (plain, plain[:, ::-1])]
        assert min(apart) <= 2
        assert max(apart) > 20
        ways.add(apart[0] < apart[1])
    assert ways == {False, True}


@pytest.mark.parametrize("preparation", [CROP, STRETCH])
@pytest.mark.parametrize("shape", [(3, 200), (200, 3), (20, 20), (7, 5)])
def test_so_too_where_a_picture_is_enlarged(preparation: Preparation, shape: tuple[int, int]) -> None:
    """But for what is nearer than half a pixel to the border of the part that is taken, which repeats.

    Levels are held against the ramp itself: the centre of pixel i of the picture has 20 + 200 i / (n - 1).
    """
    image = ramps(*shape)
    height, width = shape
    matrix = preparation.to_network_matrix(width, height)
    x, y = ((np.arange(n) + 0.5 - matrix[i, 2]) / matrix[i, i] - 0.5 for i, n in ((0, 64), (1, 48)))
    is_across, is_down = ((place > place[0] + 0.5) & (place < place[-1] - 0.5) for place in (x, y))
    across, down = x[is_across], y[is_down]
    for number in range(1, 7):
        view = view_pixels(image, preparation, UNMOVED, 3, number).astype(float)
        if view[24, 0, 0] > view[24, -1, 0]:
            view = view[:, ::-1]
        red = view[24, is_across, 0]
        green = view[is_down, 32, 1]
        np.testing.assert_allclose(red, 20 + 200 * across / (width - 1), atol=2)
        np.testing.assert_allclose(green, 20 + 200 * down / (height - 1), atol=2)


def test_about_half_are_mirrored_and_none_is_upside_down() -> None:
    image = ramps(100, 133)
    found = [view_pixels(image, CROP, UNMOVED, 0, number).astype(int) for number in range(1, 201)]
    mirrored = sum(bool(view[24, 0, 0] > view[24, -1, 0]) for view in found)
    assert 70 <= mirrored <= 130  # 4 standard deviations
    assert all(view[0, 32, 1] < view[-1, 32, 1] for view in found)


FAR = Preparation((64, 48), "crop", 3.0)
"""So near that no view reaches the border of the picture."""


def _affine(seed: int, number: int) -> tuple[NDArray[np.float64], float, float]:
    """What a view did, read off its pixels: matrix (2, 3) from its places to shares of the picture, contrast, light.

    The tone is that of two even pictures, whose geometry shows nothing. Coordinates are about the centre, in pixels of
    the network's input.
    """
    shape = (300, 400)
    dark, bright = (float(view_pixels(level(v, *shape), FAR, LIGHT, seed, number).mean()) + 0.5 for v in (87, 167))
    contrast = (bright - dark) / 80
    light = (bright + dark) / 2 - 127
    view = view_pixels(ramps(*shape), FAR, LIGHT, seed, number).astype(np.float64) + 0.5
    shares = ((view[:, :, :2] - 127 - light) / contrast + 127 - 20) / 200  # 0 at the first pixel, 1 at the last
    is_in_range = ((view[:, :, :2] > 4) & (view[:, :, :2] < 250)).all(axis=2)
    y, x = np.mgrid[:48, :64]
    places = np.stack([x - 31.5, y - 23.5, np.ones_like(x)], axis=2)[is_in_range]
    found, *_ = np.linalg.lstsq(places, shares[is_in_range] - 0.5, rcond=None)
    assert np.abs(places @ found + 0.5 - shares[is_in_range]).max() < 0.02  # a ramp stays one: nothing is bent
    return found.T, contrast, light


def test_scale_turn_shift_and_tone_stay_within_their_bounds_and_use_them() -> None:
    """Undoing the prepared geometry, what remains of a view is shift, mirror, scale of each side, and turn.

    Bounds are the constants of the module; what is read off 64 x 48 pixels of whole levels is good to about 1 %.
    """
    widest = {"scale": 0.0, "aspect": 0.0, "turn": 0.0, "across": 0.0, "down": 0.0, "contrast": 0.0, "light": 0.0}
    to_network = FAR.to_network_matrix(400, 300)
    shifts, scales = [], []
    for number in range(1, 121):
        matrix, contrast, light = _affine(5, number)
        # places of the network's input -> pixels of the picture -> places of the unmoved view
        pixels = matrix * np.array([[399], [299]])
        change = np.linalg.inv(to_network[:, :2] @ pixels[:, :2])
        shift = -(to_network[:, :2] @ pixels[:, 2])
        sides = np.linalg.norm(change, axis=0)
        turn = np.degrees(np.arctan2(-change[0, 1], change[1, 1]))
        assert abs(float(change[:, 0] @ change[:, 1])) < 0.04  # no shear
        found = {
            "scale": np.log(sides[0] * sides[1]) / 2 / LIGHT.scale,
            "aspect": np.log(sides[0] / sides[1]) / LIGHT.aspect,
            "turn": turn / LIGHT.turn,
            "across": shift[0] / (0.35 * (64 * 2 + 6.4)),
            "down": shift[1] / (0.35 * (48 * 2 + 4.8)),
            "contrast": np.log(contrast) / LIGHT.contrast,
            "light": light / LIGHT.light,
        }
        for name, share in found.items():
            assert abs(share) < 1.1, (number, name)
            widest[name] = max(widest[name], abs(share))
        shifts.append([found["across"], found["down"]])
        scales.append(found["scale"])
    assert min(widest.values()) > 0.85
    # uniform over -1 to 1: the mean of 120 is within 4 standard deviations, 4 / sqrt(3 * 120), of nothing
    assert np.abs(np.mean(shifts, axis=0)).max() < 0.21
    assert abs(np.mean(scales)) < 0.21


@pytest.mark.parametrize("preparation", [CROP, STRETCH, replace(PAD, pad_value=120)])
def test_the_mean_of_many_views_is_that_of_the_picture(preparation: Preparation) -> None:
    """Red and green are ramps with a mean of 120: what is cut off on one side is as often cut off on the other."""
    image = ramps(120, 160)
    means = [view_pixels(image, preparation, LIGHT, 0, number)[:, :, :2].mean(axis=(0, 1)) for number in range(1, 201)]
    plain = preparation.pixels(image)[:, :, :2].mean(axis=(0, 1))
    np.testing.assert_allclose(plain, 120, atol=1)
    spread = np.std(means, axis=0) / np.sqrt(len(means))
    assert (np.abs(np.mean(means, axis=0) - plain) < 4 * spread + 1).all()  # half a level is lost in rounding


def _checks(height: int, width: int) -> NDArray[np.uint8]:
    grey = ((np.arange(height)[:, None] + np.arange(width)) % 2 * 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


@pytest.mark.parametrize("preparation", [CROP, STRETCH, replace(PAD, pad_value=127)])
@pytest.mark.parametrize("shape", [(1200, 1600), (3001, 1999)])
def test_a_fine_pattern_becomes_grey(preparation: Preparation, shape: tuple[int, int]) -> None:
    """Sampling alone would show checks of its own."""
    image = _checks(*shape)
    for number in range(1, 9):
        view = view_pixels(image, preparation, LIGHT, 0, number).astype(float)
        assert view.std() < 4
        assert abs(view.mean() - 127) < LIGHT.light + 2


def test_so_too_where_one_side_shrinks_far_more() -> None:
    """A panorama, stretched: 31 pixels across become one, but each downwards stays. Stripes of 8 pixels are grey then.

    The lines that run across it stay: nothing shrinks downwards.
    """
    x, y = np.arange(2000), np.arange(64)
    upright = np.broadcast_to((x // 4 % 2 * 255).astype(np.uint8), (64, 2000))
    lying = np.broadcast_to((y[:, None] // 4 % 2 * 255).astype(np.uint8), (64, 2000))
    square = Preparation((64, 64), "stretch")
    assert square.pixels(upright).std() < 5
    assert square.pixels(lying).std() > 120
    for number in range(1, 9):
        assert view_pixels(upright, square, LIGHT, 0, number).std() < 12
    middle = [view_pixels(lying, square, LIGHT, 0, number)[20:44, 20:44].std() for number in range(1, 9)]
    assert min(middle) > 60


def test_what_lies_outside_is_the_padding_or_a_mirror() -> None:
    """Black pictures: with padding, what is not black is the padding, in the view's own tone."""
    image = level(0, 48, 64)
    filled = 0
    for number in range(1, 21):
        tone = view_pixels(level(200, 48, 64), CROP, LIGHT, 0, number)
        assert len(np.unique(tone)) == 1
        padded = view_pixels(image, PAD, LIGHT, 0, number)
        black = view_pixels(image, CROP, LIGHT, 0, number)
        assert len(np.unique(black)) == 1
        outside = padded == tone[0, 0, 0]
        filled += bool(outside.any())
        between = ~outside & (padded != black[0, 0, 0])
        assert between.mean() < 0.1  # along the border
    assert filled > 10


@pytest.mark.parametrize("preparation", ALL)
def test_a_single_pixel(preparation: Preparation) -> None:
    image = np.array([[[200, 100, 50]]], np.uint8)
    for number in range(1, 6):
        view = view_pixels(image, preparation, LIGHT, 0, number)
        assert view.shape == (48, 64, 3)
        red, green, blue = view[24, 32].astype(int)
        assert red > green > blue
        if preparation.fit != "pad":
            assert (view == view[0, 0]).all()


@pytest.mark.parametrize("preparation", ALL)
@pytest.mark.parametrize("shape", [(3, 200), (40_000, 50), (50, 40_000), (6000, 5000)])
def test_very_small_and_very_large_pictures_keep_their_colour(preparation: Preparation, shape: tuple[int, int]) -> None:
    image = np.empty((*shape, 3), np.uint8)
    image[:] = (200, 100, 50)
    plain = replace(CROP, zoom=1.0)
    evens = (np.full((48, 64, 3), value, np.uint8) for value in ((200, 100, 50), 200))
    tone, fill = (view_pixels(even, plain, LIGHT, 1, 4)[0, 0] for even in evens)
    view = view_pixels(image, preparation, LIGHT, 1, 4)
    assert view.shape == (48, 64, 3)
    if preparation.fit == "pad":  # it may be a line of one pixel between the padding
        coloured = view[(view != fill).any(axis=2)].astype(int)
        assert len(coloured) > 30
        assert (coloured[:, 1] >= coloured[:, 2]).all()
        assert coloured[:, 1].mean() > coloured[:, 2].mean() + 5
    else:
        assert (view == tone).all()
