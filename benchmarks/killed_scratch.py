"""What is lost when a training from scratch is killed, at any moment? The same command is run again until it ends.

    python benchmarks/killed_scratch.py DATA [--kills 20] [--epochs 12] [--recipe modern]

One run is left alone. Others are killed with SIGKILL after a random time, up to that of the undisturbed run, and
started again, until there were so many kills; the weights of each that comes to its end must be those of the
undisturbed run, to the bit. Checkpoints are written every second, not every 20. Writes results/killed_scratch.json.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from result import write_result

OFTEN = """
import sys
from mirada.learn import checkpoint
import mirada.cli

checkpoint.SECONDS = 1.0
sys.exit(mirada.cli.main())
"""


def command(arguments: argparse.Namespace, out: Path) -> list[str]:
    """What trains a model."""
    how = ["--from", "lenet5", "--recipe", arguments.recipe, "--epochs", str(arguments.epochs), "-o", str(out)]
    return [sys.executable, "-c", OFTEN, "train", arguments.data, *how]


def weights(out: Path) -> str:
    """Their SHA-256."""
    return hashlib.sha256((out / "weights.safetensors").read_bytes()).hexdigest()


def main() -> None:
    """One undisturbed run, then those that are killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DATA")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--recipe", default="modern")
    parser.add_argument("--seed", type=int, default=0, help="of the random times")
    arguments = parser.parse_args()
    drawn = random.Random(arguments.seed)
    kills: list[dict[str, Any]] = []
    ended = same = 0
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        begin = time.perf_counter()
        subprocess.run(command(arguments, here / "undisturbed"), check=True, stdout=subprocess.DEVNULL)
        whole = time.perf_counter() - begin
        expected = weights(here / "undisturbed")
        while len(kills) < arguments.kills or (
            (here / f"{ended}.unfinished").exists() and not (here / f"{ended}").exists()
        ):
            out = here / str(ended)
            process = subprocess.Popen(command(arguments, out), stdout=subprocess.DEVNULL)
            after = drawn.uniform(0.1, 0.9) * whole if len(kills) < arguments.kills else None
            try:
                if process.wait(after):
                    raise SystemExit(f"the training ended with status {process.returncode}")
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills.append({"after": after, "had_kept": (here / f"{ended}.unfinished").exists()})
                print(kills[-1], flush=True)
                if not out.exists():  # else it was killed when all was done
                    continue
            ended, same = ended + 1, same + (weights(out) == expected)
            print(f"came to its end: {'same weights' if weights(out) == expected else 'OTHER WEIGHTS'}", flush=True)
    content = {"undisturbed_seconds": whole, "runs_to_the_end": ended, "equal_to_undisturbed": same, "kills": kills}
    asked = {"data": Path(arguments.data).name, "recipe": arguments.recipe, "epochs": arguments.epochs}
    print("written:", write_result("killed_scratch", asked | content))


if __name__ == "__main__":
    main()
