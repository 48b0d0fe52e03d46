"""Random views of the pictures of a data set, as one picture to look at."""

from __future__ import annotations

import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mirada.data.samples import Dataset, MaskFile, Sample
from mirada.data.sources import read
from mirada.data.views import policy_for, policy_of
from mirada.data.walk import lies_in
from mirada.errors import DataError, ImageError, UsageError
from mirada.files import write_whole
from mirada.image import IMAGE_SUFFIXES, Preparation
from mirada.image.policy import Policy
from mirada.image.sheet import GAP, sheet

__all__ = ["augment"]

SIDE: Final = 160
"""Of a view, in pixels."""
SUFFIXES: Final = (".png", ".jpg", ".jpeg")
LOOKED_AT: Final = 4_096
"""Bytes of a file that is there, in which the mark is looked for."""
MOST: Final = 1_000
"""Views in all."""
LONGEST: Final = 65_500
"""Pixels along a side, that a JPEG may have."""
MARK: Final = "random views by mirada augment"
"""Stands in each picture that is written, so that it is known when another takes its place."""


def augment(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    policy: str | Policy | Mapping[str, object] = "light",
    mirror: bool | None = None,
    rows: int = 4,
    columns: int = 8,
    seed: int = 0,
    kind: str | None = None,
) -> None:
    """Show random views of a picture, or of some of a data set, with their boxes and masks, as one picture.

    Args:
        source: an image, or a data set.
        out: the file of the picture, .png or .jpg; an earlier one is replaced.
        policy: what may change: the name of a policy, a JSON file, its fields, or a policy.
        mirror: whether views are mirrored left to right; None: as the policy says, but digits never are.
        rows: how many pictures of a data set; of one image, how many rows of views.
        columns: how many views of each, the first as it is.
        seed: of the random numbers, and of which pictures are shown.
        kind: how to read a data set that can be read in several ways.

    Raises:
        DataError: the data set cannot be read, or none of the pictures can.
        ImageError: the image cannot be read.
        UsageError: there is no such policy, or the file cannot be written, lies inside the data set, or is there
            already and no picture of views.
    """
    if min(rows, columns) < 1 or rows * columns > MOST or max(rows, columns) * (SIDE + GAP) > LONGEST:
        most = LONGEST // (SIDE + GAP)
        raise UsageError(f"{rows} x {columns} views: there must be 1 to {MOST:,}, and up to {most} on a side")
    path = Path(out)
    _check_place(path, Path(source))
    is_image = Path(source).suffix.lower() in IMAGE_SUFFIXES and not Path(source).is_dir()
    if is_image:
        sample = Sample(os.fspath(source), None, path=Path(source))
        chosen = policy_of(policy) if mirror is not False else policy_of(policy).without_mirror()
        strips = [_strip(sample, chosen, seed + i, columns) for i in range(rows)]
    else:
        dataset = read(source, kind=kind, is_learnt_from=False, may_be_broken=True)
        strips = _strips(dataset, policy_for(dataset, policy, mirror), rows, columns, seed)
    gap = np.full((GAP, strips[0].shape[1], 3), 255, np.uint8)
    picture = np.concatenate([piece for strip in strips for piece in (strip, gap)])
    try:
        write_whole(_encoded(picture[:-GAP], path.suffix.lower()), path)
    except OSError as error:
        raise UsageError(f"{path}: the picture cannot be written ({error.strerror})") from error


def _check_place(path: Path, source: Path) -> None:
    """Refuse a place where something would be lost, or that lies inside the data."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: the name must end with .png or .jpg")
    if lies_in(path, source):
        raise UsageError(f"{path} lies in {source}, into which nothing is written: name a file elsewhere with -o")
    try:
        if os.path.lexists(path) and MARK.encode() not in path.read_bytes()[:LOOKED_AT]:
            raise UsageError(f"{path} is there already, and no picture of views: name another file with -o")
    except OSError as error:
        raise UsageError(f"{path}: the picture cannot be written ({error.strerror})") from error


def _encoded(picture: NDArray[np.uint8], suffix: str) -> bytes:
    written = BytesIO()
    if suffix == ".png":
        told = PngInfo()
        told.add_text("Comment", MARK)
        Image.fromarray(picture).save(written, "PNG", pnginfo=told)
    else:
        Image.fromarray(picture).save(written, "JPEG", quality=90, comment=MARK)
    return written.getvalue()


def _strips(dataset: Dataset, policy: Policy, rows: int, columns: int, seed: int) -> list[NDArray[np.uint8]]:
    """The views of some samples, those of which not all can be read left out."""
    strips: list[NDArray[np.uint8]] = []
    faults = {fault.key: fault.said for fault in dataset.faults}
    reason = "it has no picture"
    for place in np.random.default_rng(seed).permutation(len(dataset)):
        if len(strips) == rows:
            break
        if dataset.samples[place].key in faults:
            reason = faults[dataset.samples[place].key]
            continue
        try:
            strips.append(_strip(dataset.samples[place], policy, seed + len(strips), columns))
        except (ImageError, DataError) as error:
            reason = str(error)
    if not strips:
        raise DataError(f"{dataset.where}: of none of its pictures all can be read: {reason}")
    return strips


def _strip(sample: Sample, policy: Policy, seed: int, columns: int) -> NDArray[np.uint8]:
    truth = sample.truth.read() if isinstance(sample.truth, MaskFile) else sample.truth
    preparation = Preparation((SIDE, SIDE), "crop" if truth is None or sample.label is not None else "pad")
    return np.asarray(sheet(sample.image(), truth, policy, preparation, seed, 1, columns), np.uint8)
