"""Data files that scikit-learn carries: real pictures that every machine has."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

__all__ = ["carried"]


def carried(folder: str, name: str) -> Path:
    """A file of a folder of `sklearn.datasets`. The package itself, which takes seconds to import, is not imported."""
    spec = find_spec("sklearn")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "datasets" / folder / name
