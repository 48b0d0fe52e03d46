"""What the peers of lenet_mnist.py share: the files of MNIST, and their options. Imports no framework."""

from __future__ import annotations

import argparse
import gzip
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def part_of(folder: Path, name: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images (N, 28, 28) and labels (N,) of the IDX files of a part, "train" or "t10k", with or without .gz."""
    images, labels = (_content(folder / f"{name}-{what}") for what in ("images-idx3-ubyte", "labels-idx1-ubyte"))
    return images[16:].reshape(-1, 28, 28), labels[8:]


def _content(file: Path) -> NDArray[np.uint8]:
    packed = file.with_name(f"{file.name}.gz")
    content = gzip.decompress(packed.read_bytes()) if packed.exists() else file.read_bytes()
    return np.frombuffer(content, np.uint8)


def options() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mnist", type=Path)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--until", type=float, default=0.99)
    parser.add_argument("--began", type=float, default=time.time(), help="time.time() when the process was started")
    return parser.parse_args()
