"""A collection laid out by likeness, as one offline page to wander in.

Of a large one, some images drawn at random are shown; each stands for those that it is nearest to.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mirada.data.threads import map_items
from mirada.errors import DataError, ImageError
from mirada.image import decode
from mirada.page import Markup, footer, page, tag
from mirada.progress import Progress, silent
from mirada.search.layout import laid_out
from mirada.search.table import Table

__all__ = ["MOST", "Tile", "atlas", "atlas_page"]

MOST: Final = 2_500
"""Images that are shown."""

TILE: Final = 72
"""Pixels of a tile's side in the sheets."""
SHEET: Final = 24
"""Tiles along the side of a sheet."""


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture of the atlas.

    Attributes:
        column, row: its cell.
        picture: (H, W, 3) RGB uint8, of any size, or None where it cannot be read.
        name: its path.
        label: its class or folder, or None.
        stands_for: how many pictures it stands for, itself among them.
    """

    column: int
    row: int
    picture: NDArray[np.uint8] | None
    name: str
    label: str | None
    stands_for: int = 1


def atlas(table: Table, title: str, progress: Progress = silent) -> str:
    """The text of the page of an index; see `Index.atlas`.

    Raises:
        DataError: the index is empty.
    """
    if not len(table):
        raise DataError(f"{table.place}: the index is empty: there is nothing to show")
    ids = table.drawn(MOST)
    vectors, _ = table.seen(ids)
    stands_for = np.zeros(len(ids), np.int64)
    for _, some in table.vectors():
        stands_for += np.bincount((some @ vectors.T).argmax(axis=1), minlength=len(ids))
    rows = table.rows(ids)
    progress("laying out", 0, 1)
    cells, size = laid_out(vectors)
    progress("laying out", 1, 1)
    tiles = []
    with closing(map_items(_picture, [row["file"] for row in rows])) as pictures:
        for place, (row, picture) in enumerate(zip(rows, pictures, strict=True)):
            column, line = cells[place].tolist()
            name = os.fsdecode(row["file"])
            tiles.append(Tile(column, line, picture, name, row["label"], max(1, int(stands_for[place]))))
            progress("reading pictures", place + 1, len(rows))
    count = f"{len(table):,} pictures" if len(table) == len(ids) else f"{len(ids):,} of {len(table):,} pictures"
    return atlas_page(tiles, size, title, f"{count}, laid out by likeness")


def _picture(file: bytes) -> NDArray[np.uint8] | None:
    """The picture of a file as large as a tile; None where it cannot be read any more."""
    try:
        return _square(decode(os.fsdecode(file)))
    except ImageError:
        return None


def atlas_page(tiles: Sequence[Tile], size: tuple[int, int], title: str, lead: str) -> str:
    """The text of the page.

    Args:
        tiles: one a cell.
        size: how many columns and rows there are.
        title: the heading.
        lead: what is shown, in a sentence.
    """
    sheets = [_sheet(tiles[begin : begin + SHEET**2]) for begin in range(0, len(tiles), SHEET**2)]
    facts = [[t.column, t.row, t.name, t.label, t.stands_for] for t in tiles]
    content = {"tile": TILE, "side": SHEET, "size": size, "tiles": facts, "sheets": sheets}
    data = json.dumps(content).replace("<", "\\u003c")  # so that no name can end the script
    body = (
        tag("header", tag("h1", title), tag("p", lead, class_="lead"), tag("p", _HOW, class_="small")),
        Markup(_FIELD),
        footer(),
    )
    return page(title, *body, style=_STYLE, script=f"const atlas = {data};\n{_SCRIPT}")


def _sheet(tiles: Sequence[Tile]) -> str:
    """Pictures side by side in one JPEG, as a data URI."""
    rows = -(-len(tiles) // SHEET)
    sheet = np.full((rows * TILE, SHEET * TILE, 3), 128, np.uint8)
    for place, tile in enumerate(tiles):
        if tile.picture is not None:
            y, x = divmod(place, SHEET)
            sheet[y * TILE : (y + 1) * TILE, x * TILE : (x + 1) * TILE] = _square(tile.picture)
    _, written = cv2.imencode(".jpg", sheet[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    return "data:image/jpeg;base64," + base64.b64encode(written.tobytes()).decode()


def _square(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The middle of a picture, as large as a tile."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    cut = picture[top : top + side, left : left + side]
    way = cv2.INTER_AREA if side > TILE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(cut, (TILE, TILE), interpolation=way), np.uint8)


_HOW = (
    "Pictures that look alike lie together. Drag to move, turn the wheel or press + and - to come nearer, point at a "
    "picture to see what it is; type a name or a label to see where such pictures lie."
)
_FIELD = """<div class="tools"><input id="find" type="search" placeholder="a name or a label" aria-label="find"/>
<button id="whole" type="button">show all</button> <span id="told" class="small"></span></div>
<canvas id="field" tabindex="0" role="img" aria-label="the pictures, laid out by likeness"></canvas>
<p id="what" class="small" aria-live="polite">&#160;</p>"""
_STYLE = """
main { max-width: none; padding: 1rem; } .tools { display: flex; gap: .6rem; align-items: center; margin: .4rem 0; }
canvas { width: 100%; height: calc(100vh - 15rem); min-height: 20rem; display: block; background: var(--field);
  touch-action: none; cursor: grab; border-radius: 6px; }
input, button { font: inherit; color: inherit; background: var(--field); border: 1px solid var(--line);
  border-radius: 6px; padding: .25rem .6rem; }
"""
_SCRIPT = r"""
addEventListener("DOMContentLoaded", () => {
  const field = document.getElementById("field"), pen = field.getContext("2d");
  const what = document.getElementById("what"), told = document.getElementById("told");
  const find = document.getElementById("find");
  const [columns, rows] = atlas.size, cell = new Map();
  atlas.tiles.forEach((tile, i) => cell.set(tile[0] + tile[1] * columns, i));
  const sheets = atlas.sheets.map(text => {
    const sheet = new Image(); sheet.onload = draw; sheet.src = text; return sheet;
  });
  let scale = 1, left = 0, top = 0, pointed = -1, wanted = null, moved = false;
  const pointers = new Map();

  function whole() {
    scale = Math.min(field.clientWidth / columns, field.clientHeight / rows);
    left = (field.clientWidth - columns * scale) / 2; top = (field.clientHeight - rows * scale) / 2;
    draw();
  }
  function draw() {
    const ratio = devicePixelRatio || 1, w = field.clientWidth, h = field.clientHeight;
    if (field.width !== Math.round(w * ratio) || field.height !== Math.round(h * ratio)) {
      field.width = Math.round(w * ratio); field.height = Math.round(h * ratio);
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, w, h);
    const per = atlas.side * atlas.side;
    atlas.tiles.forEach((tile, i) => {
      const x = left + tile[0] * scale, y = top + tile[1] * scale;
      if (x > w || y > h || x + scale < 0 || y + scale < 0) return;
      const sheet = sheets[Math.floor(i / per)], place = i % per;
      if (!sheet.complete) return;
      pen.globalAlpha = wanted && !wanted.has(i) ? .12 : 1;
      const t = atlas.tile, from = [place % atlas.side * t, Math.floor(place / atlas.side) * t], wide = scale * .96;
      pen.drawImage(sheet, ...from, t, t, x, y, wide, wide);
      if (i === pointed) { pen.lineWidth = 3; pen.strokeStyle = "#ff9a2e"; pen.strokeRect(x, y, wide, wide); }
    });
    pen.globalAlpha = 1;
  }
  function nearer(factor, x, y) {
    const next = Math.min(400, Math.max(4, scale * factor));
    moved = true; left = x - (x - left) * next / scale; top = y - (y - top) * next / scale; scale = next;
    draw();
  }
  function point(x, y) {
    const column = Math.floor((x - left) / scale), row = Math.floor((y - top) / scale);
    const inside = column >= 0 && row >= 0 && column < columns && row < rows;
    const i = inside ? cell.get(column + row * columns) ?? -1 : -1;
    if (i === pointed) return;
    pointed = i;
    if (i >= 0) {
      const [, , name, label, others] = atlas.tiles[i];
      const rest = others > 1 ? " (stands for " + others + " pictures)" : "";
      what.textContent = (label ? label + ": " : "") + name + rest;
    } else what.textContent = "\u00a0";
    draw();
  }
  field.addEventListener("wheel", e => { e.preventDefault(); nearer(Math.exp(-e.deltaY / 400), e.offsetX, e.offsetY); },
    { passive: false });
  field.addEventListener("pointerdown", e => {
    field.setPointerCapture(e.pointerId); pointers.set(e.pointerId, e);
  });
  field.addEventListener("pointermove", e => {
    const before = pointers.get(e.pointerId);
    if (!before) return point(e.offsetX, e.offsetY);
    moved = true;
    if (pointers.size === 1) { left += e.clientX - before.clientX; top += e.clientY - before.clientY; draw(); }
    else {
      const other = [...pointers.entries()].find(([id]) => id !== e.pointerId)[1];
      const far = p => Math.hypot(p.clientX - other.clientX, p.clientY - other.clientY);
      const box = field.getBoundingClientRect();
      nearer(far(e) / Math.max(1, far(before)), (e.clientX + other.clientX) / 2 - box.left,
        (e.clientY + other.clientY) / 2 - box.top);
    }
    pointers.set(e.pointerId, e);
  });
  for (const over of ["pointerup", "pointercancel"])
    field.addEventListener(over, e => pointers.delete(e.pointerId));
  field.addEventListener("keydown", e => {
    const step = 60, middle = [field.clientWidth / 2, field.clientHeight / 2];
    if (e.key === "+" || e.key === "=") nearer(1.25, ...middle);
    else if (e.key === "-") nearer(.8, ...middle);
    else if (e.key.startsWith("Arrow")) {
      left += { ArrowLeft: step, ArrowRight: -step }[e.key] || 0;
      top += { ArrowUp: step, ArrowDown: -step }[e.key] || 0;
      draw();
    } else return;
    e.preventDefault();
  });
  find.addEventListener("input", () => {
    const text = find.value.trim().toLowerCase();
    wanted = text ? new Set(atlas.tiles.flatMap((tile, i) =>
      (tile[2] + "\n" + (tile[3] || "")).toLowerCase().includes(text) ? [i] : [])) : null;
    told.textContent = wanted ? wanted.size + " of " + atlas.tiles.length + " pictures" : "";
    draw();
  });
  document.getElementById("whole").addEventListener("click", whole);
  new ResizeObserver(() => moved ? draw() : whole()).observe(field);
  whole();
});
"""
