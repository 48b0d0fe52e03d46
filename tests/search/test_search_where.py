"""Conditions as they are typed: what becomes of them, what is refused, and, on a real table, whom they let through."""

from __future__ import annotations

import operator
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirada.errors import UsageError
from mirada.image import Preparation
from mirada.search.embedding import Maker
from mirada.search.table import Table
from mirada.search.where import DEEPEST, LONGEST, ColumnKind, sql_of

COLUMNS: dict[str, ColumnKind] = {"label": "text", "width": "number", "is sharp": "truth", 'a "b"': "text"}

LEGAL = {
    "label = 'pear'": "`label` = 'pear'",
    "label <> 'pear'": "(NOT (`label` = 'pear' OR (`label` IS NULL AND NULL)))",
    "width>500": "`width` > 500",
    "width >= -3.5e2": "`width` >= -350",
    "width < .5": "CAST(`width` AS DOUBLE) < 0.5",
    "label = 'o''clock'": "`label` = 'o''clock'",
    "label in ('a', 'b') or width between 1 and 2": "(`label` IN ('a', 'b') OR `width` BETWEEN 1 AND 2)",
    "label in ('a', 'b') or not width between 1 and 2": (
        "((`label` IN ('a', 'b') OR (`label` IS NULL AND NULL)) OR (NOT `width` BETWEEN 1 AND 2))"
    ),
    "label not in ('a')": "(NOT (`label` IN ('a') OR (`label` IS NULL AND NULL)))",
    "label not like '%_x'": "`label` NOT LIKE '%_x'",
    '"is sharp" = TRUE and width is not null': "(`is sharp` = TRUE AND `width` IS NOT NULL)",
    '"a ""b""" is null': '`a "b"` IS NULL',
    "((width = 1))": "`width` = 1",
    "width = 1 and (width = 2 or width = 3)": "(`width` = 1 AND (`width` = 2 OR `width` = 3))",
}


@pytest.mark.parametrize(("typed", "sql"), LEGAL.items())
def test_a_condition_is_written_anew(typed: str, sql: str) -> None:
    assert sql_of(typed, COLUMNS) == sql
    assert sql_of(f"  {typed}\n", COLUMNS) == sql


REFUSED = {
    "": "is empty",
    "  ": "is empty",
    "LABEL = 'pear'": "no column 'LABEL'; there are label",
    "label = pear": "expected a value",
    'label = "pear"': "expected a value",
    "label": "expected a comparison",
    "label = 5": "is a text, such as 'pear'",
    "width = '5'": "is a number, such as 500",
    '"is sharp" = 1': "is a truth, such as TRUE",
    "width like '%'": "LIKE is for text",
    "width = 1e999": "width is compared with 1e999",
    "width = nan": "expected a value",
    "width = 1 width = 2": ">>>width = 2: expected AND, OR or the end",
    "(width = 1": "expected )",
    "width in ()": "expected a value",
    "width between 1 or 2": "expected AND",
    "width = 1; drop table images": ">>>; drop table images: this cannot be read",
    "width = 1 -- and more": ">>>-- and more: this cannot be read",
    "width = 1 /* x */": "this cannot be read",
    "label = 'a' union select 1": "expected AND, OR or the end",
    "sleep(5) = 1": "no column 'sleep'",
    "width = (select 1)": "expected a value",
    "label = 'it's'": "'it's>>>': this cannot be read",
    "label = 'open": "this cannot be read",
    "_rowid = 1": "no column '_rowid'",
    "vector is null": "no column 'vector'",
    "width = X'00'": "expected a value",
    "width = ?": "this cannot be read",
    "`width` = 1": "this cannot be read",
    "width = 1" + " or width = 1" * LONGEST: "more than 10,000",
    "(" * (4 * DEEPEST) + "width = 1" + ")" * (4 * DEEPEST): "conditions inside each other",
    "not (" * (DEEPEST + 1) + "width = 1" + ")" * (DEEPEST + 1): "conditions inside each other",
    "(width = 1 or (label = 'a' and " * 11 + "width = 2" + "))" * 11: "conditions inside each other",
}


@pytest.mark.parametrize(("typed", "reason"), REFUSED.items())
def test_what_is_no_condition_is_refused(typed: str, reason: str) -> None:
    with pytest.raises(UsageError) as refused:
        sql_of(typed, COLUMNS)
    assert reason in str(refused.value)
    assert str(refused.value).startswith("--where: ")


@given(st.text(max_size=80))
def test_any_text_is_a_condition_or_refused(typed: str) -> None:
    with suppress(UsageError):
        assert sql_of(typed, COLUMNS).count("`") % 2 == 0


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("not width > 1", "(NOT `width` > 1)"),
        ("not not width > 1", "`width` > 1"),
        ("not " * 41 + "width > 1", "(NOT `width` > 1)"),
        ("label like 'a\\b%'", "`label` LIKE 'a\\\\b%'"),
        ("width = 9007199254740993", "CAST(`width` AS DOUBLE) = 9007199254740992.0"),
        ("width in (1, 2.5)", "CAST(`width` AS DOUBLE) IN (1, 2.5)"),
        ("width between 1 and 2e30", "CAST(`width` AS DOUBLE) BETWEEN 1 AND 2e+30"),
        ("label = '1.5'", "`label` = '1.5'"),
    ],
)
def test_what_the_table_cannot_read_is_written_otherwise(typed: str, written: str) -> None:
    assert sql_of(typed, COLUMNS) == written


