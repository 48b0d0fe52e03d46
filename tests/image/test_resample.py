"""Where pixels land: dots, ramps, fine patterns, borders. The expectation is the matrix, evaluated point by point."""

from __future__ import annotations

import random

import cv2
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scenes import centres, policies, preparations, seeds, seen_from, shrinks, sides, smooth, upright_policies
from sklearn.datasets import load_sample_images
from torchvision.transforms.v2 import InterpolationMode, functional

from mirada.image import Preparation, geometry
from mirada.image.augment import drawn
from mirada.image.policy import Policy
from mirada.image.resample import Border, resampled, resampled_ids

Matrix = NDArray[np.float64]
BORDERS = st.sampled_from(["reflect", "fill"])
SIZE = (64, 48)


def turned_about_middle(degrees: float, scale: float, width: int, height: int) -> Matrix:
    """The middle of a picture in the middle of the view."""
    change = geometry.scaled(scale, scale) @ geometry.turned(degrees)
    return geometry.shifted(SIZE[0] / 2, SIZE[1] / 2) @ change @ geometry.shifted(-width / 2, -height / 2)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), wh=sides, preparation=preparations, policy=policies | upright_policies, seed=seeds)
def test_a_dot_lands_where_the_matrix_says(
    data: st.DataObject, wh: tuple[int, int], preparation: Preparation, policy: Policy, seed: int
) -> None:
    """A disc of about five pixels of the view, where it is seen whole: the middle of its light, within a fifth of one.

    Of each of its pixels the matrix says where it lands, and, by its determinant over the third power of the depth, how
    much of the view it covers.
    """
    draw = drawn(policy, preparation, wh, random.Random(seed))
    size, radius = np.array(draw.size_wh), 3 * max(1.0, shrinks(draw))
    at = np.array([data.draw(st.floats(4, side - 4)) for side in wh])
    assume((at > radius).all() and (at < np.array(wh) - radius).all())
    places = centres(*wh)[np.hypot(*np.moveaxis(centres(*wh) - at, -1, 0)) < radius]
    levels = np.clip(radius - np.hypot(*(places - at).T), 0, 1)
    depths = places @ draw.matrix[2, :2] + draw.matrix[2, 2]
    assume(depths.min() > 0.2)
    lands = geometry.moved_points(draw.matrix, places)
    assume((lands > 2).all() and (lands < size - 2).all())
    image = np.zeros(wh[::-1], np.uint8)
    image[tuple(places.astype(int).T[::-1])] = (200 * levels).round()
    view = resampled(image, draw.matrix, draw.size_wh, "fill", 0).astype(float)
    assume(view.sum() > 400)
    found = (centres(*draw.size_wh) * view[:, :, None]).sum(axis=(0, 1)) / view.sum()
    expected = np.average(lands, axis=0, weights=levels / depths**3)
    assert np.abs(found - expected).max() < 0.2


@settings(max_examples=150, deadline=None)
@given(wh=sides, preparation=preparations, policy=policies | upright_policies, border=BORDERS, seed=seeds)
def test_pixels_are_those_of_the_places_they_show(
    wh: tuple[int, int], preparation: Preparation, policy: Policy, border: Border, seed: int
) -> None:
    """Of a smooth picture, whose formula is evaluated at the very places. Outside is the mirror image or the fill."""
    draw = drawn(policy, preparation, wh, random.Random(seed))
    image = smooth(*wh)
    view = resampled(image, draw.matrix, draw.size_wh, border, 90).astype(float)
    places = seen_from(draw) / wh  # of a whole
    expected = _waves(1 - np.abs(1 - np.mod(places, 2)))  # mirrored outside
    reads = 1.5 * max(1.0, shrinks(draw))  # pixels around a place
    is_clear = (np.abs(places - np.round(places)) * wh > reads).all(axis=2)  # of the borders of picture and mirror
    edge = 1 + max(draw.size_wh) // min(wh)  # half a pixel of a cut repeats
    is_clear[:edge], is_clear[-edge:], is_clear[:, :edge], is_clear[:, -edge:] = False, False, False, False
    is_inside = ((places > 0) & (places < 1)).all(axis=2)
    bound = 4 + 12 * reads / min(wh)  # waves are bent, the more the further apart pixels are
    assert np.abs(view - expected)[is_clear & is_inside].max(initial=0) < bound
    if border == "fill":
        assert (view[is_clear & ~is_inside] == 90).all()
    else:
        is_near = ((places > -1) & (places < 2)).all(axis=2)
        assert np.abs(view - expected)[is_clear & is_near].max(initial=0) < bound


