"""What does `mirada check` cost beside reading the pictures, and does it grow with their number?

    python benchmarks/check.py PHOTOS [--counts 20000 100000]

Of PHOTOS, a folder with JPEG files, so many different pictures are made: each of four quarters of four photos, of the
size of the first. Each count is looked at in a process of its own, `decoding` (all files read and decoded by the same
threads, nothing else) and `mirada.check(deep=False)` in turn, the larger the fewer rounds. Writes results/check.json:
seconds, seconds of processors and the peak memory of each, medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import mirada
from mirada.data.threads import map_samples
from result import write_result


def collages(photos: Path, root: Path, count: int) -> int:
    """So many files in fifty class folders; the side of each, in pixels."""
    files = sorted(photos.rglob("*.jpg"))
    side = min(mirada.decode(files[0]).shape[:2])
    squares = []
    for file in files:
        image = mirada.decode(file)
        shorter = min(image.shape[:2])
        squares.append(cv2.resize(image[:shorter, :shorter], (side, side), interpolation=cv2.INTER_AREA))
    rng = np.random.default_rng(0)
    half = side // 2
    for number in range(count):
        collage = np.empty((side, side, 3), np.uint8)
        for quarter, place in enumerate(rng.choice(len(squares), 4, replace=False)):
            rows, columns = ((slice(0, half), slice(half, side))[bit] for bit in divmod(quarter, 2))
            collage[rows, columns] = squares[place][rows, columns]
        path = root / f"class-{number % 50:02}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), collage[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    return side


def decoding(root: str) -> int:
    """Read and decode all, as the check does."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    with closing(map_samples(lambda sample: sample.image().size, mirada.read(root).samples)) as sizes:
        pixels = sum(sizes)
    cv2.setNumThreads(threads)
    return pixels


def checking(root: str) -> int:
    """Without the features of a network."""
    return len(mirada.check(root, deep=False).findings)


WAYS = {"decoding": decoding, "check": checking}


def measured(way: str, root: str) -> dict[str, float]:
    """In a process of its own."""
    told = subprocess.run(
        [sys.executable, __file__, root, "--only", way], check=True, capture_output=True, text=True
    ).stdout
    return dict(json.loads(told))


def peak_megabytes() -> float:
    """Of this program; what `resource` tells holds that of the one that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def only(way: str, root: str) -> None:
    """Print what it took."""
    begin = time.perf_counter(), time.process_time()
    WAYS[way](root)
    told = {
        "seconds": time.perf_counter() - begin[0],
        "processor_seconds": time.process_time() - begin[1],
        "peak_megabytes": peak_megabytes(),
    }
    print(json.dumps(told))


def main() -> None:
    """Each count, each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", metavar="PHOTOS", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        only(arguments.only, str(arguments.photos))
        return
    told: dict[str, Any] = {}
    for count in arguments.counts:
        with tempfile.TemporaryDirectory() as temporary:
            side = collages(arguments.photos, Path(temporary), count)
            decoding(temporary)  # the files are in the memory of the system then
            times = max(1, round(arguments.rounds * min(arguments.counts) / count))
            rounds = [{way: measured(way, temporary) for way in WAYS} for _ in range(times)]
        told[str(count)] = {"side": side, "rounds": times} | {
            way: {what: statistics.median(each[way][what] for each in rounds) for what in rounds[0][way]}
            for way in WAYS
        }
        told[str(count)]["share_of_decoding"] = statistics.median(
            each["decoding"]["seconds"] / each["check"]["seconds"] for each in rounds
        )
        print(count, told[str(count)], flush=True)
    print("written:", write_result("check", {"data": arguments.photos.name, "counts": told}))


if __name__ == "__main__":
    main()
