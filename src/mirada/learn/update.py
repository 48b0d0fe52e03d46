"""How a step changes the weights: the rule of the optimizer, and what is done to the gradient and to the weights.

Torch's gradient descent with momentum keeps b <- m b + (g + d w) and moves by -e b. AlexNet's paper keeps
v <- m v - d e w - e g and moves by v. With v = -e b both are one, as long as the rate e stays: where it changes, b is
divided by as much as the rate is multiplied with, and the rule is the paper's.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from mirada.learn.recipes import Recipe

__all__ = ["Average", "clip", "optimizer_of", "set_rate"]


def optimizer_of(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimizer of a recipe."""
    groups = _parameter_groups(network, recipe)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(recipe.momentum, 0.999), fused=True)
    return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, fused=True)


def _parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Weights decay; biases and the scales and shifts of normalisation, which are vectors, where the recipe says so."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    of_vectors = recipe.weight_decay if recipe.decays_vectors else 0.0
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": of_vectors},
    ]
    return [group for group in groups if group["params"]]


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the steps from now on; the velocity of gradient descent stays what it is."""
    for group in optimizer.param_groups:
        before = group["lr"]
        group["lr"] = rate
        if isinstance(optimizer, torch.optim.SGD) and group["momentum"] and rate != before:
            for parameter in group["params"]:
                velocity = optimizer.state[parameter].get("momentum_buffer")
                if velocity is not None:
                    velocity.mul_(before / rate)


def clip(network: nn.Module, recipe: Recipe) -> None:
    """Scale the gradient down to the largest norm of the recipe."""
    if recipe.clip is not None:
        torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip)


class Average:
    """The exponential moving average of the weights of a network.

    It moves faster at first: so that it forgets the initial weights, its share is at most (1 + n)/(10 + n) at step n.

    Attributes:
        network: has the averaged weights; of what is no number with a fraction, and of statistics, the last.
        steps: how many it has seen.
    """

    def __init__(self, network: nn.Module, share: float) -> None:
        self.network = copy.deepcopy(network)
        self.steps = 0
        self._share = share
        self._mine, self._theirs = list(self.network.parameters()), list(network.parameters())
        self._buffers = list(zip(self.network.buffers(), network.buffers(), strict=True))

    @torch.no_grad()
    def follow(self) -> None:
        """Move a little towards the weights as they are now."""
        share = min(self._share, (1 + self.steps) / (10 + self.steps))
        theirs: list[Tensor] = [p.detach() for p in self._theirs]
        torch._foreach_lerp_([p.detach() for p in self._mine], theirs, 1 - share)
        for mine, other in self._buffers:
            mine.copy_(other)
        self.steps += 1
