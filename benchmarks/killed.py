"""What is lost when a training is killed, at any moment? The same command is run again until it ends.

    python benchmarks/killed.py DATA [--runs 6] [--retrain auto]

One run is left alone. Each of the others is killed with SIGKILL after a random time, as often as it takes for half of
an undisturbed run to pass by, and then left to end. Each has a cache of its own, empty at first. The weights must be
those of the undisturbed run, to the bit, and nothing else may lie beside the model. Writes
results/killed_DATA_RETRAIN.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from result import write_result

LATEST = 0.7
"""The latest moment of a kill, as a share of an undisturbed run: others may be quicker than that one."""


def sha256(file: Path) -> str:
    """Of the content of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def training_of(model: Path) -> dict[str, Any]:
    """What a directory says of its training; nothing where it is not there yet."""
    if not model.exists():
        return {"rungs": [], "climbing": True}
    training: dict[str, Any] = json.loads((model / "model.json").read_text(encoding="utf-8"))["training"]
    return training


def rungs(model: Path) -> list[tuple[str, bool]]:
    """The rungs that were climbed: names, and whether they are trials."""
    return [(rung["name"], rung["is_trial"]) for rung in training_of(model)["rungs"]]


def run(command: list[str], model: Path, cache: Path, kill_after: list[float]) -> dict[str, Any]:
    """The command, killed after each of these times and run again, then left to end."""
    environment = os.environ | {"MIRADA_CACHE": str(cache)}
    begin, kills = time.perf_counter(), []
    for seconds in [*kill_after, None]:
        process = subprocess.Popen([*command, "-o", str(model)], env=environment, stdout=subprocess.DEVNULL)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills.append({"after": seconds, "rungs_then": rungs(model)})
            if "climbing" not in training_of(model):  # it was killed when all was done
                break
            continue
        if status:
            raise SystemExit(f"the training ended with status {status}")
        break
    names = sorted(path.name for path in model.parent.iterdir())
    return {
        "seconds": time.perf_counter() - begin,
        "kills": kills,
        "rungs": rungs(model),
        "weights": sha256(model / "weights.safetensors"),
        "has_report": (model / "report.html").exists(),
        "beside": [name for name in names if name != model.name and not name.endswith(".part")],
        "stale": [name for name in names if name.endswith(".part")],
    }


def main() -> None:
    """One undisturbed run, then those that are killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DATA", help="images in class folders, with or without parts")
    parser.add_argument("--runs", type=int, default=6, help="how many are killed")
    parser.add_argument("--retrain", default="auto", help="as of mirada train")
    parser.add_argument("--seed", type=int, default=0, help="of the random times")
    arguments = parser.parse_args()
    drawn = random.Random(arguments.seed)
    command = [sys.executable, "-m", "mirada", "train", arguments.data, "--retrain", arguments.retrain]
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.runs + 1):
            place = Path(folder) / str(number)
            place.mkdir()
            whole = runs[0]["seconds"] if runs else 0.0
            kill_after, left = [], whole / 2
            while left > 0:
                kill_after.append(drawn.uniform(0.05, LATEST) * whole)
                left -= kill_after[-1]
            runs.append(run(command, place / "model", Path(folder) / f"cache-{number}", kill_after))
            is_same = all(runs[-1][what] == runs[0][what] for what in ("weights", "rungs"))
            runs[-1]["is_same"] = is_same
            killed = ", ".join(f"{kill['after']:.0f} s" for kill in runs[-1]["kills"]) or "not killed"
            print(f"{number}  {killed}: {'same' if is_same else 'OTHER'} weights and rungs", flush=True)
    name = Path(arguments.data).resolve().name
    killed_runs = [each for each in runs[1:] if each["kills"]]
    same = sum(each["is_same"] for each in killed_runs)
    print(f"{len(killed_runs)} of {len(runs) - 1} were killed before they ended, {same} of them have the same of both")
    if other := [number for number, each in enumerate(runs) if not each["kills"] and not each["is_same"]]:
        print(f"OTHER weights or rungs in runs that were not killed: {', '.join(map(str, other))}")
    content = {"data": name, "retrain": arguments.retrain, "killed_runs": len(killed_runs), "same_weights": same}
    print("written:", write_result(f"killed_{name}_{arguments.retrain}", content | {"runs": runs}))


if __name__ == "__main__":
    main()
