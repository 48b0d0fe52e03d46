"""The two photographs that scikit-learn carries: real pictures that every machine has."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mirada.image.decode import decode

__all__ = ["photographs"]


def photographs() -> list[NDArray[np.uint8]]:
    """A temple and a flower: each (427, 640, 3). scikit-learn itself, which takes long to import, is not imported."""
    spec = find_spec("sklearn")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "datasets" / "images"
    return [decode(folder / name) for name in ("china.jpg", "flower.jpg")]