def _waves(places: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y = places[..., 0], places[..., 1]
    return np.stack(
        [127 + 100 * wave for wave in (np.sin(3 * x + 2 * y), np.cos(2 * x - 3 * y), np.sin(4 * x * y + 1))], -1
    )


# Against others


@pytest.mark.parametrize("degrees", [-40.0, 8.0, 90.0])
@pytest.mark.parametrize("scale", [0.8, 1.7])
def test_a_turn_is_that_of_torchvision_and_pillow(degrees: float, scale: float) -> None:
    """Of random pixels, so that every place counts; away from the border."""
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8), (0, 0), 1.0)
    matrix = geometry.about(geometry.scaled(scale, scale) @ geometry.turned(degrees), 60, 45)
    view = resampled(image, matrix, (120, 90), "fill", 0).astype(int)
    theirs = functional.affine(
        torch.from_numpy(image).permute(2, 0, 1),
        angle=degrees,
        translate=[0, 0],
        scale=scale,
        shear=[0.0, 0.0],
        interpolation=InterpolationMode.BILINEAR,
    )
    back = geometry.inverse(matrix)[:2].ravel()
    pillow = Image.fromarray(image).transform((120, 90), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR)
    places = geometry.moved_points(geometry.inverse(matrix), centres(120, 90))
    inside = ((places > 1) & (places < [119, 89])).all(axis=2)
    assert np.abs(view - theirs.permute(1, 2, 0).numpy())[inside].max() <= 2
    assert np.abs(view - np.asarray(pillow))[inside].max() <= 2


def test_a_tilt_is_that_of_pillow() -> None:
    image = smooth(120, 90)
    matrix = geometry.about(geometry.tilted(0.3 / 60, -0.2 / 45), 60, 45)
    view = resampled(image, matrix, (120, 90), "fill", 0).astype(int)
    back = geometry.inverse(matrix)
    eight = (back / back[2, 2]).ravel()[:8]
    pillow = Image.fromarray(image).transform((120, 90), Image.Transform.PERSPECTIVE, eight, Image.Resampling.BILINEAR)
    places = geometry.moved_points(back, centres(120, 90))
    inside = ((places > 1) & (places < [119, 89])).all(axis=2)
    assert inside.mean() > 0.5
    assert np.abs(view - np.asarray(pillow))[inside].max() <= 2


@pytest.mark.parametrize(("x", "y"), [(True, False), (False, True), (True, True), (False, False)])
def test_mirrored_is_exact(x: bool, y: bool) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    view = resampled(image, geometry.about(geometry.mirrored(x=x, y=y), 25, 20), (50, 40), "fill", 7)
    assert np.array_equal(view, image[:: -1 if y else 1, :: -1 if x else 1])
    assert not np.shares_memory(view, image)


@pytest.mark.parametrize("part", [(10, 20, 90, 80), (0, 0, 120, 90), (31, 12, 41, 20)])
def test_an_upright_cut_is_that_of_a_warp(part: tuple[int, int, int, int]) -> None:
    """One is resized, the other turned by too little to be seen."""
    image = smooth(120, 90)
    left, top, right, bottom = part
    matrix = geometry.scaled(64 / (right - left), 48 / (bottom - top)) @ geometry.shifted(-left, -top)
    cut = resampled(image, matrix, SIZE, "reflect", 0).astype(int)
    warp = resampled(image, geometry.turned(1e-7) @ matrix, SIZE, "reflect", 0).astype(int)
    assert np.abs(cut - warp).max() <= 2


