"""The commands of an index: a thin layer over `mirada.index` and the methods of `mirada.Index`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mirada.cli.options import NUMBER, as_json_option, page_option
from mirada.cli.progress import progress_bar
from mirada.cli.write import group_lines, hit_lines, index_lines, notes, shown, warn
from mirada.errors import UsageError

__all__ = ["atlas", "index", "search", "similar"]


@click.command()
@click.argument(
    "images", metavar="IMAGES...", nargs=-1, required=True, help="Folders, images, and tables (CSV with a column path)."
)
@click.option(
    "-o", "--out", metavar="INDEX", required=True, help="The index: a folder, or an address such as s3://bucket/index."
)
@click.option(
    "--from",
    "network",
    metavar="NETWORK",
    help="What makes the vectors: a pretrained network (efficientnet-lite0, timm:NAME), or the directory of a model. "
    "Default: what made the index before, else efficientnet-lite0.",
)
@click.option(
    "--layer",
    metavar="NAME",
    help="Take the output of this layer instead of the features, such as FC7 of a model of AlexNet's listing, or "
    "blocks.3 of efficientnet-lite0.",
)
@click.option("--forget", is_flag=True, help="Take images out instead: those at IMAGES and below, there or not.")
@as_json_option
def index(
    images: tuple[str, ...], out: str, network: str | None, layer: str | None, forget: bool, as_json: bool
) -> None:
    """Make the index of a collection of images, or bring one up to date.

    Only what is new or has changed is read. Exit status 1 where an image could not be read.
    """
    from mirada.search import forget as take_out
    from mirada.search import index

    if forget:
        count = take_out(images, out)
        print(json.dumps({"index": out, "gone": count}) if as_json else f"taken out {count:,} images of {shown(out)}")
        return
    with progress_bar() as progress:
        made = index(images, out, network=network, layer=layer, progress=progress)
    changes = made.changes
    assert changes is not None
    notes(changes.notes)
    for path, reason in changes.unread.items():
        warn(f"{shown(path)}: cannot be read: {reason}")
    if as_json:
        print(json.dumps({"index": out, "images": len(made), **changes.json()}, indent=2))
    else:
        print("\n".join(index_lines(made)))
    if changes.unread:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("place", metavar="INDEX", help="An index.")
@click.argument(
    "query",
    metavar="QUERY...",
    nargs=-1,
    required=True,
    help="Images, in files or in the index; several count together.",
)
@click.option("-k", metavar="N", type=NUMBER, default=10, show_default=True, help="How many to find.")
@click.option(
    "--where",
    "conditions",
    metavar="CONDITION",
    multiple=True,
    help="What hits must meet, such as \"label = 'pear' and width > 500\"; of several, all.",
)
@click.option("--region", metavar="X,Y,W,H", help="Look for this part of the picture only, in pixels.")
@page_option
@as_json_option
def search(
    place: str,
    query: tuple[str, ...],
    k: int,
    conditions: tuple[str, ...],
    region: str | None,
    page: Path | None,
    as_json: bool,
) -> None:
    """Find the images of an index that look like a picture.

    In a condition stand the columns label, path, width, height, bytes, taken, camera, hash and those of your table,
    compared by =, !=, <, <=, >, >=, IN, LIKE, BETWEEN, IS NULL, and joined by AND, OR, NOT.
    """
    from mirada.search import gallery, open_index

    area = _region(region)
    where = conditions[0] if len(conditions) == 1 else " AND ".join(f"({each})" for each in conditions) or None
    opened = open_index(place)
    if opened.is_being_changed:
        notes(["the index is being changed, or was not made whole: all of it is read, which takes longer"])
    hits = opened.search(query, k=k, where=where, region=area)
    if page is not None:
        _write(gallery(query, hits, where, area), page)
    if as_json:
        print(json.dumps([hit.json() for hit in hits], indent=2))
    else:
        print("\n".join(hit_lines(hits)))


@click.command()
@click.argument("place", metavar="INDEX", help="An index.")
@click.option(
    "--certainty",
    metavar="P",
    type=click.FloatRange(0, 1),
    default=0.9,
    show_default=True,
    help="How sure it must be that a pair shows the same.",
)
@page_option
@as_json_option
def similar(place: str, certainty: float, page: Path | None, as_json: bool) -> None:
    """Find the images of an index that are the same: copies of a file, and pictures that were altered.

    Files are only read. What is left of a picture in another size, quality, cut, turn or brightness is found.
    """
    from mirada.search import groups_page, open_index

    with progress_bar() as progress:
        groups = open_index(place).similar(certainty=certainty, progress=progress)
    if page is not None:
        _write(groups_page(groups), page)
    if as_json:
        print(json.dumps([group.json() for group in groups], indent=2))
    else:
        print("\n".join(group_lines(groups)))


@click.command()
@click.argument("place", metavar="INDEX", help="An index.")
@click.option(
    "-o",
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default=Path("atlas.html"),
    show_default=True,
    help="The page.",
)
def atlas(place: str, out: Path) -> None:
    """Lay the collection of an index out by likeness, as one page to wander in, offline."""
    from mirada.search import open_index

    with progress_bar() as progress:
        open_index(place).atlas(out, progress=progress)
    print(f"saved     {shown(str(out))}: open it in a browser")


def _write(text: str, page: Path) -> None:
    """Write a page, and say so."""
    from mirada.page import write_page

    write_page(text, page)
    notes([f"the page is {shown(str(page))}: open it in a browser"])


def _region(text: str | None) -> tuple[int, int, int, int] | None:
    """What --region says."""
    if text is None:
        return None
    numbers = text.split(",")
    if len(numbers) != 4 or not all(number.strip().isdecimal() for number in numbers):
        raise UsageError(f"--region is left,top,width,height in whole pixels, such as 10,20,200,150; got {text!r}")
    left, top, width, height = map(int, numbers)
    return left, top, width, height
