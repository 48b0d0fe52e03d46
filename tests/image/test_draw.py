"""What is drawn does the same to a picture, its boxes and its mask; and what a drawn view does besides geometry."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scenes import centres, policies, preparations, seeds, shrinks, sides, smooth, upright_policies

from mirada.annotations import Boxes, Label, Labels, Mask
from mirada.image import Preparation, colour, geometry
from mirada.image.augment import drawn
from mirada.image.draw import NOISE, Draw
from mirada.image.policy import Policy
from mirada.image.tone import Tone

IGNORED = 255


def still(width: int = 40, height: int = 30, **changes: object) -> Draw:
    """A view that is the picture, but for what is named."""
    values = {"matrix": np.eye(3), "colour": colour.chained(), "border": "fill", "fill": 7, **changes}
    return Draw((width, height), (width, height), **values)


def boxes(*boxes_xyxy: tuple[float, ...]) -> Boxes:
    return Boxes(np.array(boxes_xyxy, np.float64).reshape(-1, 4), np.arange(len(boxes_xyxy)))


def around(is_object: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The box around pixels."""
    rows, columns = np.flatnonzero(is_object.any(axis=1)), np.flatnonzero(is_object.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)


@st.composite
def objects(draw: st.DrawFn, wh: tuple[int, int]) -> tuple[int, int, int, int]:
    """A rectangle of whole pixels, of at least 6."""
    left, top = (draw(st.integers(0, side - 7)) for side in wh)
    return left, top, draw(st.integers(left + 6, wh[0])), draw(st.integers(top + 6, wh[1]))


@settings(max_examples=200, deadline=None)
@given(data=st.data(), wh=sides, preparation=preparations, policy=upright_policies, seed=seeds)
def test_box_and_mask_agree_where_nothing_is_turned(
    data: st.DataObject, wh: tuple[int, int], preparation: Preparation, policy: Policy, seed: int
) -> None:
    left, top, right, bottom = data.draw(objects(wh))
    ids = np.zeros(wh[::-1], np.uint8)
    ids[top:bottom, left:right] = 1
    draw = drawn(policy, preparation, wh, random.Random(seed), border="fill")
    found, moved = draw.boxes(boxes((left, top, right, bottom)), least_visible=0), draw.mask(Mask(ids, IGNORED))
    assert moved.class_ids.shape == draw.size_wh[::-1]
    is_object = moved.class_ids == 1
    if is_object.any():
        assert len(found) == 1
        assert np.abs(found.boxes_xyxy[0] - around(is_object)).max() <= 1
    elif len(found):
        assert (found.boxes_xyxy[0, 2:] - found.boxes_xyxy[0, :2]).min() <= 1


@settings(max_examples=200, deadline=None)
@given(data=st.data(), wh=sides, preparation=preparations, policy=policies, seed=seeds)
def test_a_mask_lies_in_its_box(
    data: st.DataObject, wh: tuple[int, int], preparation: Preparation, policy: Policy, seed: int
) -> None:
    """An ellipse in its box, turned, tilted, sheared: inside within a pixel."""
    left, top, right, bottom = data.draw(objects(wh))
    x, y = np.moveaxis(centres(*wh), -1, 0)
    is_inside = ((2 * x - left - right) / (right - left)) ** 2 + ((2 * y - top - bottom) / (bottom - top)) ** 2 < 1
    draw = drawn(policy, preparation, wh, random.Random(seed), border="fill")
    found = draw.boxes(boxes((left, top, right, bottom)), least_visible=0)
    is_object = draw.mask(Mask(is_inside.astype(np.uint8), IGNORED)).class_ids == 1
    if is_object.any():
        assert len(found) == 1
        box = around(is_object)
        assert (box[:2] - found.boxes_xyxy[0, :2]).min() >= -1
        assert (found.boxes_xyxy[0, 2:] - box[2:]).min() >= -1


