"""The torch module of a model, made from its tensors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import nn

from mirada.arch import Architecture
from mirada.arch.build import build
from mirada.backbone import Backbone
from mirada.backbone.network import BackboneClassifier, build_backbone, load_arrays

__all__ = ["build_module"]


def build_module(network: Architecture | Backbone, state: Mapping[str, NDArray[np.generic]], classes: int) -> nn.Module:
    """The module of a network with these tensors, (N, C, h, w) float32 -> (N, K), in evaluation mode.

    Raises:
        ModelError: the tensors are those of another network.
        UsageError: timm has no network of that name.
    """
    if isinstance(network, Backbone):
        backbone, features = build_backbone(network)
        module: nn.Module = BackboneClassifier(backbone, features, classes)
    else:
        module = build(network)
    load_arrays(module, state, network.name or "a listing")
    return module.eval()
