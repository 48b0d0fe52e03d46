"""Text and pixels -> an HTML page that is whole in itself: escaped elements, tables, thumbnails, one style.

A page fetches nothing and runs nothing: style and pictures are in it, and a content security policy forbids the rest.
Whatever comes from data is escaped by `tag`.

Does not know: models, files, what a page says.
"""

from __future__ import annotations

import base64
import errno
import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mirada.errors import UsageError
from mirada.files import write_whole
from mirada.version import __version__
from mirada.words import visible

__all__ = [
    "STYLE",
    "THUMBNAIL",
    "Markup",
    "check_page",
    "footer",
    "page",
    "table",
    "tag",
    "thumbnail",
    "together",
    "value_text",
    "write_page",
]

THUMBNAIL = 160
"""The longest side of a thumbnail, in pixels."""
_VOID = frozenset({"circle", "image", "img", "line", "meta", "path", "polyline", "rect"})


class Markup(str):
    """Text that is HTML already. All other text is escaped where it becomes part of an element."""

    __slots__ = ()


def tag(name: str, *content: str, **attributes: str | float | None) -> Markup:
    """An element. Content that is not `Markup` and the values of attributes are escaped; None leaves one out.

    >>> tag("p", "a < b", tag("b", "c"), class_="x")
    '<p class="x">a &lt; b<b>c</b></p>'
    """
    given = {key: value for key, value in attributes.items() if value is not None}
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{value_text(value)}"' for key, value in given.items())
    end = "/>" if name in _VOID and not content else f">{together(*content)}</{name}>"
    return Markup(f"<{name}{written}{end}")


def together(*content: str) -> Markup:
    """Pieces one after the other; what is not `Markup` is escaped."""
    return Markup("".join(each if isinstance(each, Markup) else escape(visible(each)) for each in content))


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], marked: int | None = None) -> Markup:
    """A table; one row may be marked. On a narrow screen it scrolls by itself."""

    def cells(row: Sequence[str]) -> list[Markup]:
        return [tag("td", c, class_="long" if len(c) > 24 and not isinstance(c, Markup) else None) for c in row]

    head = tag("tr", *(tag("th", each, scope="col") for each in heads))
    body = (tag("tr", *cells(row), class_="marked" if i == marked else None) for i, row in enumerate(rows))
    return tag("div", tag("table", tag("thead", head), tag("tbody", *body)), class_="wide")


def side_by_side(least: str, content: Iterable[Markup]) -> Markup:
    """Pieces of a page, each at least so wide, as many in a row as there is room for."""
    return tag("div", *content, class_="grid-of", style=f"--least:{least}")


