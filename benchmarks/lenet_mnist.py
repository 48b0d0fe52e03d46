"""How soon does LeNet-5 have 99.0 % of MNIST's test images right, and how many at best?

    python benchmarks/lenet_mnist.py MNIST [--seeds 3] [--best 5] [--keras PYTHON]

In turns, each a process of its own from a cold start: `mirada train MNIST --recipe lenet5-fast.yaml` as a whole, with
its validation, its test and its report, for as many epochs as it takes (`--epochs`, the same for all seeds); the script
of peers/plain_mnist.py, until an epoch after which it has 99.0 %, the tests not counted; Keras likewise, where a Python
that has it is given. Then, for `--best`, `mirada train MNIST --recipe lenet5` with so many seeds. Writes
results/lenet_mnist.json.
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

from result import write_result

GOAL = 0.99
HERE = Path(__file__).parent
FAST = """
network: lenet5
batch_size: 64
learning_rate: 0.01
weight_decay: 0.05
average: 0.995
shift: 0.03125
"""


def mirada(data: Path, seed: int, *how: str) -> dict[str, Any]:
    """The seconds of the whole command, and its test accuracy."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "lenet5-fast.yaml").write_text(FAST)
        begin = time.perf_counter()
        command = [sys.executable, "-m", "mirada", "train", str(data.resolve()), *how, "--seed", str(seed)]
        subprocess.run([*command, "-o", "m"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - begin
        content = json.loads((Path(folder) / "m" / "model.json").read_text())
    history = content["training"]["history"]
    return {
        "seconds": seconds,
        "training_seconds": history[-1]["seconds"],
        "epochs": len(history),
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
    fast = ["--recipe", "lenet5-fast.yaml", "--epochs", str(arguments.epochs)]
    for seed in range(arguments.seeds):
        told = {"mirada": mirada(arguments.mnist, seed, *fast)}
        told["plain"] = peer(sys.executable, "plain_mnist.py", arguments.mnist, seed)
        if arguments.keras:
            told["keras"] = peer(arguments.keras, "keras_mnist.py", arguments.mnist, seed)
        for name, run in told.items():
            runs.setdefault(name, []).append(run)
            print(name, seed, f"{run['seconds']:.1f} s, {run['test_accuracy']:.2%}", flush=True)
    medians = {name: statistics.median(run["seconds"] for run in mine) for name, mine in runs.items()}
    content: dict[str, Any] = {"goal": GOAL, "recipe": FAST, "runs": runs, "median_seconds": medians}
    for seed in range(arguments.best):
        run = mirada(arguments.mnist, seed, "--recipe", "lenet5")
        runs.setdefault("best", []).append(run)
        print("best", seed, f"{run['seconds']:.1f} s, {run['test_accuracy']:.2%}", flush=True)
    if arguments.best > 1:
        accuracies = np.array([run["test_accuracy"] for run in runs["best"]])

        half = stats.t.ppf(0.975, len(accuracies) - 1) * accuracies.std(ddof=1) / np.sqrt(len(accuracies))
        content["best"] = {"mean": accuracies.mean(), "interval": [accuracies.mean() - half, accuracies.mean() + half]}
        print(content["best"])
    print("written:", write_result("lenet_mnist", content))


if __name__ == "__main__":
    main()
