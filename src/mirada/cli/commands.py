"""The commands. Each is a thin layer over the public function of its name: it reads arguments and prints."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirada.cli.progress import progress_bar
from mirada.cli.write import (
    engine_lines,
    evaluation_lines,
    group_lines,
    hit_lines,
    index_lines,
    notes,
    prediction_line,
    shown,
    trained_lines,
    warn,
)
from mirada.errors import UsageError
from mirada.page import write_page
from mirada.version import __version__

if TYPE_CHECKING:
    from mirada.data import Part
    from mirada.model import Prediction

__all__ = ["app"]

_NUMBER = click.IntRange(min=1)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


class _InWalkingOrder(click.Group):
    """Lists its commands in the order in which a person meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InWalkingOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(
    __version__, prog_name="mirada", message="%(prog)s %(version)s", help="Print the version and stop."
)
def app() -> None:
    """Train, run and explain convolutional neural networks on your own images.

    Begin with: mirada layers lenet5, mirada train digits --from lenet5, or mirada train FOLDER with one subfolder of
    photos a class.
    """


@app.command()
@click.argument(
    "network",
    metavar="NETWORK",
    help="A network of the zoo (lenet5, alexnet, zfnet, vgg11, vgg13, vgg16, vgg19, googlenet, resnet18, resnet34, "
    "resnet50, senet), a listing FILE.net, - for standard input, efficientnet-lite0, timm:NAME or torchvision:NAME.",
)
@click.option("--input", metavar="WxHxD", help="Another input, such as 224x224x3.")
@click.option("--sums", is_flag=True, help="Show the sums behind volumes and parameters.")
@_as_json
@click.option("--markdown", is_flag=True, help="Print a Markdown table.")
@click.option("--svg", is_flag=True, help="Print a drawing: the row of volumes, to scale.")
def layers(network: str, input: str | None, sums: bool, as_json: bool, markdown: bool, svg: bool) -> None:
    """The table of a network: what each layer does to the volume, its parameters, multiply-adds and receptive field."""
    from mirada.backbone import layers

    if sum((sums, as_json, markdown, svg)) > 1:
        raise UsageError("--sums, --json, --markdown and --svg exclude each other")
    table = layers(network, input=input)
    if as_json:
        print(json.dumps(table.json(), indent=2, ensure_ascii=False))
    elif markdown:
        print(table.markdown())
    elif svg:
        from mirada.arch.drawing import svg as draw

        print(draw(table), end="")
    elif sums:
        if not any(row.size_sum or row.parameters_sum for row in table.rows):
            raise UsageError(f"{network} is no listing: its layers have no sums to show")
        print(table.sums())
    else:
        print(table.text(shutil.get_terminal_size().columns if sys.stdout.isatty() else None))


@app.command()
@click.argument(
    "data", metavar="DATA", help="Class folders, train/val/test folders, a CSV file, MNIST's IDX folder, or digits."
)
@click.option(
    "--from",
    "network",
    metavar="NETWORK",
    default="efficientnet-lite0",
    show_default=True,
    help="What to start from: a pretrained network (efficientnet-lite0, timm:NAME), or a listing to train from scratch "
    "(a network of the zoo such as lenet5, or FILE.net).",
)
@click.option(
    "-o",
    "--out",
    metavar="MODEL",
    type=click.Path(path_type=Path),
    help="The new directory of the model. Default: NAME-model.",
)
@click.option(
    "--retrain",
    metavar="auto|head|N|all",
    default="auto",
    show_default=True,
    help="How much of a pretrained network to train: as much as pays on the validation images, the last layer only, "
    "the last N stages, or everything.",
)
@click.option("--minutes", metavar="M", type=float, help="The most that everything may take; the best so far is kept.")
@click.option("--until", metavar="ACCURACY", type=float, help="Stop at this validation accuracy, such as 0.9.")
@click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Decides the split, the first weights and the order.",
)
@click.option(
    "--epochs",
    metavar="N",
    type=_NUMBER,
    help="Listings only: how often each image is seen. Default: 10 to 100, by their number.",
)
@click.option(
    "--batch-size",
    metavar="N",
    type=_NUMBER,
    help="Listings only: images a step. Default: 32, or 128 from 5,000 images on.",
)
@click.option(
    "--learning-rate", metavar="RATE", type=float, help="Listings only: the largest learning rate. Default: 0.002."
)
@click.option(
    "--weights",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Pretrained weights for timm:NAME, as safetensors.",
)
@_as_json
def train(
    data: str,
    network: str,
    out: Path | None,
    retrain: str,
    minutes: float | None,
    until: float | None,
    seed: int,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    weights: Path | None,
    as_json: bool,
) -> None:
    """Train a classifier and evaluate it, once, on images it has never seen."""
    from mirada.learn import train
    from mirada.learn.training import check_place

    out = out or _place_for(data)
    check_place(out, Path(data))
    with progress_bar() as progress:
        model = train(
            data,
            network,
            out=out,
            retrain=_stages(retrain),
            minutes=minutes,
            until=until,
            seed=seed,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weights=weights,
            progress=progress,
        )
    notes(model.training["notes"])
    for failure in model.training["unreadable"]:
        warn(f"not used: {shown(failure['path'])}: {failure['error']}")
    if as_json:
        print(json.dumps({"model": str(model.path), "training": model.training, "scores": model.scores}, indent=2))
    else:
        print("\n".join(trained_lines(model)))


