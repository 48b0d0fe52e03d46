"""Architecture -> table: for a terminal, as Markdown, as JSON, and the sums behind every number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mirada.arch.architecture import Architecture, Row
from mirada.arch.blocks import Branch
from mirada.arch.grammar import kind_of
from mirada.arch.listing import describe
from mirada.arch.shapes import Pair, Volume

__all__ = ["Table", "TableRow", "table"]


@dataclass(frozen=True, slots=True)
class TableRow:
    """One line of a table. What is not known of a layer is None.

    Attributes:
        path: the layer's place, joined by dots: the name of its torch module.
        name: what it is called in its block.
        kind: the word of the notation, or the class of the torch module.
        depth: how many blocks it stands in.
        words: what its line says.
        given: the volume it gets.
        volume: the volume it makes.
        parameters: its own, those shared with an earlier layer left out; 0 for a block.
        multiply_adds: for one image; 0 for a block.
        is_block: whether its layers follow in rows of their own.
        receptive: pixels of the input, width and height, that one value depends on.
        stride: pixels of the input between two neighbouring values.
        dense_weights: the weights of a fully connected layer between the same two volumes.
        size_sum, parameters_sum: the sums with their numbers.
    """

    path: str
    name: str
    kind: str
    depth: int
    words: str
    given: Volume
    volume: Volume
    parameters: int
    multiply_adds: int
    is_block: bool = False
    receptive: Pair | None = None
    stride: Pair | None = None
    dense_weights: int | None = None
    size_sum: str | None = None
    parameters_sum: str | None = None

    @property
    def activation_bytes(self) -> int:
        """Bytes of its volume for one image in float32."""
        return 4 * self.volume.size


@dataclass(frozen=True)
class Table:
    """What a network does to its input, a row a layer, with totals."""

    name: str
    source: str
    rows: tuple[TableRow, ...]

    @property
    def parameters(self) -> int:
        """All parameters."""
        return sum(row.parameters for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """Multiplications with their additions for one image."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def activation_bytes(self) -> int:
        """Bytes of all volumes for one image in float32, the input among them."""
        return sum(row.activation_bytes for row in self.rows if not row.is_block)

    def text(self, width: int | None = None) -> str:
        """For a terminal: columns aligned, the least needed left out where `width` characters do not hold them all."""
        columns = list(_COLUMNS)
        while width and _width(self._lines(columns)) > width and len(columns) > _FEWEST:
            columns.pop(min(range(len(columns)), key=lambda i: columns[i].worth))
        hidden = [c.title for c in _COLUMNS if c not in columns]
        more = [f"Too narrow for: {', '.join(hidden)}. --markdown and --json show them."] if hidden else []
        lines = _aligned(self._lines(columns), [c.is_number for c in columns])
        rule = "-" * max(map(len, lines))
        title = [self.name + (f" · {self.source}" if self.source else "")] if self.name else []
        return "\n".join([*title, lines[0], rule, *lines[1:-1], rule, lines[-1], "", self.summary, *more])

    def __str__(self) -> str:
        return self.text()

    @property
    def summary(self) -> str:
        """The totals in one sentence."""
        return (
            f"{self.parameters:,} parameters ({_bytes(4 * self.parameters)} in float32), "
            f"{self.multiply_adds:,} multiply-adds and {_bytes(self.activation_bytes)} of activations for one image."
        )

    def markdown(self) -> str:
        """As a Markdown table with every column, each layer by its path."""
        head, *body = self._lines((_PATH, *_COLUMNS[1:]))
        rule = ["---:" if c.is_number else "---" for c in _COLUMNS]
        body = [head, rule, *body]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in body)

    def json(self) -> dict[str, Any]:
        """As plain values: sizes as [width, height, depth], counts as integers, memory in bytes."""
        return {
            "name": self.name,
            "source": self.source,
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
            "activation_bytes": self.activation_bytes,
            "layers": [_json(row) for row in self.rows],
        }

    def sums(self) -> str:
        """The sums behind the volume and the parameters of every layer that has any, with their numbers."""
        blocks = [block for row in self.rows if (block := _sums(row))]
        return "\n".join([_FORMULAS, *blocks])

    def _lines(self, columns: Sequence[_Column]) -> list[list[str]]:
        """The cells of the titles, of every row and of the totals."""
        rows = [[column.cell(row) for column in columns] for row in self.rows]
        return [[column.title for column in columns], *rows, [column.total(self) for column in columns]]


def table(architecture: Architecture) -> Table:
    """The table of an architecture. Raises as `Architecture.walk`.

    >>> from mirada.arch import parse
    >>> table(parse("[28x28x1] INPUT\\nFC: 10 neurons")).parameters
    7850
    """
    return Table(architecture.name, architecture.source, tuple(_row(row, architecture) for row in architecture.rows))