# Shrinking


@pytest.mark.parametrize("degrees", [0.0, 5.0, 30.0])
@pytest.mark.parametrize("scale", [0.09, 0.15, 0.21, 0.3, 0.45, 0.55, 0.65, 0.8])
def test_a_photograph_shrinks_to_its_averages(degrees: float, scale: float) -> None:
    """Against 64 places in each pixel, interpolated and averaged: nearer than sampling alone, and no darker."""
    image = load_sample_images().images[0]
    height, width = image.shape[:2]
    matrix = turned_about_middle(degrees, scale, width, height)
    averages = sampled(image, geometry.scaled(8, 8) @ matrix, (512, 384)).reshape(48, 8, 64, 8, 3).mean(axis=(1, 3))
    difference = resampled(image, matrix, SIZE, "reflect", 0) - averages
    plain = sampled(image, matrix, SIZE) - averages
    assert abs(difference.mean()) < 0.7
    assert rms(difference) < 8
    assert rms(difference) < (1.01 if scale > 0.7 else 0.9) * rms(plain)


def sampled(image: NDArray[np.uint8], matrix: Matrix, size_wh: tuple[int, int]) -> NDArray[np.float32]:
    """Bilinear between pixels, by OpenCV in floating-point numbers."""
    centred = geometry.about(matrix, -0.5, -0.5)[:2]
    options = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REFLECT}
    return np.asarray(cv2.warpAffine(image.astype(np.float32), centred, size_wh, **options), np.float32)


def rms(levels: NDArray[np.floating]) -> float:
    return float(np.sqrt((levels**2).mean()))


@pytest.mark.parametrize("degrees", [0.0, 3.0, 45.0])
@pytest.mark.parametrize("scale", [0.06, 0.11, 0.24, 0.3, 0.49])
def test_a_fine_pattern_becomes_grey(degrees: float, scale: float) -> None:
    checks = ((np.arange(900)[:, None] + np.arange(1200)) % 2 * 255).astype(np.uint8)
    for image in (checks, np.repeat(checks[:, :, None], 3, axis=2)):
        view = resampled(image, turned_about_middle(degrees, scale, 1200, 900), SIZE, "reflect", 0)
        assert view.std() < 4
        assert abs(view.mean() - 127.5) < 2


def test_stripes_are_weaker_the_more_they_would_be_wrong() -> None:
    """Stripes of one pixel, shrunk 1.5 to 1.95 times, where none may be left: sampling alone shows 60 to 80 levels."""
    stripes = np.repeat((np.arange(600) % 2 * 255).astype(np.uint8)[None], 400, axis=0)
    for times in (1.5, 1.7, 1.9):
        matrix = turned_about_middle(4, 1 / times, 600, 400)
        assert resampled(stripes, matrix, SIZE, "reflect", 0).std() < 0.85 * sampled(stripes, matrix, SIZE).std()


@pytest.mark.parametrize("border", ["reflect", "fill"])
@pytest.mark.parametrize("scale", [0.2, 0.6, 1.0, 2.5])
def test_the_border_is_where_the_picture_ends(border: Border, scale: float) -> None:
    """A white picture, seen from so far that it ends in the view: how far it reaches, within half a pixel."""
    side = round(24 / scale)
    image = np.full((side, side), 255, np.uint8)
    view = resampled(image, turned_about_middle(0.001, scale, side, side), SIZE, border, 0).astype(float)
    if border == "reflect":
        assert (view == 255).all()
        return
    assert abs(view[24].sum() / 255 - side * scale) < 1
    assert abs(view[:, 32].sum() / 255 - side * scale) < 1
    assert view[24, : int(32 - (side + 1) * scale / 2)].max() == 0


