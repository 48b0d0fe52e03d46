"""The arithmetic of volumes: integers in, integers out, no framework.

A layer that slides a window of F over an input of W, padded by P on both sides, at stride S, gives
(W - F + 2P)/S + 1 values (Dumoulin and Visin, "A guide to convolution arithmetic", 2016). Where that is not whole,
`floor` leaves out what is over at the right and bottom, `ceil` lets the last window hang over the edge, and `exact`,
the default of a listing, refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

__all__ = ["ONE", "ZERO", "Misfit", "Pair", "Rounding", "Volume", "effective_filter", "fitting_values", "output_size"]

Rounding = Literal["exact", "floor", "ceil"]

_SEARCH = 4096
"""How far from the given value `fitting_values` looks for one that fits."""


class Pair(NamedTuple):
    """A width and a height: the size of a filter, a stride, a padding."""

    w: int
    h: int

    def __str__(self) -> str:
        return f"{self.w}x{self.h}"

    @property
    def short(self) -> str:
        """One number where both are the same: `3`, else `3x1`."""
        return str(self.w) if self.w == self.h else str(self)


ONE = Pair(1, 1)
ZERO = Pair(0, 0)


@dataclass(frozen=True, slots=True, order=True)
class Volume:
    """Width x height x depth of what lies between two layers. A vector of n numbers is 1 x 1 x n.

    >>> Volume(55, 55, 96).size
    290400
    >>> str(Volume(55, 55, 96)), str(Volume(1, 1, 4096))
    ('55x55x96', '4096')
    """

    width: int
    height: int
    depth: int

    def __post_init__(self) -> None:
        if min(self.width, self.height, self.depth) < 1:
            raise ValueError(f"a volume has positive sides, got {self.width}x{self.height}x{self.depth}")

    @property
    def size(self) -> int:
        """How many numbers it holds for one image."""
        return self.width * self.height * self.depth

    @property
    def is_vector(self) -> bool:
        """Whether it has no extent in space."""
        return self.width == self.height == 1

    def __str__(self) -> str:
        return str(self.depth) if self.is_vector else f"{self.width}x{self.height}x{self.depth}"


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a window does not fit: the sum, what it loses, and what would fit.

    Attributes:
        span: W - F + 2P, what the window can move over; negative where the window is larger than its input.
        remainder: what is over after the last whole step.
    """

    W: int
    F: int
    S: int
    P: int
    span: int
    remainder: int

    @property
    def is_too_large(self) -> bool:
        """Whether the window is larger than its padded input."""
        return self.span < 0

    @property
    def sum(self) -> str:
        """The sum with its numbers.

        >>> output_size(224, 11, 4, 0).sum
        '(W - F + 2P)/S + 1 = (224 - 11 + 2*0)/4 + 1 = 54.25'
        """
        value = self.span / self.S + 1
        return f"(W - F + 2P)/S + 1 = ({self.W} - {self.F} + 2*{self.P})/{self.S} + 1 = {value:.6g}"


def effective_filter(F: int, dilation: int) -> int:
    """The extent of a filter of F whose taps lie `dilation` apart: dilation (F - 1) + 1.

    >>> effective_filter(3, 2)
    5
    """
    return dilation * (F - 1) + 1


def output_size(W: int, F: int, S: int, P: int, rounding: Rounding = "exact") -> int | Misfit:
    """The number of places a window takes along one side, or why it does not fit.

    Args:
        W: the input along this side.
        F: the (effective) filter.
        S: the stride.
        P: zero padding on each of the two ends.
        rounding: what to do where (W - F + 2P)/S is not whole. With `ceil` a window must still begin inside the input
            or its left padding, as in Caffe and torch.

    >>> output_size(227, 11, 4, 0)
    55
    >>> output_size(112, 3, 2, 1, "floor"), output_size(112, 3, 2, 0, "ceil")
    (56, 56)
    """
    span = W - F + 2 * P
    steps, remainder = divmod(span, S)
    if span < 0 or (remainder and rounding == "exact"):
        return Misfit(W, F, S, P, span, remainder)
    if remainder and rounding == "ceil" and (steps + 1) * S < W + P:
        return steps + 2
    return steps + 1


def fitting_values(misfit: Misfit, dilation: int = 1, *, is_pool: bool = False) -> dict[str, list[int]]:
    """The nearest values of each of the four numbers that fit, the other three kept; at most two each.

    Input and filter come nearest first, strides and paddings in rising order; a number that no value of mends is left
    out.

    Args:
        misfit: what does not fit.
        dilation: the filters named are those that are written, not what they cover.
        is_pool: whether the padding must stay within half the filter.

    >>> fitting_values(output_size(224, 11, 4, 0))
    {'input': [223, 227], 'filter': [12, 8], 'stride': [1, 3]}
    """
    W, F, S, P = misfit.W, misfit.F, misfit.S, misfit.P

    def fits(W: int, F: int, S: int, P: int) -> bool:
        return isinstance(output_size(W, F, S, P), int) and not (is_pool and 2 * P > F)

    found = {
        "input": _nearest(W, lambda w: fits(w, F, S, P), range(1, W + _SEARCH)),
        "filter": _nearest(
            (F - 1) // dilation + 1,
            lambda f: fits(W, effective_filter(f, dilation), S, P),
            range(1, min(W + 2 * P, F + _SEARCH) + 1),
        ),
        "stride": sorted(_nearest(S, lambda s: fits(W, F, s, P), range(1, max(misfit.span, 0) + 1))),
        "pad": sorted(_nearest(P, lambda p: fits(W, F, S, p), range(0, F))),
    }
    return {name: values for name, values in found.items() if values}


def _nearest(start: int, fits: Callable[[int], bool], allowed: range, most: int = 2) -> list[int]:
    """The `most` values of `allowed` nearest to `start` for which `fits` holds, nearest first."""
    found: list[int] = []
    for value in _outwards(start, allowed):
        if fits(value):
            found.append(value)
            if len(found) == most:
                break
    return found


def _outwards(start: int, allowed: range) -> Iterator[int]:
    around: Iterable[int] = (start + sign * d for d in range(1, _SEARCH + 1) for sign in (-1, 1))
    return (value for value in around if value in allowed)