def _row(row: Row, architecture: Architecture) -> TableRow:
    layer = row.layer
    if layer is None:
        return TableRow(
            row.path, "INPUT", "INPUT", 0, "", row.given, row.volume, 0, 0, receptive=row.receptive, stride=row.stride
        )
    words = "" if isinstance(layer, Branch) and layer.layers else describe(layer, architecture)
    return TableRow(
        row.path,
        layer.name,
        kind_of(layer),
        row.depth,
        words,
        row.given,
        row.volume,
        row.parameters,
        row.multiply_adds,
        row.is_block,
        row.receptive,
        row.stride,
        layer.dense_weights(row.given),
        layer.size_sum(row.given),
        layer.parameters_sum(row.given),
    )


@dataclass(frozen=True)
class _Column:
    title: str
    worth: int
    """Columns worth least are left out first."""
    is_number: bool
    cell: Callable[[TableRow], str]
    total: Callable[[Table], str]


def _pair(pair: Pair | None) -> str:
    return pair.short if pair else ""


def _count(n: int | None) -> str:
    return f"{n:,}" if n else ""


_COLUMNS = (
    _Column("layer", 9, False, lambda r: "  " * r.depth + r.name, lambda t: "total"),
    _Column("what it is", 6, False, lambda r: r.words, lambda t: ""),
    _Column("volume", 8, True, lambda r: str(r.volume), lambda t: ""),
    _Column("parameters", 7, True, lambda r: _count(r.parameters), lambda t: f"{t.parameters:,}"),
    _Column("multiply-adds", 5, True, lambda r: _count(r.multiply_adds), lambda t: f"{t.multiply_adds:,}"),
    _Column(
        "memory",
        2,
        True,
        lambda r: "" if r.is_block else _bytes(r.activation_bytes),
        lambda t: _bytes(t.activation_bytes),
    ),
    _Column("sees", 4, True, lambda r: _pair(r.receptive), lambda t: ""),
    _Column("stride", 3, True, lambda r: _pair(r.stride), lambda t: ""),
    _Column("if fully connected", 1, True, lambda r: _count(r.dense_weights), lambda t: ""),
)
_PATH = _Column("layer", 9, False, lambda r: r.path, lambda t: "total")
"""Where leading blanks would be lost, the path says how layers nest."""
_FEWEST = 3


def _width(cells: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) + 2 for column in zip(*cells, strict=True)) - 2


def _aligned(lines: Sequence[Sequence[str]], is_number: Sequence[bool]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, is_number, strict=True)
        ).rstrip()
        for line in lines
    ]


def _bytes(n: int) -> str:
    """
    >>> _bytes(300), _bytes(30_000), _bytes(40_000_000)
    ('300 B', '29.3 KiB', '38.1 MiB')
    """
    size = float(n)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{n} B" if unit == "B" else f"{size:.1f} {unit}"


_FORMULAS = """\
Width and height of a volume: (W - F + 2P)/S + 1, with an input of W, a filter of F, padding P and stride S.
Parameters: (F*F*D)*K weights for K filters over a depth of D, and K biases; n*K for K neurons that see n numbers.
"""


def _sums(row: TableRow) -> str:
    lines = []
    if row.size_sum:
        lines.append(f"volume           {row.size_sum} -> {row.volume}")
    if row.parameters_sum:
        lines.append(f"parameters       {row.parameters_sum} = {row.parameters:,}")
    if row.dense_weights and row.kind == "CONV":
        given, volume = row.given, row.volume
        lines.append(
            f"fully connected  {given.size:,} x {volume.size:,} = {row.dense_weights:,} weights for the "
            f"same two volumes, {row.dense_weights / row.parameters:,.0f} times as many"
        )
    return "\n".join([row.name if row.depth == 0 else row.path, *(f"  {line}" for line in lines)]) if lines else ""


def _json(row: TableRow) -> dict[str, Any]:
    def volume(v: Volume) -> list[int]:
        return [v.width, v.height, v.depth]

    return {
        "path": row.path,
        "name": row.name,
        "kind": row.kind,
        "depth": row.depth,
        "is_block": row.is_block,
        "words": row.words,
        "input": volume(row.given),
        "volume": volume(row.volume),
        "parameters": row.parameters,
        "multiply_adds": row.multiply_adds,
        "activation_bytes": row.activation_bytes,
        "receptive_field": list(row.receptive) if row.receptive else None,
        "stride": list(row.stride) if row.stride else None,
        "fully_connected_weights": row.dense_weights,
        "size_sum": row.size_sum,
        "parameters_sum": row.parameters_sum,
    }