@app.command()
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path), help="The directory of a model.")
@click.argument("data", metavar="DATA", help="Labelled images, in any form that train takes.")
@click.option("--part", metavar="train|val|test", help="Which part to count. Default: what the model never saw.")
@_as_json
def evaluate(model: Path, data: str, part: Part | None, as_json: bool) -> None:
    """Compare a model's answers with the labels of a data set."""
    from mirada.learn import evaluate

    with progress_bar() as progress:
        evaluation = evaluate(model, data, part=part, progress=progress)
    notes(evaluation.notes)
    for error in evaluation.failures:
        warn(f"not counted: {shown(str(error))}")
    print(json.dumps(evaluation.json(), ensure_ascii=False) if as_json else "\n".join(evaluation_lines(evaluation)))
    if evaluation.failures:
        raise click.exceptions.Exit(1)


@app.command()
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path), help="The directory of a model.")
@click.argument("images", metavar="PATH...", nargs=-1, required=True, help="Images, and folders of images.")
@click.option(
    "--top", metavar="N", type=_NUMBER, default=5, show_default=True, help="How many classes to name for each image."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for programs.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: path, rank, label, probability, error.")
def predict(model: Path, images: tuple[str, ...], top: int, as_json: bool, as_csv: bool) -> None:
    """Say what images show: one prediction each, in their order. Exit status 1 where an image could not be read.

    With --json each line has `path` and one of `predictions`, `error` (could not be read) and `skipped` (a file in a
    folder that is no image); with `predictions` comes `sure`, whether the first is probable enough to be trusted.
    """
    from mirada.model import load, predict

    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other")
    loaded = load(model)
    answers = predict(loaded, images, top=top)
    table = csv.writer(sys.stdout, lineterminator="\n")
    if as_csv:
        table.writerow(["path", "rank", "label", "probability", "error"])
    failed, skipped = 0, defaultdict[str, list[str]](list)
    for prediction in answers:
        failed += prediction.error is not None
        if as_json:
            print(json.dumps(prediction.json(), ensure_ascii=False), flush=True)
        elif as_csv:
            table.writerows(_csv_rows(prediction))
        elif prediction.label is not None:
            print(prediction_line(prediction), flush=True)
        elif prediction.error is not None:
            warn(f"{shown(prediction.path)}: cannot be read: {prediction.error}")
        else:
            skipped[str(prediction.skipped)].append(prediction.path)
    for reason, paths in skipped.items():
        warn(f"skipped: {shown(paths[0])}{f' and {len(paths) - 1:,} more' if len(paths) > 1 else ''}: {reason}")
    if loaded.engine.note:
        notes([loaded.engine.note])
    if failed:
        warn(f"{failed:,} {'image' if failed == 1 else 'images'} could not be read")
        raise click.exceptions.Exit(1)


@app.command()
@click.argument(
    "network", metavar="[NETWORK]", required=False, help="A pretrained network, or the directory of a model."
)
@_as_json
def engines(network: str | None, as_json: bool) -> None:
    """How networks are run on this machine: what was tried, what passed its self-test, what was chosen.

    With NETWORK it is tried now where it was not yet; without, everything that is kept is shown.
    """
    from dataclasses import asdict

    from mirada.model import engines

    choices = engines(network)
    if as_json:
        print(json.dumps([asdict(choice) for choice in choices], indent=2, ensure_ascii=False))
    elif choices:
        print("\n\n".join("\n".join(engine_lines(choice)) for choice in choices))
    else:
        print(
            "Nothing has been tried yet: train or predict, or name a network, such as mirada engines efficientnet-lite0"
        )


@app.command()
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
@click.option("--layer", metavar="NAME", help="Take the output of this layer, such as FC7, instead of the features.")
@_as_json
def index(images: tuple[str, ...], out: str, network: str | None, layer: str | None, as_json: bool) -> None:
    """Make the index of a collection of images, or bring one up to date.

    Only what is new or has changed is read. Exit status 1 where an image could not be read.
    """
    from mirada.search import index

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


@app.command()
@click.argument("place", metavar="INDEX", help="An index.")
@click.argument(
    "query",
    metavar="QUERY...",
    nargs=-1,
    required=True,
    help="Images, in files or in the index; several count together.",
)
@click.option("-k", metavar="N", type=_NUMBER, default=10, show_default=True, help="How many to find.")
@click.option("--where", metavar="CONDITION", help="What hits must meet, such as \"label = 'pear' and width > 500\".")
@click.option("--region", metavar="X,Y,W,H", help="Look for this part of the picture only, in pixels.")
@click.option("--html", "page", metavar="FILE", type=click.Path(path_type=Path), help="Write a page of thumbnails too.")
@_as_json
def search(
    place: str,
    query: tuple[str, ...],
    k: int,
    where: str | None,
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
    hits = open_index(place).search(query, k=k, where=where, region=area)
    if page is not None:
        write_page(gallery(query, hits, where, area), page)
        notes([f"the page is {shown(str(page))}: open it in a browser"])
    if as_json:
        print(json.dumps([hit.json() for hit in hits], indent=2))
    else:
        print("\n".join(hit_lines(hits)))


@app.command()
@click.argument("place", metavar="INDEX", help="An index.")
@click.option(
    "--certainty",
    metavar="P",
    type=click.FloatRange(0, 1),
    default=0.9,
    show_default=True,
    help="How sure it must be that a pair shows the same.",
)
@_as_json
def similar(place: str, certainty: float, as_json: bool) -> None:
    """Find the images of an index that are the same: copies of a file, and pictures that were altered.

    Files are only read. What is left of a picture in another size, quality, cut, turn or brightness is found.
    """
    from mirada.search import open_index

    with progress_bar() as progress:
        groups = open_index(place).similar(certainty=certainty, progress=progress)
    if as_json:
        print(json.dumps([group.json() for group in groups], indent=2))
    else:
        print("\n".join(group_lines(groups)))


def _region(text: str | None) -> tuple[int, int, int, int] | None:
    """What --region says."""
    if text is None:
        return None
    numbers = text.split(",")
    if len(numbers) != 4 or not all(number.strip().isdecimal() for number in numbers):
        raise UsageError(f"--region is left,top,width,height in whole pixels, such as 10,20,200,150; got {text!r}")
    left, top, width, height = map(int, numbers)
    return left, top, width, height


def _csv_rows(prediction: Prediction) -> list[list[Any]]:
    if prediction.label is None:
        return [[prediction.path, "", "", "", prediction.error or f"skipped: {prediction.skipped}"]]
    return [
        [prediction.path, rank, label.name, f"{label.probability:.6f}", ""]
        for rank, label in enumerate(prediction.labels, 1)
    ]


def _stages(text: str) -> Any:
    """What --retrain says: a number, or a word, which `train` looks at."""
    return int(text) if text.isdecimal() else text


def _place_for(data: str) -> Path:
    """NAME-model in the current folder, or the next such name that can be had."""
    from mirada.model.store import free_place

    source = Path(data).resolve()
    return free_place(Path(f"{source.stem if source.is_file() else source.name}-model"))
