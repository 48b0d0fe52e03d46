"""How long does one photo take from a cold process, engines cached, against plain timm with the same weights?

    python benchmarks/cold.py MODEL PHOTO [--runs 11]

Runs `mirada predict MODEL PHOTO --json` and peers/plain_predict.py in turn, each time a new process, after one run of
each that fills the caches (mirada's in a folder of its own, empty at first). Whether torch was imported is read from
Python's own list of imports. Writes results/cold.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

import mirada
from predict import PEER, write_peer_model
from result import timed, write_result

MIRADA, PLAIN = "mirada predict", "plain timm"


def imported(command: list[str], environment: dict[str, str]) -> list[str]:
    """The modules that a Python command imports, in the order in which they are done."""
    run = [command[0], "-X", "importtime", *command[1:]]
    lines = subprocess.run(run, check=True, capture_output=True, text=True, env=environment).stderr.splitlines()
    return [line.rsplit("|", 1)[1].strip() for line in lines if line.startswith("import time:")]


def main() -> None:
    """Alternate the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL", type=Path)
    parser.add_argument("photo", metavar="PHOTO", type=Path)
    parser.add_argument("--runs", type=int, default=11)
    arguments = parser.parse_args()
    with Image.open(arguments.photo) as image:
        size = f"{image.width} x {image.height}"
    model = mirada.load(arguments.model)
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as peer:
        is_same = write_peer_model(model, Path(peer))
        environment = os.environ | {"MIRADA_CACHE": cache}
        commands = {
            MIRADA: [sys.executable, "-m", "mirada", "predict", str(arguments.model), str(arguments.photo), "--json"],
            PLAIN: [sys.executable, str(PEER), peer, str(arguments.photo)],
        }
        first, answers = {}, {}
        for name, command in commands.items():
            first[name], answers[name] = timed(command, env=environment)
        runs: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(arguments.runs):
            for name, command in commands.items():
                runs[name].append(timed(command, env=environment)[0])
        modules = imported(commands[MIRADA], environment)
    medians = {name: statistics.median(values) for name, values in runs.items()}
    best = answers[MIRADA]["predictions"][0]
    content = {
        "network": model.network.name,
        "photo": size,
        "first_seconds": first,
        "seconds": runs,
        "medians": medians,
        "ratio": medians[PLAIN] / medians[MIRADA],
        "modules_imported": len(modules),
        "torch_imported": "torch" in modules,
        "peer_has_same_weights": is_same,
        "answers": {
            MIRADA: {"label": best["label"], "probability": best["probability"]},
            PLAIN: {key: answers[PLAIN][key] for key in ("label", "probability")},
        },
    }
    for name, value in medians.items():
        print(f"{name:<16} {value:6.3f} s (median of {len(runs[name])}; the first of all {first[name]:.3f} s)")
    print(f"mirada imported {len(modules)} modules, torch {'among them' if content['torch_imported'] else 'not'}")
    print("written:", write_result("cold", content))


if __name__ == "__main__":
    main()
