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
from mirada.model.crowd import Averaged, TenCrops

__all__ = ["build_module"]


def build_module(
    network: Architecture | Backbone,
    state: Mapping[str, NDArray[np.generic]],
    classes: int,
    members: int = 1,
    crops: int = 1,
) -> nn.Module:
    """The module of a network with these tensors, (N, C, h, w) float32 -> (N, K), in evaluation mode.

    Args:
        classes: how many class scores it gives.
        members: how many networks of a listing are averaged; the names of the tensors of each begin with its number.
        crops: how many crops of a picture are averaged, 1 or 10.

    Raises:
        ModelError: the tensors are those of another network.
        UsageError: timm has no network of that name.
    """
    if isinstance(network, Backbone):
        backbone, features = build_backbone(network)
        module: nn.Module = BackboneClassifier(backbone, features, classes)
    else:
        module = build(network) if members == 1 else Averaged(build(network) for _ in range(members))
    load_arrays(module, state, network.name or "a listing")
    if crops > 1:
        assert isinstance(network, Architecture)
        module = TenCrops(module, (network.input.width, network.input.height))
    return module.eval()
