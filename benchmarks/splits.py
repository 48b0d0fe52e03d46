"""Is the automatic choice of how much to retrain as good as the best fixed choice, and what does it cost?

    python benchmarks/splits.py DATA [--seeds 5] [--fixed head 1 2 3] [--resume]

All images of DATA are put together and divided anew for every seed, by mirada's own split. On each division one run
lets mirada choose (`--retrain auto`), the others are told how many of the last stages to train. Every run is a process
of its own, one after the other, with engines from the cache and no activations, and its seconds are those of the whole
process. Answers for the same test images are compared by McNemar's exact test in its mid-P form.
Writes results/splits_DATA.json after each division; with --resume those that it holds are not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirada.data import read
from mirada.learn import evaluate
from mirada.learn.scores import paired_test
from result import RESULTS, machine, write_result

Right = NDArray[np.bool_]
SIGNIFICANT = 0.05


def gathered(data: str, folder: Path) -> int:
    """Class folders of links to all images that are in a part of DATA; how many."""
    dataset = read(data)
    for number, sample in enumerate(dataset.samples):
        if sample.path is None or sample.label is None:
            raise SystemExit(f"{data}: only image files in class folders can be divided anew")
        place = folder / sample.label.name
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:06d}{sample.path.suffix}").symlink_to(sample.path.absolute())
    return len(dataset.samples)


def run(data: Path, retrain: str, seed: int, cache: Path) -> tuple[dict[str, Any], Right]:
    """One `mirada train`, and which of the test images its model has right."""
    shutil.rmtree(cache / "activations", ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        command = [sys.executable, "-m", "mirada", "train", str(data), "-o", str(model), "--retrain", retrain]
        begin = time.perf_counter()
        done = subprocess.run([*command, "--seed", str(seed), "--json"], check=True, stdout=subprocess.PIPE, text=True)
        seconds = time.perf_counter() - begin
        right = evaluate(model, data).is_right
    training = json.loads(done.stdout)["training"]
    rungs = [{name: rung[name] for name in ("name", "seconds", "is_kept", "val")} for rung in training["rungs"]]
    content = {"retrain": retrain, "seconds": seconds, "test_right": int(right.sum()), "test_images": len(right)}
    return content | {"rungs": rungs}, right


def compared(runs: list[dict[str, Any]], rights: list[Right]) -> dict[str, Any]:
    """The first run, which chose for itself, against the best of the others; of equals the quickest."""
    best = min(range(1, len(runs)), key=lambda i: (-runs[i]["test_right"], runs[i]["seconds"]))
    p = paired_test(rights[0], rights[best])
    return {
        "best": runs[best]["retrain"],
        "difference": (runs[0]["test_right"] - runs[best]["test_right"]) / runs[0]["test_images"],
        "p_value": p,
        "is_significantly_worse": bool(p < SIGNIFICANT and runs[0]["test_right"] < runs[best]["test_right"]),
        "time_ratio": runs[0]["seconds"] / runs[best]["seconds"],
    }


def kept(path: Path, ways: list[str]) -> list[dict[str, Any]]:
    """The divisions of a result, which must have been run in these ways."""
    divisions: list[dict[str, Any]] = json.loads(path.read_text())["divisions"]
    for division in divisions:
        had = [each["retrain"] for each in division["runs"]]
        if had != ways:
            raise SystemExit(f"{path}: division {division['seed']} ran {', '.join(had)}, not {', '.join(ways)}")
    return divisions


def main() -> None:
    """Every division, and on each every way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DATA", help="images in class folders, with or without parts")
    parser.add_argument("--seeds", type=int, default=5, help="how many divisions")
    parser.add_argument("--fixed", nargs="+", default=["head", "1", "2", "3"], help="the fixed choices")
    parser.add_argument("--resume", action="store_true", help="run only the divisions that the result lacks")
    arguments = parser.parse_args()
    name = Path(arguments.data).resolve().name
    ways = ["auto", *arguments.fixed]
    divisions = kept(RESULTS / f"splits_{name}.json", ways) if arguments.resume else []
    with tempfile.TemporaryDirectory() as folder:
        data, cache = Path(folder) / name, Path(folder) / "cache"
        os.environ["MIRADA_CACHE"] = str(cache)  # also of the processes
        images = gathered(arguments.data, data)
        run(data, "3", 0, cache)  # fills the cache of engines
        for seed in sorted(set(range(arguments.seeds)) - {division["seed"] for division in divisions}):
            runs, rights = [], []
            for retrain in ways:
                content, right = run(data, retrain, seed, cache)
                runs.append(content)
                rights.append(right)
                share = content["test_right"] / content["test_images"]
                print(f"{seed}  {retrain:<5} {content['seconds']:7.1f} s  {share:6.1%}", flush=True)
            division = {"seed": seed, "machine": machine(), "runs": runs, **compared(runs, rights)}
            divisions.append(division)
            print(
                f"{seed}  against {division['best']}: {division['difference']:+.1%}, p = {division['p_value']:.2f}, "
                f"{division['time_ratio']:.2f} times its seconds",
                flush=True,
            )
            path = write_result(f"splits_{name}", {"data": name, "images": images, "divisions": divisions})
    print("written:", path)


if __name__ == "__main__":
    main()
