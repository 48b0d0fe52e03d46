"""A data set -> the same one in another format, in a new folder. What is read is never changed.

| format | for | what is written |
|---|---|---|
| coco | boxes | `images/`, `annotations/instances_train.json` and so on |
| voc | boxes | `JPEGImages/`, `Annotations/*.xml`, `ImageSets/Main/train.txt` and so on |
| yolo | boxes | `images/train/`, `labels/train/` and so on, `data.yaml` |
| folders | one class an image | `train/<class>/` and so on, or `<class>/` where there are no parts |
| shards | one class an image | `train-000000.tar` and so on, or `shard-000000.tar` where there are no parts |
| masks | masks | `train/images/`, `train/masks/` and so on, or without parts; `classes.txt` |

Images are copied byte for byte. What a format cannot say is left out, and a note says so. A folder that is there
already is never written to, and the new one appears complete or not at all.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, get_args

import numpy as np
from PIL import Image

from mirada.data.box_formats import write_coco, write_voc, write_yolo
from mirada.data.folders import PART_NAMES
from mirada.data.maskfile import MaskFile
from mirada.data.masks import NOT_LABELLED
from mirada.data.output import Output
from mirada.data.samples import Dataset, Task, some
from mirada.data.shards import write_shards
from mirada.data.sources import read
from mirada.data.text import class_name
from mirada.data.threads import map_items
from mirada.data.walk import is_folder, is_system, lies_in
from mirada.errors import DataError, UsageError
from mirada.progress import Progress, silent
from mirada.words import visible

__all__ = ["FORMATS", "Format", "convert", "format_of"]

Format = Literal["coco", "voc", "yolo", "folders", "shards", "masks"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
_HOLDS: Final[dict[Task, str]] = {
    "classify": "one class an image",
    "tag": "several classes an image",
    "detect": "boxes",
    "segment": "masks",
}


def convert(
    data: str | os.PathLike[str] | Dataset, out: str | os.PathLike[str], to: Format, *, progress: Progress = silent
) -> tuple[str, ...]:
    """Write a data set in another format.

    Args:
        data: anything that `mirada.read` understands, or what it gave.
        out: the new folder.
        to: the format.
        progress: told how far it is.

    Returns:
        Plain sentences about what was left out.

    Raises:
        UsageError: the folder is there already or cannot be made, or the format is not for such a data set.
        DataError: what was read cannot be written, such as an image that is gone.
    """
    task, write = _WRITERS[format_of(to)]
    dataset = data if isinstance(data, Dataset) else read(data, is_learnt_from=False)
    if task != dataset.task:
        fitting = " or ".join(name for name, (for_task, _) in _WRITERS.items() if for_task == dataset.task)
        raise UsageError(
            f"{dataset.where} holds {_HOLDS[dataset.task]}, and {to} is for {_HOLDS[task]}; "
            f"it fits {fitting or 'no format yet'}"
        )
    place = Path(out)
    _check_place(place, dataset)
    _check_names(dataset, to)
    with _new_folder(place) as folder:
        output = Output(dataset, folder, progress)
        write(output)
    return output.notes()


def format_of(name: str) -> Format:
    """The format of a name. Raises UsageError where there is none."""
    for form in FORMATS:
        if form == name:
            return form
    raise UsageError(f"there is no format '{name}': there are {', '.join(FORMATS)}")


def _check_place(place: Path, dataset: Dataset) -> None:
    if os.path.lexists(place):
        raise UsageError(f"{place} is there already: name a new folder with -o")
    root = dataset.root
    if root is not None and lies_in(place, root):
        raise UsageError(f"{place} lies in {root}, into which nothing is written: name a folder elsewhere with -o")


def _check_names(dataset: Dataset, to: Format) -> None:
    """Raises DataError where the name of a class cannot stand in a file, or cannot be that of a folder."""
    for name in dataset.class_names:
        if class_name(name) != name or visible(name) != name or "\n" in name:
            raise DataError(
                f"{dataset.where}: the class {name!r} cannot be written: take odd characters out of its name."
            )
        if to == "folders" and (set(name) & set("/\\") or name.startswith(".") or is_system(name)):
            raise DataError(f"{dataset.where}: the class '{name}' cannot be the name of a folder: call it otherwise.")
    parts = [name for name in dataset.class_names if name.lower() in PART_NAMES]
    if to == "folders" and parts and not any(sample.part for sample in dataset.samples):
        raise DataError(f"{dataset.where}: a folder {some(parts)} would be read as a part: call the class otherwise.")


@contextmanager
def _new_folder(place: Path) -> Iterator[Path]:
    """A folder that is at its place when all has been written, and nowhere where anything fails."""
    missing = [
        folder for folder in (place.absolute().parent, *place.absolute().parent.parents) if not is_folder(folder)
    ]
    aside: Path | None = None
    try:
        place.absolute().parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{place.name[:50]}.", suffix=".part", dir=place.absolute().parent))
        folder = aside / "whole"
        folder.mkdir()
        yield folder
        folder.rename(place)
        missing = []
    except OSError as error:
        raise UsageError(f"{place}: the data set cannot be written ({error.strerror or error})") from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
        for folder in missing:
            if is_folder(folder) and not any(folder.iterdir()):
                folder.rmdir()


def _write_folders(output: Output) -> None:
    homes = []
    for sample, part in zip(output.dataset.samples, output.parts, strict=True):
        if sample.label is None:
            raise DataError(f"{output.dataset.where}: '{sample.key}' has no class, so it has no folder.")
        homes.append(output.folder / (part or "") / sample.label.name)
    output.copy(output.places(homes))
    _note_lost_cells(output, "folders")


def _write_shards(output: Output) -> None:
    write_shards(output)
    _note_lost_cells(output, "shards")


def _note_lost_cells(output: Output, to: Format) -> None:
    columns = Counter(column for sample in output.dataset.samples for column in sample.cells)
    for column, count in columns.items():
        output.lost[f"Cells of the column '{column}', which {to} cannot hold"] = count


def _write_masks(output: Output) -> None:
    if len(output.dataset.class_names) > NOT_LABELLED:
        raise DataError(f"{output.dataset.where}: a mask of 8 bits has room for {NOT_LABELLED} classes.")
    bases = [output.folder / (part or "") for part in output.parts]
    places = output.places([base / "images" for base in bases])
    output.copy(places)
    for base in set(bases):
        (base / "masks").mkdir()
    truths = [sample.truth for sample in output.dataset.samples]

    def write(item: tuple[Path, Path, object]) -> None:
        base, place, truth = item
        if not isinstance(truth, MaskFile):
            raise DataError(f"{output.dataset.where}: the image of {place.name} has no mask.")
        class_ids = truth.read().class_ids
        values = np.where(class_ids < 0, NOT_LABELLED, class_ids).astype(np.uint8)
        Image.fromarray(values).save(base / "masks" / f"{place.stem}.png")

    for _ in map_items(write, list(zip(bases, places, truths, strict=True))):
        pass
    listed = "".join(f"{name}\n" for name in output.dataset.class_names)
    (output.folder / "classes.txt").write_text(listed, encoding="utf-8")


_WRITERS: Final[dict[Format, tuple[Task, Callable[[Output], None]]]] = {
    "coco": ("detect", write_coco),
    "voc": ("detect", write_voc),
    "yolo": ("detect", write_yolo),
    "folders": ("classify", _write_folders),
    "shards": ("classify", _write_shards),
    "masks": ("segment", _write_masks),
}
