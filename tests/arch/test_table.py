"""The table of a network: golden text, columns that sum to their totals, and what is left out where it is narrow.

`MIRADA_REWRITE_GOLDEN=1 pytest tests/arch/test_table.py` writes the golden files anew; read the difference.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from architectures import architectures, examples
from hypothesis import given
from hypothesis import strategies as st

from mirada.arch import Architecture, parse, zoo
from mirada.arch.table import Table, table

Zoo = Callable[[str], Architecture]
GOLDEN = Path(__file__).parent / "golden"
TITLES = [
    "layer",
    "what it is",
    "volume",
    "parameters",
    "multiply-adds",
    "memory",
    "sees",
    "stride",
    "if fully connected",
]
DROPPED = ["if fully connected", "memory", "stride", "sees", "multiply-adds", "what it is"]
"""The columns in the order in which a narrow terminal loses them."""

SMALL = parse(
    """
    name: Small
    source: Nobody | 2020
    [8x8x3] INPUT
    CONV: 4 3x3, pad 1, batch norm
    PARALLEL
        BRANCH: identity
        BRANCH: CONV 2 1x1, linear -> MAX POOL 3x3 at stride 1, pad 1
    NORM: n 3
    DROPOUT: 0.25
    GAP
    FC: 10
    """
)


def check_golden(name: str, text: str) -> None:
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("MIRADA_REWRITE_GOLDEN") == "1":
        path.write_text(text + "\n", encoding="utf-8")
    assert text + "\n" == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["alexnet", "googlenet", "resnet18"])
def test_table_of_the_zoo(name: str, network_of_the_zoo: Zoo):
    check_golden(f"{name}_table", table(network_of_the_zoo(name)).text())


def test_other_forms_of_a_small_table():
    check_golden("small_markdown", table(SMALL).markdown())
    check_golden("small_sums", table(SMALL).sums())


def test_json_holds_plain_values():
    values = json.loads(json.dumps(table(SMALL).json()))
    layers = values.pop("layers")
    assert values == {
        "name": "Small",
        "source": "Nobody | 2020",
        "parameters": 196,
        "multiply_adds": 7484,
        "activation_bytes": 5952,
    }
    assert [layer["path"] for layer in layers] == [row.path for row in SMALL.rows]
    assert layers[5] == {
        "path": "PARALLEL1.BRANCH2.CONV1",
        "name": "CONV1",
        "kind": "CONV",
        "depth": 2,
        "is_block": False,
        "words": "2 1x1 filters at stride 1, pad 0",
        "input": [8, 8, 4],
        "volume": [8, 8, 2],
        "parameters": 10,
        "multiply_adds": 512,
        "activation_bytes": 512,
        "receptive_field": [3, 3],
        "stride": [1, 1],
        "fully_connected_weights": 32768,
        "size_sum": "(8 - 1 + 2*0)/1 + 1 = 8",
        "parameters_sum": "(1*1*4)*2 + 2",
    }


def columns(lines: list[str]) -> list[list[str]]:
    """The cells of a Markdown table, column by column."""
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert len({len(line) for line in cells}) == 1
    return [list(column) for column in zip(*cells, strict=True)]


def check_sums(table_: Table) -> None:
    """Each column that has a total sums to it, in Markdown and in JSON, as they are shown."""
    lines = table_.markdown().splitlines()
    assert len(lines) == len(table_.rows) + 3
    by_title = {column[0]: column[2:] for column in columns(lines)}
    for title, total in (("parameters", table_.parameters), ("multiply-adds", table_.multiply_adds)):
        *cells, last = (int(cell.replace(",", "") or 0) for cell in by_title[title])
        assert sum(cells) == last == total
    values = json.loads(json.dumps(table_.json()))
    for key in ("parameters", "multiply_adds"):
        assert sum(layer[key] for layer in values["layers"]) == values[key] == getattr(table_, key)
    memory = sum(layer["activation_bytes"] for layer in values["layers"] if not layer["is_block"])
    assert memory == values["activation_bytes"] == table_.activation_bytes
    for layer in values["layers"]:
        width, height, depth = layer["volume"]
        assert layer["activation_bytes"] == 4 * width * height * depth


@pytest.mark.parametrize("name", zoo.names())
def test_columns_sum_to_their_totals(name: str, network_of_the_zoo: Zoo):
    architecture = network_of_the_zoo(name)
    check_sums(table(architecture))
    assert table(architecture).parameters == architecture.parameters


@given(architectures())
@examples(60)
def test_columns_of_random_networks_sum_to_their_totals(architecture: Architecture):
    check_sums(table(architecture))


def titles(text: str) -> list[str]:
    """The columns of a table by the titles it shows."""
    head = next(line for line in text.splitlines() if line.startswith("layer"))
    return [title for title in TITLES if re.search(rf"(^|  ){title}(  |$)", head)]


@pytest.mark.parametrize("name", ["lenet5", "alexnet", "resnet50"])
def test_narrow_tables_lose_the_least_needed_columns_first(name: str, network_of_the_zoo: Zoo):
    made = table(network_of_the_zoo(name))
    everything = made.text()
    widest = max(map(len, everything.splitlines()[1:-2]))
    assert sorted(titles(everything)) == sorted(TITLES)
    assert made.text(widest) == everything
    lost_before: list[str] = []
    longest_before = widest
    for width in range(widest - 1, 20, -1):
        text = made.text(width)
        lost = [title for title in DROPPED if title not in titles(text)]
        assert lost == DROPPED[: len(lost)]  # in the order of their worth
        longest = max(map(len, text.splitlines()[1:-2]))
        assert longest <= width or len(lost) == len(DROPPED)
        assert lost == lost_before if longest_before <= width else len(lost) >= len(lost_before)
        lost_before, longest_before = lost, longest
    assert lost_before == DROPPED


@given(architectures(), st.integers(10, 150))
@examples(60)
def test_no_line_of_a_table_is_wider_than_asked_for(architecture: Architecture, width: int):
    made = table(architecture)
    lines = made.text(width).splitlines()[bool(architecture.name) : -2]
    narrowest = max(map(len, made.text(1).splitlines()[bool(architecture.name) : -2]))
    assert max(map(len, lines)) <= max(width, narrowest)


def test_the_summary_of_alexnet(network_of_the_zoo: Zoo):
    assert table(network_of_the_zoo("alexnet")).summary == (
        "62,378,344 parameters (238.0 MiB in float32), 1,135,256,096 multiply-adds and 4.0 MiB of activations for one "
        "image."
    )


def test_title_names_the_source_where_there_is_one():
    assert table(SMALL).text().splitlines()[0] == "Small · Nobody | 2020"
    assert table(parse("[2x2x1] INPUT\nFC 1")).text().splitlines()[0].startswith("layer")
    assert table(parse("name: X\n[2x2x1] INPUT\nFC 1")).text().splitlines()[0] == "X"


def test_sums_of_the_first_layers_of_alexnet(network_of_the_zoo: Zoo):
    assert table(network_of_the_zoo("alexnet")).sums().splitlines()[:9] == [
        "Width and height of a volume: (W - F + 2P)/S + 1, with an input of W, a filter of F, padding P and stride S.",
        "Parameters: (F*F*D)*K weights for K filters over a depth of D, and K biases; n*K for K neurons that see n "
        "numbers.",
        "",
        "CONV1",
        "  volume           (227 - 11 + 2*0)/4 + 1 = 55 -> 55x55x96",
        "  parameters       (11*11*3)*96 + 96 = 34,944",
        "  fully connected  154,587 x 290,400 = 44,892,064,800 weights for the same two volumes, 1,284,686 times as "
        "many",
        "MAX POOL1",
        "  volume           (55 - 3 + 2*0)/2 + 1 = 27 -> 27x27x96",
    ]


@pytest.mark.parametrize(
    ("line", "size", "words"),
    [
        ("CONV: 4 3x3", "8x8x4", "4 3x3 filters at stride 1, pad 0, relu"),
        ("CONV: 4 3x3, batch norm, bias, linear", "8x8x4", "4 3x3 filters at stride 1, pad 0, batch norm, bias"),
        ("CONV: 4 3x1, groups 2, dilation 2", "8x8x4", "4 3x1 filters at stride 1, pad 0, groups 2, dilation 2, relu"),
        ("MAX POOL: 2x2, rounding ceil", "9x9x4", "2x2 filters at stride 2, rounding ceil"),
        ("NORM", "8x8x4", "n 5, k 2.0, alpha 0.0001, beta 0.75"),
        ("FC: 4", "8x8x4", "4 neurons"),
        ("FC: 4, no bias, tanh", "8x8x4", "4 neurons, no bias, tanh"),
        ("BATCH NORM", "8x8x4", ""),
        ("RESIDUAL\n  CONV 4 1x1", "8x8x4", "relu"),
        ("RESIDUAL: linear\n  CONV 4 1x1", "8x8x4", ""),
        ("REPEAT: 2 times\n  CONV 4 1x1", "8x8x4", "2 times"),
        ("PARALLEL\n  BRANCH: CONV 4 1x1", "8x8x4", ""),
        ("GAP", "8x8x4", ""),
        ("RELU", "8x8x4", ""),
        ("RELU: elu", "8x8x4", "elu"),
        ("DROPOUT: 25%", "8x8x4", "0.25"),
        ("SE: reduction 2", "8x8x4", "reduction 2"),
    ],
)
def test_words_of_a_row_say_everything(line: str, size: str, words: str):
    assert table(parse(f"[{size}] INPUT\n{line}")).rows[1].words == words
