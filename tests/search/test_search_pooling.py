"""Pooling against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mirada.errors import UsageError
from mirada.search.pooling import POOLINGS, pooled


class Twice(nn.Module):
    """Maps, and numbers without places."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x.flatten(1)[:, :7]


@pytest.fixture
def maps() -> np.ndarray:
    return np.random.default_rng(0).random((2, 5, 14, 21), dtype=np.float32)


def by_numpy(maps: np.ndarray, pooling: str) -> np.ndarray:
    if pooling == "mean":
        return maps.mean((2, 3))
    if pooling == "gem":
        return np.cbrt((maps**3).mean((2, 3)))
    if pooling == "middle":
        rows, columns = (np.exp(-0.5 * (((np.arange(n) + 0.5) / n * 2 - 1) / 0.5) ** 2) for n in maps.shape[2:])
        weights = np.outer(rows, columns)
        return (maps * weights).sum((2, 3)) / weights.sum()
    side = int(pooling.removeprefix("grid"))
    cells = [np.array_split(half, side, axis=3) for half in np.array_split(maps, side, axis=2)]
    return np.concatenate([cell.mean((2, 3)) for row in cells for cell in row], axis=1)


@pytest.mark.parametrize("pooling", [name for name in POOLINGS if name != "grid3"])
def test_as_numpy_pools(maps: np.ndarray, pooling: str) -> None:
    found, flat = pooled(Twice(), [pooling, pooling])(torch.from_numpy(maps))
    assert np.allclose(found.numpy(), by_numpy(maps, pooling), atol=1e-5)
    assert flat.shape == (2, 7)  # what has no places stays as it is


def test_what_does_not_vary_stays() -> None:
    even = torch.full((1, 3, 6, 9), 0.25)
    for pooling in POOLINGS:
        assert torch.allclose(pooled(Twice(), [pooling, pooling])(even)[0], torch.tensor(0.25))


def test_there_is_no_such_pooling() -> None:
    with pytest.raises(UsageError, match="there is no pooling 'max'; there are mean, middle, gem, grid3, grid7"):
        pooled(nn.Identity(), ["max"])
