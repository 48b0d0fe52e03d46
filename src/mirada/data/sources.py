"""A path -> a data set: what lies there is recognised, and where it is not, the error says what was seen.

| kind | what it looks like | read by |
|---|---|---|
| digits | the word `digits` | `mirada.data.digits` |
| CSV | a `.csv` or `.tsv` file with the columns path and label | `mirada.data.table` |
| IDX | a folder with MNIST's `train-images-idx3-ubyte` and its companions, with or without `.gz` | `mirada.data.idx` |
| train/val/test folders | `train/<class>/`, and `val/<class>/`, `test/<class>/` or neither | `mirada.data.folders` |
| class folders | a folder with one sub-folder a class | `mirada.data.folders` |
| shards | `.tar` files, here or at an address in object storage (s3://bucket/folder) | `mirada.data.shards` |
| COCO | a `.json` file of COCO's, or a folder that holds some | `mirada.data.coco` |
| Pascal VOC | `Annotations/` with XML files, or images with an `.xml` beside each | `mirada.data.voc` |
| YOLO | a `data.yaml`, or the folder that holds it | `mirada.data.yolo` |
| masks | `images/` and `masks/`, with a mask a name | `mirada.data.masks` |

Where a folder can be read in two ways, that is an error that says what was seen. Nothing is ever written into a data
set.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mirada.data.coco import coco_files, read_coco
from mirada.data.digits import read_digits
from mirada.data.faults import Faults
from mirada.data.folders import LAYOUTS, read_folders
from mirada.data.idx import holds_idx, read_mnist
from mirada.data.masks import mask_folders, read_masks
from mirada.data.packings import is_packed
from mirada.data.samples import Dataset, Sample, key_of, some
from mirada.data.shards import SHARD_SUFFIX, read_shards, shards_in
from mirada.data.table import TABLE_SUFFIXES, read_table
from mirada.data.voc import read_voc, voc_files
from mirada.data.walk import images_below, is_folder, list_folder, skip_notes
from mirada.data.yolo import read_yolo, yolo_files
from mirada.errors import DataError, UsageError
from mirada.image import IMAGE_SUFFIXES
from mirada.machine import without_cycles
from mirada.stores import check_scheme, is_far
from mirada.words import nearest_words

__all__ = ["KINDS", "read"]

KINDS: Final = ("coco", "voc", "yolo", "masks", "folders")
"""How a folder can be told to be read."""
FILE_KINDS: Final = {".json": "coco", ".yaml": "yolo", ".yml": "yolo"}


@without_cycles()
def read(
    data: str | os.PathLike[str], *, kind: str | None = None, is_learnt_from: bool = True, may_be_broken: bool = False
) -> Dataset:
    """Read a labelled data set: a folder, a CSV, JSON or YAML file, shards, or the word `digits`.

    Images are found and named, not decoded. A folder called `digits` in the current folder comes before the built-in
    set, and a note says so.

    Whether it can be learnt from is another question: see `split`.

    Args:
        kind: one of `KINDS`, for a folder that can be read in several ways; None: by what lies there.
        is_learnt_from: whether an empty class folder, or a table without rows to train on, is an error; else a note.
        may_be_broken: whether images and masks that are missing, cannot be read or have numbers without a meaning are
            kept, and annotations that cannot be understood are listed in `Dataset.faults`, so that `mirada.check` can
            name them all, and a folder of images of which nothing is said is read; else all these are errors, or left
            out with a note.

    Raises DataError where nothing is there, where it is of no known kind, or where a class to learn has no images; and
    UsageError where it is of another kind than is asked for.
    """
    if kind not in (None, *KINDS):
        raise UsageError(f"there is no kind '{kind}': there are {', '.join(KINDS)}")
    path = Path(data)
    if is_far(str(data)) and not _exists(path):
        if kind is not None:
            raise UsageError(f"{data} is an address in object storage, and of no kind '{kind}': leave --kind out")
        check_scheme(str(data))
        return read_shards(str(data), Faults(may_be_broken))
    if not _exists(path):
        if data == "digits":
            if kind is not None:
                raise UsageError(f"the built-in set digits is of no kind '{kind}': leave --kind out")
            return read_digits()
        raise DataError(_nothing_there(path))
    if not path.is_dir():
        return _read_file(path, kind, Faults(may_be_broken), is_learnt_from=is_learnt_from)
    dataset = _read_folder(path, kind, Faults(may_be_broken), is_learnt_from=is_learnt_from)
    if data == "digits":
        note = "'digits' is a folder here, so it was read instead of the built-in set of that name."
        dataset = dataclasses.replace(dataset, notes=(*dataset.notes, note))
    return dataset


def _read_folder(path: Path, kind: str | None, faults: Faults, *, is_learnt_from: bool) -> Dataset:
    """By what lies in it; class folders are what is left."""
    _, files = list_folder(path)
    if holds_idx(files):
        if kind is not None:
            raise UsageError(f"{path} holds MNIST's IDX files, which are of no kind '{kind}': leave --kind out")
        return read_mnist(path)
    coco, voc, yolo, pairs = coco_files(path), voc_files(path), yolo_files(path), mask_folders(path)
    ways: dict[str, tuple[str, Callable[[], Dataset]]] = {}
    if coco:
        ways["coco"] = f"COCO ({coco[0].relative_to(path)})", lambda: read_coco(path, coco, faults)
    if voc:
        ways["voc"] = f"Pascal VOC ({voc[0][0].relative_to(path)})", lambda: read_voc(path, voc, faults)
    if yolo:
        ways["yolo"] = f"YOLO ({yolo[0].name})", lambda: read_yolo(path, yolo, faults)
    if pairs:
        ways["masks"] = f"masks ({pairs[0][1].relative_to(path)})", lambda: read_masks(path, pairs, faults)
    if kind not in (None, "folders"):
        if kind not in ways:
            seen = f" It holds {', '.join(said for said, _ in ways.values())}." if ways else ""
            raise DataError(f"{path}: nothing of the kind '{kind}' is there.{seen}")
        return ways[kind][1]()
    if len(ways) > 1 and kind is None:
        raise DataError(
            f"{path}: this can be read in more than one way: {' and '.join(said for said, _ in ways.values())}. "
            f"Say which with --kind: {', '.join(ways)}."
        )
    if ways and kind is None:
        return next(iter(ways.values()))[1]()
    shards = shards_in(path) if kind is None else []
    images = images_below(path)[0] if shards else []
    if shards and images:
        raise DataError(
            f"{path}: it holds shards ({some(shard.name for shard in shards)}) and images outside them "
            f"({images[0].relative_to(path)}). Give one of both alone: a shard, a folder of shards, or one of images."
        )
    if shards:
        return read_shards(path, faults)
    if faults.are_kept and kind is None and _is_flat(path):
        images, skipped = images_below(path)
        samples = tuple(Sample(key_of(image, path), None, path=image) for image in images)
        return Dataset(path.resolve().name, path, "images", (), samples, tuple(skip_notes(skipped)))
    return read_folders(path, is_learnt_from=is_learnt_from)


def _is_flat(path: Path) -> bool:
    """Whether images lie in a folder itself, and in none inside."""
    folders, files = list_folder(path)
    return any(file.suffix.lower() in IMAGE_SUFFIXES for file in files) and not any(
        images_below(folder)[0] for folder in folders
    )


def _read_file(path: Path, kind: str | None, faults: Faults, *, is_learnt_from: bool) -> Dataset:
    suffix = path.suffix.lower()
    if kind not in (None, FILE_KINDS.get(suffix)):
        raise UsageError(f"{path} is a file, and of no kind '{kind}': leave --kind out, or give the folder")
    if suffix == ".json":
        return read_coco(path, [path], faults)
    if suffix in (".yaml", ".yml"):
        return read_yolo(path, [path], faults)
    if suffix in TABLE_SUFFIXES:
        return read_table(path, is_learnt_from=is_learnt_from, faults=faults)
    if suffix in IMAGE_SUFFIXES:
        raise DataError(f"{path}: this is one image. To learn, give the folder that holds the images:\n{LAYOUTS}")
    if suffix == SHARD_SUFFIX:
        return read_shards(path, faults)
    if holds_idx([path]):
        raise DataError(
            f"{path}: this is one of MNIST's four IDX files. Give the folder that holds them: {path.parent}"
        )
    if is_packed(path):
        raise DataError(f"{path}: this is an archive. Unpack it, and give the folder that comes out.")
    raise DataError(
        f"{path}: a file of no known kind. Give a folder of images, a CSV file (.csv, .tsv) with the columns path and "
        "label, COCO's .json, a data.yaml, or the word digits."
    )


def _exists(path: Path) -> bool:
    # Path raises for a name too long for the file system, or a folder that may not be entered.
    return os.path.exists(path)  # noqa: PTH110


def _nothing_there(path: Path) -> str:
    """The first name on the path that does not exist, and the names near it that do."""
    missing = path
    while not _exists(missing.parent):
        missing = missing.parent
    names: list[str] = []
    if is_folder(missing.parent):
        folders, files = list_folder(missing.parent)
        names = [each.name for each in (*folders, *files)]
    near = nearest_words(missing.name, names)
    message = f"{path}: there is no such file or folder."
    if near:
        return f"{message} Did you mean {' or '.join(str(missing.with_name(name)) for name in near)}?"
    if missing != path:
        return f"{message} {missing} does not exist either."
    return f"{message} Give a folder of images, a CSV file, or the word digits for a built-in set."
