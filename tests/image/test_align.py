"""One picture laid over another: copies that were altered in a known way, and pictures of other things."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from mirada.image.align import Sketch, align
from mirada.search.similar import certainty

Pixels = np.ndarray


@pytest.fixture(scope="module")
def photographs() -> list[Pixels]:
    return list(load_sample_images().images)


def turned(image: Pixels) -> Pixels:
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 8, 1.1)
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)


def compressed(image: Pixels) -> Pixels:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 12])[1], cv2.IMREAD_COLOR)


ALTERED: dict[str, Callable[[Pixels], Pixels]] = {
    "itself": lambda image: image,
    "smaller": lambda image: cv2.resize(image, (200, 133), interpolation=cv2.INTER_AREA),
    "cut": lambda image: image[60:360, 150:560],
    "turned": turned,
    "compressed": compressed,
    "darker": lambda image: (image * 0.5).astype(np.uint8),
    "grey": lambda image: cv2.cvtColor(image, cv2.COLOR_RGB2GRAY),
    "framed": lambda image: cv2.copyMakeBorder(image, 40, 40, 40, 40, cv2.BORDER_CONSTANT, value=(255, 255, 255)),
}


@pytest.mark.parametrize("name", ALTERED)
@pytest.mark.parametrize("which", [0, 1])
def test_an_altered_copy_is_recognised(photographs: list[Pixels], name: str, which: int) -> None:
    found = align(Sketch(photographs[which]), Sketch(ALTERED[name](photographs[which])))
    assert found.correlation > 0.8
    assert found.agreement > 0.8
    assert certainty(found) > 0.9


def test_the_transform_is_found(photographs: list[Pixels]) -> None:
    """Half of a picture lies on the whole, whichever is laid on which."""
    whole, half = Sketch(photographs[0]), Sketch(photographs[0][:, :320])
    for one, other in ((whole, half), (half, whole)):
        found = align(one, other)
        assert found.matches >= 30
        assert found.overlap > 0.9
        assert certainty(found) > 0.9


def test_other_pictures_are_not(photographs: list[Pixels]) -> None:
    found = align(Sketch(photographs[0]), Sketch(photographs[1]))
    assert found.agreement < 0.3
    assert certainty(found) < 1e-3
    rng = np.random.default_rng(0)
    noise = [Sketch(rng.integers(0, 256, (90, 120), np.uint8)) for _ in range(2)]
    assert certainty(align(*noise)) < 1e-3


def test_plain_pictures_tell_nothing() -> None:
    plain = Sketch(np.full((50, 70, 3), 80, np.uint8))
    assert plain.points[0].shape == (0, 2)
    assert align(plain, plain).correlation == 0.0
    assert certainty(align(plain, plain)) < 1e-3


def test_it_is_the_same_each_time(photographs: list[Pixels]) -> None:
    once, again = (align(Sketch(photographs[0]), Sketch(turned(photographs[0]))) for _ in range(2))
    assert once == again


def test_a_logo_in_both_makes_no_copy() -> None:
    """It lies exactly on the other, and is a small part of either."""
    one, other = (photograph.copy() for photograph in load_sample_images().images)
    logo = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8).repeat(10, axis=0).repeat(10, axis=1)
    one[:80, :80] = logo
    other[-80:, -80:] = logo
    assert align(Sketch(one), Sketch(other)).agreement < 0.3