def test_the_table_reads_whatever_is_written(tmp_path: Path) -> None:
    """On a table as an index has it: columns of whole numbers, and conditions as deep as they may be."""
    maker = Maker("made", "made", None, Preparation((8, 8), "crop"), has_places=False, dimension=2)
    table = Table.create(str(tmp_path / "index"), maker.to_json(), 2, None)
    rows = [{"path": f"/{i}", "file": b"/%d" % i, "width": 94 + i, "label": "a\\b" if i else "ab"} for i in range(5)]
    table.put(rows, np.ones((5, 2), np.float32), are_new=True)
    inner = DEEPEST // 2
    deep = "(width = 1 or (label = 'a' and " * (inner // 2) + "width = 2" + "))" * (inner // 2)
    for typed, count in {
        "width > 95.5": 3,
        "width between 95.5 and 96.5": 1,
        "width in (94, 95.0, 95.5)": 2,
        "bytes > 9007199254740993": 0,
        "label like 'a\\b'": 4,
        "label like 'a_b'": 4,
        "not (" * inner + "width > 95" + ")" * inner: 3 if inner % 2 == 0 else 2,
        deep: 0,
    }.items():
        assert table.count(sql_of(typed, table.columns)) == count, typed


ROWS: list[dict[str, Any]] = [
    {"label": label, "width": width, "is sharp": sharp}
    for label in ("pear", "Pear", "o'clock", "a%b", "", None)
    for width in (-1.5, 0.0, 2.0, None)
    for sharp in (True, False, None)
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[int]]:
    """The numbers of the rows that a condition lets through, on a table of LanceDB."""
    data = [{**row, "number": number} for number, row in enumerate(ROWS)]
    table = lancedb.connect(tmp_path_factory.mktemp("where")).create_table("rows", data=data)

    def find(sql: str) -> list[int]:
        return sorted(table.search().where(sql).select(["number"]).to_arrow()["number"].to_pylist())

    return find


Truth = bool | None
"""SQL knows three: true, false, and unknown, where a value is missing."""
_SIGNS = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_texts = st.sampled_from(["pear", "Pear", "o'clock", "a%b", "", "z"])
_numbers = st.sampled_from([-1.5, 0, 2, 7.25])


def _not(truth: Truth) -> Truth:
    return None if truth is None else not truth


def _written(value: str | float) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


@st.composite
def _tests(draw: st.DrawFn) -> tuple[str, Callable[[dict[str, Any]], Truth]]:
    """A test as it is typed, and what it says of a row."""
    column, values = draw(st.sampled_from([("label", _texts), ("width", _numbers)]))
    kind = draw(st.sampled_from(["sign", "in", "between", "null"]))
    one, other = draw(values), draw(values)
    if kind == "sign":
        sign = draw(st.sampled_from(list(_SIGNS)))
        return (
            f"{column} {sign} {_written(one)}",
            lambda row: None if row[column] is None else _SIGNS[sign](row[column], one),
        )
    if kind == "in":
        return (
            f"{column} IN ({_written(one)}, {_written(other)})",
            lambda row: None if row[column] is None else row[column] in (one, other),
        )
    if kind == "between":
        return (
            f"{column} between {_written(one)} and {_written(other)}",
            lambda row: None if row[column] is None else one <= row[column] <= other,
        )
    return f"{column} is null", lambda row: row[column] is None


def _joined(
    parts: tuple[tuple[str, Callable[[dict[str, Any]], Truth]], str, tuple[str, Callable[[dict[str, Any]], Truth]]],
) -> tuple[str, Callable[[dict[str, Any]], Truth]]:
    (left, left_says), word, (right, right_says) = parts
    decisive = word == "or"  # true decides an OR, false an AND

    def says(row: dict[str, Any]) -> Truth:
        both = left_says(row), right_says(row)
        return decisive if decisive in both else None if None in both else not decisive

    return f"({left}) {word} ({right})", says


_conditions = st.recursive(
    _tests(),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(_joined),
        inner.map(lambda part: (f"not ({part[0]})", lambda row: _not(part[1](row)))),
    ),
    max_leaves=6,
)


@settings(max_examples=60)
@given(condition=_conditions)
def test_it_lets_through_exactly_those_it_is_true_of(
    found: Callable[[str], list[int]], condition: tuple[str, Callable[[dict[str, Any]], Truth]]
) -> None:
    typed, says = condition
    assert found(sql_of(typed, COLUMNS)) == [number for number, row in enumerate(ROWS) if says(row) is True]


@pytest.mark.parametrize(
    ("typed", "labels"),
    [
        ("label like 'p%'", {"pear"}),
        ("label like '_ear'", {"pear", "Pear"}),
        ("label not like '%e%'", {"o'clock", "a%b", ""}),
        ("label = 'o''clock'", {"o'clock"}),
    ],
)
def test_like_and_quotes(found: Callable[[str], list[int]], typed: str, labels: set[str]) -> None:
    assert {ROWS[number]["label"] for number in found(sql_of(typed, COLUMNS))} == labels


def test_a_path_with_quotes_is_found(tmp_path: Path) -> None:
    odd = "a'b\"c\n`d`; --"
    table = lancedb.connect(tmp_path).create_table("rows", data=[{"label": odd}, {"label": "other"}])
    sql = sql_of("label = '" + odd.replace("'", "''") + "'", {"label": "text"})
    assert table.search().where(sql).to_arrow()["label"].to_pylist() == [odd]
