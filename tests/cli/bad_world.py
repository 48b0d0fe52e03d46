"""A folder with everything that can be wrong in it: data sets, listings and models, each wrong in one way."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

LISTINGS: Final = {
    "word.net": "[9x9x3] INPUT\nCONV1: 3 3x3 strid 2\nFC: 2\n",
    "layer.net": "[9x9x3] INPUT\nCOMV1: 3 3x3\nFC: 2\n",
    "misfit.net": "[9x9x3] INPUT\nCONV1: 3 3x3 stride 4\nFC: 2\n",
    "larger.net": "[9x9x3] INPUT\nCONV1: 3 11x11\nFC: 2\n",
    "claim.net": "[9x9x3] INPUT\n[8x8x3] CONV1: 3 3x3\nFC: 2\n",
    "join.net": "[9x9x3] INPUT\nPARALLEL1\n  BRANCH1: CONV 4 3x3\n  BRANCH2: CONV 4 1x1\nFC: 2\n",
    "add.net": "[9x9x3] INPUT\nRESIDUAL1\n  CONV1: 4 3x3, pad 1\nFC: 2\n",
    "no-input.net": "CONV1: 3 3x3\nFC: 2\n",
    "indented.net": "[9x9x3] INPUT\nCONV1: 3 3x3\n  FC: 2\n",
    "empty.net": "",
    "depth-2.net": "[9x9x2] INPUT\nFC: 2\n",
    "no-scores.net": "[9x9x3] INPUT\nMAX POOL1: 3x3 filters\n",
}

IMAGES_MAGIC, LABELS_MAGIC = bytes((0, 0, 8, 3)), bytes((0, 0, 8, 1))


def make_data(root: Path, pictures: Callable[..., Path]) -> None:
    """Data sets below `root`: `two` is sound, every other is wrong as its name says."""
    five = [f"{number}.png" for number in range(5)]
    for name in ("two", "empty-class"):
        pictures(root / name / "cat", *five)
        pictures(root / name / "dog", *five)
    (root / "empty-class" / "cow").mkdir()
    pictures(root / "one" / "cat", *five)
    pictures(root / "single" / "cat", *five)
    pictures(root / "single" / "dog", "0.png")
    pictures(root / "flat", *five)
    (root / "empty").mkdir()
    for part, name in (("train", "cat"), ("train", "dog"), ("test", "cat"), ("test", "dig")):
        pictures(root / "strange" / part / name, *five)
    (root / "columns.csv").write_text("name,kind\ntwo/cat/0.png,cat\n")
    (root / "missing.csv").write_text("path,label\ntwo/cat/0.png,cat\nnope.png,dog\n")
    (root / "empty.csv").write_text("")
    (root / "archive.zip").write_bytes(b"PK")
    (root / "weights.pt").write_bytes(b"PK\x03\x04 a zip file with a pickle in it")


def make_idx(root: Path) -> None:
    """Folders of MNIST's files: a wrong magic number, values that are cut short, labels that are missing."""
    labels = LABELS_MAGIC + struct.pack(">I", 4) + bytes((0, 1, 0, 1))
    images = IMAGES_MAGIC + struct.pack(">III", 4, 2, 2) + bytes(range(16))
    for name, content in (("idx-magic", b"\x00\x00\x0d\x03" + images[4:]), ("idx-cut", images[:-3])):
        (root / name).mkdir()
        (root / name / "train-images-idx3-ubyte").write_bytes(content)
        (root / name / "train-labels-idx1-ubyte").write_bytes(labels)
    (root / "idx-half").mkdir()
    (root / "idx-half" / "train-images-idx3-ubyte").write_bytes(images)


def make_listings(root: Path) -> None:
    """The listings, and a file that is no text."""
    for name, listing in LISTINGS.items():
        (root / name).write_text(listing)
    (root / "binary.net").write_bytes(b"\xff\xfe\x00")


def make_models(root: Path, sound: Path) -> None:
    """Copies of a sound model, `model` as it is, every other one altered as its name says."""

    def altered(name: str) -> Path:
        return Path(shutil.copytree(sound, root / name))

    altered("model")
    (altered("no-weights") / "weights.safetensors").unlink()
    (altered("no-split") / "split.json").unlink()
    (altered("no-json") / "model.json").unlink()
    weights = altered("other-weights") / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    edited = altered("edited-json") / "model.json"
    edited.write_text(edited.read_text().replace('"seed": 0', '"seed": 1'))
    (altered("cut-json") / "model.json").write_text('{"format": ')
    (altered("other-json") / "model.json").write_text("{}")
    newer = altered("newer") / "model.json"
    newer.write_text(json.dumps(json.loads(newer.read_text()) | {"format_version": 3, "mirada": "9.0"}))