@pytest.mark.parametrize("x", [-50, 180])
@pytest.mark.parametrize("y", [-30, 140])
@pytest.mark.parametrize("times", [1, 2, 3, 4])
def test_more_mirror_than_picture(x: int, y: int, times: int) -> None:
    """Views at the corners of a picture, of which they see the least part: against NumPy's padding, averaged."""
    image = smooth(200, 150)
    around = np.pad(image, ((100, 100), (100, 100), (0, 0)), mode="symmetric").astype(float)
    matrix = geometry.scaled(1 / times, 1 / times) @ geometry.shifted(-x, -y) @ geometry.turned(1e-9)
    view = resampled(image, matrix, (60 // times, 40 // times), "reflect", 0)
    width, height = 60 // times * times, 40 // times * times
    expected = around[100 + y :, 100 + x :][:height, :width]
    expected = expected.reshape(height // times, times, width // times, times, 3).mean(axis=(1, 3))
    assert np.abs(view - expected).max() <= (1 if times == 1 else 4)


def test_mirrored_again_and_again() -> None:
    """A view 5 times as large as the picture shows it, its mirror image, itself, ..."""
    image = smooth(12, 8)
    matrix = geometry.shifted(24, 16) @ geometry.turned(1e-9)
    view = resampled(image, matrix, (60, 40), "reflect", 0)
    strip = np.concatenate([image, image[:, ::-1], image, image[:, ::-1], image], axis=1)
    whole = np.concatenate([strip, strip[::-1], strip, strip[::-1], strip])
    assert np.abs(view.astype(int) - whole).max() <= 1


# Whole numbers


@settings(deadline=None)
@given(wh=sides, preparation=preparations, policy=policies, seed=seeds)
def test_each_number_is_that_of_the_nearest_pixel(
    wh: tuple[int, int], preparation: Preparation, policy: Policy, seed: int
) -> None:
    """But where two are as near within a hundredth of a pixel."""
    draw = drawn(policy, preparation, wh, random.Random(seed))
    ids = np.random.default_rng(seed).integers(0, 250, (wh[1], wh[0])).astype(np.uint8)
    found = resampled_ids(ids, draw.matrix, draw.size_wh, "fill", 255)
    places = seen_from(draw)
    column, row = np.floor(places).astype(int)[..., 0], np.floor(places).astype(int)[..., 1]
    is_inside = (column >= 0) & (row >= 0) & (column < wh[0]) & (row < wh[1])
    expected = np.where(is_inside, ids[row.clip(0, wh[1] - 1), column.clip(0, wh[0] - 1)], 255)
    is_clear = (np.abs(places - np.round(places)) > 0.02).all(axis=2)
    assert np.array_equal(found[is_clear], expected[is_clear])


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.uint32, np.int64])
def test_numbers_of_any_type(kind: type[np.integer]) -> None:
    largest = min(int(np.iinfo(kind).max), 2**31 - 1)
    ids = np.array([[0, 1, largest], [largest - 1, 2, 3]], kind)
    found = resampled_ids(ids, geometry.about(geometry.mirrored(x=True, y=False), 1.5, 1), (3, 2), "fill", 5)
    assert found.dtype == kind
    assert np.array_equal(found, ids[:, ::-1])
    moved = resampled_ids(ids, geometry.shifted(1, 0), (3, 2), "fill", 5)
    assert moved.tolist() == [[5, 0, 1], [5, largest - 1, 2]]


@pytest.mark.parametrize(
    ("border", "fill", "expected"),
    [("fill", 9, [9, 9, 1, 2, 9, 9]), ("fill", None, [1, 1, 1, 2, 2, 2]), ("reflect", 9, [2, 1, 1, 2, 2, 1])],
)
def test_numbers_outside(border: Border, fill: int | None, expected: list[int]) -> None:
    ids = np.array([[1, 2]], np.uint8)
    assert resampled_ids(ids, geometry.shifted(2, 0), (6, 1), border, fill).tolist() == [expected]
