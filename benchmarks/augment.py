"""Random views a second on one core, against torchvision, albumentations and kornia.

    python benchmarks/augment.py [--rounds 9] [--views 200]

From a decoded picture of 500 x 375, RGB uint8, to a view of 224 x 224, uint8, all bilinear. Everybody draws anew for
each view, but for mirada's noise, which is cut from a table at a place that is drawn. mirada and albumentations work on
NumPy arrays, torchvision on uint8 tensors, or on Pillow's images as long as it can, kornia on float batches of 16.
Rounds of all alternate on one core;
figures are medians of views a second of processor time. A peer that is not installed is left out.

- geometry and colour: a crop of 8 to 100 % with sides of 3:4 to 4:3, mirrored or not, turned up to 15 degrees;
  brightness, contrast and saturation changed by up to 40 %, hue by up to 10 degrees
- crop, mirror, colour: the same, not turned
- strong: the first, and sheared up to 10 degrees; each in half of the views: blurred with a deviation of up to 1.5,
  noise of up to 10 levels, JPEG of quality 30 to 100, 2 to 25 % erased
- strong, no noise: the same without it

Equal is the kind and the strength of what is done, not every formula: mirada changes contrast about the middle grey and
turns hue in YIQ, the others about the mean and in HSV; mirada and torchvision average where a picture shrinks,
albumentations and kornia do not. Writes results/augment.json.
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from itertools import count
from typing import Any

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import cv2
import numpy as np

from mirada.image import Preparation
from mirada.image.augment import view_pixels
from mirada.image.policy import Policy
from result import write_result

SIZE, BATCH = 224, 16
DEGREES, SHEAR, BLUR, NOISE, QUALITY, ERASE, HUE = 15, 10, 1.5, 10, 30, 0.25, 10
TURNED = Policy(
    area=(0.08, 1.0),
    aspect=math.log(4 / 3),
    mirror=0.5,
    turn=DEGREES,
    brightness=math.log(1.4),
    contrast=math.log(1.4),
    saturation=math.log(1.4),
    hue=HUE,
)
CASES = {
    "geometry and colour": TURNED,
    "crop, mirror, colour": replace(TURNED, turn=0.0),
    "strong": replace(TURNED, shear=SHEAR, blur=BLUR, noise=NOISE, quality=QUALITY, erase=ERASE),
    "strong, no noise": replace(TURNED, shear=SHEAR, blur=BLUR, quality=QUALITY, erase=ERASE),
}
Pixels = np.ndarray
Run = Callable[[Pixels], object]
"""Makes one view of a picture, or, of a batch, as many as there are pictures."""


def made_pictures(number: int = BATCH) -> list[Pixels]:
    """Pictures of 500 x 375 with the smooth and the rough of a photo."""
    rng = np.random.default_rng(0)
    pictures = []
    for _ in range(number):
        coarse = cv2.resize(rng.integers(0, 256, (12, 16, 3), np.uint8), (500, 375), interpolation=cv2.INTER_CUBIC)
        pictures.append((coarse + rng.normal(0, 7, coarse.shape)).clip(0, 255).astype(np.uint8))
    return pictures


def mirada_run(case: str) -> Run:
    """One warp and one colour matrix."""
    preparation, numbers = Preparation((SIZE, SIZE), "crop"), count(1)
    return lambda image: view_pixels(image, preparation, CASES[case], 0, next(numbers))


def torchvision_run(case: str, *, begins_with_pillow: bool = False) -> Run:
    """Version 2 of the transforms, on uint8 tensors that lie in memory as the picture does: its resizing is fastest so.

    Or crop, mirror, turn and colour on Pillow's images, which is faster still, and only the rest on tensors.
    """
    import torch
    from PIL import Image
    from torchvision.transforms import v2

    bilinear = v2.InterpolationMode.BILINEAR
    steps: list[Any] = [v2.RandomResizedCrop(SIZE, (0.08, 1.0), interpolation=bilinear), v2.RandomHorizontalFlip()]
    if case == "geometry and colour":
        steps.append(v2.RandomRotation(DEGREES, interpolation=bilinear))
    if case.startswith("strong"):
        steps.append(v2.RandomAffine(DEGREES, shear=(-SHEAR, SHEAR, -SHEAR, SHEAR), interpolation=bilinear))
    steps += [v2.ColorJitter(0.4, 0.4, 0.4, HUE / 360), v2.PILToTensor()]
    if case.startswith("strong"):
        noise = v2.Compose([v2.ToDtype(torch.float32, scale=True), _Noise(), v2.ToDtype(torch.uint8, scale=True)])
        steps += [
            v2.RandomApply([v2.GaussianBlur(9, (0.1, BLUR))], 0.5),
            *([v2.RandomApply([noise], 0.5)] if case == "strong" else []),
            v2.RandomApply([v2.JPEG((QUALITY, 100))], 0.5),
            v2.RandomErasing(0.5, (0.02, ERASE), (math.exp(-1), math.e)),
        ]
    whole = v2.Compose(steps)
    if begins_with_pillow:
        return lambda image: whole(Image.fromarray(image))
    return lambda image: whole(torch.from_numpy(image).permute(2, 0, 1))


class _Noise:
    """torchvision's, with another strength for each picture."""

    def __call__(self, image: Any) -> Any:
        from torchvision.transforms.v2 import functional

        return functional.gaussian_noise(image, sigma=np.random.uniform(0, NOISE / 255))


