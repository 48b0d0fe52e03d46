"""Does augmentation regularise: by how much is a network better for it, and with how few images?

    python benchmarks/regularise.py [--mnist MNIST] [--photos PHOTOS] [--seeds 5]

With MNIST, LeNet-5 from random weights on parts of its train images, drawn anew for every seed; with PHOTOS, a folder
with train and test, the ladder's first rung below the head (`--retrain 1`) on parts of its train images. Each part is
learnt without augmentation and with each of some policies; all are judged on the same test images, all of them.

The gain is the difference of the shares of right answers. Its interval is a bootstrap over the seeds and over the test
images at once (10,000 draws, percentiles): it holds what another draw of the part, of the weights and of the test
images would change. Writes results/regularise.json after every seed, beside what it holds of what is not asked again.
"""

from __future__ import annotations

import argparse
import json
import struct
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mirada
from mirada.data import Sample
from result import RESULTS, write_result

WITHOUT = "none"
OF_DIGITS = (WITHOUT, "the default", "light")
OF_PHOTOS = (WITHOUT, "light", "standard")
DRAWS = 10_000
Right = NDArray[np.bool_]


def chosen(samples: Sequence[Sample], share: float, seed: int) -> list[Sample]:
    """A part of each class, at least two of each; the same of a larger part hold those of a smaller one."""
    rng = np.random.default_rng(seed)
    of_class: dict[int, list[Sample]] = {}
    for sample in samples:
        assert sample.label is not None
        of_class.setdefault(sample.label.class_id, []).append(sample)
    return [
        mine[place]
        for _, mine in sorted(of_class.items())
        for place in rng.permutation(len(mine))[: max(2, round(share * len(mine)))]
    ]


def digits(data: Path, share: float, seed: int, root: Path) -> None:
    """IDX files of a part of the train images, and of all test images."""
    dataset = mirada.read(data)
    for name, part in (("train", "train"), ("t10k", "test")):
        samples = [sample for sample in dataset.samples if sample.part == part]
        samples = chosen(samples, share, seed) if part == "train" else samples
        images = np.stack([sample.image()[..., 0] for sample in samples])
        labels = np.array([int(sample.label.name) for sample in samples if sample.label is not None], np.uint8)
        for what, values in (("images-idx3", images), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
            (root / f"{name}-{what}-ubyte").write_bytes(head + values.tobytes())


def photos(data: Path, share: float, seed: int, root: Path) -> None:
    """Links to a part of the train images, and to all test images."""
    dataset = mirada.read(data)
    for part in ("train", "test"):
        samples = [sample for sample in dataset.samples if sample.part == part]
        for number, sample in enumerate(chosen(samples, share, seed) if part == "train" else samples):
            assert sample.path is not None
            assert sample.label is not None
            place = root / part / sample.label.name / f"{number:05}{sample.path.suffix}"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(sample.path.absolute())


Question = tuple[Path, Callable[[Path, float, int, Path], None], Sequence[str], dict[str, Any]]


def answered(question: Question, share: float, seed: int, policy: str) -> tuple[Right, float]:
    """Which of the test images are right, and the seconds of training."""
    data, write, _, options = question
    with tempfile.TemporaryDirectory() as folder:
        write(data, share, seed, Path(folder))
        begin = time.perf_counter()
        views = {} if policy == "the default" else {"augment": policy}
        model = mirada.train(folder, seed=seed, **options, **views)
        return mirada.evaluate(model, folder, part="test").is_right, time.perf_counter() - begin


def gain(with_it: Sequence[Right], without: Sequence[Right]) -> dict[str, float]:
    """The mean gain and its 95 % interval; of each seed the answers for the same test images."""
    apart = np.stack(with_it).astype(np.float64) - np.stack(without)  # (S, V)
    rng = np.random.default_rng(0)
    seeds, images = apart.shape
    means = np.empty(DRAWS)
    for draw in range(DRAWS):
        weights = np.bincount(rng.integers(images, size=images), minlength=images) / images
        means[draw] = (apart[rng.integers(seeds, size=seeds)] @ weights).mean()
    low, high = np.percentile(means, (2.5, 97.5))
    return {"gain": float(apart.mean()), "from": float(low), "to": float(high)}


def asked(name: str, question: Question, shares: Sequence[float], seeds: int, told: dict[str, Any]) -> None:
    """Every part, policy and seed of a question."""
    for share in shares:
        told.setdefault(name, {}).pop(str(share), None)
        rights: dict[str, list[Right]] = {policy: [] for policy in question[2]}
        of_part = told.setdefault(name, {}).setdefault(str(share), {"policies": {}, "gains": {}})
        for seed in range(seeds):
            for policy in question[2]:
                right, seconds = answered(question, share, seed, policy)
                rights[policy].append(right)
                run = {"accuracy": float(right.mean()), "test_images": len(right), "seconds": seconds}
                of_part["policies"].setdefault(policy, []).append(run)
                print(f"{name} {share:g} seed {seed} {policy:<12} {right.mean():.2%} {seconds:.0f} s", flush=True)
            of_part["gains"] = {
                policy: gain(rights[policy], rights[WITHOUT]) for policy in question[2] if policy != WITHOUT
            }
            write_result("regularise", {"questions": told})
        print(name, share, of_part["gains"], flush=True)


def main() -> None:
    """Digits, then photos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--parts", type=float, nargs="+", default=[0.01, 0.1])
    parser.add_argument("--parts-of-photos", type=float, nargs="+", default=[0.3, 1.0])
    arguments = parser.parse_args()
    kept = RESULTS / "regularise.json"
    told: dict[str, Any] = json.loads(kept.read_text())["questions"] if kept.exists() else {}
    if arguments.mnist:
        question: Question = (arguments.mnist, digits, OF_DIGITS, {"network": "lenet5"})
        asked("LeNet-5 from scratch, MNIST", question, arguments.parts, arguments.seeds, told)
    if arguments.photos:
        name = f"the last stage of EfficientNet-Lite0, {arguments.photos.name}"
        question = (arguments.photos, photos, OF_PHOTOS, {"retrain": 1})
        asked(name, question, arguments.parts_of_photos, arguments.seeds, told)
    print("written:", write_result("regularise", {"questions": told}))


if __name__ == "__main__":
    main()
