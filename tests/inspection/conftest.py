"""Small pictures that differ from each other, cut from the two photographs of scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_images

SIDE = 200


@pytest.fixture(scope="session")
def cuts() -> list[NDArray[np.uint8]]:
    """Twelve pictures (200, 200, 3) that do not overlap."""
    found = []
    for photograph in load_sample_images().images:  # (427, 640, 3)
        for top in range(0, 427 - SIDE, SIDE):
            for left in range(0, 640 - SIDE + 1, SIDE):
                found.append(np.ascontiguousarray(photograph[top : top + SIDE, left : left + SIDE]))
    return found


@pytest.fixture
def photos(cuts: list[NDArray[np.uint8]], tmp_path: Path) -> Path:
    """Two classes of pictures with which nothing is wrong."""
    for number, picture in enumerate(cuts):
        place = tmp_path / "photos" / ("x" if number % 2 else "y")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{number}.png")
    return tmp_path / "photos"