@settings(max_examples=100, deadline=None)
@given(data=st.data(), wh=sides, preparation=preparations, policy=policies | upright_policies, seed=seeds)
def test_boxes_are_in_the_view_and_seen_enough(
    data: st.DataObject, wh: tuple[int, int], preparation: Preparation, policy: Policy, seed: int
) -> None:
    """The share that is seen is that of the pixels of the box whose centres land in the view."""
    rectangles = data.draw(st.lists(objects(wh), min_size=1, max_size=4))
    least = data.draw(st.floats(0.05, 0.95))
    draw = drawn(policy, preparation, wh, random.Random(seed))
    found = draw.boxes(boxes(*rectangles), least_visible=least)
    w, h = draw.size_wh
    assert (found.boxes_xyxy >= 0).all()
    assert (found.boxes_xyxy <= [w, h, w, h]).all()
    assert (found.boxes_xyxy[:, 2:] > found.boxes_xyxy[:, :2]).all()
    for number, (left, top, right, bottom) in enumerate(rectangles):
        places = centres(*wh)[top:bottom, left:right].reshape(-1, 2)
        places = places[places @ draw.matrix[2, :2] + draw.matrix[2, 2] > 0]
        moved = geometry.moved_points(draw.matrix, places)
        share = ((moved >= 0) & (moved <= [w, h])).all(axis=1).sum() / ((right - left) * (bottom - top))
        rough = 2 * (1 / (right - left) + 1 / (bottom - top))  # pixels along its sides
        if share > least + rough or share < least - rough:
            assert (number in found.class_ids) == (share > least)


@pytest.mark.parametrize(
    ("box", "erased", "seen"),
    [
        pytest.param((0, 0, 10, 10), None, True, id="seen"),
        pytest.param((-8, 0, 2, 10), None, False, id="a fifth is inside"),
        pytest.param((-6, 0, 4, 10), None, True, id="two fifths are inside"),
        pytest.param((0, 0, 10, 10), (0, 0, 8, 10), False, id="four fifths are erased"),
        pytest.param((0, 0, 10, 10), (0, 0, 6, 10), True, id="three fifths are erased"),
        pytest.param((-5, 0, 5, 10), (0, 0, 5, 5), False, id="half outside, half of the rest erased"),
        pytest.param((0, 0, 10, 10), (20, 20, 30, 30), True, id="erased elsewhere"),
        pytest.param((50, 0, 60, 10), None, False, id="outside"),
    ],
)
def test_which_boxes_are_dropped(box: tuple[int, ...], erased: tuple[int, int, int, int] | None, seen: bool) -> None:
    """Below three tenths."""
    assert len(still(erased_xyxy=erased).boxes(boxes(box))) == seen


def test_what_belongs_to_a_box_stays_with_it() -> None:
    given = Boxes(
        np.array([[-20.0, 0, -10, 10], [0, 0, 10, 10], [5, 5, 20, 20]]),
        np.array([4, 2, 3]),
        probabilities=np.array([0.1, 0.2, 0.3]),
        is_crowd=np.array([False, True, False]),
    )
    found = still(erased_xyxy=(5, 5, 20, 20)).boxes(given)
    assert found.class_ids.tolist() == [2]
    assert found.probabilities is not None
    assert found.probabilities.tolist() == [0.2]
    assert found.is_crowd is not None
    assert found.is_crowd.tolist() == [True]


def test_no_boxes() -> None:
    assert len(still(erased_xyxy=(0, 0, 5, 5)).boxes(boxes())) == 0


def test_a_mask_outside_and_where_it_is_erased() -> None:
    ids = np.tile(np.arange(40, dtype=np.int16), (30, 1))
    for border, ignore_id, outside in (("fill", 99, 99), ("fill", None, 0), ("reflect", 99, 4)):
        draw = still(matrix=geometry.shifted(5, 0), border=border, erased_xyxy=(10, 10, 20, 20))
        found = draw.mask(Mask(ids, ignore_id))
        assert found.ignore_id == ignore_id
        assert found.class_ids.dtype == np.int16
        assert found.class_ids[5, 5:].tolist() == list(range(35))
        assert found.class_ids[0, 0] == outside
        assert found.class_ids[15, 15] == (10 if ignore_id is None else 99)
    assert ids[15, 15] == 15


