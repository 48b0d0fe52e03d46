"""A path -> a data set: what lies there is recognised, and where it is not, the error says what was seen.

| kind | what it looks like | read by |
|---|---|---|
| digits | the word `digits` | `mirada.data.digits` |
| CSV | a `.csv` or `.tsv` file with the columns path and label | `mirada.data.table` |
| IDX | a folder with MNIST's `train-images-idx3-ubyte` and its companions, with or without `.gz` | `mirada.data.idx` |
| train/val/test folders | `train/<class>/`, and `val/<class>/`, `test/<class>/` or neither | `mirada.data.folders` |
| class folders | a folder with one sub-folder a class | `mirada.data.folders` |

Nothing is ever written into a data set.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from pathlib import Path

from mirada.data.digits import read_digits
from mirada.data.folders import LAYOUTS, read_folders
from mirada.data.idx import holds_idx, read_mnist
from mirada.data.samples import Dataset
from mirada.data.table import TABLE_SUFFIXES, read_table
from mirada.data.walk import is_folder, list_folder
from mirada.errors import DataError
from mirada.image import IMAGE_SUFFIXES

__all__ = ["read"]


def read(data: str | os.PathLike[str], *, is_learnt_from: bool = True) -> Dataset:
    """Read a labelled data set: a folder, a CSV file, a folder of IDX files, or the word `digits`.

    Images are found and named, not decoded. A folder called `digits` in the current folder comes before the built-in
    set, and a note says so.

    Whether it can be learnt from is another question: see `split`.

    Args:
        is_learnt_from: whether an empty class folder is an error, or a note.

    Raises DataError where nothing is there, where it is of no known kind, or where a class to learn has no images.
    """
    path = Path(data)
    if not _exists(path):
        if data == "digits":
            return read_digits()
        raise DataError(_nothing_there(path))
    if not path.is_dir():
        return _read_file(path)
    _, files = list_folder(path)
    dataset = read_mnist(path) if holds_idx(files) else read_folders(path, is_learnt_from=is_learnt_from)
    if data == "digits":
        note = "'digits' is a folder here, so it was read instead of the built-in set of that name."
        dataset = dataclasses.replace(dataset, notes=(*dataset.notes, note))
    return dataset


def _read_file(path: Path) -> Dataset:
    suffix = path.suffix.lower()
    if suffix in TABLE_SUFFIXES:
        return read_table(path)
    if suffix in IMAGE_SUFFIXES:
        raise DataError(f"{path}: this is one image. To learn, give the folder that holds the images:\n{LAYOUTS}")
    if holds_idx([path]):
        raise DataError(
            f"{path}: this is one of MNIST's four IDX files. Give the folder that holds them: {path.parent}"
        )
    if suffix in {".zip", ".tar", ".gz", ".tgz", ".xz", ".7z", ".rar"}:
        raise DataError(f"{path}: this is an archive. Unpack it, and give the folder that comes out.")
    raise DataError(
        f"{path}: a file of no known kind. Give a folder of images, a CSV file (.csv, .tsv) with the columns path and "
        "label, or the word digits."
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
    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(missing.name.casefold(), sorted(folded), n=3, cutoff=0.6)
    message = f"{path}: there is no such file or folder."
    if near:
        return f"{message} Did you mean {' or '.join(str(missing.with_name(folded[name])) for name in near)}?"
    if missing != path:
        return f"{message} {missing} does not exist either."
    return f"{message} Give a folder of images, a CSV file, or the word digits for a built-in set."
