"""Small data sets on disk, made for each test."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Tree = Callable[[Iterable[str]], Path]

IMAGES = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Make `tmp_path/data` with the named files: an image of its own where the suffix says so, else a line of text.

    A name that ends in a slash makes an empty folder.
    """
    root = tmp_path / "data"

    def make(names: Iterable[str]) -> Path:
        root.mkdir(exist_ok=True)
        for number, name in enumerate(names):
            path = root / name
            if name.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            kind = IMAGES.get(path.suffix.lower())
            if kind is None:
                path.write_text(f"text {number}\n")
            else:
                pixels = np.full((8, 6, 3), (number * 29 % 256, number * 83 % 256, 90), np.uint8)
                buffer = io.BytesIO()
                Image.fromarray(pixels).save(buffer, kind)
                path.write_bytes(buffer.getvalue())
        return root

    return make