def test_labels_stay() -> None:
    for truth in (None, Label("cat", 0), Labels((Label("cat", 0), Label("dog", 1)))):
        assert still(erased_xyxy=(0, 0, 40, 30)).truth(truth) is truth
    assert isinstance(still().truth(boxes((0, 0, 5, 5))), Boxes)
    assert isinstance(still().truth(Mask(np.zeros((30, 40), int))), Mask)


def test_another_size_is_refused() -> None:
    for action in (
        lambda: still().pixels(np.zeros((40, 30, 3), np.uint8)),
        lambda: still().mask(Mask(np.zeros((40, 30), np.uint8))),
    ):
        with pytest.raises(ValueError, match=r"drawn for a picture of \(40, 30\) pixels, got \(30, 40\)"):
            action()


# There and back


mild = st.builds(
    Policy,
    turn=st.floats(0, 180),
    shear=st.floats(0, 15),
    tilt=st.floats(0, 0.15),
    scale=st.floats(0, 0.2),
    mirror=st.floats(0, 1),
    flip=st.floats(0, 1),
    contrast=st.floats(0, 0.05),
    light=st.floats(0, 5),
    saturation=st.floats(0, 0.05),
    hue=st.floats(0, 3),
)
"""So little of colour that nothing is cut off at 0 and 255."""


@settings(max_examples=100, deadline=None)
@given(wh=sides, preparation=preparations, policy=mild | upright_policies, seed=seeds)
def test_undone_it_is_the_picture_again(
    wh: tuple[int, int], preparation: Preparation, policy: Policy, seed: int
) -> None:
    """Where the view saw it, not at its edge nor at that of the picture: to a few levels. Black behind the eye."""
    draw = drawn(policy, preparation, wh, random.Random(seed), border="fill")
    image = smooth(*wh)
    back = draw.undone(draw.pixels(image)).astype(int)
    assert back.shape == image.shape
    depths = centres(*wh) @ draw.matrix[2, :2] + draw.matrix[2, 2]
    moved = geometry.moved_points(draw.matrix, centres(*wh))
    assert (back[depths <= 0] == 0).all()
    margin = 3 + max(draw.size_wh) / min(wh)  # half a pixel of a cut repeats
    is_clear = ((moved > margin) & (moved < np.array(draw.size_wh) - margin)).all(axis=2) & (depths > 0)
    reads = max(1.0, shrinks(draw))  # pixels around a place
    edge = math.ceil(3 * reads) + 1
    is_clear[:edge], is_clear[-edge:], is_clear[:, :edge], is_clear[:, -edge:] = False, False, False, False
    assume(is_clear.any())
    assert np.abs(back - image)[is_clear].max() <= 5 + 15 * reads / min(wh)


def test_what_lay_behind_the_eye_is_black_once_undone() -> None:
    """A tilted view of the middle of a picture, which has its horizon a quarter of the way from the left."""
    image = smooth(200, 100)
    tilt = geometry.about(geometry.tilted(0.02, 0), 20, 15)
    draw = still(200, 100, matrix=tilt @ geometry.shifted(-80, -35))
    draw = replace(draw, size_wh=(40, 30))
    back = draw.undone(draw.pixels(image)).astype(int)
    moved = geometry.moved_points(draw.matrix, centres(200, 100)[:, 51:])
    is_clear = ((moved > 2) & (moved < np.array([40, 30]) - 2)).all(axis=2)
    assert is_clear.sum() > 800
    assert np.abs(back - image)[:, 51:][is_clear].max() <= 4
    assert (back[:, :50] == 0).all()


def test_what_has_no_way_back() -> None:
    with pytest.raises(ValueError, match="loses colours"):
        still(colour=colour.saturation(0)).undone(smooth(40, 30))


# Blur, noise, JPEG, erasing


