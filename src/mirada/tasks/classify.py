"""One class for a whole image: class scores, softmax, cross entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from mirada.annotations import Label
from mirada.tasks.task import Task

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Classify", "softmax"]


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Class scores (..., K) -> probabilities (..., K) that sum to 1, in float64: exp(s_k) / sum_j exp(s_j)."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)  # so that no exponential overflows
    exponentials = np.exp(shifted)
    probabilities: NDArray[np.float64] = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return probabilities


@final
@dataclass(frozen=True)
class Classify(Task):
    """One of K classes for each image; the network gives K class scores.

    Args:
        temperature: what class scores are divided by before they become probabilities, so that these are neither too
            sure nor too modest (Guo et al., "On calibration of modern neural networks", 2017, section 4.2).
        sure_from: the probability below which an answer should count as "not sure"; None where none is known.
    """

    kind: ClassVar[str] = "classify"
    temperature: float = 1.0
    sure_from: float | None = None

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross entropy: (N, K) scores and (N,) class ids, or shares (N, K), -> the mean of -log p of what is true."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(outputs, targets)

    def probabilities(self, outputs: NDArray[np.floating]) -> NDArray[np.float64]:
        """(..., K) scores -> calibrated probabilities (..., K)."""
        return softmax(outputs / self.temperature)

    def annotations(self, outputs: NDArray[np.floating], top: int) -> list[tuple[Label, ...]]:
        """(N, K) scores -> the `top` most probable classes of each image, the most probable first."""
        probabilities = self.probabilities(outputs)  # (N, K)
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        return [
            tuple(Label(self.class_names[k], int(k), float(row[k])) for k in best)
            for row, best in zip(probabilities, order, strict=True)
        ]

    def is_sure(self, label: Label) -> bool | None:
        """Whether an answer is as probable as it must be to be trusted; None where no such limit is known."""
        if self.sure_from is None or label.probability is None:
            return None
        return label.probability >= self.sure_from
