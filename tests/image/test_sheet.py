"""The sheet of views: where each view is, and that boxes and masks are drawn where the objects are."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scenes import smooth

from mirada.annotations import Boxes, Label, Mask
from mirada.image import Preparation
from mirada.image.augment import draw_view, view_pixels
from mirada.image.policy import POLICIES, Policy
from mirada.image.sheet import class_colour, sheet

PREPARATION = Preparation((60, 48), "pad", pad_value=30)
MOVED = replace(POLICIES["light"], contrast=0.0, light=0.0)
"""No colour is changed, so that what is drawn can be told from the picture."""
IMAGE = smooth(90, 80)


def cells(whole: NDArray[np.uint8], rows: int, columns: int) -> list[NDArray[np.uint8]]:
    return [whole[52 * row :, 64 * column :][:48, :60] for row in range(rows) for column in range(columns)]


def test_views_stand_in_their_order() -> None:
    whole = sheet(IMAGE, Label("waves", 0), POLICIES["strong"], PREPARATION, 3, 2, 3)
    assert (whole.shape, whole.dtype) == ((2 * 52 - 4, 3 * 64 - 4, 3), np.uint8)
    for number, cell in enumerate(cells(whole, 2, 3)):
        assert np.array_equal(cell, view_pixels(IMAGE, PREPARATION, POLICIES["strong"], 3, number))
    assert (whole[48:52] == 255).all()
    assert (whole[:, 60:64] == 255).all()


def test_one_view_is_the_prepared_picture() -> None:
    whole = sheet(IMAGE, None, POLICIES["strong"], PREPARATION, 0, 1, 1)
    assert np.array_equal(whole, PREPARATION.pixels(IMAGE))


@pytest.mark.parametrize("image", [IMAGE, IMAGE[:, :, 0]], ids=["colour", "grey"])
def test_grey_views(image: NDArray[np.uint8]) -> None:
    """Of a network that takes one channel; and of a grey picture."""
    grey = replace(PREPARATION, channels=1, mean=(0.0,), std=(1.0,))
    for number, cell in enumerate(cells(sheet(image, None, MOVED, grey, 0, 2, 2), 2, 2)):
        assert np.array_equal(cell, np.repeat(view_pixels(image, grey, MOVED, 0, number), 3, axis=2))


def test_boxes_are_around_their_objects() -> None:
    """White discs: in each view, each is inside of a line of the colour of its class, and touches it nearly."""
    image = np.zeros((80, 90, 3), np.uint8)
    middles, radius = [(30, 25), (60, 50)], 9
    for middle in middles:
        cv2.circle(image, middle, radius, (255, 255, 255), -1)
    boxes_xyxy = np.array([[x - radius, y - radius, x + radius + 1, y + radius + 1] for x, y in middles], float)
    truth = Boxes(boxes_xyxy, np.array([0, 4]))
    policy = replace(MOVED, turn=0.0, shift=0.0)
    bare, drawn = (cells(sheet(image, each, policy, PREPARATION, 1, 3, 4), 3, 4) for each in (None, truth))
    for number, (plain, cell) in enumerate(zip(bare, drawn, strict=True)):
        for class_id in (0, 4):
            is_line = (cell == class_colour(class_id)).all(axis=2)
            rows, columns = np.flatnonzero(is_line.any(axis=1)), np.flatnonzero(is_line.any(axis=0))
            inside = plain[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, 0] > 128
            assert 0.55 < inside.mean() < 0.97, number  # a disc fills pi / 4 of its square


def test_what_is_beside_a_picture_with_boxes_is_filled() -> None:
    """Also where the preparation is not of that kind: a mirror image would show objects without boxes."""
    crop = Preparation((60, 48), "crop")
    policy = Policy(slide=0.4)
    white = np.full((48, 60, 3), 255, np.uint8)
    with_boxes = sheet(white, Boxes(np.zeros((0, 4)), np.zeros(0, int)), policy, crop, 0, 1, 6)
    without = sheet(white, None, policy, crop, 0, 1, 6)
    assert (without == 255).all()
    assert sum((cell == crop.pad_value).any() for cell in cells(with_boxes, 1, 6)[1:]) >= 4


def test_a_mask_is_laid_over_in_the_colours_of_its_classes() -> None:
    """By hand: three fifths of the picture and two of the colour; what is not labelled is dark, class 0 as it is."""
    ids = np.zeros((80, 90), np.int32)
    ids[:, 45:], ids[:40, :20], ids[60:, 60:] = 1, -1, 2
    for number, cell in enumerate(cells(sheet(IMAGE, Mask(ids, -1), MOVED, PREPARATION, 2, 2, 3), 2, 3)):
        draw = draw_view(MOVED if number else POLICIES["none"], PREPARATION, (90, 80), 2, max(1, number))
        view = view_pixels(IMAGE, PREPARATION, MOVED, 2, number).astype(float)
        moved = draw.mask(Mask(ids, -1)).class_ids
        expected = 0.4 * view
        expected[moved == 0] = view[moved == 0]
        for class_id in (1, 2):
            expected[moved == class_id] = (0.6 * view + 0.4 * np.array(class_colour(class_id)))[moved == class_id]
        assert {-1, 0, 1} <= set(np.unique(moved))
        assert np.abs(cell - expected).max() <= 1


def test_colours_of_classes_can_be_told_apart() -> None:
    """Of twelve, in CIELAB, where 2 can just be told apart; and none is dark."""
    colours = np.array([[class_colour(number) for number in range(12)]], np.float32) / 255
    lab = cv2.cvtColor(colours, cv2.COLOR_RGB2LAB)[0]
    assert min(np.linalg.norm(one - other) for one, other in combinations(lab, 2)) > 30
    assert lab[:, 0].min() > 35
    assert class_colour(1_000) != class_colour(1_001)


def test_the_picture_stays_as_it_is() -> None:
    image, ids = IMAGE.copy(), np.zeros((80, 90), np.uint8)
    boxes = Boxes(np.array([[0.0, 0, 90, 80]]), np.array([0]))
    for truth in (boxes, Mask(ids)):
        sheet(image, truth, POLICIES["strong"], PREPARATION, 0, 1, 2)
    assert np.array_equal(image, IMAGE)
    assert not ids.any()
