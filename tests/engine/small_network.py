"""A small network, its program, and the numbers that are right for it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mirada.engine import Engine, Program
from mirada.image import Preparation

PREPARATION = Preparation((40, 32), "crop", 1.2, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
CPU = torch.device("cpu")


class Network(nn.Module):
    """Gives an activation map (N, 6, 16, 20) and features (N, 7)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.Conv2d(6, 9, 3, groups=3)
        self.last = nn.Linear(9, 7)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.first(x).relu()
        return maps, self.last(self.second(maps).relu().mean((2, 3)))


def built() -> nn.Module:
    torch.manual_seed(0)
    return Network().eval()


def program_of(name: str, multiply_adds: int | None = None) -> Program:
    return Program(name, {"of": name}, PREPARATION, built, multiply_adds)


def pixels_of(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 40, 3), dtype=np.uint8)


def right_of(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.floating], ...]:
    """The network on pixels that NumPy normalised, one image at a time."""
    network = built()
    with torch.inference_mode():
        each = [network(torch.from_numpy(PREPARATION.normalise(image[None]))) for image in pixels]
    maps = np.concatenate([maps.permute(0, 2, 3, 1).numpy() for maps, _ in each])
    return maps, np.concatenate([features.numpy() for _, features in each])


def assert_gives_the_right_numbers(engine: Engine) -> None:
    pixels = pixels_of(5, seed=9)
    for found, wanted in zip(engine(pixels), right_of(pixels), strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-3 * float(np.abs(wanted).max()))
