"""`python -m mirada.engine.probe FOLDER PRECISION`: run a network that was converted, in a process of its own.

Some processors crash in native code of an engine; then this process dies, and not the person's work. Reads the network
and `images.npy` (N, h, w, C) from the folder, writes the outputs to `outputs-PRECISION.npz`, and prints how many images
a second went through. Judging the outputs is left to the process that asks. Where OpenVINO computes in another format
than PRECISION it says so instead. The network is left in the folder as it was compiled, if that can be opened and gives
the same outputs.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, cast

import numpy as np

from mirada.engine.openvino_engine import CANNOT_BE_OPENED, OpenVinoEngine, Precision, compiled_file
from mirada.engine.program import Program
from mirada.image import Preparation

__all__ = ["fastest_round", "main"]

ROUNDS = 4
"""How often the images go through for the timing, at least; the fastest round counts."""
LEAST_SECONDS = 0.5
"""Of all rounds together: whatever else the processor is busy with for a moment must not decide which way is chosen."""


def main(folder: Path, precision: Precision) -> None:
    """Run the images of the folder, keep the outputs, print the rate as JSON."""
    images = np.load(folder / "images.npy", allow_pickle=False)
    height, width, channels = images.shape[1:]
    unused = Preparation((width, height), "stretch", channels=channels, mean=(0.0,) * channels, std=(1.0,) * channels)
    program = Program("probe", {}, unused, _nothing)
    engine = OpenVinoEngine(program, folder, precision)
    if engine.precision != precision:
        print(json.dumps({"refusal": f"this processor has no {precision}: OpenVINO computes in {engine.precision}"}))
        return
    outputs = engine(images)
    np.savez(folder / f"outputs-{precision}.npz", *outputs)
    rate = len(images) / fastest_round(lambda: engine(images))
    compiled = compiled_file(folder, precision)
    try:
        compiled.write_bytes(engine.exported())
        again = OpenVinoEngine(program, folder, precision)(images)
        is_same = all(np.array_equal(a, b) for a, b in zip(outputs, again, strict=True))
    except CANNOT_BE_OPENED:
        is_same = False
    if not is_same:
        compiled.unlink(missing_ok=True)
    print(json.dumps({"images_per_second": rate}))


def fastest_round(run: Callable[[], object]) -> float:
    """The seconds of the fastest of several runs."""
    times: list[float] = []
    while len(times) < ROUNDS or sum(times) < LEAST_SECONDS:
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return min(times)


def _nothing() -> NoReturn:
    raise AssertionError("the network is there already")


if __name__ == "__main__":
    main(Path(sys.argv[1]), cast(Precision, sys.argv[2]))
