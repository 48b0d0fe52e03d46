"""How many images a second does a step of training take, and how much of the machine's arithmetic is that?

    python benchmarks/step.py [--networks lenet5,alexnet,vgg16,resnet18] [--rounds 3]

Each network of the zoo on random pixels, in turns and each way in a process of its own:

| way | what |
|---|---|
| mirada | `mirada.learn.fit`, as `mirada train` calls it: from uint8, with its checks, in the format it chooses |
| plain | the same network in float32 in the default layout, from tensors that are there, torch's defaults |

Both with gradient descent and momentum. Beside each, in the same turn, the machine's rate of matrix products (2,048 x
2,048) in float32 and in bfloat16. A step's arithmetic is three times that of a pass forward, without the gradient of
the pixels; biases, pooling and normalisation are not counted. Writes results/step.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from typing import Any

from result import timed, write_result

BATCHES = {"lenet5": 128, "alexnet": 128, "vgg16": 32, "resnet18": 32}
CLASSES = 1_000
SIDE = 2_048
WARM, STEPS = 2, {"lenet5": 200, "alexnet": 8, "vgg16": 4, "resnet18": 10}


def rate() -> dict[str, float]:
    """Operations a second of a matrix product, in billions: the median of ten."""
    import torch

    found = {}
    for name in ("float32", "bfloat16"):
        a, b = (torch.randn(SIDE, SIDE).to(getattr(torch, name)) for _ in range(2))
        seconds = []
        for _ in range(12):
            begin = time.perf_counter()
            torch.mm(a, b)
            seconds.append(time.perf_counter() - begin)
        found[name] = 2 * SIDE**3 / statistics.median(seconds[2:]) / 1e9
    return found


def mirada(name: str) -> dict[str, Any]:
    """Seconds a step of `fit`."""
    import numpy as np

    from mirada.arch.build import build
    from mirada.backbone import find
    from mirada.data import Sample
    from mirada.engine.process import prepare_process
    from mirada.image import Preparation
    from mirada.learn.fit import fit
    from mirada.learn.pixels import Pixels
    from mirada.learn.recipes import Recipe
    from mirada.learn.scratch import with_precision
    from mirada.tasks import Classify

    architecture, batch = find(name), BATCHES[name]
    given, classes = architecture.input, architecture.output.depth
    recipe = Recipe(epochs=1, batch_size=batch, optimizer="sgd", learning_rate=1e-4, schedule="constant", shift=0.0)
    recipe = with_precision(recipe, architecture)
    prepare_process(architecture.multiply_adds * batch)
    rng, images = np.random.default_rng(0), batch * (WARM + STEPS[name])
    one = (0.5,) * given.depth
    preparation = Preparation((given.width, given.height), "stretch", channels=given.depth, mean=one, std=one)
    pixels = rng.integers(256, size=(images, given.height, given.width, given.depth), dtype=np.uint8)
    made = Sample("made", None, array=np.zeros((1, 1), np.uint8))  # only counted: the pixels are held
    train = Pixels((made,) * images, rng.integers(classes, size=images), preparation, pixels)
    none = Pixels((), np.zeros(0, np.int64), preparation, pixels[:0])
    ends: list[float] = []
    task = Classify(tuple(map(str, range(classes))))
    fit(build(architecture), train, none, task, recipe, progress=lambda *_: ends.append(time.perf_counter()))
    return {"seconds": _median(ends), "precision": recipe.precision, "operations": _operations(architecture) * batch}


def plain(name: str) -> dict[str, Any]:
    """Seconds a step of a plain loop."""
    import torch

    from mirada.arch.build import build
    from mirada.backbone import find

    architecture, batch = find(name), BATCHES[name]
    given, classes = architecture.input, architecture.output.depth
    network = build(architecture).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9)
    ends: list[float] = []
    for _ in range(WARM + STEPS[name]):
        images = torch.randn(batch, given.depth, given.height, given.width)
        labels = torch.randint(classes, (batch,))
        begin = time.perf_counter()
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        loss.item()
        ends.append(time.perf_counter() - begin)
    return {"seconds": statistics.median(ends[WARM:])}


def _median(ends: list[float]) -> float:
    """Of the seconds between the ends of steps."""
    return statistics.median(after - before for before, after in zip(ends[WARM - 1 :], ends[WARM:], strict=False))


def _operations(architecture: Any) -> int:
    """Of a step, for one image: two to a multiply-add."""
    first = next(row.multiply_adds for row in architecture.rows if row.multiply_adds)
    return 2 * (3 * architecture.multiply_adds - first)


def main() -> None:
    """In turns, each a process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=",".join(BATCHES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=["mirada", "plain", "rate"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        way = {"mirada": mirada, "plain": plain}.get(arguments.way)
        print(json.dumps(rate() if way is None else way(arguments.networks)))
        return
    found: dict[str, Any] = {}
    for name in arguments.networks.split(","):
        runs: dict[str, list[dict[str, Any]]] = {"mirada": [], "plain": [], "rate": []}
        for _ in range(arguments.rounds):
            for way, mine in runs.items():
                mine.append(timed([sys.executable, __file__, "--networks", name, "--way", way])[1])
        ours, theirs = (statistics.median(run["seconds"] for run in runs[way]) for way in ("mirada", "plain"))
        rates = {kind: statistics.median(run[kind] for run in runs["rate"]) for kind in ("float32", "bfloat16")}
        done = runs["mirada"][0]["operations"] / ours / 1e9
        found[name] = {
            "batch": BATCHES[name],
            "images_per_second": {"mirada": BATCHES[name] / ours, "plain": BATCHES[name] / theirs},
            "precision": runs["mirada"][0]["precision"],
            "times_as_fast": theirs / ours,
            "gflops": {"mirada": done, **{f"product_{kind}": each for kind, each in rates.items()}},
            "share_of_product": {kind: done / each for kind, each in rates.items()},
            "runs": runs,
        }
        shares = ", ".join(f"{share:.0%} of {kind} products" for kind, share in found[name]["share_of_product"].items())
        print(
            f"{name:10} {BATCHES[name] / ours:8.1f} images a second, {theirs / ours:.2f} times plain torch, "
            f"{done:.0f} GFLOPS ({shares})",
            flush=True,
        )
    print("written:", write_result("step", {"networks": found}))


if __name__ == "__main__":
    main()
