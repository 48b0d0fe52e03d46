"""How soon does LeNet-5 have 99.0 % of MNIST's test images right, and how many at best?

    python benchmarks/lenet_mnist.py MNIST [--seeds 3] [--best 5] [--keras PYTHON]

In turns, each a process of its own from a cold start, the seconds until the network is trained, the tests not counted:
`mirada.train` with the recipe below, which holds back 9,000 images to validate, for `--epochs`, the same for all seeds
(and the seconds of all, with calibration, test and report); the script of peers/plain_mnist.py, until an epoch after
which it has 99.0 %; Keras likewise, where a Python
that has it is given. Then, for `--best`, `mirada train MNIST --recipe lenet5` with so many seeds; with `--best 0` the
last result of these is kept. Writes results/lenet_mnist.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from result import RESULTS, write_result

GOAL = 0.99
HERE = Path(__file__).parent
FAST = """
network: lenet5
batch_size: 64
learning_rate: 0.012
weight_decay: 0.05
average: 0.993
shift: 0.03125
"""


TRAIN = """
import sys, time
import mirada
ends = {}
def told(stage, done, total, note=""):
    ends.setdefault(stage, time.time())
data, recipe, epochs, seed = sys.argv[1:]
mirada.train(data, recipe=recipe, epochs=int(epochs) or None, seed=int(seed), out="m", progress=told)
print(ends["evaluating on val"])
"""


def mirada(data: Path, seed: int, recipe: str, epochs: int = 0) -> dict[str, Any]:
    """The seconds until it is trained and of all, from the start of the process, and its test accuracy."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "lenet5-fast.yaml").write_text(FAST)
        begin = time.time()
        command = [sys.executable, "-c", TRAIN, str(data.resolve()), recipe, str(epochs), str(seed)]
        done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
        whole = time.time() - begin
        content = json.loads((Path(folder) / "m" / "model.json").read_text())
    return {
        "seconds": float(done.stdout) - begin,
        "whole_seconds": whole,
        "epochs": len(content["training"]["history"]),
        "test_accuracy": content["scores"]["test"]["accuracy"],
    }


def peer(python: str, script: str, data: Path, seed: int) -> dict[str, Any]:
    """The curve of a peer."""
    command = [
        python,
        str(HERE / "peers" / script),
        str(data),
        "--seed",
        str(seed),
        "--until",
        str(GOAL),
        "--began",
        str(time.time()),
    ]
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    curve = json.loads(done.stdout.splitlines()[-1])
    return {"curve": curve, "seconds": curve[-1]["seconds"], "test_accuracy": curve[-1]["test_accuracy"]}


def main() -> None:
    """In turns; then the best."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mnist", metavar="MNIST", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--best", type=int, default=5)
    parser.add_argument("--keras", metavar="PYTHON", help="a Python with Keras")
    arguments = parser.parse_args()
    runs: dict[str, list[dict[str, Any]]] = {}
    for seed in range(arguments.seeds):
        told = {"mirada": mirada(arguments.mnist, seed, "lenet5-fast.yaml", arguments.epochs)}
        told["plain"] = peer(sys.executable, "plain_mnist.py", arguments.mnist, seed)
        if arguments.keras:
            told["keras"] = peer(arguments.keras, "keras_mnist.py", arguments.mnist, seed)
        for name, run in told.items():
            runs.setdefault(name, []).append(run)
            print(name, seed, f"{run['seconds']:.1f} s, {run['test_accuracy']:.2%}", flush=True)
    reached = {name: sum(run["test_accuracy"] >= GOAL for run in mine) for name, mine in runs.items()}
    medians = {name: statistics.median(run["seconds"] for run in mine) for name, mine in runs.items()}
    whole = statistics.median(run["whole_seconds"] for run in runs["mirada"])
    print({**medians, "mirada, with test and report": whole}, reached)
    content: dict[str, Any] = {
        "goal": GOAL,
        "recipe": FAST,
        "runs": runs,
        "median_seconds": medians,
        "reached": reached,
    }
    for seed in range(arguments.best):
        run = mirada(arguments.mnist, seed, "lenet5")
        runs.setdefault("best", []).append(run)
        print("best", seed, f"{run['seconds']:.1f} s, {run['test_accuracy']:.2%}", flush=True)
    last = RESULTS / "lenet_mnist.json"
    if arguments.best == 0 and last.is_file():
        kept = json.loads(last.read_text(encoding="utf-8"))
        if "best" in kept:
            content["best"], runs["best"] = kept["best"], kept["runs"]["best"]
    if arguments.best > 1:
        accuracies = np.array([run["test_accuracy"] for run in runs["best"]])

        half = stats.t.ppf(0.975, len(accuracies) - 1) * accuracies.std(ddof=1) / np.sqrt(len(accuracies))
        content["best"] = {"mean": accuracies.mean(), "interval": [accuracies.mean() - half, accuracies.mean() + half]}
        print(content["best"])
    print("written:", write_result("lenet_mnist", content))


if __name__ == "__main__":
    main()
