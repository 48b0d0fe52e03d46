"""A window sliding over both sides of a volume: the sizes it gives, and the refusal that says what would fit."""

from __future__ import annotations

from mirada.arch.shapes import ONE, Misfit, Pair, Rounding, Volume, fitting_values, output_size

__all__ = ["Refusal", "slide", "slide_sum"]


class Refusal(Exception):
    """Why a layer refuses its input, in lines for a person. `Architecture.walk` adds the layer, the file and the line.

    Attributes:
        headline: what is wrong, to be read after the layer's name.
        details: the sum, and what would fit.
    """

    def __init__(self, headline: str, *details: str) -> None:
        super().__init__(headline, *details)
        self.headline = headline
        self.details = details


def slide(
    given: Volume, F: Pair, S: Pair, P: Pair, rounding: Rounding, dilation: Pair = ONE, *, is_pool: bool = False
) -> tuple[int, int]:
    """The width and height that a sliding window gives, or a `Refusal` with the sum and what would fit."""
    sides = []
    both = ("width", "height"), (given.width, given.height), F, S, P, dilation
    for side, W, f, s, p, d in zip(*both, strict=True):
        size = output_size(W, f, s, p, rounding)
        if isinstance(size, Misfit):
            where = "" if given.width == given.height and F.w == F.h and S.w == S.h and P.w == P.h else side
            raise _misfit_refusal(size, where, fitting_values(size, d, is_pool=is_pool))
        sides.append(size)
    return sides[0], sides[1]


def _misfit_refusal(misfit: Misfit, side: str, fitting: dict[str, list[int]]) -> Refusal:
    fits = [f"{name} {' or '.join(map(str, values))}" for name, values in fitting.items()]
    if misfit.is_too_large:
        padded = misfit.W + 2 * misfit.P
        counted = f"{misfit.W} + 2*{misfit.P} = {padded}" if misfit.P else str(misfit.W)
        return Refusal(
            "has a filter larger than its input",
            f"{side or 'side'}: the filter covers {misfit.F}, the {'padded ' if misfit.P else ''}input has {counted}",
            "fits: " + " · ".join(fits),
        )
    floor = misfit.span // misfit.S + 1
    on_padding = misfit.remainder <= misfit.P
    kind = "of the padding " if on_padding else ""
    unread = {
        "": f"the last {_count(misfit.remainder, 'column and row', 'columns and rows')} {kind}would never be read",
        "width": f"the last {_count(misfit.remainder, 'column', 'columns')} {kind}would never be read",
        "height": f"the last {_count(misfit.remainder, 'row', 'rows')} {kind}would never be read",
    }[side]
    fits.append(f"rounding: floor (gives {floor}, drops {misfit.remainder})")
    return Refusal(
        "does not fit its input",
        f"{side + ': ' if side else ''}{misfit.sum} is not whole: {unread}",
        "fits: " + " · ".join(fits),
    )


def _count(n: int, one: str, many: str) -> str:
    return one if n == 1 else f"{n} {many}"


def slide_sum(given: Volume, F: Pair, S: Pair, P: Pair, out: Volume) -> str:
    """The sum of the width, and of the height where it differs, with the result. F is the effective filter."""
    width = f"({given.width} - {F.w} + 2*{P.w})/{S.w} + 1 = {_result(given.width, F.w, S.w, P.w, out.width)}"
    height = f"({given.height} - {F.h} + 2*{P.h})/{S.h} + 1 = {_result(given.height, F.h, S.h, P.h, out.height)}"
    return width if width == height else f"{width}; {height}"


def _result(W: int, F: int, S: int, P: int, out: int) -> str:
    exact = (W - F + 2 * P) / S + 1
    return str(out) if exact == out else f"{exact:.6g} -> {out}"
