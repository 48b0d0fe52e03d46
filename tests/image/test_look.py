"""The perceptual hash against its definition, and how it bears altered copies."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.fft import dctn
from sklearn.datasets import load_sample_images

from mirada.image.look import look, looks_apart


def bits(*images: np.ndarray) -> np.ndarray:
    return np.array([list(look(image)) for image in images], np.uint8)


def test_it_is_the_sign_of_the_lowest_frequencies() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)
    low = dctn(grey.astype(np.float64), norm="ortho")[:8, :8].ravel()
    low[0] = 0
    assert np.unpackbits(np.frombuffer(look(grey), np.uint8)).tolist() == (low > np.median(low)).astype(int).tolist()


def test_copies_differ_in_few_bits_and_others_in_many() -> None:
    one, other = load_sample_images().images
    small = cv2.resize(one, (100, 67), interpolation=cv2.INTER_AREA)
    dark = (one * 0.6).astype(np.uint8)
    first = bits(one)
    assert looks_apart(first, bits(small)).max() <= 4
    assert looks_apart(first, bits(dark)).max() <= 4
    assert looks_apart(first, bits(other)).min() >= 16


@pytest.mark.parametrize("shape", [(427, 640), (426, 641), (127, 128), (128, 129), (129, 300), (64, 600)])
def test_by_halves_it_is_nearly_as_at_once(shape: tuple[int, int]) -> None:
    grey = cv2.cvtColor(load_sample_images().images[0], cv2.COLOR_RGB2GRAY)[: shape[0], : shape[1]]
    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA)
    assert looks_apart(bits(grey), bits(small)).max() <= 4


def test_apart_counts_bits() -> None:
    assert looks_apart(
        np.array([[0] * 8, [255] * 8], np.uint8), np.array([[0] * 7 + [5], [0] * 8], np.uint8)
    ).tolist() == [
        2,
        64,
    ]
