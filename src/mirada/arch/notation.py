"""Text -> Architecture. `listing` is the way back.

```
listing   = header* INPUT line*
header    = key ":" value                    name, source, activation, rounding, batch norm
line      = [claim] layer ("->" layer)*      a claim is a volume in brackets; it is checked
layer     = label [":"] words                CONV1: 96 11x11 filters at stride 4, pad 0
block     = [claim] label [":"] words        RESIDUAL, PARALLEL, REPEAT, BRANCH, SHORTCUT
                indented lines               BRANCH and SHORTCUT may have theirs behind the colon
```

Everything behind `#` is a comment. `docs/notation.md` explains each line with an example.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mirada.arch.architecture import Architecture
from mirada.arch.blocks import Branch, Parallel, Repeat, Residual
from mirada.arch.grammar import Defaults, automatic_name
from mirada.arch.layers import ActivationName, Layer
from mirada.arch.lines import BLOCKS, Entry, parse_volume, read_header, read_lines, read_tree
from mirada.arch.phrases import PHRASES
from mirada.arch.shapes import Rounding, Volume
from mirada.arch.words import Words
from mirada.errors import NotationError

__all__ = ["parse"]

MAX_LAYERS = 20_000
"""A listing whose repetitions come to more layers than this is refused."""

MAX_LINES = 2_000
"""A listing of more lines is refused."""

_NO_INPUT = "write [WxHxD] INPUT, such as [227x227x3] INPUT"


def parse(text: str, file: str | None = None, *, input: Volume | None = None) -> Architecture:
    """Read a listing, and lead the input through its layers.

    Args:
        text: the listing.
        file: the name to show in messages.
        input: an input that takes the place of the listing's own; the claims are then dropped.

    Raises:
        NotationError: a line cannot be understood; carries the line.
        MisfitError, ClaimError: a layer does not fit its input, or a claim is wrong.

    >>> parse("[32x32x1] INPUT\\n[28x28x6] CONV1: 6 5x5 filters").parameters
    156
    """
    architecture = _Reader(file).read(text)
    if input is not None:
        architecture = architecture.with_input(input)
    _ = architecture.rows  # raises where something does not fit
    return architecture


class _Reader:
    """Makes layers of entries, knowing the settings above the input."""

    def __init__(self, file: str | None) -> None:
        self.file = file
        self.activation: ActivationName = "relu"
        self.rounding: Rounding = "exact"
        self.batch_norm = False
        self.defaults = Defaults(self.activation, 0)

    def read(self, text: str) -> Architecture:
        lines = read_lines(text, self.file)
        header, rest = read_header(lines)
        entries = read_tree(rest)
        if not entries:
            where = f"the listing {self.file}" if self.file else "the listing"
            raise NotationError(f"{where} has no layers\n  {_NO_INPUT}, and a layer a line below it", source=self.file)
        if len(rest) > MAX_LINES:
            hint = "write what repeats as REPEAT: N times"
            entries[0].fail(None, f"the listing has {len(rest):,} lines: more than {MAX_LINES:,} are not read", hint)
        if entries[0].kind != "INPUT":
            entries[0].fail(None, "the first layer must be the input", _NO_INPUT)
        volume = _input(entries[0])
        if len(entries) == 1:
            entries[0].fail(None, "no layer follows the input", "add one, such as FC: 10 neurons")
        self.activation = header.get("activation", "relu")  # type: ignore[assignment]
        self.rounding = header.get("rounding", "exact")  # type: ignore[assignment]
        self.batch_norm = header.get("batch norm") == "yes"
        self.defaults = Defaults(self.activation, _count(entries, "FC"))
        layers = self._chain(entries[1:], ends_in_sum=False)
        if (total := _expanded(layers)) > MAX_LAYERS:
            hint = f"more than {MAX_LAYERS:,} are not read: repeat less often"
            entries[0].fail(None, f"the listing comes to {total:,} layers when every REPEAT is written out", hint)
        return Architecture(
            volume,
            layers,
            name=header.get("name", ""),
            source=header.get("source", ""),
            activation=self.activation,
            rounding=self.rounding,
            batch_norm=self.batch_norm,
            file=self.file,
        )

    def _chain(self, entries: Sequence[Entry], *, ends_in_sum: bool) -> tuple[Layer, ...]:
        kinds = [entry.kind for entry in entries]
        layers: list[Layer] = []
        for i, entry in enumerate(entries):
            previous: ActivationName = getattr(layers[-1], "activation", "none") if layers else "none"
            unsaid = self.defaults.activation(kinds, i, ends_in_sum=ends_in_sum, previous=previous)
            name = _name(entry, [layer.name for layer in layers])
            layers.append(replace(self._layer(entry, name, unsaid), line=entry.line.number, claim=entry.claim))
        return tuple(layers)

    def _layer(self, entry: Entry, name: str, unsaid: ActivationName) -> Layer:
        words = Words(entry.words, entry.fail)
        match entry.kind:
            case "INPUT":
                entry.fail("INPUT", "a network has one input", "leave the second INPUT out")
            case "BRANCH" | "SHORTCUT":
                entry.fail(
                    name, f"{entry.kind} stands alone", "a BRANCH stands inside PARALLEL, a SHORTCUT ends a RESIDUAL"
                )
            case kind if kind in BLOCKS:
                if not entry.children:
                    entry.fail(name, f"{name} holds no layers", "indent its layers below it")
                return self._block(entry, name, words)
            case kind:
                return PHRASES[kind](words, name, unsaid, self)

    def _block(self, entry: Entry, name: str, words: Words) -> Layer:
        match entry.kind:
            case "RESIDUAL":
                return self._residual(entry, name, words.activation_only(self.activation, "block", "sum"))
            case "PARALLEL":
                words.nothing("branches", "joined", "along", "depth")
                return Parallel(name, self._branches(entry.children))
            case _:
                return Repeat(name, words.times(), self._chain(entry.children, ends_in_sum=False))

    def _residual(self, entry: Entry, name: str, activation: ActivationName) -> Residual:
        *body, last = entry.children
        if last.kind != "SHORTCUT":
            return Residual(name, self._chain(entry.children, ends_in_sum=True), activation=activation)
        if not body:
            entry.fail(name, f"{name} holds no layers beside its shortcut", "indent its layers above the shortcut")
        if last.suffix:
            last.fail(f"SHORTCUT{last.suffix}", "a shortcut has no number", "write SHORTCUT:")
        inner = self._chain(body, ends_in_sum=True)
        return Residual(name, inner, self._branch(last, "SHORTCUT", ends_in_sum=True), activation)

    def _branches(self, entries: Sequence[Entry]) -> tuple[Branch, ...]:
        branches: list[Branch] = []
        for entry in entries:
            if entry.kind != "BRANCH":
                hint = "put each way into a line such as BRANCH: CONV 64 1x1 -> CONV 96 3x3, pad 1"
                entry.fail(entry.kind, f"{entry.kind} stands directly in PARALLEL", hint)
            name = _name(entry, [branch.name for branch in branches])
            branches.append(self._branch(entry, name, ends_in_sum=False))
        return tuple(branches)

    def _branch(self, entry: Entry, name: str, *, ends_in_sum: bool) -> Branch:
        if not entry.children and entry.words != "identity":
            hint = f"write {entry.kind}: CONV 64 1x1, or {entry.kind}: identity"
            entry.fail(entry.kind, f"{name} holds no layers", hint)
        layers = self._chain(entry.children, ends_in_sum=ends_in_sum)
        return Branch(name, layers, line=entry.line.number, claim=entry.claim)


def _input(entry: Entry) -> Volume:
    said = parse_volume(entry.words) if entry.words else None
    if entry.words and said is None:
        entry.fail(entry.words, f"{entry.words!r} is not a volume", "write width x height x depth, such as 227x227x3")
    if said and entry.claim and said != entry.claim:
        entry.fail(entry.words, f"the input is both {entry.claim} and {said}", "leave one of the two out")
    volume = entry.claim or said
    if volume is None:
        entry.fail(None, "the input has no size", _NO_INPUT)
    return volume


def _name(entry: Entry, taken: Sequence[str]) -> str:
    name = f"{entry.kind}{entry.suffix}" if entry.suffix else automatic_name(entry.kind, taken)
    if name in taken:
        entry.fail(name, f"two neighbours are called {name}", "give each a name of its own")
    return name


def _count(entries: Sequence[Entry], kind: str) -> int:
    return sum((entry.kind == kind) + _count(entry.children, kind) for entry in entries)


def _expanded(layers: Sequence[Layer]) -> int:
    """How many layers, blocks and branches there are when every repetition is written out."""
    total = 0
    for layer in layers:
        match layer:
            case Repeat(times=times, body=body):
                total += 1 + times * (1 + _expanded(body))
            case Residual(body=body, shortcut=shortcut):
                total += 2 + _expanded(body) + _expanded(shortcut.layers)
            case Parallel(branches=branches):
                total += 1 + sum(1 + _expanded(branch.layers) for branch in branches)
            case _:
                total += 1
    return total
