"""The one interface behind which a network is run, whatever runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mirada.engine.program import Program

__all__ = ["Engine", "Outputs", "Tag"]

Tag = TypeVar("Tag")
Outputs = tuple[NDArray[np.floating], ...]
"""What a network gives for one image: float32 (K,), float16 (H, W, D)."""


class Engine(ABC):
    """Runs a program on prepared pixels.

    Attributes:
        program: what is run.
        name: what runs it, and how.
        note: a sentence for the person where it runs slower than it could; None otherwise.
    """

    name: str = ""
    note: str | None = None

    def __init__(self, program: Program) -> None:
        self.program = program

    @abstractmethod
    def stream(self, items: Iterable[tuple[Tag, NDArray[np.uint8] | None]]) -> Iterator[tuple[Tag, Outputs | None]]:
        """The outputs for images, in their order, several on their way at once.

        Args:
            items: what the caller knows an image by, and its pixels (h, w, C) uint8; None passes through as it is. Any
                iterable, also an endless one; it is taken a few items ahead.

        Yields:
            The tag, and the outputs.
        """

    def __call__(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.floating], ...]:
        """The outputs for a batch.

        Args:
            pixels: (N, h, w, C) uint8, N at least 1.

        Returns:
            One array (N, ...) an output.
        """
        rows = [outputs for _, outputs in self.stream((None, image) for image in pixels) if outputs is not None]
        return tuple(np.stack(column) for column in zip(*rows, strict=True))
