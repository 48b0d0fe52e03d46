"""Words that are said in several places: on the terminal, in notes, in the report."""

from __future__ import annotations

__all__ = ["duration", "last_stages"]


def last_stages(stages: int) -> str:
    """That many of them, in words."""
    return "the last stage" if stages == 1 else f"the last {stages} stages"


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(0.84), duration(45.9), duration(100), duration(9000)
    ('0.8 s', '46 s', '1.7 min', '2.5 h')
    """
    unit, size = ("s", 1) if seconds < 59.5 else ("min", 60) if seconds < 5_970 else ("h", 3_600)
    return f"{seconds / size:.{1 if seconds / size < 9.95 else 0}f} {unit}".replace(".0 ", " ")
