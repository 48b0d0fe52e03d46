"""The words behind a layer's name, read from left to right, each complaint pointing at its word."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import NoReturn

from mirada.arch.layers import ACTIVATIONS, ActivationName
from mirada.arch.shapes import Pair, Rounding
from mirada.words import known_words

__all__ = ["SIZE", "Words"]

_TOKEN = re.compile(r"\(([^)]*)\)|[^\s,;:]+")
SIZE = re.compile(r"(\d+)[x×*](\d+)", re.IGNORECASE)
_MOST = 10**6
_FILLING = ("at", "with", "of", "and", "a", "an", "the", "layer", "by")


class Words:
    """The words of one line, read from left to right.

    Args:
        text: what stands behind the layer's name.
        fail: raises for a word, with what is wrong and what to do.
    """

    def __init__(self, text: str, fail: Callable[[str | None, str, str], NoReturn]) -> None:
        self.fail = fail
        self._rest = [m.group() for m in _TOKEN.finditer(text) if m[1] is None]
        self._said: set[str] = set()

    def next(self) -> str | None:
        """The next word that says something, in lower case; None at the end."""
        while self._rest:
            word = self._rest.pop(0).lower()
            if word not in _FILLING:
                return word
        return None

    def peek(self) -> str | None:
        """The next word, left in its place."""
        return self._rest[0].lower() if self._rest else None

    def skip(self, *words: str) -> None:
        """Pass over the next word where it is one of these."""
        if self.peek() in words:
            self._rest.pop(0)

    def value(self, option: str, example: str = "2") -> str:
        """The word behind an option that needs one. Refuses an option that is said twice."""
        if option in self._said:
            self.fail(option, f"{option} is said twice", "leave one of the two out")
        if option != "no":
            self._said.add(option)
        word = self.next()
        if word is None:
            self.fail(option, f"{option} has no value", f"write one, such as {option} {example}")
        return word

    def integer(self, word: str, what: str, least: int = 1, most: int = _MOST) -> int:
        """A word as a whole number from `least` to `most`."""
        if not re.fullmatch(r"\d{1,9}", word) or not least <= int(word) <= most:
            self.fail(
                word, f"{what} {word} is not a whole number from {least} to {most:,}", f"write {what} as a number"
            )
        return int(word)

    def number(self, word: str, what: str) -> float:
        """A word as a decimal number."""
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self.fail(word, f"{what} {word} is not a number", f"write {what} as a number")
        return value

    def pair(self, word: str, what: str, least: int = 1) -> Pair:
        """`3` or `3x1`."""
        if size := SIZE.fullmatch(word):
            return Pair(self.integer(size[1], what, least), self.integer(size[2], what, least))
        both = self.integer(word, what, least)
        return Pair(both, both)

    def rounding(self) -> Rounding:
        """The word behind `rounding`."""
        word = self.value("rounding", "floor")
        if word not in ("exact", "floor", "ceil"):
            self.fail(word, f"{word!r} is not a rounding", "known: exact, floor, ceil")
        return word  # type: ignore[return-value]

    def unknown(self, word: str, known: Sequence[str]) -> NoReturn:
        """Refuse a word, naming the nearest known one."""
        self.fail(word, f"{word!r} is not understood here", known_words(word, known))

    def once(self, what: str, word: str) -> None:
        """Refuse a second word for the same thing."""
        if what in self._said:
            self.fail(word, f"{what} is said twice", "leave one of the two out")
        self._said.add(what)

    def activation_only(self, unsaid: ActivationName, *filling: str) -> ActivationName:
        """An activation or nothing."""
        activation = unsaid
        while (word := self.next()) is not None:
            if word not in filling:
                self.once("the activation", word)
            if word == "no" and self.peek() == "activation":
                self.next()
                activation = "none"
            elif word == "linear":
                activation = "none"
            elif word in ACTIVATIONS:
                activation = word  # type: ignore[assignment]
            elif word not in filling:
                self.unknown(word, ("no activation", *ACTIVATIONS))
        return activation

    def nothing(self, *filling: str) -> None:
        """Nothing but words that only fill."""
        while (word := self.next()) is not None:
            if word not in filling:
                self.unknown(word, filling)

    def times(self) -> int:
        """`3 times`."""
        word = self.next()
        if word is None:
            self.fail(None, "how often is it repeated?", "write REPEAT: 3 times")
        times = self.integer(re.sub(r"[x×]$", "", word), "the number of times", most=1000)
        self.nothing("times", "time")
        return times
