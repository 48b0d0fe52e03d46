"""Are planted near duplicates found, and nothing else?

    python benchmarks/duplicates.py PHOTOS [--planted 500]

Of PHOTOS, class folders of JPEG files, so many pictures are saved a second time, each altered in one way: compressed at
a quality of 30 to 90, resized to 50 to 200 %, cut to 85 to 95 % anywhere, times 70 to 130 % as bright, or mirrored.
Pairs of the folder itself that a way calls the same without anything planted are look-alikes, or real
duplicates: they count neither for nor against it.

| way | what |
|---|---|
| mirada | what `mirada check` calls the same picture |
| imagededup PHash | its perceptual hash and its search, at each distance up to 16 |
| imagededup CNN | its method with the network that mirada has built in, at each similarity from 0.8 on |
| plain pHash | 64 bits, every pair compared, at each distance up to 16 |

Of a way with a threshold the one counts that finds most at a precision of at least 0.99, chosen on these very copies.
Writes results/duplicates.json.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import mirada
from mirada.data import read
from mirada.data.threads import map_samples
from mirada.image.look import look
from mirada.inspection.glance import glance
from mirada.inspection.twins import SURE, twins
from result import write_result

Pixels = np.ndarray
Pair = frozenset[str]
PRECISION = 0.99


def _resized(image: Pixels, rng: np.random.Generator) -> Pixels:
    share = rng.uniform(0.5, 2.0)
    way = cv2.INTER_AREA if share < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, None, fx=share, fy=share, interpolation=way)


def _cut(image: Pixels, rng: np.random.Generator) -> Pixels:
    height, width = image.shape[:2]
    share = rng.uniform(0.85, 0.95)
    h, w = int(height * share), int(width * share)
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    return image[top : top + h, left : left + w]


def _brightness(image: Pixels, rng: np.random.Generator) -> Pixels:
    return np.clip(image * rng.uniform(0.7, 1.3), 0, 255).astype(np.uint8)


WAYS: dict[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "compressed": lambda image, rng: image,
    "resized": _resized,
    "cut": _cut,
    "brightness": _brightness,
    "mirrored": lambda image, rng: np.ascontiguousarray(image[:, ::-1]),
}


def plant(photos: Path, root: Path, count: int) -> dict[Pair, str]:
    """Links to all pictures, and the altered ones beside them: each pair, and what was done."""
    rng = np.random.default_rng(0)
    files = sorted(photos.rglob("*.jpg"))
    for file in files:
        place = root / file.relative_to(photos)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(file.resolve())
    planted: dict[Pair, str] = {}
    ways = list(WAYS)
    for number, place in enumerate(rng.permutation(len(files))[:count]):
        file, way = files[place], ways[number % len(ways)]
        quality = int(rng.integers(30, 91)) if way == "compressed" else 90
        altered = WAYS[way](mirada.decode(file), rng)
        copy = (root / file.relative_to(photos)).with_name(f"planted-{number}.jpg")
        cv2.imwrite(str(copy), altered[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        planted[frozenset((file.relative_to(photos).as_posix(), copy.relative_to(root).as_posix()))] = way
    return planted


Found = dict[float, set[Pair]]
"""The pairs that are called the same, by threshold."""


def of_mirada(root: Path) -> Found:
    """As `mirada check` finds them."""
    dataset = read(root)
    with closing(map_samples(glance, dataset.samples)) as glances:
        groups = twins(dataset, list(glances))
    keys = [sample.key for sample in dataset.samples]
    return {
        SURE: {frozenset((keys[i], keys[j])) for group in groups for i in group.places for j in group.places if i != j}
    }


def of_plain_hashes(root: Path) -> Found:
    """Every pair of 64 bits."""
    files = sorted(root.rglob("*.jpg"))
    keys = [file.relative_to(root).as_posix() for file in files]
    bits = np.unpackbits(np.array([np.frombuffer(look(mirada.decode(file)), np.uint8) for file in files]), axis=1)
    signs = bits.astype(np.float32) * 2 - 1
    apart = (64 - signs @ signs.T) / 2
    found: Found = {}
    for most in range(17):
        rows, columns = np.nonzero(np.triu(apart <= most, 1))
        found[most] = {frozenset((keys[i], keys[j])) for i, j in zip(rows, columns, strict=True)}
    return found


def of_imagededup_hashes(root: Path) -> Found:
    """PHash, and its search, once with the largest distance: the distances are told."""
    from imagededup.methods import PHash

    method = PHash(verbose=False)
    encodings = {
        file.relative_to(root).as_posix(): method.encode_image(image_file=file) for file in sorted(root.rglob("*.jpg"))
    }
    return _by_score(
        method.find_duplicates(encoding_map=encodings, max_distance_threshold=16, scores=True),
        [float(most) for most in range(17)],
        lambda distance, most: distance <= most,
    )


def of_imagededup_network(root: Path) -> Found:
    """Its CNN method, with the network built into mirada."""
    from imagededup.methods import CNN
    from imagededup.utils import CustomModel
    from torch import nn
    from torchvision import transforms

    from mirada.backbone import BUILTIN, find
    from mirada.backbone.body import Body

    body = Body(find(BUILTIN))
    steps = [transforms.Resize((256, 256)), transforms.CenterCrop(224), transforms.ToTensor()]
    steps.append(transforms.Normalize(body.preparation.mean, body.preparation.std))
    network = nn.Sequential(body.module, nn.Flatten()).eval()
    method = CNN(verbose=False, model_config=CustomModel("the same network", network, transforms.Compose(steps)))
    encodings = {
        file.relative_to(root).as_posix(): method.encode_image(image_file=file)[0]
        for file in sorted(root.rglob("*.jpg"))
    }
    return _by_score(
        method.find_duplicates(encoding_map=encodings, min_similarity_threshold=0.8, scores=True),
        [round(float(least), 3) for least in np.arange(0.8, 1.0, 0.005)],
        lambda similarity, least: similarity >= least,
    )


def _by_score(
    told: dict[str, list[tuple[str, float]]], limits: list[float], is_same: Callable[[float, float], bool]
) -> Found:
    return {
        limit: {
            frozenset((key, other))
            for key, others in told.items()
            for other, score in others
            if is_same(float(score), limit)
        }
        for limit in limits
    }


def judged(found: Found, before: Found, planted: dict[Pair, str]) -> dict[str, Any]:
    """Recall and precision at the best threshold."""
    best: dict[str, Any] = {}
    origin = {key: next(iter(pair - {key})) for pair in planted for key in pair if "/planted-" in key}
    for limit, pairs in found.items():
        # a look-alike of the folder is one of the copies of either, too
        origins = {pair: frozenset(origin.get(key, key) for key in pair) for pair in pairs}
        alike = {pair for pair in pairs if origins[pair] in before[limit]}
        right = pairs & planted.keys()
        wrong = pairs - planted.keys() - alike
        told = {
            "threshold": limit,
            "recall": len(right) / len(planted),
            "precision": len(right) / max(1, len(right) + len(wrong)),
            "wrong": sorted(map(sorted, wrong))[:20],
            "recall_by_way": {
                way: float(np.mean([pair in right for pair, done in planted.items() if done == way])) for way in WAYS
            },
        }
        if told["precision"] >= PRECISION and told["recall"] > best.get("recall", -1.0):
            best = told
    return best


def main() -> None:
    """Every way, first without the copies, then with them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", metavar="PHOTOS", type=Path)
    parser.add_argument("--planted", type=int, default=500)
    arguments = parser.parse_args()
    ways: dict[str, Callable[[Path], Found]] = {"mirada": of_mirada, "plain pHash": of_plain_hashes}
    try:
        import imagededup  # noqa: F401

        ways |= {"imagededup PHash": of_imagededup_hashes, "imagededup CNN": of_imagededup_network}
    except ImportError:
        print("imagededup is not installed: left out")
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        clean, spoilt = Path(temporary) / "clean", Path(temporary) / "spoilt"
        plant(arguments.photos, clean, 0)
        planted = plant(arguments.photos, spoilt, arguments.planted)
        for name, way in ways.items():
            before = way(clean)
            begin = time.perf_counter()
            found = way(spoilt)
            seconds = time.perf_counter() - begin
            told[name] = judged(found, before, planted) | {"seconds": seconds}
            print(name, told[name], flush=True)
    print("written:", write_result("duplicates", {"planted": len(planted), "ways": told}))


if __name__ == "__main__":
    main()
