"""Several crops of a picture, and several networks, as one: their probabilities are averaged.

What comes out is the logarithm of the mean probability: softmax gives the mean back, and everything that is done with
class scores can be done with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Averaged", "TenCrops"]


class Averaged(nn.Module):
    """Networks whose answers are averaged: (N, C, h, w) -> (N, K), log((p_1 + ... + p_M) / M)."""

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        for number, member in enumerate(members):
            self.add_module(str(number), member)

    def forward(self, x: Tensor) -> Tensor:
        return _mean(torch.stack([functional.log_softmax(member(x), dim=1) for member in self.children()]))


class TenCrops(nn.Module):
    """A network that sees the four corners and the middle of a picture, and the mirror images of these five.

    (N, C, H, W) -> (N, K), the mean of the ten answers (Krizhevsky et al. 2012, section 4.1).

    Args:
        network: (N, C, h, w) -> (N, K).
        size_wh: w and h, at most W and H.
    """

    def __init__(self, network: nn.Module, size_wh: tuple[int, int]) -> None:
        super().__init__()
        self.network = network
        self.width, self.height = size_wh

    def forward(self, x: Tensor) -> Tensor:
        right, bottom = x.shape[3] - self.width, x.shape[2] - self.height
        answers = []
        for top, left in ((0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)):
            crop = x[:, :, top : top + self.height, left : left + self.width]
            answers += [functional.log_softmax(self.network(view), dim=1) for view in (crop, crop.flip(3))]
        return _mean(torch.stack(answers))


def _mean(logs: Tensor) -> Tensor:
    """(M, N, K) logarithms of probabilities -> (N, K), that of their mean."""
    return torch.logsumexp(logs, dim=0) - math.log(len(logs))
