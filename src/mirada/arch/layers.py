"""One frozen description a layer: the volume it gives, its parameters, multiply-adds and window. Integers only.

What is counted: weights and biases that training changes (not running means); one multiply-add for each weight a
position uses. Pooling, normalisation and activations multiply nothing that is counted here.

```
Layer                 a name, and where in the listing it stands
├── Conv                K filters F x F over the whole depth, then batch norm and an activation where asked
├── Pool                the largest or the mean value under a window, each depth slice by itself
├── GlobalPool          the mean of each depth slice
├── LocalResponseNorm   AlexNet's normalisation across neighbouring filters
├── BatchNorm           mean 0, variance 1 over the batch, then scale and shift
├── FullyConnected      each neuron sees the whole volume
├── Dropout             in training, sets values to 0 at random
├── Activation          relu, tanh, ... by itself
├── SqueezeExcite       weighs each depth slice by what the whole volume holds
└── Residual, Parallel, Repeat   in `blocks`
```
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Literal, get_args

from mirada.arch.shapes import ONE, ZERO, Pair, Rounding, Volume, effective_filter
from mirada.arch.sliding import Refusal, slide, slide_sum
from mirada.arch.view import Window

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "ActivationName",
    "BatchNorm",
    "Conv",
    "Dropout",
    "FullyConnected",
    "GlobalPool",
    "Layer",
    "LocalResponseNorm",
    "Pool",
    "PoolKind",
    "SqueezeExcite",
]

ActivationName = Literal["relu", "relu6", "leaky-relu", "elu", "gelu", "silu", "hard-swish", "sigmoid", "tanh", "none"]
ACTIVATIONS: tuple[str, ...] = get_args(ActivationName)
PoolKind = Literal["max", "avg"]


@dataclass(frozen=True)
class Layer(ABC):
    """One line of a listing.

    Args:
        name: as in the listing, for example `CONV1` or `MAX POOL2`; unique among its neighbours.
        line: the line of the listing it comes from, from 1; does not count in comparisons.
        claim: the volume the listing says it gives; does not count in comparisons.
    """

    name: str
    line: int | None = field(default=None, compare=False, repr=False, kw_only=True)
    claim: Volume | None = field(default=None, compare=False, repr=False, kw_only=True)

    @property
    def module_name(self) -> str:
        """The name of the torch module built from it: blanks become underscores."""
        return self.name.replace(" ", "_")

    @abstractmethod
    def volume(self, given: Volume) -> Volume:
        """The volume it makes of `given`. Raises `Refusal` where it does not fit."""

    def parameters(self, given: Volume) -> int:
        """How many numbers training changes."""
        return 0

    def multiply_adds(self, given: Volume) -> int:
        """Multiplications, each with its addition, for one image."""
        return 0

    def window(self, given: Volume) -> Window:
        """What one of its values looks at in `given`: what the receptive field grows by."""
        return Window()

    def size_sum(self, given: Volume) -> str | None:
        """The sum behind the width of its volume, with its numbers; None where nothing is computed."""
        return None

    def parameters_sum(self, given: Volume) -> str | None:
        """The sum behind its parameters, with its numbers; None where it has none."""
        return None

    def dense_weights(self, given: Volume) -> int | None:
        """The weights that a fully connected layer between the same two volumes would need; None where it has none."""
        return given.size * self.volume(given).size if self.parameters_sum(given) else None


@dataclass(frozen=True)
class Conv(Layer):
    """K filters of F x F over the whole depth D1: (F F D1) K + K parameters.

    With `groups` each filter sees D1/groups of the depth. With `batch_norm` a batch normalisation follows, and the
    bias is left out unless it is asked for, since the shift takes its place (Ioffe and Szegedy 2015, section 3.2).
    """

    filters: int
    kernel: Pair
    stride: Pair = ONE
    pad: Pair = ZERO
    groups: int = 1
    dilation: Pair = ONE
    bias: bool = True
    batch_norm: bool = False
    activation: ActivationName = "relu"
    rounding: Rounding = "exact"

    def volume(self, given: Volume) -> Volume:
        if given.depth % self.groups or self.filters % self.groups:
            raise Refusal(
                "cannot be split into its groups",
                f"{self.groups} groups must divide both the depth of the input, {given.depth}, and the number of "
                f"filters, {self.filters}",
                f"fits: groups {' or '.join(map(str, _common_divisors(given.depth, self.filters, self.groups)))}",
            )
        width, height = slide(given, self._effective, self.stride, self.pad, self.rounding, self.dilation)
        return Volume(width, height, self.filters)

    def parameters(self, given: Volume) -> int:
        return (self._filter_weights(given) + self.bias + 2 * self.batch_norm) * self.filters

    def multiply_adds(self, given: Volume) -> int:
        return self._filter_weights(given) * self.volume(given).size

    def window(self, given: Volume) -> Window:
        return Window(self._effective, self.stride, self.pad)

    def size_sum(self, given: Volume) -> str:
        sum_ = slide_sum(given, self._effective, self.stride, self.pad, self.volume(given))
        if self.dilation == ONE:
            return sum_
        return f"a {self.kernel} filter of dilation {self.dilation.short} covers {self._effective}: {sum_}"

    def parameters_sum(self, given: Volume) -> str:
        F, K, D = self.kernel, self.filters, given.depth
        depth = str(D) if self.groups == 1 else f"{D}/{self.groups}"
        terms = [f"({F.w}*{F.h}*{depth})*{K}", *([str(K)] * self.bias), *([f"2*{K}"] * self.batch_norm)]
        return " + ".join(terms)

    @property
    def _effective(self) -> Pair:
        return Pair(effective_filter(self.kernel.w, self.dilation.w), effective_filter(self.kernel.h, self.dilation.h))

    def _filter_weights(self, given: Volume) -> int:
        return self.kernel.w * self.kernel.h * (given.depth // self.groups)


@dataclass(frozen=True)
class Pool(Layer):
    """The largest (`max`) or the mean (`avg`) value under a window. No parameters.

    A mean counts padded zeros, but not what hangs over the padded edge where rounding is `ceil`.
    """

    kind: PoolKind
    kernel: Pair
    stride: Pair
    pad: Pair = ZERO
    rounding: Rounding = "exact"

    def volume(self, given: Volume) -> Volume:
        F, P = self.kernel, self.pad
        if 2 * P.w > F.w or 2 * P.h > F.h:
            raise Refusal(
                "is padded by more than half its filter",
                f"with pad {P.short} and filter {F} a window could lie on padding alone",
                f"fits: pad up to {min(F) // 2}",
            )
        width, height = slide(given, F, self.stride, P, self.rounding, is_pool=True)
        return Volume(width, height, given.depth)

    def window(self, given: Volume) -> Window:
        return Window(self.kernel, self.stride, self.pad)

    def size_sum(self, given: Volume) -> str:
        return slide_sum(given, self.kernel, self.stride, self.pad, self.volume(given))


@dataclass(frozen=True)
class GlobalPool(Layer):
    """The mean of each depth slice (Lin, Chen and Yan, "Network in network", 2013). No parameters."""

    def volume(self, given: Volume) -> Volume:
        return Volume(1, 1, given.depth)

    def window(self, given: Volume) -> Window:
        return Window(filter=None)


@dataclass(frozen=True)
class LocalResponseNorm(Layer):
    """b_i = a_i / (k + alpha sum_j a_j^2)^beta over the n filters around i (Krizhevsky et al. 2012, section 3.3)."""

    n: int = 5
    k: float = 2.0
    alpha: float = 1e-4
    beta: float = 0.75

    def volume(self, given: Volume) -> Volume:
        return given


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Mean 0 and variance 1 over the batch, then a learnt scale and shift: 2 D parameters (Ioffe and Szegedy 2015)."""

    activation: ActivationName = "none"

    def volume(self, given: Volume) -> Volume:
        return given

    def parameters(self, given: Volume) -> int:
        return 2 * given.depth

    def parameters_sum(self, given: Volume) -> str:
        return f"2*{given.depth}"

    def dense_weights(self, given: Volume) -> None:
        return None


