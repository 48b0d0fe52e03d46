"""How fast are photos indexed, end to end, and what does it cost to look again?

    python benchmarks/index.py PHOTOS MODEL [--images 20000] [--rounds 3]

Links to the JPEG files below PHOTOS, so many that there are enough, are given in turn to `mirada predict MODEL` and to
`mirada index`, which makes its index anew, each in a process of its own, engines warm; the medians are compared.
Then `mirada index` again with nothing changed, and with 100 files replaced. A tenth of the images shows whether memory
grows. Writes results/index.json.
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
from PIL import Image

from result import write_result


def run(*arguments: str | Path) -> dict[str, Any]:
    """Seconds, peak memory and the last line or object of output of one command."""
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        command = [sys.executable, "-m", "mirada", *map(str, arguments)]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        output.seek(0)
        told = output.read().decode()
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{command} ended with {os.waitstatus_to_exitcode(status)}")
    return {"seconds": seconds, "peak_mb": usage.ru_maxrss / 1e3, "told": told}


def indexed(*arguments: str | Path) -> dict[str, Any]:
    """A run of `mirada index`, and what it says, without where."""
    found = run(*arguments)
    told = {name: value for name, value in json.loads(found["told"]).items() if name != "index"}
    return shown("index", found | {"told": told})


def predicted(model: Path, photos: Path) -> dict[str, Any]:
    """A run of `mirada predict`, and how many answers it gives."""
    found = run("predict", model, photos, "--json")
    return shown("predict", found | {"told": len(found["told"].splitlines())})


def shown(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """What was found, printed as soon as it is known."""
    print(name, json.dumps(found), flush=True)
    return found


def median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The run of the median time, the largest peak of memory, and the times of all."""
    middle = sorted(runs, key=lambda run: run["seconds"])[len(runs) // 2]
    times = [run["seconds"] for run in runs]
    return middle | {"peak_mb": max(run["peak_mb"] for run in runs), "all_seconds": times}


def links(photos: list[Path], folder: Path, count: int) -> None:
    """So many links to the photos, a thousand a folder."""
    for number in range(count):
        place = folder / f"{number // 1_000:03}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:06}.jpg").symlink_to(photos[number % len(photos)].resolve())


def main() -> None:
    """Predict, index, index again, index what changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", metavar="PHOTOS", type=Path)
    parser.add_argument("model", metavar="MODEL", type=Path)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    photos = sorted(arguments.photos.rglob("*.jpg"))
    found: dict[str, Any] = {"images": arguments.images}
    with tempfile.TemporaryDirectory() as temporary:
        here = Path(temporary)
        links(photos, here / "few", arguments.images // 10)
        links(photos, here / "many", arguments.images)
        run("index", here / "few", "-o", here / "warm")  # engines are chosen
        run("predict", arguments.model, here / "few", "--json")
        index = ("index", here / "many", "-o", here / "many-index", "--json")
        found["few"] = indexed("index", here / "few", "-o", here / "few-index", "--json")
        rounds: dict[str, list[dict[str, Any]]] = {"predict": [], "index": []}
        for _ in range(arguments.rounds):
            rounds["predict"].append(predicted(arguments.model, here / "many"))
            if (here / "many-index").exists():
                shutil.rmtree(here / "many-index")
            rounds["index"].append(indexed(*index))
        for name, runs in rounds.items():
            found[name] = median(runs)
        found["rate_of_predict"] = found["predict"]["seconds"] / found["index"]["seconds"]
        found["nothing_changed"] = indexed(*index)
        rng = np.random.default_rng(0)
        for place in sorted((here / "many").rglob("*.jpg"))[:: arguments.images // 100][:100]:
            place.unlink()
            picture = np.kron(rng.integers(0, 256, (6, 8, 3), np.uint8), np.ones((40, 40, 1), np.uint8))
            Image.fromarray(picture).save(place)
        found["changed"] = indexed(*index)
    print("written:", write_result("index", found))


if __name__ == "__main__":
    main()