def albumentations_run(case: str) -> Run:
    """On NumPy arrays; OpenCV's bilinear resizing and warping."""
    import albumentations as library

    linear, border = cv2.INTER_LINEAR, cv2.BORDER_REFLECT_101
    steps: list[Any] = [library.RandomResizedCrop((SIZE, SIZE), interpolation=linear), library.HorizontalFlip()]
    if case == "geometry and colour":
        steps.append(library.Rotate(DEGREES, linear, border, p=1))
    if case.startswith("strong"):
        both = (-SHEAR, SHEAR)
        turn = (-DEGREES, DEGREES)
        steps.append(
            library.Affine(rotate=turn, shear={"x": both, "y": both}, interpolation=linear, border_mode=border, p=1)
        )
    steps.append(library.ColorJitter((0.6, 1.4), (0.6, 1.4), (0.6, 1.4), (-HUE / 360, HUE / 360), p=1))
    if case.startswith("strong"):
        steps += [
            library.GaussianBlur(0, (0.1, BLUR)),
            *([library.GaussNoise((0.0, NOISE / 255))] if case == "strong" else []),
            library.ImageCompression(quality_range=(QUALITY, 100)),
            library.Erasing((0.02, ERASE), (math.exp(-1), math.e)),
        ]
    whole = library.Compose(steps)
    return lambda image: whole(image=image)["image"]


def kornia_run(case: str) -> Run:
    """Batches of float32 tensors, from uint8 and back."""
    import kornia.augmentation as library
    import torch

    steps: list[Any] = [library.RandomResizedCrop((SIZE, SIZE)), library.RandomHorizontalFlip()]
    if case == "geometry and colour":
        steps.append(library.RandomRotation(DEGREES, p=1))
    if case.startswith("strong"):
        steps.append(library.RandomAffine(DEGREES, shear=(-SHEAR, SHEAR, -SHEAR, SHEAR), p=1))
    steps.append(library.ColorJiggle(0.4, 0.4, 0.4, HUE / 360, p=1))
    if case.startswith("strong"):
        steps += [
            library.RandomGaussianBlur((9, 9), (0.1, BLUR), p=0.5),
            *([library.RandomGaussianNoise(std=NOISE / 255 / 2, p=0.5)] if case == "strong" else []),
            library.RandomJPEG((QUALITY, 100), p=0.5),
            library.RandomErasing((0.02, ERASE), (math.exp(-1), math.e), p=0.5),
        ]
    whole = library.AugmentationSequential(*steps, data_keys=["input"])

    def run(images: Pixels) -> object:
        batch = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float() / 255
        return (whole(batch) * 255).round().clamp(0, 255).to(torch.uint8)

    return run


MAKERS: dict[str, Callable[[str], Run]] = {
    "mirada": mirada_run,
    "torchvision": torchvision_run,
    "torchvision, Pillow": partial(torchvision_run, begins_with_pillow=True),
    "albumentations": albumentations_run,
    "kornia": kornia_run,
}


def rate(run: Run, name: str, pictures: list[Pixels], views: int) -> float:
    """Views a second."""
    batch = np.stack(pictures)
    begin = time.process_time()
    if name == "kornia":
        batches = -(-views // BATCH)
        for _ in range(batches):
            run(batch)
        return batches * BATCH / (time.process_time() - begin)
    for i in range(views):
        run(pictures[i % len(pictures)])
    return views / (time.process_time() - begin)


def check(name: str, run: Run, picture: Pixels) -> None:
    """What comes out is a view of the right size and type."""
    out = np.asarray(run(np.stack([picture] * BATCH) if name == "kornia" else picture))
    assert out.dtype == np.uint8
    assert sorted(out.shape[-3:]) == [3, SIZE, SIZE], out.shape


def main() -> None:
    """Rounds of all, on one core."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--views", type=int, default=200, help="of each in each round")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    names = ["mirada"]
    for name in list(MAKERS)[1:]:
        try:
            importlib.import_module(name.split(",")[0])
            names.append(name)
        except (ImportError, KeyError) as error:  # the second where albumentations finds an albucore that does not fit
            print(f"{name} is left out: {error!r}")
    cv2.setNumThreads(1)
    if len(names) > 1:
        import torch

        torch.set_num_threads(1)
    pictures, told = made_pictures(), {}
    for case in CASES:
        runs = {name: MAKERS[name](case) for name in names}
        for name, run in runs.items():
            check(name, run, pictures[0])
        rates: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(arguments.rounds):
            for name, run in runs.items():
                rates[name].append(rate(run, name, pictures, arguments.views))
        medians = {name: statistics.median(values) for name, values in rates.items()}
        ratios = {
            name: statistics.median(own / other for own, other in zip(rates["mirada"], values, strict=True))
            for name, values in rates.items()
        }
        told[case] = {"views_per_second": rates, "medians": medians, "mirada_is_faster_by": ratios}
        for name in names:
            print(f"{case:<22} {name:<20} {medians[name]:7.0f} views a second   x {ratios[name]:5.2f}", flush=True)
    peers = {name: version(name) for name in ("opencv-python-headless", *names[1:]) if "," not in name}
    content = {"rounds": arguments.rounds, "views": arguments.views, "peers": peers, "cases": told}
    print("written:", write_result("augment", content))


if __name__ == "__main__":
    main()
