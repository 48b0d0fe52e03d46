"""A model as a directory: JSON and safetensors, no pickle, nothing that could run.

```
MODEL/
  model.json             network, preparation, classes, how it was trained, scores; the hashes of the other files
  weights.safetensors    every tensor of the network, by the names of its modules
  split.json             which images were for training, validation and test, with their hashes
  README.md              the model card, for people; may be edited
  report.html            how good it is and where it fails, for people, where `train` made it
```

A directory is written aside and renamed when it is whole. When it is read, each file must have the hash that model.json
gives, and model.json its own: a model that was cut short or altered is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mirada import arch
from mirada.backbone import Backbone
from mirada.backbone.catalog import backbone_named
from mirada.backbone.weights import read_arrays
from mirada.data import write_manifest
from mirada.errors import ArchitectureError, ModelError, UsageError
from mirada.files import umask
from mirada.image import Preparation
from mirada.model.card import card
from mirada.model.model import SPLIT, UNFINISHED, Model
from mirada.tasks import Classify
from mirada.version import __version__

if TYPE_CHECKING:
    from mirada.arch import Architecture

__all__ = ["REPORT", "check_new", "free_place", "is_unfinished", "load", "save", "sha256"]

FORMAT_VERSION = 2
_LONGEST_NAME = 255
"""Bytes that common file systems allow for one name."""
REPORT = "report.html"
MOST_MEMBERS = 100
_JSON, _WEIGHTS, _CARD = "model.json", "weights.safetensors", "README.md"


def check_new(path: Path) -> None:
    """Refuse a path where a new model cannot be written, before any work is done.

    Raises:
        UsageError: something exists there, or its parent is no folder that can be written to.
    """
    if os.path.lexists(path):
        raise UsageError(f"{path} exists already: nothing is overwritten. Give another name with -o, or move it away")
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise UsageError(f"the name {path.name[:20]}... is longer than a folder's can be: give another with -o")
    parent = path.absolute().parent
    there = next(each for each in (parent, *parent.parents) if each.exists())
    if not there.is_dir():
        raise UsageError(f"{there} is a file, and no folder that can hold the model: give another name with -o")
    if not parent.is_dir():
        raise UsageError(f"the folder {parent} does not exist: make it first, or give another name with -o")
    if not os.access(parent, os.W_OK):
        raise UsageError(f"the folder {parent} cannot be written to: give another name with -o")


def is_unfinished(path: Path) -> bool:
    """Whether a model lies there whose training was interrupted, and can go on."""
    return _unfinished_key(path) is not None


def _unfinished_key(path: Path) -> str | None:
    """What makes a call the same as the one whose interrupted training lies there; None where none does.

    Where a process was killed in the instant of replacing such a model, the earlier one is put back first.
    """
    if not os.path.lexists(path) and os.path.isdir(_earlier(path)):  # noqa: PTH112  False for what no folder can be
        _earlier(path).rename(path)
    try:
        training = _read_json(path)["training"]
        return str(training.get("key", "")) if UNFINISHED in training else None
    except (ModelError, KeyError, TypeError, AttributeError):
        return None


def free_place(path: Path, key: str | None = None) -> Path:
    """That path, with a number where something exists that no interrupted training left there.

    Args:
        key: of the training: what an interrupted one of another key has left is not taken either.
    """
    free, number = path, 2
    while os.path.lexists(free) and ((there := _unfinished_key(free)) is None or key not in (None, there)):
        free, number = path.with_name(f"{path.name}-{number}"), number + 1
    return free


def save(model: Model, path: Path, *, report: str | None = None, over: bool = False) -> None:
    """Write a model as a directory, whole or not at all.

    Args:
        report: the page that goes with it, or None.
        over: whether it takes the place of what is there, an unfinished model of the same training.

    Raises:
        UsageError: something exists at `path`, or it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    if not over:
        check_new(path)
    aside: Path | None = None
    try:
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name[:50]}.", suffix=".part", dir=path.absolute().parent))
        save_file({name: np.ascontiguousarray(array) for name, array in model.state.items()}, aside / _WEIGHTS)
        hashed = [_WEIGHTS]
        if (split := model.manifest_or_json) is not None:
            hashed.append(SPLIT)
            if isinstance(split, bytes):
                (aside / SPLIT).write_bytes(split)
            else:
                write_manifest(split, aside / SPLIT)
        content = _to_json(model) | {"files": {name: sha256(aside / name) for name in hashed}}
        content["digest"] = _digest(content)
        _write(aside / _JSON, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        _write(aside / _CARD, card(model, path.name))
        if report is not None:
            _write(aside / REPORT, report)
        _make_as_others(aside)
        if over:
            _set_aside(path)
        aside.rename(path)
        _clear_earlier(path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"the model cannot be written to {path} ({reason})") from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


def _set_aside(path: Path) -> None:
    """Move an earlier model out of the way: a directory cannot be replaced in one step everywhere."""
    _clear_earlier(path)
    path.rename(_earlier(path))


def _clear_earlier(path: Path) -> None:
    """Delete a model that was moved out of the way; what a person has put into its directory comes along."""
    earlier = _earlier(path)
    own = {_JSON, _WEIGHTS, SPLIT, _CARD, REPORT}
    for file in earlier.iterdir() if earlier.is_dir() else ():
        if file.name not in own and not (path / file.name).exists():
            file.rename(path / file.name)
    shutil.rmtree(earlier, ignore_errors=True)


def _earlier(path: Path) -> Path:
    """Where a model is while another takes its place. Its name is never longer than a folder's can be."""
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()
    return path.parent / f".{path.name[:50]}.{digest[:16]}.earlier"


def _make_as_others(folder: Path) -> None:
    """Give a temporary folder, made for its owner alone, the rights of a new one; bring its files to the disk."""
    mask = umask()
    folder.chmod(0o777 & ~mask)
    for file in folder.iterdir():
        file.chmod(0o666 & ~mask)
        with file.open("rb") as stream:
            os.fsync(stream.fileno())


def load(path: str | os.PathLike[str]) -> Model:
    """Read a model from its directory. The network is made from model.json; no code of the model's is run.

    Raises:
        ModelError: a file is missing, cut short, altered, or of a newer version; names the file.

    >>> load("no/such/model")
    Traceback (most recent call last):
    mirada.errors.ModelError: there is no model at no/such/model: a model is a directory with a file model.json
    """
    path = Path(path)
    content = _read_json(path)
    for name, expected in content["files"].items():
        file = path / name
        if not file.is_file():
            raise ModelError(f"the model {path} is not whole: {name} is missing. Copy the whole directory")
        if sha256(file) != expected:
            raise ModelError(
                f"the model {path} was altered: {name} has not the SHA-256 that model.json gives ({expected[:12]}...)"
            )
    try:
        return _from_json(content, path)
    except KeyError as error:
        raise ModelError(f"{path / _JSON} cannot be understood: {error} is missing") from error
    except (TypeError, ValueError, RuntimeError, ArchitectureError, UsageError) as error:
        raise ModelError(f"{path / _JSON} cannot be understood: {error}") from error


def _to_json(model: Model) -> dict[str, Any]:
    return {
        "format": "mirada model",
        "format_version": FORMAT_VERSION,
        "mirada": __version__,
        "task": model.task.kind,
        "class_names": list(model.class_names),
        "temperature": model.task.temperature,
        "sure_from": model.task.sure_from,
        "preparation": model.preparation.to_json(),
        "network": _network_json(model),
        "training": model.training,
        "scores": model.scores,
    }


def _network_json(model: Model) -> dict[str, str | int]:
    if isinstance(model.network, Backbone):
        return {"kind": "backbone", "name": model.network.name}
    several = {name: count for name in ("members", "crops") if (count := getattr(model, name)) > 1}
    return {"kind": "listing", "listing": arch.format_listing(model.network), **several}


def _from_json(content: dict[str, Any], path: Path) -> Model:
    class_names = _class_names(content)
    network = _network(content["network"])
    try:
        preparation = Preparation.from_json(content["preparation"])
    except ModelError as error:
        raise ValueError(str(error)) from error
    members, crops = _several(content["network"])
    _check_belong_together(network, preparation, class_names, crops)
    state = read_arrays(path / _WEIGHTS)
    if isinstance(network, Backbone):
        _check_head(state, len(class_names), path)
    else:
        _check_size(state, network, members, path)
    training, scores = content["training"], content["scores"]
    if not isinstance(training, dict) or not isinstance(scores, dict):
        raise ValueError("training and scores are no objects")
    manifest = (path / SPLIT).read_bytes() if SPLIT in content["files"] else None
    task = Classify(class_names, *_calibration(content))
    return Model(network, state, preparation, task, manifest, training, scores, path, members, crops)


def _several(network: dict[str, Any]) -> tuple[int, int]:
    """How many networks, and how many crops of a picture, are averaged."""
    members, crops = network.get("members", 1), network.get("crops", 1)
    if not isinstance(members, int) or not 1 <= members <= MOST_MEMBERS:
        raise ValueError(f"members is no whole number from 1 to {MOST_MEMBERS}")
    if crops not in (1, 10):
        raise ValueError("crops is neither 1 nor 10")
    return members, int(crops)


def _class_names(content: dict[str, Any]) -> tuple[str, ...]:
    names = content["class_names"]
    if content["task"] != Classify.kind:
        raise ValueError(f"the task {content['task']!r} is not known")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("class_names is no list of texts")
    if len(names) < 2 or names != sorted(set(names)):
        raise ValueError("class_names must be two or more, sorted, each once")
    return tuple(names)


def _calibration(content: dict[str, Any]) -> tuple[float, float | None]:
    temperature, sure_from = content["temperature"], content["sure_from"]
    if not isinstance(temperature, float | int) or not 0 < temperature < math.inf:
        raise ValueError("temperature is no number above 0")
    if sure_from is not None and not (isinstance(sure_from, float | int) and 0 <= sure_from <= 1):
        raise ValueError("sure_from is neither null nor a probability")
    return float(temperature), sure_from


def _check_head(state: dict[str, NDArray[np.generic]], classes: int, path: Path) -> None:
    weight, bias = state.get("head.weight"), state.get("head.bias")
    if weight is None or bias is None or weight.ndim != 2 or weight.shape[0] != classes or bias.shape != (classes,):
        raise ModelError(
            f"{path / _WEIGHTS} does not fit the network of model.json: its head is not of {classes} classes"
        )


def _check_size(state: dict[str, NDArray[np.generic]], network: Architecture, members: int, path: Path) -> None:
    """Without torch: whether there are as many numbers as the listing has parameters."""
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    size = sum(array.size for name, array in state.items() if not name.endswith(statistics))
    if size != members * network.parameters:
        raise ModelError(
            f"{path / _WEIGHTS} does not fit the network of model.json: it holds {size:,} parameters, the network has "
            f"{members * network.parameters:,}"
        )


def _network(content: dict[str, str]) -> Architecture | Backbone:
    if content["kind"] == "listing":
        return arch.parse(content["listing"], "model.json")
    backbone = backbone_named(content["name"])
    if backbone is None:
        raise ValueError(f"{content['name']!r} is no backbone")
    return backbone


def _check_belong_together(
    network: Architecture | Backbone, preparation: Preparation, class_names: tuple[str, ...], crops: int
) -> None:
    """Before any weight is made: the images fit the network, and the network fits the classes."""
    if isinstance(network, Backbone):
        if preparation.channels != 3:
            raise ValueError(f"{network.name} takes 3 channels, the preparation gives {preparation.channels}")
        return
    given = arch.Volume(*preparation.size_wh, preparation.channels)
    is_larger = min(given.width - network.input.width, given.height - network.input.height) >= 0
    if given != network.input and not (crops > 1 and is_larger and given.depth == network.input.depth):
        raise ValueError(f"the network takes {network.input}, the preparation gives {given}")
    if network.output != arch.Volume(1, 1, len(class_names)):
        raise ValueError(f"the network gives [{network.output}], there are {len(class_names)} classes")


def _read_json(path: Path) -> dict[str, Any]:
    file = path / _JSON
    if not os.path.lexists(path):
        raise ModelError(f"there is no model at {path}: a model is a directory with a file {_JSON}")
    if path.is_file():
        raise ModelError(f"{path} is a file: a model is a directory with a file {_JSON}")
    if not file.is_file():
        raise ModelError(f"{path} is not a model: it has no file {_JSON}")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict) or content.get("format") != "mirada model":
        raise ModelError(f"{file} is not the description of a mirada model")
    if content.get("format_version") != FORMAT_VERSION:
        raise ModelError(
            f"{file} has the format version {content.get('format_version')}, this mirada reads {FORMAT_VERSION}: "
            f"it was written by mirada {content.get('mirada')}; install that version, or train anew"
        )
    if content.get("digest") != _digest(content):
        raise ModelError(f"the model {path} was altered: {_JSON} has not the digest that it gives for itself")
    if (
        not isinstance(content.get("files"), dict)
        or set(content["files"]) - {_WEIGHTS, SPLIT}
        or _WEIGHTS not in content["files"]
    ):
        raise ModelError(f"{file} does not name the files of a model")
    return content


def _write(file: Path, text: str) -> None:
    """Write text as UTF-8. A file name that is not UTF-8 came in with lone surrogates: they become JSON's escapes."""
    file.write_text(text, encoding="utf-8", errors="backslashreplace")


def _digest(content: dict[str, Any]) -> str:
    """The SHA-256 of the content without its digest, in one spelling: sorted keys, no blanks."""
    rest = {key: value for key, value in content.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256(file: Path) -> str:
    """Of the content of a file: 64 hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
