"""Are wrong labels among the first that `mirada check` doubts?

    python benchmarks/labels.py PHOTOS [--share 0.05] [--seeds 3]

Of the train images of PHOTOS, a folder of class folders with or without parts, a share of the labels is changed to
another class, drawn anew for every seed. Told is the share of the changed ones that is among the first 5, 10 and 20 %
of all labels in the order of mirada's doubt, and how many labels `check` shows. Writes results/labels.json.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

import mirada
from mirada.inspection.suspects import DOUBT, features_of, neighbours, suspicion
from result import write_result

FIRST = (0.05, 0.1, 0.2)


def changed(class_ids: np.ndarray, share: float, classes: int, rng: np.random.Generator) -> np.ndarray:
    """The labels with some of another class."""
    given = class_ids.copy()
    wrong = rng.permutation(len(given))[: round(share * len(given))]
    given[wrong] = (given[wrong] + rng.integers(1, classes, len(wrong))) % classes
    return given


def main() -> None:
    """Every seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", metavar="PHOTOS", type=Path)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    dataset = mirada.read(arguments.photos)
    samples = [sample for sample in dataset.samples if sample.part in (None, "train")]
    class_ids = np.array([sample.class_ids[0] for sample in samples])
    features = features_of(samples)
    near, _ = neighbours(features)
    runs: list[dict[str, Any]] = []
    for seed in range(arguments.seeds):
        given = changed(class_ids, arguments.share, len(dataset.class_names), np.random.default_rng(seed))
        begin = time.perf_counter()
        found = suspicion(features, given, len(dataset.class_names), near=near)
        seconds = time.perf_counter() - begin
        is_wrong = given != class_ids
        order = np.argsort(-np.nan_to_num(found.doubt, nan=-2), kind="stable")
        ranked = np.cumsum(is_wrong[order]) / is_wrong.sum()
        among = {str(first): float(ranked[round(first * len(order)) - 1]) for first in FIRST}
        shown = found.doubt >= DOUBT
        runs.append(
            {
                "labels": len(given),
                "changed": int(is_wrong.sum()),
                "found_among_the_first": among,
                "shown": int(shown.sum()),
                "shown_and_changed": int((shown & is_wrong).sum()),
                "seconds": seconds,
            }
        )
        print(runs[-1], flush=True)
    content = {"data": arguments.photos.name, "share": arguments.share, "runs": runs}
    print("written:", write_result("labels", content))


if __name__ == "__main__":
    main()
