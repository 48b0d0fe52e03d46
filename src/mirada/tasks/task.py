"""What is asked of an image: how a network's outputs are judged in training, and what they say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from mirada.annotations import Label

__all__ = ["Task"]


@dataclass(frozen=True)
class Task(ABC):
    """One of the jobs.

    Args:
        class_names: sorted; the place of a name is its class id.
    """

    kind: ClassVar[str]
    class_names: tuple[str, ...]

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar."""

    @abstractmethod
    def annotations(self, outputs: NDArray[np.floating], top: int) -> list[tuple[Label, ...]]:
        """What the outputs for a batch say, the `top` surest answers of each image first."""
