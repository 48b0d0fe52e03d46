"""The changes of TrivialAugment against Pillow and torchvision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torchvision.transforms.v2 import functional

from mirada.image import colour, geometry
from mirada.image.tone import CHANGES, Tone, toned, trivial

Pixels = NDArray[np.uint8]


def picture() -> Pixels:
    """Smooth, with all levels from 30 to 220, and unlike channels."""
    y, x = np.mgrid[0:60, 0:80] / np.array([60, 80]).reshape(2, 1, 1)
    planes = (30 + 190 * x, 60 + 100 * y**2, 40 + 160 * np.abs(np.sin(4 * x + 3 * y)))
    return np.stack(planes, axis=2).round().astype(np.uint8)


def by_torchvision(name: str, pixels: Pixels, *arguments: float) -> NDArray[np.float64]:
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    return getattr(functional, name)(tensor, *arguments).permute(1, 2, 0).numpy().astype(float)


@pytest.mark.parametrize("bits", [1, 2, 5, 8])
def test_posterise(bits: int) -> None:
    found = toned(picture(), Tone("posterise", bits))
    assert np.array_equal(found, np.asarray(ImageOps.posterize(Image.fromarray(picture()), bits)))
    assert np.array_equal(found, by_torchvision("posterize", picture(), bits))


@pytest.mark.parametrize("level", [0.0, 64.0, 127.5, 200.0, 255.0])
def test_solarise(level: float) -> None:
    found = toned(picture(), Tone("solarise", level))
    assert np.array_equal(found, np.asarray(ImageOps.solarize(Image.fromarray(picture()), level)))


def test_solarise_of_no_strength_leaves_white_white() -> None:
    _, _, tone = trivial("solarise", 0.0, (8, 8))
    assert tone is not None
    assert toned(np.full((2, 2), 255, np.uint8), tone).min() == 255


def test_autocontrast() -> None:
    found = toned(picture(), Tone("autocontrast"))
    assert (found.min(axis=(0, 1)) == 0).all()
    assert (found.max(axis=(0, 1)) == 255).all()
    assert np.abs(found - np.asarray(ImageOps.autocontrast(Image.fromarray(picture())), float)).max() <= 1
    assert np.abs(found - by_torchvision("autocontrast", picture())).max() <= 1


def test_equalise() -> None:
    """Each level becomes the share of the pixels up to it, not counting those of the lowest."""
    found = toned(picture(), Tone("equalise"))
    for channel in range(3):
        plane = picture()[:, :, channel]
        counts = np.bincount(plane.ravel(), minlength=256)
        above = np.cumsum(counts) - counts[plane.min()]
        assert np.array_equal(found[:, :, channel], np.rint(255 * above / above[-1]).clip(0)[plane])
    large = picture().repeat(8, axis=0).repeat(8, axis=1)  # torchvision divides counts by whole numbers
    assert np.abs(toned(large, Tone("equalise")) - by_torchvision("equalize", large)).mean() < 4


@pytest.mark.parametrize("kind", ["autocontrast", "equalise"])
def test_a_picture_of_one_level_stays(kind: str) -> None:
    plain = np.full((5, 7, 3), 90, np.uint8)
    assert np.array_equal(toned(plain, Tone(kind)), plain)


@pytest.mark.parametrize("factor", [0.01, 0.5, 1.0, 1.5, 1.99])
def test_sharpness(factor: float) -> None:
    noisy = np.random.default_rng(0).integers(60, 190, (30, 40, 3), np.uint8)
    found = toned(noisy, Tone("sharpness", factor))
    assert np.abs(found - by_torchvision("adjust_sharpness", noisy, factor)).max() <= 1
    assert np.array_equal(found[[0, -1]], noisy[[0, -1]])
    assert np.array_equal(found[:, [0, -1]], noisy[:, [0, -1]])


TONES = [Tone("posterise", 3), Tone("solarise", 100), Tone("autocontrast"), Tone("equalise"), Tone("sharpness", 1.9)]


@pytest.mark.parametrize("tone", TONES, ids=lambda tone: tone.kind)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2), (30, 40)])
def test_grey_is_as_one_channel(tone: Tone, shape: tuple[int, int]) -> None:
    """Also where a picture is but edge; the pixels given stay as they are."""
    grey = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    before = grey.copy()
    found = toned(np.repeat(grey[:, :, None], 3, axis=2), tone)
    assert found.shape == (*shape, 3)
    assert np.array_equal(toned(grey, tone), found[:, :, 1])
    assert np.array_equal(grey, before)


# Which change, and how much of it


def test_there_are_fourteen_as_in_the_paper() -> None:
    from torchvision.transforms.v2 import TrivialAugmentWide

    assert len(set(CHANGES)) == len(TrivialAugmentWide._AUGMENTATION_SPACE) == 14


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_greatest_strengths_are_those_of_the_wide_space(sign: int) -> None:
    """Table 7 of the paper: slope 0.99, 32 of 224 pixels, 135 degrees, factors of 0.01 and 1.99, 2 bits, level 0."""
    size, plain = (224, 224), colour.chained()
    for name, shape in {
        "shear x": geometry.sheared(0.99 * sign, 0),
        "shear y": geometry.sheared(0, 0.99 * sign),
        "shift x": geometry.shifted(32 * sign, 0),
        "shift y": geometry.shifted(0, 32 * sign),
        "turn": geometry.turned(135 * sign),
    }.items():
        found, light, tone = trivial(name, sign, size)
        np.testing.assert_allclose(found, shape, atol=1e-12)
        assert (light.tolist(), tone) == (plain.tolist(), None)
    for name, change in {
        "brightness": colour.brightness,
        "saturation": colour.saturation,
        "contrast": colour.contrast,
    }.items():
        found, light, tone = trivial(name, sign, size)
        np.testing.assert_allclose(light, change(1 + 0.99 * sign), atol=1e-12)
        assert (found.tolist(), tone) == (np.eye(3).tolist(), None)
    tones = {name: trivial(name, sign, size)[2] for name in CHANGES[-5:]}
    assert tones == {
        "sharpness": Tone("sharpness", 1 + 0.99 * sign),
        "posterise": Tone("posterise", 2),
        "solarise": Tone("solarise", 0),
        "autocontrast": Tone("autocontrast"),
        "equalise": Tone("equalise"),
    }


@pytest.mark.parametrize("name", [name for name in CHANGES if name not in ("autocontrast", "equalise")])
def test_without_strength_nothing_is_changed(name: str) -> None:
    shape, light, tone = trivial(name, 0.0, (64, 48))
    np.testing.assert_allclose(shape, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(light, np.eye(3, 4), atol=1e-12)
    if tone is not None:
        assert np.array_equal(toned(picture(), tone), picture())
