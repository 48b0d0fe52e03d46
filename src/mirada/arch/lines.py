"""Text -> lines -> a tree of entries: what stands where, before anybody asks what it means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from mirada.arch.grammar import KINDS, split_label
from mirada.arch.layers import ACTIVATIONS
from mirada.arch.shapes import Volume
from mirada.errors import NotationError
from mirada.words import known_words

__all__ = ["BLOCKS", "Entry", "Line", "parse_volume", "read_header", "read_lines", "read_tree"]

BLOCKS = ("RESIDUAL", "PARALLEL", "REPEAT", "BRANCH", "SHORTCUT")
"""The kinds that hold other layers, indented below them."""

_HEADER_VALUES: dict[str, tuple[str, ...]] = {
    "name": (),
    "source": (),
    "activation": ACTIVATIONS,
    "rounding": ("exact", "floor", "ceil"),
    "batch norm": ("yes", "no"),
}
_HEADER = re.compile(r"([A-Za-z][A-Za-z _]*?)\s*:\s*(.*)")
_BLANK = re.compile(r"\s*(?:#.*|```.*)?")
_CLAIM = re.compile(r"\[([^\]]*)\]\s*")
_VOLUME = re.compile(r"\s*(\d{1,9})\s*(?:[x×*]\s*(\d{1,9})\s*[x×*]\s*(\d{1,9})\s*)?", re.IGNORECASE)
_ARROW = re.compile(r"\s*(?:->|→)\s*")
_MAX_DEPTH = 16
_NOT_LAYERS = {
    "SOFTMAX": "leave it out: the loss and predict make probabilities of the class scores",
    "FLATTEN": "leave it out: FC sees the whole volume",
    "LINEAR": "write FC: 10 neurons",
    "DENSE": "write FC: 10 neurons",
    "CONV2D": "write it as in CONV1: 96 11x11 filters at stride 4, pad 0",
    "GLOBAL": "write GLOBAL AVG POOL",
    "[": "a volume stands in brackets at the beginning of a line, such as [55x55x96] CONV1: ...",
}
"""What people write from other notations, and what to write here."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a listing, and how to complain about it."""

    number: int
    text: str
    file: str | None

    @property
    def indent(self) -> int:
        """Blanks before its first word."""
        return _indent(self.text)

    def fail(self, word: str | None, what: str, hint: str) -> NoReturn:
        """Raise `NotationError` with file, line, the line itself, a mark under the word, and what to do."""
        text = self.text.strip()
        place = ", ".join([*([self.file] if self.file else []), f"line {self.number}"])
        mark = [f"  {' ' * column}{'^' * len(word)}"] if word and (column := _find(word, text)) >= 0 else []
        message = "\n".join([f"{what} ({place})", f"  {text}", *mark, f"  {hint}"])
        raise NotationError(message, source=self.file, line=self.number)


@dataclass
class Entry:
    """A layer of the listing before its defaults are known, with what is indented below it.

    Attributes:
        kind: the word it begins with, as in `KINDS`.
        suffix: what makes its name its own: `1` in `CONV1`; empty where the listing gives none.
        words: what stands behind the name.
    """

    line: Line
    kind: str
    suffix: str
    words: str
    claim: Volume | None = None
    children: list[Entry] = field(default_factory=list)

    def fail(self, word: str | None, what: str, hint: str) -> NoReturn:
        """See `Line.fail`."""
        self.line.fail(word, what, hint)


def parse_volume(text: str) -> Volume | None:
    """`227x227x3` or `4096` as a volume; None where it is neither.

    >>> parse_volume("227x227x3"), parse_volume("4096")
    (Volume(width=227, height=227, depth=3), Volume(width=1, height=1, depth=4096))
    """
    match = _VOLUME.fullmatch(text)
    if match is None:
        return None
    sides = (match[1], match[2], match[3]) if match[2] else ("1", "1", match[1])
    width, height, depth = (int(side) for side in sides)
    return Volume(width, height, depth) if min(width, height, depth) else None


