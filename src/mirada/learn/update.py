"""How a step changes the weights: the rule of the optimizer, and what is done to the gradient and to the weights.

The arithmetic of both rules is torch's, in its functional form: its optimizer classes import a compiler that nothing
here needs, which takes seconds.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from mirada.learn.recipes import Recipe

__all__ = ["AdamW", "Average", "Descent", "Group", "Optimizer", "clip", "optimizer_of"]

FUSED: Final = ("cpu", "cuda")
"""Devices on which one pass over memory makes a step."""


@dataclass(frozen=True)
class Group:
    """Parameters that are changed alike.

    Attributes:
        parameters: on one device, in the layout in memory that they keep.
        weight_decay: how much they decay.
        share: what the learning rate is multiplied with.
    """

    parameters: list[nn.Parameter]
    weight_decay: float
    share: float = 1.0


@dataclass(frozen=True)
class _Step:
    """Parameters of a group that have a gradient, and what changes them.

    Attributes:
        rate, weight_decay: of the group.
        parameters, gradients: one for each.
        kept: what the optimizer keeps of each, by name.
        is_fused: True where one pass over memory does it; None for torch's choice.
    """

    rate: float
    weight_decay: float
    parameters: list[Tensor]
    gradients: list[Tensor]
    kept: dict[str, list[Tensor]]
    is_fused: bool | None


class Optimizer(ABC):
    """A rule by which a gradient changes parameters, and what it keeps of each from step to step.

    Args:
        groups: every parameter once; those of a group without any are left out.
        rate: the learning rate, which may be set before each step.

    Attributes:
        groups: what it changes.
        rate: the learning rate of the next step.
    """

    kept: tuple[str, ...]
    """The names of what is kept of each parameter, tensors."""

    def __init__(self, groups: Sequence[Group], rate: float) -> None:
        self.groups, self.rate = [group for group in groups if group.parameters], rate
        self._state = [[self._begun(parameter) for parameter in group.parameters] for group in self.groups]

    def zero_grad(self) -> None:
        """Forget the gradient."""
        for group in self.groups:
            for parameter in group.parameters:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Change every parameter that has a gradient."""
        for group, state in zip(self.groups, self._state, strict=True):
            changed = [
                (p.detach(), p.grad, own) for p, own in zip(group.parameters, state, strict=True) if p.grad is not None
            ]
            if changed:
                parameters, gradients, states = (list(column) for column in zip(*changed, strict=True))
                columns = {name: [own[name] for own in states] for name in self.kept}
                is_fused = True if parameters[0].device.type in FUSED else None
                self._change(
                    _Step(self.rate * group.share, group.weight_decay, parameters, gradients, columns, is_fused)
                )

    def tensors(self) -> dict[str, Tensor]:
        """All that is kept, by names, to go on from."""
        own = [each for state in self._state for each in state]
        return {f"{number}.{name}": tensor for number, each in enumerate(own) for name, tensor in each.items()}

    def restore(self, tensors: dict[str, Tensor], rate: float) -> None:
        """Go on from what `tensors` gave, and the rate then; layouts in memory stay those of the parameters."""
        self.rate = rate
        for name, own in self.tensors().items():
            own.copy_(tensors[name])

    @abstractmethod
    def _begun(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        """What is kept of a parameter before the first step."""

    @abstractmethod
    def _change(self, step: _Step) -> None:
        """Make a step of some parameters."""


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter, "Decoupled weight decay regularization", 2017).

    Args:
        groups, rate: as of `Optimizer`.
        betas: how much the means of the gradient and of its square keep of what they were.
    """

    kept = ("mean", "mean_square", "steps")

    def __init__(self, groups: Sequence[Group], rate: float, betas: tuple[float, float] = (0.9, 0.999)) -> None:
        super().__init__(groups, rate)
        self._betas = betas

    def _begun(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        place = parameter.device if parameter.device.type in FUSED else torch.device("cpu")
        steps = torch.zeros((), dtype=torch.float32, device=place)
        return {"mean": _zeros(parameter), "mean_square": _zeros(parameter), "steps": steps}

    def _change(self, step: _Step) -> None:
        adamw(
            step.parameters,
            step.gradients,
            step.kept["mean"],
            step.kept["mean_square"],
            [],
            step.kept["steps"],
            fused=step.is_fused,
            amsgrad=False,
            beta1=self._betas[0],
            beta2=self._betas[1],
            lr=step.rate,
            weight_decay=step.weight_decay,
            eps=1e-8,
            maximize=False,
        )


class Descent(Optimizer):
    """Gradient descent with momentum in the rule of AlexNet's paper: v <- m v - d e w - e g, w <- w + v.

    Torch's keeps b <- m b + (g + d w) and moves by -e b. With v = -e b both are one, as long as the rate e stays: where
    it changes, b is divided by as much as the rate is multiplied with, and the rule is the paper's.

    Args:
        groups, rate: as of `Optimizer`.
        momentum: m.
    """

    kept = ("velocity",)

    def __init__(self, groups: Sequence[Group], rate: float, momentum: float) -> None:
        super().__init__(groups, rate)
        self._momentum = momentum
        self.velocity_rate = rate

    @torch.no_grad()
    def step(self) -> None:
        """See `Optimizer.step`."""
        if self.rate != self.velocity_rate:
            for own in self.tensors().values():
                own.mul_(self.velocity_rate / self.rate)
            self.velocity_rate = self.rate
        super().step()

    def restore(self, tensors: dict[str, Tensor], rate: float) -> None:
        """See `Optimizer.restore`."""
        super().restore(tensors, rate)
        self.velocity_rate = rate

    def _begun(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        return {"velocity": _zeros(parameter)}

    def _change(self, step: _Step) -> None:
        velocities: list[Any] = step.kept["velocity"] if self._momentum else [None] * len(step.parameters)
        sgd(
            step.parameters,
            step.gradients,
            velocities,
            fused=step.is_fused,
            weight_decay=step.weight_decay,
            momentum=self._momentum,
            lr=step.rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )


def _zeros(parameter: nn.Parameter) -> Tensor:
    """Of its shape, and of its layout in memory: a fused step goes through both in one order."""
    return torch.zeros_like(parameter, requires_grad=False, memory_format=torch.preserve_format)


def optimizer_of(network: nn.Module, recipe: Recipe) -> Optimizer:
    """The optimizer of a recipe, for the parameters that are learnt.

    Weights decay; biases and the scales and shifts of normalisation, which are vectors, where the recipe says so.
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        Group([p for p in parameters if p.ndim > 1], recipe.weight_decay),
        Group([p for p in parameters if p.ndim <= 1], recipe.weight_decay if recipe.decays_vectors else 0.0),
    ]
    if recipe.optimizer == "adamw":
        return AdamW(groups, recipe.learning_rate, betas=(recipe.momentum, 0.999))
    return Descent(groups, recipe.learning_rate, recipe.momentum)


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
