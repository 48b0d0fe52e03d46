"""`Preparation`: its geometry against its own matrix, against references in NumPy and Pillow, and as properties."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from mirada.errors import MiradaError, ModelError
from mirada.image import Preparation

GREY = {"channels": 1, "mean": (0.0,), "std": (1.0,)}


@st.composite
def preparations(draw: st.DrawFn) -> Preparation:
    fit = draw(st.sampled_from(["crop", "pad", "stretch"]))
    zoom = draw(st.floats(1, 3)) if fit == "crop" else 1.0
    size_wh = (draw(st.integers(1, 80)), draw(st.integers(1, 80)))
    return Preparation(size_wh=size_wh, fit=fit, zoom=zoom, pad_value=draw(st.integers(0, 255)), **GREY)


sides = st.integers(1, 120)
numbers = st.floats(-1000, 1000)


def ramp(width: int, height: int, axis: str) -> NDArray[np.uint8]:
    """Grey whose level is the coordinate of the pixel's centre, but for the half."""
    y, x = np.mgrid[0:height, 0:width]
    return (x if axis == "x" else y).astype(np.uint8)


# Coordinates


def test_crop_by_hand() -> None:
    """500 x 375 at zoom 256/224: the short side becomes 256, so 375 * 224/256 = 328.1 pixels of the original remain."""
    matrix = Preparation(size_wh=(224, 224), fit="crop", zoom=256 / 224).to_network_matrix(500, 375)
    scale = 224 / 328
    assert matrix == pytest.approx(np.array([[scale, 0, -86 * scale], [0, scale, -23 * scale]]))


def test_pad_by_hand() -> None:
    """500 x 375 in 224 x 224: the picture fills 224 x 168, and 28 rows above and below are padding."""
    matrix = Preparation(size_wh=(224, 224), fit="pad").to_network_matrix(500, 375)
    assert matrix == pytest.approx(np.array([[0.448, 0, 0], [0, 0.448, 28]]))


def test_stretch_by_hand() -> None:
    matrix = Preparation(size_wh=(100, 50), fit="stretch").to_network_matrix(400, 25)
    assert matrix.tolist() == [[0.25, 0, 0], [0, 2, 0]]


def test_boxes_are_moved_by_hand() -> None:
    preparation = Preparation(size_wh=(224, 224), fit="pad")
    assert preparation.to_network([[0, 0, 500, 375]], 500, 375) == pytest.approx(np.array([[0, 28, 224, 196]]))
    assert preparation.to_original([0, 28, 112, 112], 500, 375) == pytest.approx(np.array([0, 0, 250, 187.5]))


@given(preparation=preparations(), width=sides, height=sides, box=st.tuples(numbers, numbers, numbers, numbers))
def test_there_and_back(preparation: Preparation, width: int, height: int, box: tuple[float, ...]) -> None:
    for coordinates in (np.array(box), np.array(box).reshape(1, 2, 2)):
        there = preparation.to_network(coordinates, width, height)
        assert there.shape == coordinates.shape
        assert preparation.to_original(there, width, height) == pytest.approx(coordinates, abs=1e-6)


@given(preparation=preparations(), width=sides, height=sides, x=numbers, y=numbers)
def test_to_network_is_the_matrix(preparation: Preparation, width: int, height: int, x: float, y: float) -> None:
    by_matrix = preparation.to_network_matrix(width, height) @ [x, y, 1]
    assert preparation.to_network([x, y], width, height) == pytest.approx(by_matrix)


@given(preparation=preparations(), width=sides, height=sides)
def test_what_each_fit_promises(preparation: Preparation, width: int, height: int) -> None:
    w, h = preparation.size_wh
    left, top, right, bottom = preparation.to_network([0, 0, width, height], width, height)
    if preparation.fit == "crop":  # the target is filled, by the middle of the picture
        assert max(left, top) <= 1e-9
        assert right >= w - 1e-9
        assert bottom >= h - 1e-9
        centre = preparation.to_original([w / 2, h / 2], width, height)
        assert np.abs(centre - [width / 2, height / 2]).max() <= 0.5 + 1e-9
    elif preparation.fit == "pad":  # the whole picture is inside, in the middle, and touches two sides
        assert min(left, top) >= 0
        assert max(right - w, bottom - h) <= 1e-9
        assert (right - left == pytest.approx(w)) or (bottom - top == pytest.approx(h))
        assert abs(left - (w - right)) <= 1 + 1e-9
        assert abs(top - (h - bottom)) <= 1 + 1e-9
    else:
        assert (left, top, right, bottom) == pytest.approx((0, 0, w, h))


