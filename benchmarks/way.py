"""Seconds and test accuracy of the whole way, from a data set to an evaluated model, in a fresh process."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from result import write_result


def one_run(data: str, network: str, seed: int) -> dict[str, float]:
    """Train, and read what the command says of itself."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mirada", "train", data, "--from", network, "--seed", str(seed), "--json"]
        begin = time.perf_counter()
        out = subprocess.run([*command, "-o", f"{folder}/model"], check=True, capture_output=True, text=True).stdout
        wall = time.perf_counter() - begin
    content = json.loads(out)
    return {
        "seed": seed,
        "wall_seconds": wall,
        "training_seconds": content["training"]["seconds"],
        "test_accuracy": content["scores"]["test"]["accuracy"],
        "test_images": content["scores"]["test"]["images"],
    }


def main() -> None:
    """One run a seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--from", dest="network", default="efficientnet-lite0")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    runs = [one_run(arguments.data, arguments.network, seed) for seed in range(arguments.seeds)]
    name = Path(arguments.data).name
    for key in ("wall_seconds", "training_seconds", "test_accuracy"):
        print(f"{key:<18} {statistics.median(run[key] for run in runs):.4f} (median of {len(runs)} seeds)")
    content = {"data": name, "network": arguments.network, "runs": runs}
    print("written:", write_result(f"way_{name}_{arguments.network.replace(':', '_')}", content))


if __name__ == "__main__":
    main()
