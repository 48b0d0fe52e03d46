"""The text of `--where` -> a filter that can do nothing but filter.

The text is read by the small grammar below and written anew for the table: what does not follow the grammar is refused,
and nothing of it reaches the table as it was typed.

```
condition  = term {OR term}          term = factor {AND factor}          factor = [NOT] (test | "(" condition ")")
test       = column ("=" | "!=" | "<>" | "<" | "<=" | ">" | ">=") value
           | column [NOT] IN "(" value {"," value} ")"
           | column [NOT] LIKE text           % stands for any letters, _ for one
           | column [NOT] BETWEEN value AND value
           | column IS [NOT] NULL
column     = name | "name with spaces"
value      = 12 | -3.5 | 'text', with '' for a quote | TRUE | FALSE
```

Keywords may be written in any case. Dates are compared as text in ISO form: taken > '2024-05' is true of what was
taken after April 2024.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from mirada.errors import UsageError
from mirada.words import meant

__all__ = ["ColumnKind", "sql_of"]

ColumnKind = Literal["text", "number", "truth"]
"""What the values of a column are."""

LONGEST: Final = 10_000
"""Letters in a condition."""
DEEPEST: Final = 20
"""Parentheses inside each other in what is written anew: the table's own reader takes no more than twice as many."""

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    |(?P<text>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")+")
    |(?P<word>[^\W\d]\w*)
    |(?P<sign><=|>=|<>|!=|=|<|>|\(|\)|,)
    )""",
    re.VERBOSE,
)
_KEYWORDS: Final = frozenset({"AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "IS", "NULL", "TRUE", "FALSE"})
_COMPARISONS: Final = frozenset({"=", "!=", "<>", "<", "<=", ">", ">="})


def sql_of(condition: str, columns: Mapping[str, ColumnKind]) -> str:
    """The filter in the table's own language.

    Args:
        condition: what was typed.
        columns: the columns that may be named, and what their values are.

    Raises:
        UsageError: it does not follow the grammar, names a column that is not there, or compares what cannot be
            compared; says where.

    >>> sql_of("label = 'pear' and width > 500", {"label": "text", "width": "number"})
    "(`label` = 'pear' AND `width` > 500)"
    """
    return _Reader(condition, columns).sql()


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int


class _Reader:
    """One pass over the tokens, from left to right."""

    def __init__(self, condition: str, columns: Mapping[str, ColumnKind]) -> None:
        self.condition, self.columns = condition, columns
        if len(condition) > LONGEST:
            raise UsageError(f"--where: the condition has {len(condition):,} letters, more than {LONGEST:,}")
        self.tokens = self._tokens()
        signs = [token.text if token.kind in ("keyword", "sign") else "" for token in self.tokens]
        self.negates = any(
            sign in ("!=", "<>") or (sign == "NOT" and before != "IS")
            for before, sign in zip(["", *signs], signs, strict=False)
        )
        self.place, self.depth = 0, 0

    def sql(self) -> str:
        """All of it."""
        if len(self.tokens) == 1:
            raise UsageError('--where: the condition is empty: write one such as "width > 500"')
        found = self._condition()
        if self._next.kind != "end":
            raise self._refused("AND, OR or the end")
        if _nesting(found) > DEEPEST:
            raise self._too_deep()
        return found

    def _too_deep(self) -> UsageError:
        return UsageError(f"--where: more than {DEEPEST} conditions inside each other")

    def _tokens(self) -> list[_Token]:
        tokens, place = [], 0
        while self.condition[place:].strip():
            match = _TOKEN.match(self.condition, place)
            if match is None or match.lastgroup is None:
                place += len(self.condition[place:]) - len(self.condition[place:].lstrip())
                raise UsageError(f"--where: {self._marked(place)}: this cannot be read")
            kind, text = match.lastgroup, match[match.lastgroup]
            if kind == "word" and text.upper() in _KEYWORDS:
                kind, text = "keyword", text.upper()
            tokens.append(_Token(kind, text, match.start(match.lastgroup)))
            place = match.end()
        return [*tokens, _Token("end", "", len(self.condition))]

    @property
    def _next(self) -> _Token:
        return self.tokens[self.place]

    def _take(self) -> _Token:
        token = self._next
        self.place += 1
        return token

    def _takes(self, *texts: str) -> str | None:
        """The next token, taken, where it is one of these keywords or signs."""
        token = self._next
        if token.kind in ("keyword", "sign") and token.text in texts:
            self.place += 1
            return token.text
        return None

    def _needs(self, text: str) -> None:
        if self._takes(text) is None:
            raise self._refused(text)

    def _condition(self) -> str:
        return self._joined("OR", self._term)

    def _term(self) -> str:
        return self._joined("AND", self._factor)

    def _joined(self, word: str, part: Callable[[], str]) -> str:
        parts = [part()]
        while self._takes(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else f"({f' {word} '.join(parts)})"

    def _factor(self) -> str:
        self.depth += 1
        if self.depth > 4 * DEEPEST:  # before Python has enough of it
            raise self._too_deep()
        is_negated = False
        while self._takes("NOT"):
            is_negated = not is_negated
        if self._takes("("):
            found = self._condition()
            self._needs(")")
        else:
            found = self._test()
        self.depth -= 1
        return f"(NOT {found})" if is_negated else found

    def _test(self) -> str:
        name, kind = self._column()
        column = f"`{name}`"
        if self._takes("IS"):
            wanted = "IS NOT NULL" if self._takes("NOT") else "IS NULL"
            self._needs("NULL")
            return f"{column} {wanted}"
        sign = self._takes(*_COMPARISONS)
        if sign is not None:
            value = self._value(name, kind)
            if sign in ("=", "!=", "<>"):
                return self._sure(column, f"{_wide(column, value)} = {value}", is_negated=sign != "=")
            return f"{_wide(column, value)} {sign} {value}"
        negated = "NOT " if self._takes("NOT") else ""
        if self._takes("IN"):
            self._needs("(")
            values = [self._value(name, kind)]
            while self._takes(","):
                values.append(self._value(name, kind))
            self._needs(")")
            test = f"{_wide(column, *values)} IN ({', '.join(values)})"
            return self._sure(column, test, is_negated=bool(negated))
        if self._takes("LIKE"):
            if kind != "text":
                raise UsageError(f"--where: LIKE is for text, and {name} is a {kind}")
            pattern = self._value(name, kind).replace("\\", "\\\\")  # which would make the next letter a plain one
            return f"{column} {negated}LIKE {pattern}"
        if self._takes("BETWEEN"):
            low = self._value(name, kind)
            self._needs("AND")
            high = self._value(name, kind)
            return f"{_wide(column, low, high)} {negated}BETWEEN {low} AND {high}"
        raise self._refused("a comparison such as =, <, IN, LIKE, BETWEEN or IS NULL")

    def _sure(self, column: str, test: str, *, is_negated: bool) -> str:
        """A test by equality, unknown where the column is, whatever becomes of it.

        Of `x IN (1) AND x IN (2)` the reader of the table makes what is never true; but where x is unknown it is
        unknown, and NOT of it too, not true.
        """
        if not self.negates:
            return test
        sure = f"({test} OR ({column} IS NULL AND NULL))"
        return f"(NOT {sure})" if is_negated else sure

    def _column(self) -> tuple[str, ColumnKind]:
        token = self._take()
        if token.kind not in ("word", "quoted"):
            self.place -= 1
            raise self._refused("the name of a column")
        name = token.text if token.kind == "word" else token.text[1:-1].replace('""', '"')
        if name not in self.columns:
            there = ", ".join(self.columns)
            raise UsageError(f"--where: there is no column {name!r}; there are {there}.{meant(name, self.columns)}")
        return name, self.columns[name]

    def _value(self, name: str, kind: ColumnKind) -> str:
        token = self._take()
        if token.kind == "number":
            number = float(token.text)
            found = (
                str(int(number))
                if math.isfinite(number) and number.is_integer() and abs(number) < 2**53
                else repr(number)
            )
            is_right = kind == "number" and math.isfinite(number)
        elif token.kind == "text":
            found, is_right = token.text, kind == "text"
        elif token.kind == "keyword" and token.text in ("TRUE", "FALSE"):
            found, is_right = token.text, kind == "truth"
        else:
            self.place -= 1
            raise self._refused("a value: a number, 'a text', TRUE or FALSE")
        if not is_right:
            example = {"text": "'pear'", "number": "500", "truth": "TRUE"}[kind]
            raise UsageError(f"--where: {name} is compared with {token.text}, but is a {kind}, such as {example}")
        return found

    def _refused(self, wanted: str) -> UsageError:
        return UsageError(f"--where: {self._marked(self._next.start)}: expected {wanted}")

    def _marked(self, place: int) -> str:
        """The condition with a mark before the place."""
        return f"{self.condition[:place]}>>>{self.condition[place:]}"


_FRACTION: Final = re.compile(r"-?[0-9.]*[.e][0-9.e+-]*|-?inf|nan")
_QUOTED: Final = re.compile(r"'(?:[^']|'')*'|`[^`]*`")


def _wide(column: str, *values: str) -> str:
    """A column as numbers with fractions where it is compared with such: some columns hold whole ones only."""
    return f"CAST({column} AS DOUBLE)" if any(map(_FRACTION.fullmatch, values)) else column


def _nesting(sql: str) -> int:
    """How many parentheses lie inside each other."""
    depth = deepest = 0
    for sign in _QUOTED.sub("", sql):
        depth += (sign == "(") - (sign == ")")
        deepest = max(deepest, depth)
    return deepest