@dataclass(frozen=True)
class FullyConnected(Layer):
    """Each of the neurons sees the whole volume: (W H D) K + K parameters."""

    neurons: int
    bias: bool = True
    activation: ActivationName = "relu"

    def volume(self, given: Volume) -> Volume:
        return Volume(1, 1, self.neurons)

    def parameters(self, given: Volume) -> int:
        return (given.size + self.bias) * self.neurons

    def multiply_adds(self, given: Volume) -> int:
        return given.size * self.neurons

    def window(self, given: Volume) -> Window:
        return Window(filter=None)

    def parameters_sum(self, given: Volume) -> str:
        seen = str(given.depth) if given.is_vector else f"({given.width}*{given.height}*{given.depth})"
        return f"{seen}*{self.neurons}" + f" + {self.neurons}" * self.bias


@dataclass(frozen=True)
class Dropout(Layer):
    """In training each value is 0 with probability `rate`, the others are scaled up (Srivastava et al. 2014)."""

    rate: float = 0.5

    def volume(self, given: Volume) -> Volume:
        return given


@dataclass(frozen=True)
class Activation(Layer):
    """A function of each value by itself."""

    function: ActivationName = "relu"

    def volume(self, given: Volume) -> Volume:
        return given


@dataclass(frozen=True)
class SqueezeExcite(Layer):
    """Scales each depth slice by sigmoid(W2 relu(W1 mean)), W1 from D to D/reduction (Hu et al. 2017, section 3)."""

    reduction: int = 16

    def volume(self, given: Volume) -> Volume:
        if given.depth % self.reduction:
            raise Refusal(
                "cannot reduce its input",
                f"the depth {given.depth} is not a multiple of the reduction {self.reduction}",
                f"fits: reduction {' or '.join(map(str, _common_divisors(given.depth, 0, self.reduction)))}",
            )
        return given

    def parameters(self, given: Volume) -> int:
        D, R = given.depth, given.depth // self.reduction
        return D * R + R + R * D + D

    def multiply_adds(self, given: Volume) -> int:
        D, R = given.depth, given.depth // self.reduction
        return 2 * D * R + given.size

    def window(self, given: Volume) -> Window:
        return Window(filter=None)

    def parameters_sum(self, given: Volume) -> str:
        D, R = given.depth, given.depth // self.reduction
        return f"{D}*{R} + {R} + {R}*{D} + {D}"

    def dense_weights(self, given: Volume) -> None:
        return None


def _common_divisors(a: int, b: int, near: int, most: int = 3) -> list[int]:
    """The common divisors of a and b nearest to a number, in rising order."""
    found = [n for n in range(1, a + 1) if a % n == 0 and b % n == 0]
    return sorted(sorted(found, key=lambda n: abs(n - near))[:most])
