"""Activation maps -> one vector: how the places of a picture are put together.

| written | (N, D, H, W) -> | what it keeps |
|---|---|---|
| `mean` | (N, D) | what is in the picture, wherever it is |
| `middle` | (N, D) | the same, the middle counting more: a Gaussian, its standard deviation half of the half-width |
| `gem` | (N, D) | the same, strong activations counting more: the cubic mean (Radenovic et al. 2018, equation 3) |
| `grid3`, `grid7` | (N, 9 D), (N, 49 D) | what is where: the mean of each of 3 x 3 or 7 x 7 cells, row by row |

What has no places, (N, K), stays as it is.

Does not know: which layer, what is done with the vector.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mirada.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["POOLINGS", "pooled"]

POOLINGS: Final = ("mean", "middle", "gem", "grid3", "grid7")
SPREAD: Final = 0.5
"""Standard deviation of `middle`, where the edge of the picture is 1 from its centre."""
POWER: Final = 3


def pooled(module: nn.Module, poolings: Sequence[str]) -> nn.Module:
    """A module that pools each output of another, which gives a tuple.

    Raises:
        UsageError: there is no such pooling.
    """
    from torch import nn

    if unknown := [pooling for pooling in poolings if pooling not in POOLINGS]:
        raise UsageError(f"there is no pooling {unknown[0]!r}; there are {', '.join(POOLINGS)}")

    class Pooled(nn.Module):
        """Runs the module, and pools."""

        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            outputs = self.module(x)
            return tuple(_pool(output, pooling) for output, pooling in zip(outputs, poolings, strict=True))

    return Pooled()


def _pool(x: Tensor, pooling: str) -> Tensor:
    if x.dim() != 4:
        return x.flatten(1)
    if pooling == "mean":
        return x.mean((2, 3))
    if pooling == "gem":
        return x.clamp(min=1e-6).pow(POWER).mean((2, 3)).pow(1 / POWER)
    if pooling == "middle":
        return (x * _gaussian(x)).sum((2, 3))
    from torch.nn.functional import adaptive_avg_pool2d

    return adaptive_avg_pool2d(x, int(pooling.removeprefix("grid"))).permute(0, 2, 3, 1).flatten(1)  # (N, g g D)


def _gaussian(x: Tensor) -> Tensor:
    """Weights of the places of maps (N, D, H, W) that sum to 1: (H, W)."""
    import torch

    rows, columns = (
        torch.tensor([math.exp(-0.5 * ((2 * i + 1) / n - 1) ** 2 / SPREAD**2) for i in range(n)], dtype=x.dtype)
        for n in x.shape[2:]
    )
    weights = rows[:, None] * columns[None, :]
    return (weights / weights.sum()).to(x.device)
