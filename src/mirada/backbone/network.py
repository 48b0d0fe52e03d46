"""The torch module behind a name: one that gives class scores, or a backbone whose features a new head reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mirada.backbone.body import LITE0_FEATURES
from mirada.backbone.catalog import Backbone
from mirada.backbone.lite0 import EfficientNetLite0
from mirada.backbone.trace import timm_module
from mirada.backbone.weights import download_timm, lite0_state, load_by_position, read_weights
from mirada.errors import ModelError, UsageError
from mirada.image import Preparation
from mirada.image.prepare import Fit

__all__ = ["BackboneClassifier", "arrays_of", "build_backbone", "load_arrays", "preparation_of", "pretrained_backbone"]


class BackboneClassifier(nn.Module):
    """A backbone and a fully connected head of class scores: (N, 3, h, w) float -> (N, K).

    Args:
        backbone: gives (N, features).
        features: how many numbers the backbone gives for an image.
        classes: how many class scores the head gives.
    """

    def __init__(self, backbone: nn.Module, features: int, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.backbone(x))
        return scores


def build_backbone(backbone: Backbone) -> tuple[nn.Module, int]:
    """The module of a backbone with random weights, and how many features it gives for an image.

    Raises:
        UsageError: timm has no network of that name, or it gives no features.
    """
    if backbone.is_builtin:
        return EfficientNetLite0(), LITE0_FEATURES
    module = timm_module(backbone.timm_name, num_classes=0)
    features = getattr(module, "head_hidden_size", None) or module.num_features
    return module, int(features)  # type: ignore[arg-type]


def pretrained_backbone(backbone: Backbone, weights: Path | None = None) -> tuple[nn.Module, int]:
    """The module of a backbone with its pretrained weights.

    Args:
        backbone: which one.
        weights: a safetensors file to take instead of the published weights; a classifier in it is left out.

    Raises:
        UsageError: timm has no network of that name.
        ModelError: the weights are missing, changed, or of another network.
    """
    module, features = build_backbone(backbone)
    if weights is not None:
        _load_named(module, read_weights(weights), str(weights))
    elif backbone.is_builtin:
        load_by_position(module, lite0_state(), skip_last=2)  # without its classifier's weight and bias
    else:
        _load_named(module, download_timm(backbone.timm_name), backbone.name)
    return module, features


def arrays_of(module: nn.Module) -> dict[str, NDArray[np.generic]]:
    """The tensors of a module by name, as arrays."""
    return {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in module.state_dict().items()}


def load_arrays(module: nn.Module, state: Mapping[str, NDArray[np.generic]], source: str) -> None:
    """Give a module all its tensors by their names.

    Args:
        module: receives them.
        state: the tensors as arrays.
        source: what the network is called, for the message.

    Raises:
        ModelError: the tensors are those of another network.
    """
    try:
        module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in state.items()})
    except RuntimeError as error:
        raise ModelError(f"the weights do not fit the network {source}: {error}") from error


def preparation_of(backbone: Backbone) -> Preparation:
    """The view that timm's weights of a backbone were evaluated with: size, fit, zoom, mean and standard deviation.

    Resizing is mirada's own (areas where it shrinks), whatever interpolation timm names.
    """
    import timm

    config = timm.get_pretrained_cfg(backbone.timm_name)
    if config is None:
        raise UsageError(f"timm does not say how images are prepared for {backbone.name}")
    _, height, width = config.input_size
    fit = _FITS.get(config.crop_mode, "crop")
    zoom = max(1 / (config.crop_pct or 1.0), 1.0) if fit == "crop" else 1.0
    return Preparation((width, height), fit, zoom, mean=tuple(config.mean), std=tuple(config.std))


_FITS: dict[str, Fit] = {"center": "crop", "squash": "stretch", "border": "pad"}
"""timm's word for how a picture is made to fit, and ours."""


def _load_named(module: nn.Module, state: dict[str, Tensor], source: str) -> None:
    own = module.state_dict()
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    wrong = [name for name in own if name in state and state[name].shape != own[name].shape]
    if missing or wrong:
        what = f"lack {missing[0]}" if missing else f"have another shape at {wrong[0]}"
        raise ModelError(f"the weights of {source} are of another network: they {what}")
    with torch.no_grad():
        module.load_state_dict({name: state.get(name, value) for name, value in own.items()})
