"""What was found, or what is the same, as one offline page of thumbnails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirada.errors import ImageError
from mirada.image import decode
from mirada.page import Markup, footer, page, tag, thumbnail
from mirada.search.hits import Hit
from mirada.search.similar import Group
from mirada.words import counted, percent

__all__ = ["gallery", "groups_page"]

GROUPS: Final = 300
"""Groups of copies that are shown."""
OF_A_GROUP: Final = 12
"""Pictures of a group that are shown."""


def gallery(
    queries: Sequence[str],
    hits: Sequence[Hit],
    where: str | None = None,
    region: tuple[int, int, int, int] | None = None,
) -> str:
    """The text of a page: what was looked for, and what was found, the most alike first.

    Args:
        queries: the files of the pictures that were looked for.
        hits: what was found.
        where, region: as they were given to the search.
    """
    asked = [_figure(query, _cut(_picture(query), region), Markup("")) for query in queries]
    found = [_figure(hit.path, _picture(hit.path), _said(hit)) for hit in hits]
    what = f"{counted(len(hits), 'picture')} that look like " + ("this" if len(queries) == 1 else "these together")
    lead = what if where is None else f"{what}, where {where}"
    body = (
        tag("header", tag("h1", "Found by likeness"), tag("p", lead, class_="lead")),
        tag("section", tag("h2", "Looked for"), _grid(asked)),
        tag("section", tag("h2", "Found"), tag("p", _HOW, class_="small"), _grid(found)),
        footer(),
    )
    return page("Found by likeness", *body)


def groups_page(groups: Sequence[Group]) -> str:
    """The text of a page: the pictures that are the same, group by group.

    Args:
        groups: as `Index.similar` finds them.
    """
    count = sum(len(group.paths) for group in groups)
    lead = f"{counted(len(groups), 'group')}, {count:,} pictures" if groups else "No two pictures are the same."
    more = len(groups) - GROUPS
    body = (
        tag("header", tag("h1", "The same pictures"), tag("p", lead, class_="lead")),
        *(tag("section", tag("h2", group.words), _grid(_members(group))) for group in groups[:GROUPS]),
        *([tag("p", f"{counted(more, 'more group')} not shown.")] if more > 0 else []),
        footer(),
    )
    return page("The same pictures", *body)


def _members(group: Group) -> list[Markup]:
    figures = [_figure(path, _picture(path), Markup("")) for path in group.paths[:OF_A_GROUP]]
    more = len(group.paths) - OF_A_GROUP
    return [*figures, tag("p", f"and {more:,} more")] if more > 0 else figures


_HOW = (
    "How alike two pictures are is said in relation to this collection: the share of pairs of its pictures, drawn at "
    "random, that are less alike than this picture and what was looked for."
)


def _picture(path: str) -> NDArray[np.uint8] | None:
    try:
        return decode(Path(path))
    except ImageError:
        return None


def _cut(picture: NDArray[np.uint8] | None, region: tuple[int, int, int, int] | None) -> NDArray[np.uint8] | None:
    if picture is None or region is None:
        return picture
    left, top, width, height = region
    return picture[top : top + height, left : left + width]


def _figure(name: str, picture: NDArray[np.uint8] | None, said: Markup) -> Markup:
    if picture is None:
        shown = tag("span", "cannot be read any more", class_="gone")
    else:
        shown = tag("img", src=thumbnail(picture, 240), alt=name)
    return tag("figure", shown, tag("figcaption", said, tag("span", name)))


def _said(hit: Hit) -> Markup:
    label = Markup("") if hit.label is None else tag("b", hit.label, Markup("<br/>"))
    share = "" if hit.nearer_than is None else f": more than {percent(hit.nearer_than)} of random pairs"
    words = f"{hit.words}{share} (similarity {hit.similarity:.2f})"
    return Markup(label + tag("span", words, class_="said well") + "<br/>")


def _grid(figures: Sequence[Markup]) -> Markup:
    return tag("div", *figures, class_="grid-of", style="--least:12rem")
