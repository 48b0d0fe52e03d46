"""COCO's compressed text of runs -> their lengths (`rleFrString` of the COCO API, maskApi.c).

Six bits a letter, counted from "0": five of a number's bits, the lowest first, and one that says that more follow. The
highest bit of the last five is the sign. From the fourth on, a number is the difference from the one two before it.
"""

from __future__ import annotations

__all__ = ["runs_of"]


def runs_of(text: str) -> tuple[int, ...]:
    """The lengths of runs, first of pixels outside.

    Raises ValueError where the text cannot be understood.

    >>> runs_of("52203")  # 5, 2, 2, 2 + 0, 2 + 3
    (5, 2, 2, 2, 5)
    """
    runs: list[int] = []
    value, shift = 0, 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"the letter {letter!r} cannot stand in counts")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            if shift > 60:
                raise ValueError("a number in counts has no end")
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise ValueError("counts is cut short")
    return tuple(runs)