@pytest.mark.parametrize("zoom", [1.0, 256 / 224, 2.0])
def test_crop_keeps_the_shape_of_things(zoom: float) -> None:
    for width, height in ((640, 481), (333, 1000), (224, 224)):
        matrix = Preparation(size_wh=(224, 224), fit="crop", zoom=zoom).to_network_matrix(width, height)
        assert matrix[0, 0] == matrix[1, 1]
        assert min(width, height) * 224 / matrix[0, 0] == pytest.approx(min(width, height) ** 2 / zoom, rel=0.01)


# Pixels


@given(preparation=preparations(), width=sides, height=sides)
def test_a_ramp_is_found_where_the_matrix_says(preparation: Preparation, width: int, height: int) -> None:
    """Level i at pixel i means level x - 0.5 at x; away from the edges, resizing a ramp gives that ramp."""
    w, h = preparation.size_wh
    for axis in ("x", "y"):
        pixels = preparation.pixels(ramp(width, height, axis))[:, :, 0]
        grid = np.stack(np.meshgrid(np.arange(w) + 0.5, np.arange(h) + 0.5), axis=2)  # (h, w, 2)
        original = preparation.to_original(grid, width, height)
        inside = ((original >= 0) & (original <= [width, height])).all(axis=2)
        expected = original[:, :, 0 if axis == "x" else 1] - 0.5
        limit = (width if axis == "x" else height) - 1
        # Beyond the last centre of the part that was cut, bilinear enlarging repeats the last pixel: half a level off.
        assert np.abs(pixels - expected.clip(0, limit))[inside].max(initial=0) <= 1.01
        assert (pixels[~inside] == preparation.pad_value).all()


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size_wh", [(64, 64), (48, 80), (300, 200)])
@pytest.mark.parametrize(("width", "height"), [(200, 150), (101, 333), (40, 64)])
def test_a_dot_lands_where_the_matrix_says(fit: Any, size_wh: tuple[int, int], width: int, height: int) -> None:
    preparation = Preparation(size_wh=size_wh, fit=fit, zoom=1.25 if fit == "crop" else 1.0, pad_value=0, **GREY)
    left, top = width // 2 - 7, height // 2 - 4
    image = np.zeros((height, width), np.uint8)
    image[top : top + 6, left : left + 8] = 255
    pixels = preparation.pixels(image)[:, :, 0].astype(float)
    y, x = np.mgrid[0 : size_wh[1], 0 : size_wh[0]] + 0.5
    centroid = [(x * pixels).sum() / pixels.sum(), (y * pixels).sum() / pixels.sum()]
    expected = preparation.to_network([left + 4, top + 3], width, height)
    # A fifth of a pixel: a box filter at a fractional ratio moves the centroid of a small dot by its phase on the grid.
    assert np.abs(centroid - expected).max() < 0.2


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
def test_shrinking_by_a_whole_number_is_the_mean(fit: Any) -> None:
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    means = image.reshape(32, 3, 32, 3, 3).mean(axis=(1, 3))
    pixels = Preparation(size_wh=(32, 32), fit=fit).pixels(image)
    assert np.abs(pixels - means).max() <= 0.51


