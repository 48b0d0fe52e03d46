"""How often is the most alike picture the right one, without any training?

    python benchmarks/retrieval.py SHARED_DATA [--model MODEL]

Three questions, on the folders grocery_store and vpr_corridor of SHARED_DATA:

| name | looked for | in | right is |
|---|---|---|---|
| products | each test photo of grocery_store | its train photos | the same product |
| packshots | the product shot of each class | the train photos | the same product |
| corridor | each query of vpr_corridor | its references | one that its ground truth names |

mirada with its default, against the features of the same network as timm users take them (the usual crop, the average
over the places, the cosine), and, where it is installed, imagededup's CNN method with the same network in the place of
its MobileNetV3, whose weights it would download. With MODEL, also the features of a model that was trained on
grocery_store. Writes results/retrieval.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import mirada
from mirada.backbone import BUILTIN, find
from mirada.backbone.body import Body
from mirada.engine import open_engine
from mirada.engine.program import body_program
from mirada.search.likeness import WEIGHT
from result import write_result

Question = tuple[list[Path], list[Path], Callable[[Path, Path], bool]]
"""What is looked for, in what, and whether a hit is right."""


def questions(data: Path) -> dict[str, Question]:
    """By name."""
    grocery, corridor = data / "grocery_store", data / "vpr_corridor"
    train = sorted((grocery / "train").rglob("*.jpg"))
    truth = json.loads((corridor / "ground_truth.json").read_text())
    shots = {shot.name.split("_Iconic")[0]: shot for shot in sorted((grocery / "iconic").glob("*.jpg"))}
    classes = {path.parent.name.split("_", 1)[1] for path in train}
    return {
        "products": (
            sorted((grocery / "test").rglob("*.jpg")),
            train,
            lambda query, hit: query.parent.name == hit.parent.name,
        ),
        "packshots": (
            [shot for name, shot in shots.items() if name in classes],
            train,
            lambda query, hit: query.name.split("_Iconic")[0] == hit.parent.name.split("_", 1)[1],
        ),
        "corridor": (
            sorted((corridor / "query").iterdir()),
            sorted((corridor / "ref").iterdir()),
            lambda query, hit: hit.name in {Path(name).name for name in truth[query.name]},
        ),
    }


def of_mirada(question: Question, network: str | None) -> list[bool]:
    """Whether the first hit of each is right."""
    looked_for, within, is_right = question
    with tempfile.TemporaryDirectory() as folder:
        opened = mirada.index(within, Path(folder) / "index", network=network)
        return [is_right(query, Path(opened.search(query, k=1)[0].path)) for query in looked_for]


def of_plain_features(question: Question) -> list[bool]:
    """The average of the last maps of the usual crop, by the cosine."""
    looked_for, within, is_right = question
    body = Body(find(BUILTIN))
    engine = open_engine(body_program(body))

    def vectors(paths: Sequence[Path]) -> np.ndarray:
        pixels = ((None, body.preparation.pixels(mirada.decode(path))) for path in paths)
        found = np.stack([outputs[-1] for _, outputs in engine.stream(pixels) if outputs is not None])
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    nearest = (vectors(looked_for) @ vectors(within).T).argmax(axis=1)
    return [is_right(query, within[int(place)]) for query, place in zip(looked_for, nearest, strict=True)]


def of_imagededup(question: Question) -> list[bool]:
    """imagededup's CNN encodings, by the cosine; each picture is made square, as it does for its own network."""
    from imagededup.methods import CNN
    from imagededup.utils import CustomModel
    from torch import nn
    from torchvision import transforms

    looked_for, within, is_right = question
    body = Body(find(BUILTIN))
    steps = [transforms.Resize((256, 256)), transforms.CenterCrop(224), transforms.ToTensor()]
    steps.append(transforms.Normalize(body.preparation.mean, body.preparation.std))
    network = nn.Sequential(body.module, nn.Flatten()).eval()
    method = CNN(verbose=False, model_config=CustomModel("the same network", network, transforms.Compose(steps)))

    def vectors(paths: Sequence[Path]) -> np.ndarray:
        found = np.concatenate([method.encode_image(path) for path in paths])
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    nearest = (vectors(looked_for) @ vectors(within).T).argmax(axis=1)
    return [is_right(query, within[int(place)]) for query, place in zip(looked_for, nearest, strict=True)]


def main() -> None:
    """Every way, every question."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="SHARED_DATA", type=Path)
    parser.add_argument("--model", metavar="MODEL", help="one that was trained on grocery_store")
    arguments = parser.parse_args()
    ways: dict[str, Callable[[Question], list[bool]]] = {
        "mirada": lambda question: of_mirada(question, None),
        "plain features": of_plain_features,
    }
    if arguments.model:
        ways["mirada, trained model"] = lambda question: of_mirada(question, arguments.model)
    try:
        import imagededup  # noqa: F401

        ways["imagededup, the same network"] = of_imagededup
    except ImportError:
        print("imagededup is not installed: left out")
    found: dict[str, dict[str, Any]] = {}
    for way, answer in ways.items():
        found[way] = {}
        for name, question in questions(arguments.data).items():
            if "trained" in way and name == "corridor":
                continue
            begin = time.perf_counter()
            right = answer(question)
            found[way][name] = {"right": sum(right), "queries": len(right), "seconds": time.perf_counter() - begin}
            print(f"{way:<22} {name:<10} {np.mean(right):6.1%} of {len(right)}", flush=True)
    print("written:", write_result("retrieval", {"weight_of_places": WEIGHT, "ways": found}))


if __name__ == "__main__":
    main()
