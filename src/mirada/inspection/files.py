"""Files that cannot be read, and files and pictures that are odd."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from mirada.data import Dataset
from mirada.errors import ImageError
from mirada.inspection.findings import Finding, Item, finding_of
from mirada.inspection.glance import PLAIN, Glance

__all__ = ["file_findings"]

TINY: Final = 32
"""The shorter side, in pixels, below which a photo shows little; not said of sets that are all so small."""
LONG: Final = 4.0
"""How many times as long as wide."""
RARE: Final = 0.05
"""The share of a set up to which another mode is odd."""
SUFFIXES: Final = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "MPO": (".jpg", ".jpeg", ".mpo"),
    "PNG": (".png", ".apng"),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
}


def file_findings(dataset: Dataset, glances: Sequence[Glance | ImageError]) -> list[Finding]:
    """What is odd about the files of a data set, and about their pictures as such."""
    unread, wrong_suffix, turned, wrongly_turned, long, flat, modes = [], [], [], [], [], [], []
    read = [glance for glance in glances if isinstance(glance, Glance)]
    of_mode = Counter(_mode(glance) for glance in read)
    usual = of_mode.most_common(1)[0][0] if of_mode else ""
    small_everywhere = sum(min(glance.size_wh) < TINY for glance in read) > len(read) / 2
    tiny = []
    for sample, glance in zip(dataset.samples, glances, strict=True):
        key = sample.key
        if isinstance(glance, ImageError):
            unread.append(Item((key,), glance.reason))
            continue
        width, height = glance.size_wh
        if glance.format in SUFFIXES and sample.suffix not in SUFFIXES[glance.format]:
            wrong_suffix.append(Item((key,), f"is {glance.format}"))
        if glance.is_turned_from(sample.claimed_wh):
            sides = " x ".join(map(str, sample.claimed_wh or ()))
            wrongly_turned.append(Item((key,), f"the annotations are of {sides}, upright it is {width} x {height}"))
        elif glance.turned != 1:
            turned.append(Item((key,), f"EXIF orientation {glance.turned}"))
        if min(width, height) < TINY and not small_everywhere:
            tiny.append(Item((key,), f"{width} x {height} pixels"))
        if max(width, height) > LONG * min(width, height):
            long.append(Item((key,), f"{width} x {height} pixels"))
        if glance.spread < PLAIN:
            flat.append(Item((key,), "one colour"))
        if _mode(glance) != usual and of_mode[_mode(glance)] <= RARE * len(read):
            modes.append(Item((key,), f"{_mode(glance)}, most are {usual}"))
    return [
        *finding_of(
            "unreadable",
            "mend",
            "Files that cannot be read",
            "They are missing from training, and a picture that is cut short is often its last copy.",
            "Fetch them again from where they came, or remove them.",
            unread,
        ),
        *finding_of(
            "wrong-suffix",
            "look",
            "Files whose name says another format",
            "mirada goes by the content, other programs go by the name and fail.",
            "Give them the suffix of their format.",
            wrong_suffix,
        ),
        *finding_of(
            "turned-annotations",
            "mend",
            "Pictures that were annotated lying down",
            "The file says that the camera was turned; the boxes were drawn on the picture as it is stored.",
            "Turn the picture in the file itself with a program that rewrites it, or draw the boxes again.",
            wrongly_turned,
        ),
        *finding_of(
            "turned",
            "look",
            "Pictures that are turned by their EXIF",
            "mirada turns them upright; programs that do not will see them lying down.",
            "Nothing, if all that read them turn them.",
            turned,
        ),
        *finding_of(
            "tiny",
            "look",
            f"Pictures with a side below {TINY} pixels",
            "Enlarged to what a network takes they show little.",
            "See whether these are thumbnails of pictures that you have.",
            tiny,
        ),
        *finding_of(
            "long",
            "look",
            f"Pictures more than {LONG:g} times as long as wide",
            "A square cut from the middle misses most of them.",
            "See whether what they show is in the middle, and cut the pictures to it if not.",
            long,
        ),
        *finding_of(
            "flat",
            "look",
            "Pictures of one colour",
            "There is nothing on them that a label could be about.",
            "Remove them, if they came from a camera that failed or a page that was empty.",
            flat,
        ),
        *finding_of(
            "mode",
            "look",
            "Pictures of another kind than most",
            "A model may learn the kind, where it goes with a class: grey scans of one class, photos of another.",
            "See whether the kind goes with a class.",
            modes,
        ),
    ]


def _mode(glance: Glance) -> str:
    names = {
        "L": "grey",
        "1": "black and white",
        "P": "palette",
        "RGBA": "with transparency",
        "LA": "grey",
        "RGB": "RGB",
    }
    return names.get(glance.mode, glance.mode)
