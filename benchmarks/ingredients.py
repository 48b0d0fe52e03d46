"""What does each ingredient of AlexNet's recipe do to a small AlexNet on a small real set?

    python benchmarks/ingredients.py MNIST [--share 0.05] [--seeds 3] [--epochs 40] [--members 7]

On a part of MNIST's train images. A network of AlexNet's kind for pictures of 47 x 47 is trained with the recipe
`alexnet` (batches of 32, the initial weights of He et al.: 0.01 is for wide layers), then with one ingredient less at a
time: dropout, L2, momentum, views and ten crops, ReLU (tanh for it), normalisation. Each is judged on all test images.
The networks of the whole recipe, one a seed, are averaged, one to `--members` of them.

Differences to the whole recipe have a 95 % interval: a bootstrap over the seeds and the test images at once (10,000
draws, percentiles). Writes results/ingredients.json after every network.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mirada
from mirada.learn.recipes import find_recipe
from regularise import digits
from result import write_result

LISTING = """name: Small AlexNet
{header}[47x47x3] INPUT
[24x24x24] CONV1: 24 5x5 filters at stride 2, pad 2
[12x12x24] MAX POOL1: 2x2 filters at stride 2
{norm1}[12x12x48] CONV2: 48 5x5 filters at stride 1, pad 2
[6x6x48] MAX POOL2: 2x2 filters at stride 2
{norm2}[6x6x64] CONV3: 64 3x3 filters at stride 1, pad 1
[6x6x64] CONV4: 64 3x3 filters at stride 1, pad 1
[6x6x48] CONV5: 48 3x3 filters at stride 1, pad 1
[3x3x48] MAX POOL3: 2x2 filters at stride 2
[256] FC6: 256 neurons
[256] FC7: 256 neurons
[10] FC8: 10 neurons (class scores)
"""
NORMS = {"norm1": "[12x12x24] NORM1: Normalization layer\n", "norm2": "[6x6x48] NORM2: Normalization layer\n"}
WHOLE = "the whole recipe"
WITHOUT: dict[str, dict[str, Any]] = {
    WHOLE: {},
    "without dropout": {"dropout": 0.0},
    "without L2": {"weight_decay": 0.0},
    "without momentum": {"momentum": 0.0},
    "without views and crops": {"policy": "none", "held": 1.0, "crops": 1},
    "tanh for ReLU": {},
    "without normalisation": {},
}
DRAWS = 10_000


def trained(data: str, ingredient: str, seed: int, epochs: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities (N, K) of the test images, and their classes (N,)."""
    header = "activation: tanh\n" if ingredient == "tanh for ReLU" else ""
    norms = dict.fromkeys(NORMS, "") if ingredient == "without normalisation" else NORMS
    recipe = find_recipe("alexnet").with_values(
        epochs=epochs, batch_size=32, start="glorot" if header else "he", ones=[], **WITHOUT[ingredient]
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "small.net"
        file.write_text(LISTING.format(header=header, **norms))
        model = mirada.train(data, file, recipe=recipe, seed=seed)
    samples = [sample for sample in mirada.read(data).samples if sample.part == "test"]
    answers = [(sample, logits) for sample, logits in model.answers(samples) if isinstance(logits, np.ndarray)]
    class_ids = np.array([sample.label.class_id for sample, _ in answers if sample.label is not None])
    return model.task.probabilities(np.stack([logits for _, logits in answers])), class_ids


def interval(gains: NDArray[np.float64], rng: np.random.Generator) -> dict[str, float]:
    """The mean of (seeds, images) differences, and where 95 % of redrawn means lie."""
    seeds, images = gains.shape
    means = [
        gains[rng.integers(seeds, size=seeds)].mean(axis=0)[rng.integers(images, size=images)].mean()
        for _ in range(DRAWS)
    ]
    low, high = np.percentile(means, [2.5, 97.5])
    return {"gain": float(gains.mean()), "from": float(low), "to": float(high)}


def figures(right: dict[str, list[NDArray[np.bool_]]], chances: list[Any], class_ids: Any) -> dict[str, Any]:
    """Accuracies, differences and the averages of networks, of what was trained so far."""
    rng = np.random.default_rng(0)
    told: dict[str, Any] = {"accuracy": {name: [float(r.mean()) for r in mine] for name, mine in right.items()}}
    told["against_the_whole"] = {
        name: interval(np.stack(mine).astype(float) - np.stack(right[WHOLE][: len(mine)]), rng)
        for name, mine in right.items()
        if name != WHOLE and len(mine) <= len(right[WHOLE])
    }
    members = np.stack(right[WHOLE]).astype(float)
    told["averaged"] = [
        float((np.mean(chances[:count], axis=0).argmax(1) == class_ids).mean()) for count in range(1, len(chances) + 1)
    ]
    together = (np.mean(chances, axis=0).argmax(1) == class_ids).astype(float)
    told["all_against_their_mean"] = interval((together - members.mean(axis=0))[np.newaxis], rng)
    return told


def main() -> None:
    """The whole recipe with every seed, then one ingredient less."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="MNIST", type=Path)
    parser.add_argument("--share", type=float, default=0.05, help="Of the train images.")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--members", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=40)
    arguments = parser.parse_args()
    right: dict[str, list[NDArray[np.bool_]]] = {}
    chances: list[NDArray[np.float64]] = []
    told: dict[str, Any] = {}
    asked = {"data": "MNIST", "share": arguments.share, "epochs": arguments.epochs, "listing": LISTING}
    runs = [
        (ingredient, seed)
        for ingredient in WITHOUT
        for seed in range(arguments.members if ingredient == WHOLE else arguments.seeds)
    ]
    with tempfile.TemporaryDirectory() as folder:
        digits(arguments.data, arguments.share, 0, Path(folder))
        for ingredient, seed in runs:
            begin = time.perf_counter()
            probabilities, class_ids = trained(folder, ingredient, seed, arguments.epochs)
            right.setdefault(ingredient, []).append(probabilities.argmax(1) == class_ids)
            if ingredient == WHOLE:
                chances.append(probabilities)
            accuracy = right[ingredient][-1].mean()
            print(f"{ingredient} {seed} {accuracy:.2%} {time.perf_counter() - begin:.0f} s", flush=True)
            told = figures(right, chances, class_ids)
            written = write_result("ingredients", asked | told)
    print(json.dumps(told["against_the_whole"], indent=1), json.dumps(told["all_against_their_mean"]))
    print("written:", written)


if __name__ == "__main__":
    main()
