"""Table -> SVG: the row of volumes as papers draw them, each a box to scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from mirada.arch.shapes import Volume
from mirada.arch.table import Table, TableRow

__all__ = ["svg"]

_SIDE = 190.0
"""Drawn height, in units of the picture, of the widest volume."""
_DEPTH = 74.0
"""Drawn length of the deepest volume that has an extent in space."""
_VECTOR = 150.0
"""Drawn height of the longest vector, on a scale of its own."""
_LEAST = 3.0
_GAP = 30.0
_SLANT = 0.32
"""How far the width runs to the right and up, against its length."""
_MARGIN = 40.0
_LABELS = 62.0
_COLOUR_NOTE = "Blue: CONV. Orange: pooling. Green: FC. Violet: blocks and others."
_COLOURS = {"CONV": "#4c78a8", "POOL": "#e4a03a", "FC": "#54a24b", "INPUT": "#9a9a9a", "": "#8c6bb1"}


@dataclass(frozen=True)
class _Box:
    row: TableRow
    x: float
    length: float
    """Along the row: the depth."""
    height: float
    slant: float
    """How far its far side is moved to the right and up: the width."""

    @property
    def right(self) -> float:
        return self.x + self.length + self.slant


def svg(table: Table) -> str:
    """The volumes of the outer layers from left to right, each a box to scale.

    Height and width are the volume's, the length along the row is its depth. Boxes share one scale for width and height
    and one for depth; vectors are bars on a third.

    Layers that leave the volume as it is (normalisation, dropout, activations) are not drawn.
    """
    rows = [row for row in table.rows if row.depth == 0 and _is_drawn(row)]
    boxes = _boxes(rows)
    width = max(boxes[-1].right + _MARGIN, 540.0)
    top = _MARGIN + 34 + max(box.slant for box in boxes)
    ground = top + max(box.height for box in boxes)
    height = ground + _LABELS + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" font-family="Helvetica, Arial, sans-serif">',
        f"<title>{escape(table.name or 'network')}: the volume after each layer</title>",
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
        _text(_MARGIN, _MARGIN + 6, table.name or "network", size=16, weight="bold"),
        _text(
            _MARGIN, _MARGIN + 24, f"{table.parameters:,} parameters, {table.multiply_adds:,} multiply-adds", size=11
        ),
    ]
    for i, box in enumerate(boxes):
        parts += _draw(box, ground, label_row=i % 2)
    parts.append(_text(_MARGIN, height - 24, _COLOUR_NOTE, size=10, colour="#666"))
    parts.append(_text(_MARGIN, height - 8, _scale_note(rows), size=10, colour="#666"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _is_drawn(row: TableRow) -> bool:
    return row.kind in ("INPUT", "CONV", "FC") or row.volume != row.given or row.is_block


def _boxes(rows: Sequence[TableRow]) -> list[_Box]:
    spatial = [row.volume for row in rows if not row.volume.is_vector]
    side = _SIDE / max((max(v.width, v.height) for v in spatial), default=1)
    depth = _DEPTH / max((v.depth for v in spatial), default=1)
    vector = _VECTOR / max((row.volume.depth for row in rows if row.volume.is_vector), default=1)
    boxes: list[_Box] = []
    x = _MARGIN
    for row in rows:
        box = _box(row, row.volume, x, side, depth, vector)
        boxes.append(box)
        x = max(box.right + _GAP * 0.5, box.x + box.length + _GAP, x + 46)
    return boxes


def _box(row: TableRow, volume: Volume, x: float, side: float, depth: float, vector: float) -> _Box:
    if volume.is_vector:
        return _Box(row, x, 8.0, max(volume.depth * vector, _LEAST), 3.0)
    return _Box(
        row,
        x,
        max(volume.depth * depth, _LEAST),
        max(volume.height * side, _LEAST),
        max(volume.width * side * _SLANT, 1.0),
    )


def _draw(box: _Box, ground: float, label_row: int) -> list[str]:
    x, y, w, h, s = box.x, ground - box.height, box.length, box.height, box.slant
    colour = _colour(box.row.kind)
    middle = x + w / 2
    label = ground + 18 + 22 * label_row
    return [
        f"<g><title>{escape(_hover(box.row))}</title>",
        _polygon([(x, y), (x + s, y - s), (x + w + s, y - s), (x + w, y)], colour, 0.45),
        _polygon([(x + w, y), (x + w + s, y - s), (x + w + s, y + h - s), (x + w, y + h)], colour, 0.7),
        _polygon([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], colour, 0.9),
        "</g>",
        _text(middle, label, box.row.name, size=10, weight="bold", anchor="middle"),
        _text(middle, label + 11, str(box.row.volume), size=9, anchor="middle", colour="#444"),
    ]


def _hover(row: TableRow) -> str:
    parameters = f", {row.parameters:,} parameters" if row.parameters else ""
    return f"{row.name}{': ' + row.words if row.words else ''} -> {row.volume}{parameters}"


def _colour(kind: str) -> str:
    return next((colour for word, colour in _COLOURS.items() if word in kind.split() or word == ""), _COLOURS[""])


def _polygon(points: Sequence[tuple[float, float]], colour: str, opacity: float) -> str:
    at = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polygon points="{at}" fill="{colour}" fill-opacity="{opacity}" stroke="#333" stroke-width="0.6" '
        'stroke-linejoin="round"/>'
    )


def _text(
    x: float, y: float, text: str, *, size: int, weight: str = "normal", anchor: str = "start", colour: str = "#111"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="{colour}">{escape(text)}</text>'
    )


def _scale_note(rows: Sequence[TableRow]) -> str:
    spatial = [row.volume for row in rows if not row.volume.is_vector]
    vectors = any(row.volume.is_vector for row in rows)
    note = "Height and slant: height and width of the volume. Length: its depth." if spatial else ""
    return f"{note} Vectors: bars on a scale of their own." if vectors and spatial else note
