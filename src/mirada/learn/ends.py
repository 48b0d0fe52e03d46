"""The trained end of a network: as a rung begins it, as a model has it, and the model that it makes.

Does not know: how they are trained, what is better. Imports torch when the first is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mirada.backbone.body import Body
from mirada.learn.head import Head
from mirada.model import Model

if TYPE_CHECKING:
    from mirada.learn.tail import Tail

__all__ = ["Ends"]


class Ends:
    """Makes the tails of a network.

    Args:
        body: the pretrained network.
        mild_head: gives the head that training begins with.
    """

    def __init__(self, body: Body, mild_head: Callable[[], Head]) -> None:
        self._body, self._mild_head = body, mild_head

    def pretrained(self, stages: int) -> Tail:
        """The last stages as they were pretrained, with the mild head."""
        head = self._mild_head()
        return _made(self._body, stages, head.weight, head.bias)

    def of(self, model: Model, stages: int) -> Tail:
        """The last stages and the head of a model."""
        weight, bias = (np.asarray(model.state[f"head.{name}"], np.float32) for name in ("weight", "bias"))
        return _made(model.body, stages, weight, bias)

    def averaged(self, model: Model, tail: Tail, share: float) -> Tail:
        """The mean of a model's weights and a tail's, of which this share (Wortsman et al., "Model soups", 2022)."""
        import torch

        mean = self.of(model, len(tail.stages))
        with torch.no_grad():
            for parameter, other in zip(mean.parameters(), tail.parameters(), strict=True):
                parameter.lerp_(other, share)
        return mean

    def put_on(self, model: Model, tail: Tail) -> Model:
        """A model with the pretrained network and this tail in the place of its own."""
        state = self._body.state | tail.state()
        head = {f"head.{name}": p.detach().cpu().numpy().copy() for name, p in tail.head.named_parameters()}
        return replace(model, state={f"backbone.{name}": array for name, array in state.items()} | head)


def _made(body: Body, stages: int, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> Tail:
    from mirada.engine.precision import training_dtype
    from mirada.engine.torch_engine import default_device
    from mirada.learn.tail import Tail

    device = default_device()
    return Tail(body.stages[-stages:], weight, bias, training_dtype(device)).to(device)