@pytest.mark.parametrize("size_wh", [(37, 29), (20, 240), (150, 11)])
def test_resizing_agrees_with_a_box_filter_of_pillow(size_wh: tuple[int, int]) -> None:
    """Both average what falls into a pixel; where one axis grows, Pillow's bilinear filter is the reference for it."""
    w, h = size_wh
    image = np.random.default_rng(1).integers(0, 256, (120, 100, 3), dtype=np.uint8)
    shrunk = Image.fromarray(image).resize((min(w, 100), min(h, 120)), Image.Resampling.BOX)
    reference = np.asarray(shrunk.resize(size_wh, Image.Resampling.BILINEAR)).astype(int)
    pixels = Preparation(size_wh=size_wh, fit="stretch").pixels(image)
    # Pillow's box takes whole pixels, OpenCV's parts of them: on noise they differ, but not much.
    assert np.abs(pixels - reference).mean() < 12
    assert np.abs(pixels.mean() - image.mean()) < 1


@pytest.mark.parametrize("size_wh", [(50, 50), (50, 300), (300, 50)])
def test_fine_stripes_do_not_alias(size_wh: tuple[int, int]) -> None:
    """Stripes of one pixel, shrunk four times, are even grey, also where the other axis grows."""
    y, x = np.mgrid[0:200, 0:200]
    stripes = ((x if size_wh[0] < 200 else y) % 2 * 255).astype(np.uint8)
    pixels = Preparation(size_wh=size_wh, fit="stretch", **GREY).pixels(stripes)
    assert np.abs(pixels.astype(int) - 127.5).max() <= 1


def test_nothing_changes_at_the_same_size() -> None:
    image = np.random.default_rng(2).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    for fit in ("crop", "pad", "stretch"):
        pixels = Preparation(size_wh=(40, 30), fit=fit).pixels(image)
        assert (pixels == image).all()
        assert not np.shares_memory(pixels, image)


def test_padding_has_its_value() -> None:
    image = np.full((50, 100, 3), 200, np.uint8)
    pixels = Preparation(size_wh=(40, 40), fit="pad", pad_value=9).pixels(image)
    assert (pixels[:10] == 9).all()
    assert (pixels[10:30] == 200).all()
    assert (pixels[30:] == 9).all()


def test_luminance_is_itu_r_601() -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 200, 90]]], np.uint8)
    pixels = Preparation(size_wh=(4, 1), fit="stretch", **GREY).pixels(colours)
    assert pixels[0, :, 0].tolist() == [76, 150, 29, 131]  # 0.299 R + 0.587 G + 0.114 B


def test_grey_is_repeated_for_three_channels() -> None:
    grey = np.random.default_rng(3).integers(0, 256, (60, 80), dtype=np.uint8)
    preparation = Preparation(size_wh=(32, 32), fit="crop", zoom=1.2)
    pixels = preparation.pixels(grey)
    assert pixels.shape == (32, 32, 3)
    assert (pixels == preparation.pixels(np.repeat(grey[:, :, None], 3, axis=2))).all()


@given(preparation=preparations(), width=sides, height=sides)
def test_shape_and_type_whatever_the_size(preparation: Preparation, width: int, height: int) -> None:
    pixels = preparation.pixels(np.full((height, width, 3), 77, np.uint8))
    w, h = preparation.size_wh
    assert (pixels.shape, pixels.dtype) == ((h, w, 1), np.uint8)
    assert pixels.flags.c_contiguous
    assert set(np.unique(pixels)) <= {77, preparation.pad_value}


def test_very_long_pictures_are_prepared() -> None:
    image = np.full((70_000, 3, 3), 5, np.uint8)
    assert (Preparation(size_wh=(32, 32), fit="stretch").pixels(image) == 5).all()
    assert (Preparation(size_wh=(32, 32), fit="pad", pad_value=5).pixels(image) == 5).all()


# Normalising


def test_normalise_is_the_formula() -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    pixels = np.random.default_rng(4).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    result = Preparation(size_wh=(7, 5), fit="crop", mean=mean, std=std).normalise(pixels)
    assert (result.shape, result.dtype) == ((2, 3, 5, 7), np.float32)
    assert result.flags.c_contiguous
    expected = ((pixels / 255 - np.array(mean)) / np.array(std)).transpose(0, 3, 1, 2)
    assert np.abs(result - expected).max() < 1e-6


