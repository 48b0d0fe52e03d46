"""How many photos a second does mirada classify, against what decoding and engine allow, and against plain timm?

    python benchmarks/predict.py MODEL IMAGES... [--images 3000] [--rounds 5]

MODEL was trained from a pretrained network; IMAGES are JPEGs and folders of them, repeated by links until there are
enough. Measured in turn, round by round, after one that warms up: decoding and preparation alone, the engine alone on
prepared pixels in memory, `mirada.predict` from files to answers, and peers/plain_predict.py with the same weights.
The first two share the processors, so that the third cannot pass 1 / (1 / decoding + 1 / engine), the limit.
Writes results/predict.json.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mirada
from mirada.backbone import Backbone
from mirada.data import Sample, images_in, prepared_batches
from result import write_result

PEER = Path(__file__).parent / "peers" / "plain_predict.py"
BATCH_SIZE = 32
IN_MEMORY = 1024
DECODING, ENGINE, WHOLE, PLAIN = "decoding and preparation", "engine", "mirada.predict", "plain timm"


def link_photos(sources: Sequence[str], count: int, folder: Path) -> int:
    """Fill a folder with at least `count` links to the JPEGs of the sources; how many different ones there are."""
    paths = [sample.path for sample in images_in(sources) if isinstance(sample, Sample) and sample.path is not None]
    photos = [path.resolve() for path in paths if path.suffix.lower() in (".jpg", ".jpeg")]
    if not photos:
        raise SystemExit(f"there is no JPEG in {', '.join(sources)}")
    for number in range(max(count, len(photos))):
        photo = photos[number % len(photos)]
        (folder / f"{number:06}{photo.suffix.lower()}").symlink_to(photo)
    return len(photos)


def write_peer_model(model: mirada.Model, folder: Path) -> bool:
    """Write a model for plain_predict.py; whether it has the same weights, and not new ones of the same network."""
    import timm
    from safetensors.torch import load_file, save_file

    if not isinstance(model.network, Backbone) or model.path is None:
        raise SystemExit("the peer runs networks of timm: give a saved model that was trained from a pretrained one")
    name = model.network.timm_name
    network = timm.create_model(name, num_classes=len(model.class_names))
    head = network.pretrained_cfg["classifier"]
    tensors = load_file(model.path / "weights.safetensors")
    # Here a model is `backbone` and `head`; in timm the backbone is the network, and the head has a name in it.
    state = {re.sub("^head", head, key).removeprefix("backbone."): tensor for key, tensor in tensors.items()}
    is_same = state.keys() == network.state_dict().keys()
    if is_same:
        network.load_state_dict(state)
    else:
        print(f"the tensors of {model.path} have other names than timm's: the peer runs {name} with random weights")
    save_file(network.state_dict(), folder / "weights.safetensors")
    view = model.preparation
    width, height = view.size_wh
    resize = round(min(width, height) * view.zoom) if view.fit == "crop" else [height, width]
    content = {
        "timm_name": name,
        "class_names": model.class_names,
        "resize": resize,
        "size": [height, width],
        "mean": view.mean,
        "std": view.std,
    }
    (folder / "network.json").write_text(json.dumps(content), encoding="utf-8")
    return is_same


def rate(function: Callable[[], int]) -> float:
    """Images a second of a function that says how many it did."""
    begin = time.perf_counter()
    count = function()
    return count / (time.perf_counter() - begin)


def decode_all(model: mirada.Model, samples: list[Sample]) -> int:
    """Files -> prepared pixels, by all threads."""
    return sum(len(batch) for batch in prepared_batches(samples, model.preparation, BATCH_SIZE))


def prepared_pixels(model: mirada.Model, samples: list[Sample]) -> NDArray[np.uint8]:
    """(N, h, w, C) uint8 of the samples."""
    return np.concatenate([batch.pixels for batch in prepared_batches(samples, model.preparation, BATCH_SIZE)])


def run_engine(model: mirada.Model, pixels: NDArray[np.uint8]) -> int:
    """Prepared pixels -> class scores."""
    return len(model.logits(pixels))


def predicted(model: mirada.Model, folder: Path) -> dict[str, str | None]:
    """Files -> labels, by the names of the files."""
    answers = mirada.predict(model, [folder])
    return {Path(answer.path).name: answer.label.name if answer.label else None for answer in answers}


def run_peer(model: Path, folder: Path) -> dict[str, Any]:
    """What plain_predict.py prints."""
    command = [sys.executable, str(PEER), str(model), str(folder)]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    content: dict[str, Any] = json.loads(out)
    return content


def main() -> None:
    """Rounds of all four."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("sources", metavar="IMAGES", nargs="+", help="JPEGs, and folders of them")
    parser.add_argument("--images", type=int, default=3000, help="how many a round, at least")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    model = mirada.load(arguments.model)
    runs: dict[str, list[float]] = {DECODING: [], ENGINE: [], WHOLE: [], PLAIN: []}
    with tempfile.TemporaryDirectory() as photos, tempfile.TemporaryDirectory() as peer:
        folder = Path(photos)
        different = link_photos(arguments.sources, arguments.images, folder)
        is_same = write_peer_model(model, Path(peer))
        samples = [item for item in images_in([folder]) if isinstance(item, Sample)]
        pixels = prepared_pixels(model, samples[:IN_MEMORY])
        labels = predicted(model, folder)
        if None in labels.values():
            raise SystemExit("a photo could not be read: its seconds would count as those of an answer")
        for _ in range(arguments.rounds):
            runs[DECODING].append(rate(lambda: decode_all(model, samples)))
            runs[ENGINE].append(rate(lambda: run_engine(model, pixels)))
            runs[WHOLE].append(rate(lambda: len(predicted(model, folder))))
            answer = run_peer(Path(peer), folder)
            runs[PLAIN].append(answer["images_per_second"])
        equal = sum(answer["labels"][name] == label for name, label in labels.items()) / len(labels)
    medians = {name: statistics.median(values) for name, values in runs.items()}
    limit = 1 / (1 / medians[DECODING] + 1 / medians[ENGINE])
    content = {
        "network": model.network.name,
        "classes": len(model.class_names),
        "images": len(labels),
        "different_images": different,
        "images_per_second": runs,
        "medians": medians,
        "limit": limit,
        "share_of_limit": medians[WHOLE] / limit,
        "ratio_over_plain": medians[WHOLE] / medians[PLAIN],
        "peer_has_same_weights": is_same,
        "same_answers": equal if is_same else None,
    }
    for name, value in medians.items():
        print(f"{name:<26} {value:7.0f} images a second (median of {arguments.rounds})")
    print(f"{content['share_of_limit']:.0%} of the limit, {limit:.0f}")
    print(f"{content['ratio_over_plain']:.1f} times plain timm")
    print("written:", write_result("predict", content))


if __name__ == "__main__":
    main()
