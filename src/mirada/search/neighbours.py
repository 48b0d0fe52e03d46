"""The training images of a model as an index of its own: what an answer rests on."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from mirada.data import read
from mirada.errors import DataError, UsageError
from mirada.machine.cache import cache_folder
from mirada.model import Model, load
from mirada.progress import Progress, silent
from mirada.search.collection import Collection, Found
from mirada.search.index import Index, index
from mirada.search.table import FORMAT

__all__ = ["training_images"]


def training_images(
    model: Model | str | os.PathLike[str], data: str | os.PathLike[str], *, progress: Progress = silent
) -> Index:
    """The images that a model was trained on, to be searched with its own features.

    The index is kept in the cache, and brought up to date each time. Images that have changed since are left out.

    Args:
        model: a saved model, or the directory of one.
        data: what it was trained on, as it was given to `train`.
        progress: told how far it is.

    Raises:
        DataError: none of the images is one that the model was trained on, or `data` cannot be read.
        UsageError: the model was not saved, or does not say what it was trained on.
    """
    model = model if isinstance(model, Model) else load(model)
    if model.path is None or model.manifest is None:
        raise UsageError("a model that was not trained by mirada and saved does not say what it was trained on")
    contents = {(entry.key, entry.label): entry.sha256 for entry in model.manifest.parts["train"]}
    dataset = read(data, is_learnt_from=False)
    root = Path(os.path.abspath(dataset.root or "."))  # noqa: PTH100  links stay as they are
    found = tuple(
        Found(Path(os.path.abspath(sample.path)), root, sample.label.name)  # noqa: PTH100
        for sample in dataset.samples
        if sample.path is not None and sample.label is not None and (sample.key, sample.label.name) in contents
    )
    if not found and any(sample.member is not None for sample in dataset.samples):
        raise DataError(f"{dataset.where}: neighbours are looked for in image files, not in shards: unpack them")
    if not found:
        raise DataError(f"{dataset.where} has no image file that {model.path} was trained on: give its training data")
    path = model.path.resolve()
    name = hashlib.sha256(
        f"{FORMAT}\n{path}\n{model.program.key}\n{root}".encode(errors="surrogateescape")
    ).hexdigest()[:32]
    place = cache_folder("neighbours") / name
    made = index(Collection(found, {}, (), (root,), (), ()), place, network=path, progress=progress)
    trained_on = set(contents.values())
    same = tuple(image for image in found if made.hash_of(image.file) in trained_on)
    if len(same) == len(found):
        return made
    if not same:
        raise DataError(f"{dataset.where}: all of its images have changed since {model.path} was trained on them")
    return index(Collection(same, {}, (), (root,), (), ()), place, network=path, progress=progress)