def thumbnail(image: NDArray[np.uint8], side: int = THUMBNAIL) -> str:
    """A picture (H, W, 3) RGB or (H, W, 1) grey as a data URI in JPEG, its longest side at most `side` pixels.

    Tiny ones, such as digits of 8 x 8, are enlarged by a whole number, so that their pixels can be seen.
    """
    height, width = image.shape[:2]
    longest = max(height, width)
    if longest > side:
        size = max(round(width * side / longest), 1), max(round(height * side / longest), 1)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    else:
        image = image.repeat(side // longest, axis=0).repeat(side // longest, axis=1)
    bgr = image[:, :, ::-1] if image.ndim == 3 and image.shape[2] == 3 else image
    _, content = cv2.imencode(".jpg", np.ascontiguousarray(bgr), [cv2.IMWRITE_JPEG_QUALITY, 82])
    return "data:image/jpeg;base64," + base64.b64encode(content.tobytes()).decode()


def page(title: str, *body: Markup, style: str = "", script: str | None = None) -> str:
    """The text of a whole page.

    Args:
        title: of the window.
        body: what stands on it.
        style: more of it, for this page.
        script: of our own making, where the page is to be wandered in; it may load nothing either.
    """
    run = "" if script is None else "; script-src 'unsafe-inline'"
    head = tag(
        "head",
        Markup(_HEAD.format(run=run)),
        tag("title", title),
        tag("style", Markup(STYLE + style)),
        *([] if script is None else [tag("script", Markup(script), defer="")]),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', tag('main', *body)), lang='en')}\n"


_HEAD = (
    '<meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'{run}\"/>"
)


def footer(said: str = "") -> Markup:
    """Who made the page, what else is to be said, and that the page is whole in itself."""
    words = (f"Made by mirada {__version__}.", said, "One file; it loads nothing from elsewhere.")
    return tag("footer", " ".join(filter(None, words)))


def check_page(path: Path) -> None:
    """See that a page can be written there, before it is made.

    Raises:
        UsageError: a file that is no page is there, or no folder for it.
    """
    try:
        if path.exists():
            with path.open("rb") as there:
                if not there.read(15).lower().startswith(b"<!doctype html>"):
                    raise UsageError(f"{path} is there already, and no page: give another name")
        elif not path.parent.is_dir():
            raise UsageError(f"{path}: the page cannot be written ({os.strerror(errno.ENOENT)})")
    except OSError as error:
        raise UsageError(f"{path}: the page cannot be written ({error.strerror})") from error


def write_page(text: str, path: Path) -> None:
    """Write a page. The file appears complete or not at all, and replaces an earlier page.

    Raises:
        UsageError: it cannot be written, or a file that is no page is there.
    """
    check_page(path)
    try:
        write_whole(text.encode(errors="backslashreplace"), path)
    except OSError as error:
        raise UsageError(f"{path}: the page cannot be written ({error.strerror})") from error


def value_text(value: str | float) -> str:
    """A value as it stands in an attribute."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return escape(visible(value)) if isinstance(value, str) else str(value)


STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --muted: #59626d; --line: #dfe3e8; --field: #f5f6f8;
  --blue: #0068ad; --orange: #c8500a; --tint: #a9cfec; --warm: #fdf1e7; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e8eaed; --muted: #a3acb6; --line: #333a42;
  --field: #1c2127; --blue: #5cb3ee; --orange: #f0994d; --tint: #2a557a; --warm: #33261a; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1060px; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0; } h2 { font-size: 1.35rem; margin: 0 0 .6rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .3rem; } p, li { max-width: 46rem; } p { margin: .5rem 0; }
section { margin-top: 2.4rem; padding-top: 1.6rem; border-top: 1px solid var(--line); }
nav { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin-top: 1rem; font-size: .92rem; }
a, summary { color: var(--blue); } summary { cursor: pointer; margin: .6rem 0; }
.small, figcaption, footer, .lead { color: var(--muted); font-size: .88rem; } footer { margin-top: 3rem; }
.lead { font-size: 1.05rem; } .big { font-size: 4rem; line-height: 1.1; font-weight: 650; letter-spacing: -.02em; }
.warning { background: var(--warm); border-left: 4px solid var(--orange); padding: .6rem .9rem; }
.grid-of { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, var(--least)), 1fr)); }
.card { background: var(--field); border-radius: 8px; padding: .8rem 1rem; font-size: .92rem; }
.card p { margin: .2rem 0; } .card b { font-size: 1.6rem; display: block; line-height: 1.3; }
figure { margin: .6rem 0; break-inside: avoid; } figcaption { line-height: 1.4; margin-top: .25rem; }
figcaption b { color: var(--ink); } .said { color: var(--orange); } .said.well { color: var(--blue); }
img { max-width: 100%; height: auto; border-radius: 3px; vertical-align: bottom; }
.thumbs { display: flex; gap: .4rem; align-items: end; height: 160px; } .thumbs > * { max-height: 160px; min-width: 0; }
.thumbs img { object-fit: contain; object-position: left bottom; } .thumbs.two > * { max-width: calc(50% - .2rem); }
.gone { display: block; width: 160px; height: 120px; overflow: hidden; padding: .5rem; background: var(--line);
  color: var(--muted); font-size: .75rem; line-height: 1.3; border-radius: 3px; }
.wide { overflow-x: auto; margin: .8rem 0; } table { border-collapse: collapse; font-size: .9rem; min-width: 100%; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: break-word; font-variant-numeric: tabular-nums; } th { color: var(--muted); font-weight: 500; }
td { white-space: nowrap; } td.long { white-space: normal; min-width: 11rem; }
.marked td { background: var(--field); font-weight: 600; }
code { white-space: nowrap; }
pre { background: var(--field); padding: .7rem 1rem; border-radius: 8px; white-space: pre-wrap; font-size: .88rem; }
.range { display: block; height: .7rem; min-width: 6rem; margin: .4rem 0; border-radius: 2px; background:
  linear-gradient(var(--blue), var(--blue)) calc(var(--v) * 1%) 0 / 4px 100% no-repeat,
  linear-gradient(var(--muted), var(--muted)) calc(var(--o, -9) * 1%) 0 / 3px 100% no-repeat, var(--line)
  linear-gradient(90deg, #0000 calc(var(--l) * 1%), var(--tint) 0 calc(var(--h) * 1%), #0000 0); }
svg { display: block; max-width: 100%; height: auto; } figure > svg { width: 100%; max-width: 560px; }
.matrix svg { max-width: max(100%, 30rem); }
text { fill: var(--muted); font-size: 12.5px; } text.name { fill: var(--ink); } .grid { stroke: var(--line); }
.in-best, .in-dense { fill: var(--paper); } .in-other, .in-thin { fill: var(--ink); }
.point-best { fill: var(--blue); } .point-other { fill: var(--paper); stroke: var(--blue); stroke-width: 1.5; }
.bar-best, .bar-other { stroke: var(--blue); stroke-width: 3; } .bar-other { stroke-width: 1.5; }
.way, .curve, .faint { fill: none; stroke: var(--blue); stroke-width: 2; } .way { stroke: var(--line); }
.faint { stroke: var(--orange); stroke-width: 1.2; } .ideal { stroke: var(--muted); stroke-dasharray: 5 4; }
.count { fill: var(--tint); } .field { fill: none; stroke: var(--line); } .right { fill: var(--blue); }
.wrong { fill: var(--orange); } .shade { fill: #000; fill-opacity: .5; } .frame { fill: none; stroke: #ff9a2e; }
@media (max-width: 560px) { figure text { font-size: 16px; } }
@media print { main { max-width: none; padding: 0; } nav, summary { display: none; } section { border: 0; }
  h2, h3 { break-after: avoid; } .card, tr, svg { break-inside: avoid; } .wide { overflow: visible; }
  html { font-size: 13px; } td, td.long { white-space: normal; min-width: 0 } .matrix svg { min-width: 0 !important; } }
"""
"""The style of the page: calm, light or dark as the reader's screen, blue for right and orange for wrong."""
