"""What the numbers of a policy do: how draws are distributed, and of which single changes they are made."""

from __future__ import annotations

import math
import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from scenes import policies, preparations, seeds, sides, upright_policies

from mirada.image import Preparation, augment, colour, geometry
from mirada.image.augment import draw_view, drawn, view_pixels
from mirada.image.draw import Draw
from mirada.image.policy import POLICIES, Policy
from mirada.image.tone import CHANGES

SQUARE = Preparation((100, 100), "crop")
DRAWS = 2_000


def draws(policy: Policy, preparation: Preparation = SQUARE, wh: tuple[int, int] = (200, 200)) -> list[Draw]:
    return [draw_view(policy, preparation, wh, 0, number) for number in range(1, DRAWS + 1)]


def is_uniform(values: NDArray[np.float64], low: float, high: float) -> bool:
    """By Kolmogorov and Smirnov, at one in ten thousand; and nothing lies outside."""
    shares = (np.sort(values) - low) / (high - low)
    if shares[0] < -1e-9 or shares[-1] > 1 + 1e-9:
        return False
    steps = np.arange(len(values) + 1) / len(values)
    farthest = max(np.abs(shares - steps[:-1]).max(), np.abs(shares - steps[1:]).max())
    return bool(farthest < 2.23 / math.sqrt(len(values)))


def step(draw: Draw) -> NDArray[np.float64]:
    """What is changed about the centre, after the prepared geometry of 200 x 200 pixels: half the size."""
    return draw.matrix[:2, :2] * 2


# Of each number its own: a policy of nothing else, what is read off a draw, and between which bounds that is uniform.
NUMBERS: dict[str, tuple[Policy, Callable[[Draw], float], float]] = {
    "scale": (Policy(scale=0.5), lambda d: math.log(step(d)[0, 0]), 0.5),
    "aspect": (Policy(aspect=0.4), lambda d: math.log(step(d)[0, 0] / step(d)[1, 1]), 0.4),
    "slide": (Policy(slide=0.2), lambda d: d.matrix[0, 2] / 100, 0.2),
    "turn": (Policy(turn=40), lambda d: math.degrees(math.atan2(step(d)[1, 0], step(d)[0, 0])), 40),
    "shear": (Policy(shear=30), lambda d: math.degrees(math.atan(step(d)[0, 1])), 30),
    "shear of the other side": (Policy(shear=30), lambda d: math.degrees(math.atan(step(d)[1, 0])), 30),
    "brightness": (Policy(brightness=0.7), lambda d: math.log(d.colour[1, 1]), 0.7),
    "contrast": (Policy(contrast=0.6), lambda d: math.log(d.colour[2, 2]), 0.6),
    "contrast about the middle": (
        Policy(contrast=0.6),
        lambda d: math.log(1 - d.colour[0, 3] / 127.5),
        0.6,
    ),
    "saturation": (Policy(saturation=0.8), lambda d: math.log(d.colour[0, 0] - d.colour[1, 0]), 0.8),
    "light": (Policy(light=30), lambda d: d.colour[1, 3], 30),
    "hue": (Policy(hue=50), lambda d: _turn_of(d.colour), 50),
    "tilt": (Policy(tilt=0.3), lambda d: _farther(d, (200, 100)) - 1, 0.3),
    "tilt downwards": (Policy(tilt=0.3), lambda d: _farther(d, (100, 200)) - 1, 0.3),
}


