"""Words that are said in several places: on the terminal, in notes, in the report."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable

__all__ = [
    "counted",
    "duration",
    "known_words",
    "last_stages",
    "least_percent",
    "mean_of",
    "meant",
    "nearest_word",
    "nearest_words",
    "percent",
    "visible",
]

_KEPT = "\n\u200c\u200d"
"""Controls that are needed: the end of a line, and two joiners that emoji and several scripts are written with."""


def counted(count: int, noun: str) -> str:
    """How many there are, in words.

    >>> counted(1, "picture"), counted(2_000, "picture"), counted(2, "class")
    ('1 picture', '2,000 pictures', '2 classes')
    """
    return f"{count:,} {noun}{'' if count == 1 else 'es' if noun.endswith('s') else 's'}"


def last_stages(stages: int) -> str:
    """That many of them, in words."""
    return "the last stage" if stages == 1 else f"the last {stages} stages"


def mean_of(runs: int) -> str:
    """What is to be added to the name of a rung that is the mean of so many runs."""
    return f", mean of {runs} runs" if runs > 1 else ""


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(0.84), duration(45.9), duration(100), duration(9000)
    ('0.8 s', '46 s', '1.7 min', '2.5 h')
    """
    unit, size = ("s", 1) if seconds < 59.5 else ("min", 60) if seconds < 5_970 else ("h", 3_600)
    return f"{seconds / size:.{1 if seconds / size < 9.95 else 0}f} {unit}".replace(".0 ", " ")


def nearest_word(word: str, known: Iterable[str], least: float = 0.6) -> str | None:
    """The known word most like one that is not known; None where none is alike by at least so much of 1."""
    return next(iter(nearest_words(word, known, least, most=1)), None)


def nearest_words(word: str, known: Iterable[str], least: float = 0.6, most: int = 3) -> list[str]:
    """The known words most like one that is not known, the nearest first; capitals do not count.

    >>> nearest_words("Block.1", ["stem", "blocks.1", "blocks.2"])
    ['blocks.1', 'blocks.2']
    """
    import difflib  # costs milliseconds that only an error should pay

    folded = {each.casefold(): each for each in sorted(known)}
    return [folded[each] for each in difflib.get_close_matches(word.casefold(), folded, n=most, cutoff=least)]


def meant(word: str, known: Iterable[str], least: float = 0.6) -> str:
    """The end of a message about a word that is not known: which one may be meant, or nothing.

    >>> meant("vgg61", ["lenet5", "vgg16"]), meant("x", ["vgg16"])
    (" Did you mean 'vgg16'?", '')
    """
    near = nearest_word(word, known, least)
    return f" Did you mean {near!r}?" if near else ""


def known_words(word: str, known: Iterable[str]) -> str:
    """A line below such a message: which word may be meant, or else all there are.

    >>> known_words("vgg61", ["lenet5", "vgg16"]), known_words("x", ["lenet5", "vgg16"])
    ('did you mean vgg16?', 'known: lenet5, vgg16')
    """
    every = list(known)
    near = nearest_word(word, every)
    return f"did you mean {near}?" if near else f"known: {', '.join(every)}"


def least_percent(share: float) -> str:
    """A least share in percent, rounded down, so that no share that reaches it is shown as less.

    >>> least_percent(0.96072), least_percent(0.9599)
    ('96.0%', '95.9%')
    """
    return f"{math.floor(1_000 * share) / 10:.1f}%"


def visible(text: str) -> str:
    r"""The same text, with what cannot be written or would play tricks (half characters, controls) spelled out.

    >>> visible("a\u202eb\udcff")
    'a\\u202eb\\udcff'
    """
    if text.isprintable():
        return text
    return "".join(c.encode("unicode_escape").decode() if _is_odd(c) else c for c in text)


def _is_odd(character: str) -> bool:
    """Whether a character is a control, invisible, an odd end of a line, half of one, or not allowed in XML."""
    is_control = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in _KEPT
    return is_control or character in "\ufffe\uffff"


def percent(share: float) -> str:
    """A share, with as many digits as it takes not to say 0% or 100% of what is neither.

    >>> percent(0.8812), percent(0.9996), percent(0.99999), percent(1.0)
    ('88.1%', '99.96%', 'over 99.99%', '100.0%')
    """
    for digits in (1, 2):
        text = f"{100 * share:.{digits}f}"
        if share in (0, 1) or float(text) not in (0, 100):
            return f"{text}%"
    return "under 0.01%" if share < 0.5 else "over 99.99%"