def test_normalise_of_one_channel() -> None:
    pixels = np.array([0, 51, 255], np.uint8).reshape(1, 1, 3, 1)
    preparation = Preparation(size_wh=(3, 1), fit="crop", channels=1, mean=(0.2,), std=(0.4,))
    assert preparation.normalise(pixels)[0, 0, 0] == pytest.approx([-0.5, 0, 2], abs=1e-6)


# Files


@given(preparation=preparations())
def test_json_there_and_back(preparation: Preparation) -> None:
    assert Preparation.from_json(json.loads(json.dumps(preparation.to_json()))) == preparation


def test_json_by_hand() -> None:
    preparation = Preparation(size_wh=(224, 192), fit="pad", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    assert preparation.to_json() == {
        "size_wh": [224, 192],
        "fit": "pad",
        "zoom": 1.0,
        "channels": 3,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
        "pad_value": 127,
    }


WRONG_FIELDS: list[tuple[str, object]] = [
    ("size_wh", [224]),
    ("size_wh", [224, 0]),
    ("size_wh", [224, 1_000_000]),
    ("size_wh", [224.0, 224.0]),
    ("size_wh", "224"),
    ("fit", "squeeze"),
    ("fit", ["crop"]),
    ("zoom", 0.9),
    ("zoom", float("nan")),
    ("zoom", float("inf")),
    ("zoom", "2"),
    ("zoom", True),
    ("channels", 2),
    ("channels", True),
    ("channels", "3"),
    ("mean", [0.5]),
    ("mean", [123.675, 116.28, 103.53]),
    ("mean", [0.5, 0.5, None]),
    ("mean", 0.5),
    ("std", [0.2, 0.2, 0]),
    ("std", [58.4, 57.1, 57.4]),
    ("std", [0.2, 0.2, float("nan")]),
    ("pad_value", 256),
    ("pad_value", 0.5),
    ("pad_value", None),
]


@pytest.mark.parametrize(("field", "value"), WRONG_FIELDS)
def test_wrong_field_is_named(field: str, value: object) -> None:
    values = {**Preparation(size_wh=(224, 224), fit="crop").to_json(), field: value}
    with pytest.raises(ModelError, match=f"^preparation: {field}: expected"):
        Preparation.from_json(values)
    arguments: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    with pytest.raises(ValueError, match=f"^{field}: expected"):
        Preparation(**arguments)


@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_only_crop_can_zoom(fit: Any) -> None:
    with pytest.raises(ValueError, match=r"^zoom: only fit='crop' can zoom"):
        Preparation(size_wh=(9, 9), fit=fit, zoom=1.1)


def test_missing_and_unknown_fields_are_named() -> None:
    values = Preparation(size_wh=(224, 224), fit="crop").to_json()
    without = {name: value for name, value in values.items() if name not in ("std", "mean")}
    with pytest.raises(ModelError, match=r"^preparation: mean, std missing$"):
        Preparation.from_json(without)
    with pytest.raises(ModelError, match=r"^preparation: unknown field colour"):
        Preparation.from_json({**values, "colour": "RGB"})
    for no_object in (None, [], "crop"):
        with pytest.raises(MiradaError, match=r"^preparation: expected an object"):
            Preparation.from_json(no_object)


# Arguments


@pytest.mark.parametrize("shape", [(5,), (5, 5, 1), (5, 5, 4), (1, 5, 5, 3)])
def test_pixels_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected uint8 of shape"):
        Preparation(size_wh=(4, 4), fit="crop").pixels(np.zeros(shape, np.uint8))


def test_wrong_arguments_are_refused() -> None:
    preparation = Preparation(size_wh=(4, 4), fit="crop")
    with pytest.raises(ValueError, match="got float64"):
        preparation.pixels(np.zeros((5, 5, 3)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one pixel"):
        preparation.pixels(np.zeros((0, 5, 3), np.uint8))
    with pytest.raises(ValueError, match=r"expected uint8 of shape \(N, h, w, 3\)"):
        preparation.normalise(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="expected points"):
        preparation.to_original([1.0, 2.0, 3.0], 5, 5)
