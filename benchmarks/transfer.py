"""How accurate is transfer learning after how many seconds, from a cold process: mirada, plain timm, fastai?

    python benchmarks/transfer.py DATA [--peers mirada plain fastai] [--minutes 1.5] [--epochs 6]

Every run is a process of its own, one after the other, and its seconds are those of the whole process, imports
included. All start from the same weights (the built-in EfficientNet-Lite0), learn from the same files, and look at the
same test part: that of DATA, or the one mirada draws. Less what is not counted: the peers' curves of test accuracy.
mirada's engines are cached by one run before, which is reported apart; no activation is kept from run to run.
Writes results/transfer_DATA.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mirada.data import PARTS, read, split
from result import timed, write_result

PEERS = Path(__file__).parent / "peers"
Run = dict[str, Any]


def write_files(data: str, seed: int, path: Path) -> dict[str, int]:
    """Write which file is in which part, for the peers; how many images each part has."""
    dataset = read(data)
    parts = split(dataset, seed=seed).parts
    content: dict[str, Any] = {"class_names": dataset.class_names}
    for part in PARTS:
        samples = [dataset.samples[i] for i in parts[part]]
        if any(sample.path is None or sample.label is None for sample in samples):
            raise SystemExit(f"{data}: the peers read image files in class folders only")
        content[part] = [(str(sample.path.absolute()), sample.label.class_id) for sample in samples]
    path.write_text(json.dumps(content), encoding="utf-8")
    return {part: len(parts[part]) for part in PARTS}


def accuracy_of(test: dict[str, Any]) -> dict[str, Any]:
    """The accuracy on test and the counts behind it, by the names that all results use."""
    right, images = test["right"], test["images"]
    return {"test_accuracy": right / images, "test_right": right, "test_images": images}


def mirada_run(data: str, options: list[str], seed: int, cache: Path) -> Run:
    """One `mirada train` with engines from the cache, and nothing else from it."""
    shutil.rmtree(cache / "activations", ignore_errors=True)
    environment = os.environ | {"MIRADA_CACHE": str(cache)}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mirada", "train", data, "-o", f"{folder}/model", *options]
        seconds, content = timed([*command, "--seed", str(seed), "--json"], env=environment)
    return {
        "name": f"mirada {' '.join(options)}",
        "by": "mirada",
        "wall_seconds": seconds,
        "seconds": seconds,
        **accuracy_of(content["scores"]["test"]),
        "rungs": content["training"].get("rungs"),
    }


def peer_run(name: str, files: Path, epochs: int, seed: int) -> Run:
    """One run of a peer's script; what it took for its curve is taken off its wall time."""
    command = [sys.executable, str(PEERS / f"{name}_transfer.py"), str(files), "--epochs", str(epochs)]
    wall, content = timed([*command, "--seed", str(seed), "--began", repr(time.time())])
    return {
        "name": f"{name}, 1 + {epochs} epochs",
        "by": name,
        "wall_seconds": wall,
        "seconds": wall - content["uncounted_seconds"],
        **accuracy_of(content["test"]),
        "ready_seconds": content["ready_seconds"],
        "epochs": content["epochs"],
        "chosen_epoch": content["chosen_epoch"],
    }


def time_to_reach(peer: Run, mirada_runs: list[Run]) -> dict[str, Any]:
    """When mirada was as accurate on test as a peer is in the end, and when the peer was so itself.

    `first_seconds` is the end of the peer's first epoch with that accuracy, if one had known to stop there: its start
    and training alone, no test. mirada's seconds are those of the quickest run that reached it, test included.
    """
    goal = peer["test_accuracy"]
    reached = [run for run in mirada_runs if run["test_accuracy"] >= goal]
    first = next((epoch["seconds"] for epoch in peer["epochs"] if epoch["test_accuracy"] >= goal), peer["seconds"])
    content: dict[str, Any] = {"test_accuracy": goal, "seconds": peer["seconds"], "first_seconds": first}
    if not reached:
        return content | {"mirada": None}
    quickest = min(reached, key=lambda run: run["seconds"])
    return content | {
        "mirada": quickest["name"],
        "mirada_seconds": quickest["seconds"],
        "ratio": peer["seconds"] / quickest["seconds"],
        "first_ratio": first / quickest["seconds"],
    }


def line(run: Run) -> str:
    """A run as a line of the table."""
    counts = f"{run['test_right']:,} of {run['test_images']:,}"
    return f"{run['name']:<28} {run['seconds']:7.1f} s  {run['test_accuracy']:6.1%}  ({counts})"


def main() -> None:
    """All runs, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DATA", help="train/val/test folders, or class folders")
    parser.add_argument("--peers", nargs="+", choices=("mirada", "plain", "fastai"), help="default: all")
    parser.add_argument("--minutes", type=float, default=1.5, help="of mirada's run with a limit")
    parser.add_argument("--epochs", type=int, default=6, help="of the peers, all layers, after one of the head")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    peers = arguments.peers or ["mirada", "plain", "fastai"]
    ways = (
        ["--retrain", "head"],
        ["--retrain", "1"],
        ["--minutes", f"{arguments.minutes:g}"],
        ["--retrain", "auto"],
    )
    runs: list[Run] = []
    first_of_all = None
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "files.json"
        images = write_files(arguments.data, arguments.seed, files)
        if "mirada" in peers:
            cache = Path(folder) / "cache"
            first_of_all = mirada_run(arguments.data, ways[1], arguments.seed, cache)
            print(line(first_of_all), "with an empty cache", flush=True)
        for options in ways if "mirada" in peers else ():
            runs.append(mirada_run(arguments.data, options, arguments.seed, cache))
            print(line(runs[-1]), flush=True)
        for name in ("plain", "fastai"):
            if name in peers:
                runs.append(peer_run(name, files, arguments.epochs, arguments.seed))
                print(line(runs[-1]), flush=True)
    mirada_runs = [run for run in runs if run["by"] == "mirada"]
    reached = {run["by"]: time_to_reach(run, mirada_runs) for run in runs if run["by"] != "mirada"}
    for name, content in reached.items():
        if content["mirada"] is not None:
            print(
                f"as accurate as {name}: {content['mirada']}, {content['ratio']:.1f} times as fast as all of {name}, "
                f"{content['first_ratio']:.1f} times as fast as its first epoch that is"
            )
    data = Path(arguments.data).resolve().name
    content = {"data": data, "images": images, "seed": arguments.seed, "empty_cache": first_of_all}
    print("written:", write_result(f"transfer_{data}", content | {"runs": runs, "time_to_reach": reached}))


if __name__ == "__main__":
    main()
