"""A trained model: a network, the preparation of its images, and the task it was trained for."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mirada import arch
from mirada.backbone import Backbone
from mirada.backbone.body import Body
from mirada.backbone.weights import tensors_hash
from mirada.data import Manifest, Sample, Skipped, images_in, prepared
from mirada.data.manifest import parse_manifest
from mirada.engine import Engine, Program, open_engine
from mirada.engine.program import body_program
from mirada.errors import DataError, ImageError, ModelError, UsageError
from mirada.image import Preparation
from mirada.model.prediction import Prediction
from mirada.stores import check_here
from mirada.tasks import Classify

if TYPE_CHECKING:
    from torch import nn

    from mirada.arch import Architecture

__all__ = ["Images", "Model", "State", "predict"]

State = dict[str, NDArray[np.generic]]
"""The tensors of a network by name. Those of a backbone begin with "backbone.", those of its head with "head."."""

UNFINISHED: Final = "climbing"
"""What the training of a model holds that is not finished: how far it is."""
SPLIT: Final = "split.json"
"""The file, in the directory of a model, that says which images were for training, validation and test."""
NOT_FINISHED: Final = "The training of the model is not finished: run the command that began it again to go on."

Image = str | os.PathLike[str] | NDArray[np.uint8]
"""A file, a folder, or a picture as an array."""
Images = Image | Iterable[Image]
"""One, or several."""


@dataclass(frozen=True, eq=False)
class Model:
    """A network that was trained for a task.

    Attributes:
        network: what it is: an architecture, or a pretrained backbone with a new head.
        state: its tensors by name.
        preparation: how every image is prepared, in training and after.
        task: what the scores mean.
        manifest_or_json: what `manifest` is, or the content of the file that says so, which may be long.
        training: how it was made, plain values.
        scores: what it scored, plain values, by part: `val` and `test`.
        path: the directory it was loaded from or saved to.
        members: how many networks of a listing are averaged; the names of the tensors of each begin with its number.
        crops: how many crops of a picture are averaged, 1 or 10.
    """

    network: Architecture | Backbone
    state: State
    preparation: Preparation
    task: Classify
    manifest_or_json: Manifest | bytes | None = None
    training: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None
    members: int = 1
    crops: int = 1

    def __repr__(self) -> str:
        name = self.network.name or "a listing"
        where = f", from {self.path}" if self.path is not None else ""
        return f"<mirada.Model: {len(self.class_names)} classes, {name}{where}>"

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, sorted; the place of a name is its class id."""
        return self.task.class_names

    @property
    def is_finished(self) -> bool:
        """Whether its training came to its end: until then it is neither calibrated nor tested."""
        return UNFINISHED not in self.training

    @cached_property
    def manifest(self) -> Manifest | None:
        """Which images were for training, validation and test; None where it was not trained by `train`.

        Raises:
            ModelError: the file that says so is no manifest.
        """
        if not isinstance(self.manifest_or_json, bytes):
            return self.manifest_or_json
        try:
            return parse_manifest(self.manifest_or_json, (self.path or Path()) / SPLIT)
        except DataError as error:
            raise ModelError(str(error)) from error

    @cached_property
    def module(self) -> nn.Module:
        """The torch module, (N, C, h, w) float32 -> (N, K) class scores, in evaluation mode. Made when asked for."""
        from mirada.model.module import build_module

        return build_module(self.network, self.state, len(self.class_names), self.members, self.crops)

    @cached_property
    def program(self) -> Program:
        """What an engine is to run: the class scores, or, of a backbone, the features that its head reads."""
        if isinstance(self.network, Backbone):
            return body_program(self.body, preparation=self.preparation)
        identity = {"listing": arch.format_listing(self.network), "tensors": tensors_hash(self.state)}
        if self.members * self.crops > 1:
            identity |= {"members": str(self.members), "crops": str(self.crops)}
        name, work = self.network.name or "a listing", self.network.multiply_adds * self.members * self.crops
        return Program(name, identity, self.preparation, lambda: self.module, work)

    @cached_property
    def engine(self) -> Engine:
        """What runs the program."""
        return open_engine(self.program)

    @cached_property
    def body(self) -> Body:
        """The backbone without its head.

        Raises:
            UsageError: the network is a listing, which has none.
        """
        if not isinstance(self.network, Backbone):
            raise UsageError(f"{self.network.name or 'a listing'} is one network, without a body and a head")
        state = {name.removeprefix("backbone."): array for name, array in self.state.items() if name[:4] != "head"}
        return Body(self.network, state=state)

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Prepared pixels (N, h, w, C) uint8 -> class scores (N, K) float32, before the softmax."""
        if not len(pixels):
            return np.zeros((0, len(self.class_names)), np.float32)
        return self.head(self.engine(pixels)[-1])

    def head(self, outputs: NDArray[np.floating]) -> NDArray[np.float32]:
        """Outputs (..., F) of the engine -> class scores (..., K) float32; for a listing they are the scores."""
        if not isinstance(self.network, Backbone):
            return np.asarray(outputs, np.float32)
        weight, bias = (np.asarray(self.state[f"head.{name}"], np.float32) for name in ("weight", "bias"))
        return np.asarray(outputs @ weight.T + bias, np.float32)

    def answers(self, samples: Iterable[Sample]) -> Iterator[tuple[Sample, NDArray[np.float32] | ImageError]]:
        """Each sample with its class scores (K,), or with the reason why it has none, in order; a few on their way."""
        images = prepared(samples, self.preparation)
        items = (((s, p), None if isinstance(p, ImageError) else p) for s, p in images)
        for (sample, pixels), outputs in self.engine.stream(items):
            if outputs is not None:
                yield sample, self.head(outputs[-1])
            elif isinstance(pixels, ImageError):
                yield sample, pixels

    def predict_iter(self, images: Images, *, top: int = 5) -> Iterator[Prediction]:
        """Predictions one by one, in the order of the images; memory grows with the largest folder's names only.

        Args:
            images: files, folders, and pictures as uint8 arrays, RGB (H, W, 3) or grey (H, W), which are called
                image[0], image[1], ... by their places. Folders are walked, sorted by name. Any iterable, also an
                endless one.
            top: how many classes to name for each, at least 1.

        Raises:
            DataError: nothing exists at any of the paths of a list, or, at the end, there was no image in them.
            UsageError: `top` is below 1, an archive or an address in object storage is given, or, at its turn,
                something is neither a path nor such an array.
        """
        if top < 1:
            raise UsageError(f"top must be at least 1, got {top}")
        if isinstance(images, (str, os.PathLike)) or (isinstance(images, np.ndarray) and images.ndim < 4):
            images = [images]
        if isinstance(images, Sequence):
            for image in images:
                if isinstance(image, (str, os.PathLike)):
                    check_here(os.fspath(image))
        if isinstance(images, Sequence) and not any(map(_exists, images)):
            what = ", ".join(map(str, images[:5]))
            raise DataError(f"nothing exists at {what}" if images else "no image was given")
        return self._predictions(images, top)

    def predict(self, images: Images, *, top: int = 5) -> list[Prediction]:
        """Predictions for files and folders, in their order; see `predict_iter`. What cannot be read has an `error`."""
        return list(self.predict_iter(images, top=top))

    def save(self, path: str | os.PathLike[str]) -> Model:
        """Write the model as a new directory; see `mirada.model.store`.

        Raises:
            UsageError: something exists at `path`.
        """
        from mirada.model.store import save

        save(self, Path(path))
        return replace(self, path=Path(path))

    def _predictions(self, images: Iterable[Image], top: int) -> Iterator[Prediction]:
        met = 0
        for sample, answer in self._answers(images):
            met += isinstance(sample, Sample)
            if isinstance(answer, str):
                skipped = answer if isinstance(sample, Skipped) else None
                yield Prediction(sample.key, error=None if skipped else answer, skipped=skipped)
            else:
                labels = self.task.annotations(answer[np.newaxis], top)[0]
                yield Prediction(sample.key, labels, is_sure=self.task.is_sure(labels[0]))
        if not met:
            raise DataError("there is no image in what was given")

    def _answers(self, images: Iterable[Image]) -> Iterator[tuple[Sample | Skipped, NDArray[np.float32] | str]]:
        """Each image with its scores, or with the reason why it has none, in order."""
        taken: deque[Sample | Skipped] = deque()

        def samples() -> Iterator[Sample]:
            for item in _items(images):
                taken.append(item)
                if isinstance(item, Sample):
                    yield item

        for _, answer in self.answers(samples()):
            yield from _passed_over(taken)
            yield taken.popleft(), answer.reason if isinstance(answer, ImageError) else answer
        yield from _passed_over(taken)


def _passed_over(taken: deque[Sample | Skipped]) -> Iterator[tuple[Skipped, str]]:
    """Take what was skipped from the front, up to the next sample."""
    while taken and isinstance(skipped := taken[0], Skipped):
        taken.popleft()
        yield skipped, skipped.reason


def _items(images: Iterable[Image]) -> Iterator[Sample | Skipped]:
    """Every picture that the paths lead to, and those that are given as arrays."""
    for place, image in enumerate(images):
        if isinstance(image, (str, os.PathLike)):
            yield from images_in([Path(image)])
        elif isinstance(image, np.ndarray):
            try:
                yield Sample(f"image[{place}]", None, array=image)
            except ValueError as error:
                raise UsageError(str(error)) from error
        else:
            raise UsageError(
                f"image[{place}] is a {type(image).__name__}: give a path, or an array of uint8, (H, W, 3) or (H, W)"
            )


def _exists(image: Image) -> bool:
    if not isinstance(image, (str, os.PathLike)):
        return True
    return os.path.exists(image)  # noqa: PTH110  False for a name too long for any file, where Path raises


def predict(
    model: Model | str | os.PathLike[str],
    images: Images,
    *,
    top: int = 5,
) -> Iterator[Prediction]:
    """Say what images show: one prediction each, in their order; see `Model.predict_iter`.

    Args:
        model: a model, or the directory of one.
        images: files, folders, and pictures as arrays.
        top: how many classes to name for each.

    Raises:
        ModelError: the directory holds no whole model.
        DataError, UsageError: as `Model.predict_iter`.
    """
    if not isinstance(model, Model):
        from mirada.model.store import load

        model = load(model)
    return model.predict_iter(images, top=top)