def _turn_of(change: NDArray[np.float64]) -> float:
    """The angle in the plane of I and Q by which a change turns red; yellow, and so more hue, is down."""
    axes = np.array([[0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    before, after = axes @ [1, 0, 0], axes @ change[:, 0]
    return -math.degrees(math.remainder(math.atan2(*after[::-1]) - math.atan2(*before[::-1]), math.tau))


def _farther(draw: Draw, edge: tuple[float, float]) -> float:
    """How many times as far away as the middle, (100, 100), what lies at the middle of an edge of the part is."""
    return float((draw.matrix[2] @ [*edge, 1]) / (draw.matrix[2] @ [100, 100, 1]))


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_the_greatest_change(name: str) -> None:
    policy, read, most = NUMBERS[name]
    assert is_uniform(np.array([read(draw) for draw in draws(policy)]), -most, most)


def test_a_shift_of_one_puts_the_part_anywhere() -> None:
    """Of 200 x 100 pixels a square of 100 is taken; with zoom 2 one of 50."""
    for zoom, across, down in ((1.0, 100.0, 0.0), (2.0, 150.0, 50.0)):
        found = draws(Policy(shift=1), Preparation((100, 100), "crop", zoom), (200, 100))
        places = np.array([geometry.moved_points(geometry.inverse(draw.matrix), [0, 0]) for draw in found])
        assert is_uniform(places[:, 0], 0, across)
        assert is_uniform(places[:, 1], 0, down) if down else np.abs(places[:, 1]).max() < 1e-9


def test_area_and_aspect_of_a_random_crop() -> None:
    """In whole pixels inside the picture; the ratio is uniform by its logarithm, and so is the area for each ratio."""
    policy = Policy(area=(0.1, 0.4), aspect=math.log(4 / 3))
    shares, ratios, lefts = [], [], []
    for draw in draws(policy, Preparation((60, 40), "crop"), (900, 600)):
        left, top, right, bottom = geometry.moved_points(geometry.inverse(draw.matrix), [[0, 0], [60, 40]]).ravel()
        assert np.abs(np.array([left, top, right, bottom]) - np.round([left, top, right, bottom])).max() < 1e-6
        assert min(left, top) > -1e-6
        assert right < 900 + 1e-6
        assert bottom < 600 + 1e-6
        shares.append((right - left) * (bottom - top) / (900 * 600))
        ratios.append(math.log((right - left) / (bottom - top) / 1.5))
        lefts.append(left / (900 - right + left))
    assert is_uniform(np.array(shares), 0.1 - 0.003, 0.4 + 0.003)
    assert is_uniform(np.array(ratios), -math.log(4 / 3) - 0.01, math.log(4 / 3) + 0.01)
    assert is_uniform(np.array(lefts), 0, 1)


def test_a_crop_of_a_long_picture_keeps_its_ratio() -> None:
    """8 % of a panorama do not fit as a square: what fits is taken."""
    for draw in draws(Policy(area=(0.08, 1.0)), Preparation((100, 100), "crop"), (3000, 100))[:50]:
        (left, top), (right, bottom) = geometry.moved_points(geometry.inverse(draw.matrix), [[0, 0], [100, 100]])
        assert (right - left, bottom - top, top) == pytest.approx((100, 100, 0))


SOMETIMES: dict[str, tuple[Policy, Callable[[Draw], Any], float]] = {
    "mirror": (Policy(mirror=0.3), lambda d: d.matrix[0, 0] < 0, 0.3),
    "flip": (Policy(flip=0.8), lambda d: d.matrix[1, 1] < 0, 0.8),
    "blur": (Policy(blur=2), lambda d: d.blur > 0, 0.5),
    "noise": (Policy(noise=9), lambda d: d.noise > 0, 0.5),
    "quality": (Policy(quality=20), lambda d: d.quality is not None, 0.5),
    "erase": (Policy(erase=0.3), lambda d: d.erased_xyxy is not None, 0.5),
}


@pytest.mark.parametrize("name", SOMETIMES)
def test_what_is_done_to_a_share_of_the_views(name: str) -> None:
    policy, is_done, share = SOMETIMES[name]
    done = sum(bool(is_done(draw)) for draw in draws(policy))
    assert abs(done - share * DRAWS) < 4 * math.sqrt(DRAWS * share * (1 - share))


def test_how_much_is_blurred_and_so_on() -> None:
    found = draws(Policy(blur=2, noise=9, quality=20, erase=0.3))
    assert is_uniform(np.array([draw.blur for draw in found if draw.blur]), 0, 2)
    assert is_uniform(np.array([draw.noise for draw in found if draw.noise]), 0, 9)
    counts = Counter(draw.quality for draw in found if draw.quality is not None)
    assert (min(counts), max(counts), len(counts)) == (20, 100, 81)
    parts = np.array([draw.erased_xyxy for draw in found if draw.erased_xyxy])
    sizes = parts[:, 2:] - parts[:, :2]
    assert parts.min() >= 0
    assert parts.max() <= 100
    assert is_uniform(sizes.prod(axis=1) / 100**2, 0.015, 0.305)
    assert np.abs(np.log(sizes[:, 0] / sizes[:, 1])).max() < 1.05


@pytest.mark.parametrize("wh", [(500, 375), (256, 256), (60, 200)])
def test_alexnet_crops_seven_eighths_of_the_middle_square_anywhere(wh: tuple[int, int]) -> None:
    """Krizhevsky et al. 2012, section 4.1: 224 from the middle 256."""
    width, height = wh
    side = min(wh)
    corners = []
    for number in range(300):
        draw = draw_view(replace(POLICIES["alexnet"], mirror=0.0), Preparation((224, 224), "crop"), wh, 0, number + 1)
        (left, top), (right, bottom) = geometry.moved_points(geometry.inverse(draw.matrix), [[0, 0], [224, 224]])
        assert (right - left, bottom - top) == pytest.approx((round(0.875 * side),) * 2)
        corners.append((left - (width - side) // 2, top - (height - side) // 2))
    room = side - round(0.875 * side)
    assert np.min(corners, axis=0) == pytest.approx([0, 0], abs=1e-6)
    assert np.max(corners, axis=0) == pytest.approx([room, room], abs=1e-6)


@pytest.mark.parametrize("name", ["standard", "alexnet"])
def test_crops_are_stretched_as_the_preparation_stretches(name: str) -> None:
    preparation = Preparation((224, 224), "stretch")
    ratios = []
    for number in range(200):
        draw = draw_view(POLICIES[name].without_mirror(), preparation, (400, 200), 0, number + 1)
        ratios.append(math.log(draw.matrix[0, 0] / draw.matrix[1, 1]))
    assert np.mean(ratios) == pytest.approx(math.log(0.5), abs=0.03)


def test_no_policy_without_mirror_mirrors() -> None:
    """Sheared as far as can be, both ways."""
    for policy in (
        Policy(shear=40, turn=180),
        POLICIES["trivial"].without_mirror(),
        POLICIES["strong"].without_mirror(),
    ):
        for number in range(500):
            draw = draw_view(policy, Preparation((64, 64), "crop"), (80, 70), 1, number + 1)
            assert np.linalg.det(draw.matrix[:2, :2]) > 0
    with pytest.raises(ValueError, match="shear: expected a number from 0 to 40"):
        Policy(shear=45)


def test_alexnet_has_the_light_of_the_paper() -> None:
    """Offsets are normal, with the covariance of the components times 0.1; nothing else of the colour is changed."""
    found = draws(POLICIES["alexnet"], Preparation((224, 224), "crop", 256 / 224), (500, 375))
    offsets = np.array([draw.colour[:, 3] for draw in found])
    directions = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
    amounts = offsets @ directions / (25.5 * np.array([0.2175, 0.0188, 0.0045]))
    np.testing.assert_allclose(amounts.mean(axis=0), 0, atol=4 / math.sqrt(DRAWS))
    np.testing.assert_allclose(np.cov(amounts.T), np.eye(3), atol=0.15)
    assert all((draw.colour[:, :3] == np.eye(3)).all() for draw in found)
    scales = {tuple(np.abs(np.diagonal(draw.matrix)[:2]).round(9)) for draw in found}
    assert len(scales) == 1


# TrivialAugment


def test_all_changes_of_trivialaugment_are_as_frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, float]] = []

    def noted(change: str, strength: float, size_wh: tuple[int, int]) -> Any:
        seen.append((change, strength))
        return original(change, strength, size_wh)

    original = augment.trivial
    monkeypatch.setattr(augment, "trivial", noted)
    draws(POLICIES["trivial"])
    counts = Counter(change for change, _ in seen)
    expected = DRAWS / len(CHANGES)
    assert set(counts) == set(CHANGES)
    assert (
        sum((count - expected) ** 2 / expected for count in counts.values()) < 39
    )  # 13 degrees of freedom, 1 in 5,000
    assert is_uniform(np.array([strength for _, strength in seen]), -1, 1)


def test_a_view_of_trivialaugment_changes_one_thing() -> None:
    mirror = geometry.about(geometry.mirrored(x=True, y=False), 50, 50)
    still = np.vstack([SQUARE.to_network_matrix(200, 200), [0, 0, 1]])
    for draw in draws(POLICIES["trivial"])[:300]:
        shape = min(np.abs(draw.matrix - each).max() for each in (still, mirror @ still))
        light = np.abs(draw.colour - np.eye(3, 4)).max()
        assert (shape > 1e-9) + (light > 1e-9) + (draw.tone is not None) <= 1
        assert (draw.blur, draw.noise, draw.quality, draw.erased_xyxy) == (0, 0, None, None)


# Of single changes


@settings(max_examples=60, deadline=None)
@given(wh=sides, preparation=preparations, policy=policies | upright_policies, seed=seeds)
def test_the_matrix_is_that_of_one_change_after_the_other(
    wh: tuple[int, int], preparation: Preparation, policy: Policy, seed: int
) -> None:
    """Every map that is made while drawing, noted and then applied to points, about the centre of the view."""
    made: list[NDArray[np.float64]] = []
    policy = replace(policy, area=None, shift=0.0, slide=0.0)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("scaled", "sheared", "turned", "tilted"):
            original = getattr(geometry, name)
            patch.setattr(geometry, name, lambda *given, original=original: made.append(original(*given)) or made[-1])
        draw = drawn(policy, preparation, wh, random.Random(seed))
    assert len(made) == 1 + (policy.shear > 0) + (policy.turn > 0) + (policy.tilt > 0)
    points = np.random.default_rng(seed).uniform(0, wh, (20, 2))
    points = points[points @ draw.matrix[2, :2] + draw.matrix[2, 2] > 0.05]
    centre = np.array(preparation.size_wh) / 2
    moved = preparation.to_network(points, *wh) - centre
    for matrix in made:
        moved = geometry.moved_points(matrix, moved)
    np.testing.assert_allclose(geometry.moved_points(draw.matrix, points), moved + centre, atol=1e-6)


def test_the_colour_is_that_of_one_change_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the documentation, in floating-point numbers."""
    made: list[tuple[str, NDArray[np.float64]]] = []
    names = ["contrast", "brightness", "saturation", "hue", "lighter", "lighting"]
    for name in names:
        original = getattr(colour, name)
        monkeypatch.setattr(
            colour, name, lambda *given, name=name, do=original: made.append((name, do(*given))) or made[-1][1]
        )
    policy = Policy(contrast=0.5, brightness=0.5, saturation=0.5, hue=20, light=20, lighting=0.1)
    levels = np.random.default_rng(0).uniform(0, 255, (50, 3))
    for number in range(1, 50):
        made.clear()
        draw = draw_view(policy, SQUARE, (200, 200), 0, number)
        assert [name for name, _ in made] == names
        after = levels
        for _, change in made:
            after = after @ change[:, :3].T + change[:, 3]
        np.testing.assert_allclose(levels @ draw.colour[:, :3].T + draw.colour[:, 3], after, atol=1e-9)


# The same again


PICTURE = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)
EVERYTHING = replace(POLICIES["strong"], flip=0.5, scale=0.2, light=10.0, lighting=0.1, is_trivial=True)


def test_one_number_more_leaves_the_others() -> None:
    """A policy that does more draws the same of what it did before."""
    for number in range(1, 20):
        less = draw_view(Policy(mirror=0.5, turn=10), SQUARE, (200, 200), 0, number)
        more = draw_view(Policy(mirror=0.5, turn=10, hue=10, noise=5, erase=0.2), SQUARE, (200, 200), 0, number)
        assert np.array_equal(less.matrix, more.matrix)


def test_threads_give_what_one_thread_gives_and_nothing_global_is_changed() -> None:
    """Eight at once; the random numbers of NumPy and OpenCV and OpenCV's threads are left alone."""
    cv2.setRNGSeed(7)
    before = cv2.randu(np.zeros(4), 0, 1).tolist()
    cv2.setRNGSeed(7)
    state, threads = np.random.get_state()[1].tolist(), cv2.getNumThreads()
    alone = [view_pixels(PICTURE, SQUARE, EVERYTHING, 3, number).tobytes() for number in range(1, 33)]
    found: dict[int, bytes] = {}

    def work(first: int) -> None:
        for number in range(first, 33, 8):
            found[number] = view_pixels(PICTURE, SQUARE, EVERYTHING, 3, number).tobytes()

    workers = [threading.Thread(target=work, args=(first,)) for first in range(1, 9)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [found[number] for number in range(1, 33)] == alone
    assert cv2.randu(np.zeros(4), 0, 1).tolist() == before
    assert np.random.get_state()[1].tolist() == state
    assert cv2.getNumThreads() == threads


@pytest.mark.parametrize("name", [*POLICIES, "everything"])
@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (1, 40, 3), (40, 1), (2, 3, 3), (60, 40, 3), (61, 43)])
def test_views_of_all_sizes_by_all_policies(name: str, fit: Any, shape: tuple[int, ...]) -> None:
    """Also of a single pixel; the same numbers give the same view, and the picture stays as it is."""
    policy = POLICIES.get(name, EVERYTHING)
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    before = image.copy()
    for channels in (1, 3):
        preparation = Preparation((24, 20), fit, channels=channels, mean=(0.5,) * channels, std=(0.5,) * channels)
        for number in range(6):
            view = view_pixels(image, preparation, policy, 0, number)
            assert view.shape == (20, 24, channels)
            assert view.dtype == np.uint8
            assert view.flags.c_contiguous
            assert view.tobytes() == view_pixels(image, preparation, policy, 0, number).tobytes()
    assert np.array_equal(image, before)


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("wh", [(64, 48), (90, 33), (200, 150), (500, 333), (20, 30)])
def test_views_of_no_policy_are_the_prepared_picture(fit: Any, wh: tuple[int, int]) -> None:
    """But for how it is averaged where it shrinks: a smooth picture is the same to two levels."""
    y, x = np.mgrid[0 : wh[1], 0 : wh[0]]
    image = np.stack([x * 200 / wh[0], y * 200 / wh[1], 100 + 0 * x], axis=2).round().astype(np.uint8)
    preparation = Preparation((64, 48), fit, pad_value=60)
    view = view_pixels(image, preparation, POLICIES["none"], 0, 1).astype(int)
    assert np.abs(view - preparation.pixels(image)).max() <= 2
