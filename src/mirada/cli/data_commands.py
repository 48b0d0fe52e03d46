"""The commands about data: a thin layer over `mirada.check`, `mirada.convert` and `mirada.augment`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from mirada.cli.options import NUMBER, as_json_option
from mirada.cli.progress import progress_bar
from mirada.cli.write import finding_lines, notes, shown

__all__ = ["augment", "check", "convert"]

DATA = (
    "Class folders, train/val/test folders, shards (.tar) here or at s3://..., a CSV file, COCO's JSON, Pascal VOC, "
    "YOLO's data.yaml, images with masks, MNIST's IDX folder, or digits."
)
kind_option = click.option(
    "--kind",
    metavar="KIND",
    help="How to read a folder that can be read in several ways: coco, voc, yolo, masks or folders.",
)


@click.command()
@click.argument("data", metavar="DATA", help=DATA)
@kind_option
@click.option(
    "--deep/--quick",
    default=None,
    help="Look at the features of a network too, which finds wrong labels and odd pictures, or do not. "
    "Default: up to 5,000 pictures.",
)
@click.option("--html", "page", metavar="FILE", type=click.Path(path_type=Path), help="Write a page of thumbnails too.")
@as_json_option
def check(data: str, kind: str | None, deep: bool | None, page: Path | None, as_json: bool) -> None:
    """Look at all of a data set, before anything is trained on it. Nothing is changed.

    Exit status 1 where something must be mended.
    """
    from mirada.inspection import check, report_page
    from mirada.page import check_page, write_page

    if page is not None:
        check_page(page)
    with progress_bar() as progress:
        report = check(data, kind=kind, deep=deep, progress=progress)
    if as_json:
        print(json.dumps(report.json(), indent=2))
    else:
        notes(report.notes)
        print("\n".join(finding_lines(report)))
    if page is not None:
        write_page(report_page(report), page)
        notes([f"the page is {shown(str(page))}: open it in a browser"])
    if report.must_be_mended:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("data", metavar="DATA", help=DATA)
@click.option("-o", "--out", metavar="NEW", required=True, help="The new folder.")
@click.option("--to", "form", metavar="FORMAT", required=True, help="coco, voc, yolo, folders, shards or masks.")
@kind_option
def convert(data: str, out: str, form: str, kind: str | None) -> None:
    """Write a data set in another format. Images are copied as they are, into a new folder."""
    from mirada.data import convert, read
    from mirada.data.conversion import format_of

    to = format_of(form)
    dataset = read(data, kind=kind, is_learnt_from=False)
    with progress_bar() as progress:
        lost = convert(dataset, out, to, progress=progress)
    notes([*dataset.notes, *lost])
    print(f"read      {len(dataset):,} images, {dataset.kind}\nsaved     {shown(out)}, {form}")


@click.command()
@click.argument("source", metavar="IMAGE|DATA", help="A picture, or a data set, of which some are shown.")
@click.option(
    "-o",
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default=Path("sheet.png"),
    show_default=True,
    help="The picture of views, .png or .jpg.",
)
@click.option(
    "--policy",
    metavar="NAME|FILE",
    default="light",
    show_default=True,
    help="What may change: none, light, standard, strong, trivial, alexnet, or a JSON file.",
)
@click.option(
    "--mirror/--no-mirror",
    default=None,
    help="Mirror left to right, or never. Default: as the policy does, but not digits.",
)
@click.option("--rows", metavar="N", type=NUMBER, default=4, show_default=True, help="Pictures of a data set.")
@click.option(
    "--columns", metavar="N", type=NUMBER, default=8, show_default=True, help="Views of each, itself among them."
)
@click.option(
    "--seed", metavar="N", type=click.IntRange(min=0), default=0, show_default=True, help="Of the random numbers."
)
@kind_option
def augment(
    source: str,
    out: Path,
    policy: str,
    mirror: bool | None,
    rows: int,
    columns: int,
    seed: int,
    kind: str | None,
) -> None:
    """Show random views of a picture, or of some of a data set, with their boxes and masks, as one picture."""
    from mirada.inspection.augmented import augment

    augment(source, out, policy=policy, mirror=mirror, rows=rows, columns=columns, seed=seed, kind=kind)
    print(f"saved     {shown(str(out))}")
