"""Running a network in torch: the reference that every other engine is compared with, and the way on a GPU.

Batches come in a few sizes only, the last one filled up: oneDNN and its like keep a plan for each new shape and would
grow without end. In batches of one size an image gets the same numbers to the bit wherever it stands; between the sizes
they may differ in the last digits.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mirada.engine.engine import Engine, Outputs, Tag
from mirada.engine.process import LITTLE_NETWORK
from mirada.engine.program import Program
from mirada.image import Preparation

__all__ = ["BATCH_SIZES", "LITTLE_BATCH_SIZES", "FromPixels", "TorchEngine", "default_device", "normalised"]

BATCH_SIZES = (1, 8)
"""The sizes a batch is filled up to. On a CPU 16 and 32 are no faster, and hold more activations in memory."""
LITTLE_BATCH_SIZES = (1, 8, 64)
"""Those of little networks, of which a batch of 8 spends most of its time between the layers."""


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
    return (pixels.to(torch.float32) / 255).sub(mean).div(std).permute(0, 3, 1, 2)  # (N, C, h, w), NHWC in memory


class FromPixels(nn.Module):
    """A network that takes prepared pixels: (N, h, w, C) uint8 -> a tuple of float32 (N, K) and float16 (N, H, W, D).

    Activation maps are given in half precision, with their channels last: they are kept by the thousand.
    """

    def __init__(self, module: nn.Module, preparation: Preparation) -> None:
        super().__init__()
        self.module = module
        self.preparation = preparation

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        outputs = self.module(normalised(pixels, self.preparation))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return tuple(y.permute(0, 2, 3, 1).to(torch.float16) if y.ndim == 4 else y.float() for y in outputs)


class TorchEngine(Engine):
    """Runs a program in torch, in float32.

    Args:
        program: what to run.
        module: what `program.build()` gave, where it was called already.
        device: where to run; None for `default_device()`.
    """

    name = "torch float32"

    def __init__(self, program: Program, module: nn.Module | None = None, device: torch.device | None = None) -> None:
        super().__init__(program)
        self._sizes = LITTLE_BATCH_SIZES if _is_little(program.multiply_adds) else BATCH_SIZES
        self.device = device or default_device()
        module = program.build() if module is None else module
        if self.device.type != "cpu":  # the stages that are trained on are made of the same parameters
            module = copy.deepcopy(module)
        placed = module.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._module = FromPixels(placed, program.preparation).eval()

    def stream(self, items: Iterable[tuple[Tag, NDArray[np.uint8] | None]]) -> Iterator[tuple[Tag, Outputs | None]]:
        """See `Engine.stream`. Images go through in batches."""
        iterator = iter(items)
        while batch := list(itertools.islice(iterator, self._sizes[-1])):
            images = [pixels for _, pixels in batch if pixels is not None]
            outputs = zip(*self._run(np.stack(images)), strict=True) if images else iter(())
            for tag, pixels in batch:
                yield tag, None if pixels is None else next(outputs)

    def __call__(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.floating], ...]:
        """See `Engine.__call__`."""
        most = self._sizes[-1]
        parts = [self._run(pixels[i : i + most]) for i in range(0, len(pixels), most)]
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def on_cpu(self) -> nn.Module:
        """The module with its normalisation, (N, h, w, C) uint8 -> a tuple of tensors, to convert."""
        return self._module.to("cpu")

    def _run(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.floating], ...]:
        """The outputs for a few images, filled up to one of the sizes."""
        n = len(pixels)
        size = next(size for size in self._sizes if n <= size)
        filled = np.zeros((size, *pixels.shape[1:]), np.uint8)
        filled[:n] = pixels
        with torch.inference_mode():
            outputs = self._module(torch.from_numpy(filled).to(self.device))
            return tuple(output.cpu().numpy()[:n] for output in outputs)


def _is_little(multiply_adds: int | None) -> bool:
    """Of one image: whether eight of them are little work."""
    return multiply_adds is not None and multiply_adds * BATCH_SIZES[-1] < LITTLE_NETWORK