def photo() -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    return cv2.resize(rng.integers(0, 256, (8, 10, 3), np.uint8), (40, 30), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("deviation", [0.05, 0.4, 1.0, 2.5])
def test_blur_is_that_of_a_gaussian(deviation: float) -> None:
    """OpenCV's own, in floating-point numbers; and near Pillow's, which is made of boxes."""
    found = still(blur=deviation).pixels(photo())
    wide = cv2.GaussianBlur(photo().astype(np.float32), (31, 31), deviation)
    assert np.abs(found - wide).max() < 2
    pillow = np.asarray(Image.fromarray(photo()).filter(ImageFilter.GaussianBlur(deviation)), float)
    assert np.abs(found - pillow)[8:-8, 8:-8].mean() < 3


@pytest.mark.parametrize("deviation", [0.5, 4.0, 20.0])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_noise_has_its_deviation(deviation: float, channels: tuple[int, ...]) -> None:
    grey = np.full((120, 160, *channels), 128, np.uint8)
    begins = (0, 500_000, NOISE - 1)
    found = [still(160, 120, noise=deviation, noise_from=begin).pixels(grey) - 128.0 for begin in begins]
    for noise in found:
        assert abs(noise.mean()) < 4 * deviation / np.sqrt(noise.size) + 0.01
        assert noise.std() == pytest.approx(np.hypot(deviation, np.sqrt(1 / 12)), rel=0.03)
    assert abs(np.corrcoef(found[0].ravel(), found[1].ravel())[0, 1]) < 4 / np.sqrt(found[0].size)
    assert not np.array_equal(found[0], found[2])


@pytest.mark.parametrize("side", [100, 580, 600])
def test_noise_begins_elsewhere(side: int) -> None:
    grey = np.full((side, side, 3), 128, np.uint8)
    one, other, again = (still(side, side, noise=10.0, noise_from=begin).pixels(grey) for begin in (5, NOISE - 70, 5))
    assert np.array_equal(one, again)
    apart = (one != 128) & (other != 128)
    assert abs(np.corrcoef(one[apart].astype(float), other[apart].astype(float))[0, 1]) < 0.05


def test_a_truth_that_is_not_read_is_refused() -> None:
    with pytest.raises(TypeError, match="expected labels, boxes or a mask that was read, got str"):
        still().truth("a.png")  # type: ignore[type-var]


def test_noise_of_a_view_larger_than_the_table() -> None:
    grey = np.full((700, 600, 3), 128, np.uint8)
    assert grey.size > NOISE
    found = still(600, 700, noise=5.0, noise_from=NOISE - 3).pixels(grey)
    assert found.std() == pytest.approx(5, rel=0.02)


@pytest.mark.parametrize("image", [photo(), photo()[:, :, 0]], ids=["colour", "grey"])
def test_jpeg_loses_more_the_lower_its_quality(image: NDArray[np.uint8]) -> None:
    losses = [np.abs(still(quality=quality).pixels(image) - image.astype(float)).mean() for quality in (100, 60, 5)]
    assert losses[0] < losses[1] < losses[2]
    assert 5 < losses[2] < 60
    assert still(quality=5).pixels(image).shape == image.shape


def test_what_is_erased_is_filled_last() -> None:
    """Neither noise nor JPEG is seen there; all the rest is as without."""
    whole = still(noise=5.0, quality=50)
    found = still(noise=5.0, quality=50, erased_xyxy=(10, 5, 30, 25)).pixels(photo())
    assert (found[5:25, 10:30] == 7).all()
    found[5:25, 10:30] = whole.pixels(photo())[5:25, 10:30]
    assert np.array_equal(found, whole.pixels(photo()))


def test_steps_come_in_their_order() -> None:
    """Colour before tone: of a picture made black and then inverted all is white."""
    draw = still(colour=colour.brightness(0), tone=Tone("solarise", 0), erased_xyxy=(0, 0, 1, 1))
    found = draw.pixels(photo())
    assert (found[1:] == 255).all()
    assert (found[0, 0] == 7).all()
