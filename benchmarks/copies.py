"""How sure is it that two pictures are the same, and is that true?

    python benchmarks/copies.py PHOTOS [PHOTOS...] [--fit]

Of each folder 250 pictures are altered in a random way: made smaller, cut, turned, framed, darkened, blurred, written
on, compressed, made grey, or several of these. And for 500 pictures the two are taken that `mirada search` finds most
alike, of another class where the folder has classes. How many altered copies are called the same, and how many others?
With --fit a logistic regression on all of it is printed, from which mirada.search.similar.WEIGHTS comes (fitted on
grocery_store/train and, three times, on grocery_store/iconic). Others may be real duplicates: they are named, to be
looked at. Writes results/copies.json.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import mirada
from mirada.image.align import Alignment, Sketch, align
from mirada.search.similar import certainty
from result import write_result

COPIES, OTHERS = 250, 500
SURE = (0.5, 0.9)
Pixels = np.ndarray
Alter = Callable[[Pixels, np.random.Generator], Pixels]


def _smaller(image: Pixels, rng: np.random.Generator) -> Pixels:
    share = rng.uniform(0.2, 0.8)
    return cv2.resize(image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)


def _cut(image: Pixels, rng: np.random.Generator) -> Pixels:
    height, width = image.shape[:2]
    share = rng.uniform(0.55, 0.95)
    top, left = int(rng.random() * height * (1 - share)), int(rng.random() * width * (1 - share))
    return image[top : top + int(height * share), left : left + int(width * share)]


def _turned(image: Pixels, rng: np.random.Generator) -> Pixels:
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-12, 12), rng.uniform(1, 1.2))
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)


def _framed(image: Pixels, rng: np.random.Generator) -> Pixels:
    edge = int(0.08 * min(image.shape[:2]))
    return cv2.copyMakeBorder(image, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(255, 255, 255))


def _darkened(image: Pixels, rng: np.random.Generator) -> Pixels:
    return np.clip(image * rng.uniform(0.6, 1.5) + rng.uniform(-40, 40), 0, 255).astype(np.uint8)


def _blurred(image: Pixels, rng: np.random.Generator) -> Pixels:
    return cv2.GaussianBlur(image, (0, 0), max(0.5, image.shape[1] / 150))


def _written_on(image: Pixels, rng: np.random.Generator) -> Pixels:
    height, width = image.shape[:2]
    place = int(0.1 * width), int(0.6 * height)
    return cv2.putText(image.copy(), "SOLD 2024", place, 0, width / 250, (255, 0, 0), width // 60 + 1)


def _compressed(image: Pixels, rng: np.random.Generator) -> Pixels:
    _, written = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(8, 50))])
    return cv2.imdecode(written, cv2.IMREAD_COLOR)


def _grey(image: Pixels, rng: np.random.Generator) -> Pixels:
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def _several(image: Pixels, rng: np.random.Generator) -> Pixels:
    return _compressed(_darkened(_cut(_smaller(image, rng), rng), rng), rng)


WAYS: dict[str, Alter] = {
    "smaller": _smaller,
    "cut": _cut,
    "turned": _turned,
    "framed": _framed,
    "darkened": _darkened,
    "blurred": _blurred,
    "written on": _written_on,
    "compressed": _compressed,
    "grey": _grey,
    "several": _several,
}


def copies(files: list[Path], rng: np.random.Generator) -> list[tuple[str, Alignment]]:
    """How each altered copy lies on its picture, and what was done to it."""
    found = []
    for place in rng.permutation(len(files))[:COPIES]:
        image = mirada.decode(files[place])
        way = str(rng.choice(list(WAYS)))
        found.append((way, align(Sketch(image), Sketch(WAYS[way](image, rng)))))
    return found


def others(files: list[Path]) -> list[tuple[Path, Path, Alignment]]:
    """How the most alike pictures of other things lie on each other."""
    has_classes = len({file.parent for file in files}) > 1
    found = []
    with tempfile.TemporaryDirectory() as folder:
        opened = mirada.index(files, Path(folder) / "index")
        for file in files[:: max(1, len(files) // OTHERS)]:
            hits = [Path(hit.path) for hit in opened.search(file, k=15)]
            alike = [hit for hit in hits if not has_classes or hit.parent != file.parent][:2]
            sketch = Sketch(mirada.decode(file))
            found += [(file, hit, align(sketch, Sketch(mirada.decode(hit)))) for hit in alike]
    return found


def main() -> None:
    """Every folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", metavar="PHOTOS", nargs="+", type=Path)
    parser.add_argument("--fit", action="store_true")
    arguments = parser.parse_args()
    told: dict[str, Any] = {}
    rows: list[tuple[float, float, int]] = []
    for folder in arguments.photos:
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".png"))
        same, different = copies(files, np.random.default_rng(0)), others(files)
        rows += [(max(each.correlation, 0), each.agreement, 1) for _, each in same]
        rows += [(max(each.correlation, 0), each.agreement, 0) for *_, each in different]
        name = "/".join(folder.absolute().parts[-2:])
        told[name] = {
            "copies": len(same),
            "others": len(different),
            "copies_found": {str(sure): sum(certainty(each) >= sure for _, each in same) for sure in SURE},
            "missed_at_0.9": sorted(way for way, each in same if certainty(each) < SURE[-1]),
            "others_called_the_same": {
                str(sure): sum(certainty(each) >= sure for *_, each in different) for sure in SURE
            },
            "to_be_looked_at": [
                [one.name, other.name, round(certainty(each), 3)]
                for one, other, each in different
                if certainty(each) >= SURE[-1]
            ],
        }
        print(name, told[name], flush=True)
    if arguments.fit:
        from sklearn.linear_model import LogisticRegression

        table = np.array(rows)
        fitted = LogisticRegression(C=10, class_weight="balanced").fit(table[:, :2], table[:, 2])
        told["fitted"] = [float(fitted.intercept_[0]), *map(float, fitted.coef_[0])]
        print("fitted:", told["fitted"])
    print("written:", write_result("copies", {"folders": told}))


if __name__ == "__main__":
    main()
