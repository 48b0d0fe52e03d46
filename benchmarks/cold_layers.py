"""How long does `mirada layers vgg16` take from a cold process, against building the torch module and counting?"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from result import write_result

RUNS = 11
MIRADA = [sys.executable, "-c", "import sys; from mirada.cli import main; sys.exit(main(['layers', 'vgg16']))"]
PEER = [
    sys.executable,
    "-c",
    "import torchvision\n"
    "module = torchvision.models.vgg16(weights=None)\n"
    "print(sum(p.numel() for p in module.parameters()))",
]


def seconds(command: list[str]) -> float:
    """Wall time of one run."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begin


def main() -> None:
    """Alternate the two, after one run of each that fills the disk cache."""
    for command in (MIRADA, PEER):
        seconds(command)
    runs: dict[str, list[float]] = {"mirada layers vgg16": [], "torchvision vgg16, parameters counted": []}
    for i in range(RUNS):
        runs["mirada layers vgg16"].append(seconds(MIRADA))
        if i % 4 == 0:
            runs["torchvision vgg16, parameters counted"].append(seconds(PEER))
    medians = {name: statistics.median(values) for name, values in runs.items()}
    for name, value in medians.items():
        print(f"{name:<40} {value:6.3f} s (median of {len(runs[name])})")
    print("written:", write_result("cold_layers", {"seconds": runs, "medians": medians}))


if __name__ == "__main__":
    main()
