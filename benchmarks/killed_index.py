"""What is lost when indexing is killed, at any moment? The same command is run again until it ends.

    python benchmarks/killed_index.py PHOTOS [--kills 20] [--images 600]

One run is left alone. Then the same command is started again and again, and killed with SIGKILL after a random time of
up to that of the undisturbed run; after each kill the index, where there is one, must open, hold all that it held
before, and each row must be that of the undisturbed index. Where a run came to its end, the next begins anew. Writes
results/killed_index.json.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mirada.search.table import Table
from result import write_result

Rows = dict[bytes, tuple[str, ...]]


def rows(place: Path) -> Rows:
    """All that an index holds, but for where in it; nothing where there is none yet."""
    table = Table.find(str(place))
    if table is None:
        return {}
    names = [*table.columns, "file", "modified", "said", "source", "look", "places", "vector"]
    found = [row for batch in table.batches(names) for row in batch.to_pylist()]
    return {row["file"]: tuple(str(row[name]) for name in names) for row in found}


def run(photos: Path, place: Path, kill_after: float | None) -> tuple[float, bool]:
    """The command: its seconds, and whether it came to its end."""
    command = [sys.executable, "-m", "mirada", "index", str(photos), "-o", str(place)]
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        status = process.wait(kill_after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return time.perf_counter() - begin, False
    if status:
        raise SystemExit(f"{command} ended with {status}")
    return time.perf_counter() - begin, True


def main() -> None:
    """The undisturbed run, and the kills."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", metavar="PHOTOS", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--images", type=int, default=600)
    arguments = parser.parse_args()
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as temporary:
        photos, place = Path(temporary) / "photos", Path(temporary) / "index"
        photos.mkdir()
        for number, file in enumerate(sorted(arguments.photos.rglob("*.jpg"))[: arguments.images]):
            shutil.copy(file, photos / f"{number:04}.jpg")
            os.utime(photos / f"{number:04}.jpg", (1_700_000_000, 1_700_000_000))
        run(photos, Path(temporary) / "warm", None)
        seconds, _ = run(photos, Path(temporary) / "undisturbed", None)
        right = rows(Path(temporary) / "undisturbed")
        kills: list[dict[str, Any]] = []
        ends: list[bool] = []
        held: Rows = {}
        while len(kills) < arguments.kills:
            after = rng.uniform(0.3, seconds)
            _, ended = run(photos, place, after)
            now = rows(place)
            is_right = held.keys() <= now.keys() and all(right[file] == row for file, row in now.items())
            if ended:
                ends.append(now == right)
                shutil.rmtree(place)
                held = {}
                continue
            kills.append({"after": after, "rows_then": len(now), "is_right": is_right})
            print(kills[-1], flush=True)
            held = now
        run(photos, place, None)
        ends.append(rows(place) == right)
    told = {
        "images": len(right),
        "undisturbed_seconds": seconds,
        "kills": kills,
        "opened_and_held_all": sum(kill["is_right"] for kill in kills),
        "runs_to_the_end": len(ends),
        "equal_to_undisturbed": sum(ends),
    }
    print("written:", write_result("killed_index", told))


if __name__ == "__main__":
    main()