def read_lines(text: str, file: str | None) -> list[Line]:
    """The lines that say something, without comments, common indentation removed."""
    plain = text.expandtabs(4).replace("\ufeff", "").splitlines()
    said = [(number, line.split("#")[0].rstrip()) for number, line in enumerate(plain, 1) if not _BLANK.fullmatch(line)]
    # Text copied from the middle of a page often has its first line at the left and the rest as it was indented there.
    rest = min((_indent(line) for _, line in said[1:]), default=0)
    first = min(_indent(line) for _, line in said[:1]) if said else 0
    is_copied = first < rest and split_label(said[0][1].strip()) is None
    return [
        Line(number, line[first if is_copied and i == 0 else (rest if is_copied else min(first, rest)) :], file)
        for i, (number, line) in enumerate(said)
    ]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def read_header(lines: Sequence[Line]) -> tuple[dict[str, str], list[Line]]:
    """The settings above the input, and the lines that follow them."""
    header: dict[str, str] = {}
    for i, line in enumerate(lines):
        match = _HEADER.fullmatch(line.text)
        if match is None or (_key(match[1]) not in _HEADER_VALUES and split_label(line.text.strip())):
            return header, list(lines[i:])
        key, value = _key(match[1]), match[2].strip()
        if key not in _HEADER_VALUES:
            line.fail(
                match[1],
                f"{match[1]!r} is neither a layer nor a setting",
                known_words(match[1], (*_HEADER_VALUES, *KINDS)),
            )
        if key in header:
            line.fail(match[1], f"{key} is set twice", "leave one of the two out")
        allowed = _HEADER_VALUES[key]
        if allowed and value.lower() not in allowed:
            line.fail(value, f"{value!r} is not a value of {key}", known_words(value, allowed))
        header[key] = value.lower() if allowed else value
    return header, []


def read_tree(lines: Iterable[Line]) -> list[Entry]:
    """The layers, those of a block hung below it."""
    root: list[Entry] = []
    levels: list[tuple[int, list[Entry]]] = [(0, root)]
    for line in lines:
        while line.indent < levels[-1][0]:
            levels.pop()
        if line.indent > levels[-1][0]:
            levels.append((line.indent, _children_of(levels[-1][1], line)))
        if len(levels) > _MAX_DEPTH:
            line.fail(None, f"blocks stand more than {_MAX_DEPTH} deep", "flatten the listing")
        levels[-1][1].extend(_entries(line))
    return root


def _children_of(level: Sequence[Entry], line: Line) -> list[Entry]:
    above = level[-1] if level else None
    if above is None or above.kind not in BLOCKS:
        line.fail(None, "this line is indented, but the line above holds no layers", f"only {', '.join(BLOCKS)} do")
    if above.children or above.words == "identity":
        line.fail(None, "this line is not indented like its neighbours", "begin it below them")
    return above.children


def _entries(line: Line) -> Iterator[Entry]:
    """The layers of one line: several where arrows join them."""
    text, claim = line.text.strip(), None
    if match := _CLAIM.match(text):
        claim = parse_volume(match[1])
        if claim is None:
            line.fail(
                match[0].strip(),
                f"[{match[1]}] is not a volume",
                "write [width x height x depth] or [neurons], such as [55x55x96]",
            )
        text = text[match.end() :]
    first, *rest = _ARROW.split(text)
    entry = _entry(line, first)
    if entry.kind in ("BRANCH", "SHORTCUT"):
        _fill_branch(entry, rest)
        rest = []
    chain = [entry, *(_entry(line, part) for part in rest)]
    chain[0 if entry.kind == "INPUT" else -1].claim = claim
    yield from chain


def _fill_branch(entry: Entry, rest: Sequence[str]) -> None:
    """Hang the layers that stand behind the colon of a BRANCH or SHORTCUT below it."""
    entry.words = entry.words if entry.words.lower() != "identity" else "identity"
    if rest or (entry.words and entry.words != "identity"):
        entry.children = [_entry(entry.line, part) for part in (entry.words, *rest)]
        entry.words = ""


def _entry(line: Line, text: str) -> Entry:
    split = split_label(text)
    if split is not None:
        kind, suffix, length = split
        return Entry(line, kind, suffix, text[length:].strip().removeprefix(":").strip())
    header = _HEADER.match(text)
    if header and _key(header[1]) in _HEADER_VALUES:
        line.fail(header[1], f"{header[1]} is a setting of the whole network", "settings stand above the INPUT line")
    word = (re.split(r"[\s:,\d]", text, maxsplit=1)[0] or text).strip()
    if not word:
        line.fail(None, "a layer is missing here", "write one, such as CONV: 96 11x11 filters")
    line.fail(word, f"{word!r} is not a layer", _NOT_LAYERS.get(word.upper()) or known_words(word, KINDS))


def _find(word: str, text: str) -> int:
    """Where a word stands in a line, by itself or else within another; -1 where it does not."""
    match = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE)
    return match.start() if match else text.lower().find(word.lower())


def _key(text: str) -> str:
    return text.lower().replace("_", " ")
