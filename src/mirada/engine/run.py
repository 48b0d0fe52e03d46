"""Running a network on prepared pixels: uint8 in, numbers out, normalisation inside.

Batches come in a few sizes only, the last one filled up: oneDNN and its like keep a plan for each new shape and would
grow without end. In batches of one size an image gets the same numbers to the bit wherever it stands; between the sizes
they may differ in the last digits.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mirada.image import Preparation

__all__ = ["BATCH_SIZES", "TorchEngine", "default_device", "normalised"]

BATCH_SIZES = (1, 8)
"""The sizes a batch is filled up to. On a CPU 16 and 32 are no faster, and hold more activations in memory."""


def default_device() -> torch.device:
    """The fastest device that torch finds: CUDA, then Apple's, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def normalised(pixels: Tensor, preparation: Preparation) -> Tensor:
    """(N, h, w, C) uint8 -> (N, C, h, w) float32 in channels-last layout: pixels / 255, minus mean, by std."""
    mean = torch.tensor(preparation.mean, device=pixels.device)
    std = torch.tensor(preparation.std, device=pixels.device)
    return (pixels.to(torch.float32) / 255).sub_(mean).div_(std).permute(0, 3, 1, 2)  # (N, C, h, w), NHWC in memory


class TorchEngine:
    """Runs a module in torch.

    Args:
        module: takes (N, C, h, w) float32, gives (N, K).
        preparation: whose mean and std normalise the pixels.
        device: where to run; None for `default_device()`.
    """

    def __init__(self, module: nn.Module, preparation: Preparation, device: torch.device | None = None) -> None:
        self.device = device or default_device()
        self.preparation = preparation
        self.module = module.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The outputs for prepared pixels.

        Args:
            pixels: (N, h, w, C) uint8.

        Returns:
            (N, K) float32.
        """
        parts = [self._run(pixels[i : i + BATCH_SIZES[-1]]) for i in range(0, len(pixels), BATCH_SIZES[-1])]
        return np.concatenate(parts) if parts else self._run(pixels)

    def _run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        n = len(pixels)
        size = next(size for size in BATCH_SIZES if n <= size)
        filled = np.zeros((size, *pixels.shape[1:]), np.uint8)
        filled[:n] = pixels
        with torch.inference_mode():
            batch = torch.from_numpy(filled).to(self.device)
            outputs: NDArray[np.float32] = self.module(normalised(batch, self.preparation)).float().cpu().numpy()
        return outputs[:n]
