"""The initial weights of a network, as a recipe says."""

from __future__ import annotations

import math

from torch import nn

from mirada.learn.recipes import Recipe

__all__ = ["initialise"]


def initialise(network: nn.Module, recipe: Recipe) -> tuple[str, ...]:
    """Draw the weights of convolutions and fully connected layers anew, in place, from torch's generator.

    Returns:
        The layers whose biases were to start from 1, and that are not there.
    """
    layers = {n: module for n, module in network.named_modules() if isinstance(module, (nn.Conv2d, nn.Linear))}
    for name, layer in layers.items():
        fan_in = math.prod(layer.weight.shape[1:])
        fan_out = layer.weight.shape[0] * math.prod(layer.weight.shape[2:])
        match recipe.start:
            case "he":
                pass  # those that it was built with
            case "glorot":
                nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / (fan_in + fan_out)))
            case "normal":
                nn.init.normal_(layer.weight, 0.0, recipe.spread)
            case "lecun":
                nn.init.uniform_(layer.weight, -2.4 / fan_in, 2.4 / fan_in)
        if layer.bias is not None:
            nn.init.constant_(layer.bias, 1.0 if name in recipe.ones else 0.0)
    return tuple(name for name in recipe.ones if name not in layers)
