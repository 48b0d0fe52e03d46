"""How many JPEGs a second does one core decode to upright RGB, against Pillow?"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mirada import decode
from result import write_result

RUNS = 5


def made_photos(count: int = 60) -> list[bytes]:
    """JPEGs of 500 x 375 with the smooth and the rough of a photo."""
    rng = np.random.default_rng(0)
    photos = []
    for _ in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize(
            (500, 375), Image.Resampling.BICUBIC
        )
        noisy = np.asarray(coarse, np.int16) + rng.integers(-12, 13, (375, 500, 3))
        buffer = io.BytesIO()
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
        photos.append(buffer.getvalue())
    return photos


def with_pillow(photo: bytes) -> np.ndarray:
    """The usual way: open, turn upright, to RGB."""
    with Image.open(io.BytesIO(photo)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def rate(function: Callable[[bytes], object], photos: list[bytes]) -> float:
    """Images a second over all photos."""
    begin = time.perf_counter()
    for photo in photos:
        function(photo)
    return len(photos) / (time.perf_counter() - begin)


def main() -> None:
    """Alternate the two over the same photos."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="JPEGs of yours; default: made ones")
    folder = parser.parse_args().folder
    photos = [p.read_bytes() for p in sorted(folder.rglob("*.jpg"))[:300]] if folder else made_photos()
    runs: dict[str, list[float]] = {"mirada.decode": [], "Pillow": []}
    for _ in range(RUNS):
        runs["mirada.decode"].append(rate(decode, photos))
        runs["Pillow"].append(rate(with_pillow, photos))
    medians = {name: statistics.median(values) for name, values in runs.items()}
    for name, value in medians.items():
        print(f"{name:<16} {value:7.0f} images a second on one core (median of {RUNS})")
    what = f"{len(photos)} photos of a folder" if folder else f"{len(photos)} made photos of 500 x 375"
    print("written:", write_result("decode", {"photos": what, "images_per_second": runs, "medians": medians}))


if __name__ == "__main__":
    main()
