"""The commands. Each is a thin layer over the public function of its name: it reads arguments and prints."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirada.cli.data_commands import augment, check, convert
from mirada.cli.options import MINUTES, NUMBER, SHARE, as_json_option
from mirada.cli.progress import progress_bar
from mirada.cli.search_commands import atlas, index, search, similar
from mirada.cli.write import (
    doubts,
    engine_lines,
    evaluation_lines,
    neighbour_lines,
    notes,
    prediction_line,
    shown,
    trained_lines,
    warn,
)
from mirada.errors import UsageError
from mirada.machine.ranks import is_first_rank
from mirada.version import __version__

if TYPE_CHECKING:
    from mirada.data import Part
    from mirada.model import Model, Prediction
    from mirada.search import Hit

__all__ = ["app"]


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
@as_json_option
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


for looked_at in (check, convert, augment):
    app.add_command(looked_at)


@app.command()
@click.argument(
    "data",
    metavar="DATA",
    help="Class folders, train/val/test folders, shards (.tar) here or at s3://..., a CSV file, MNIST's IDX folder, or "
    "digits.",
)
@click.option(
    "--from",
    "network",
    metavar="NETWORK",
    help="What to start from: a pretrained network (efficientnet-lite0, timm:NAME), or a listing to train from scratch "
    "(a network of the zoo such as lenet5, or FILE.net). Default: efficientnet-lite0, or that of --recipe.",
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
@click.option(
    "--minutes",
    metavar="M",
    type=MINUTES,
    help="Pretrained networks only: the most that everything may take; the best so far is kept. Time that is left goes "
    "into further runs, whose weights are averaged.",
)
@click.option(
    "--until",
    metavar="ACCURACY",
    type=SHARE,
    help="Pretrained networks only: stop at this validation accuracy, such as 0.9 or 90%.",
)
@click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Decides the split, the first weights and the order.",
)
@click.option(
    "--group",
    metavar="COLUMN|REGEX",
    help="Images that stay in one part together: a column of the table, or a regular expression for their names.",
)
@click.option(
    "--recipe",
    metavar="NAME|FILE",
    help="Listings only: how they are trained: modern, lenet5, lenet5-1998, alexnet, vgg, or a YAML file. "
    "Default: modern.",
)
@click.option(
    "--set",
    "settings",
    metavar="NAME=VALUE",
    multiple=True,
    help="Listings only: another value of the recipe, such as clip=1 or ensemble=7; may be given several times.",
)
@click.option(
    "--epochs",
    metavar="N",
    type=NUMBER,
    help="Listings only: how often each image is seen. Default: 10 to 100, by their number.",
)
@click.option(
    "--batch-size",
    metavar="N",
    type=NUMBER,
    help="Listings only: images a step. Default: 32, or 128 from 5,000 images on.",
)
@click.option(
    "--learning-rate",
    "--lr",
    metavar="RATE|find",
    help="Listings only: the largest learning rate, or find, to try some first. Default: that of the recipe.",
)
@click.option(
    "--weights",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Pretrained weights for timm:NAME, as safetensors.",
)
@click.option(
    "--augment",
    metavar="NAME|FILE",
    help="What random views of the training images change: none, light, standard, strong, trivial, alexnet, or a JSON "
    "file. Default: light; of listings, what the recipe says.",
)
@click.option(
    "--mirror/--no-mirror", default=None, help="Mirror views, or never. Default: as --augment says, but not digits."
)
@click.option(
    "--journal",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Listings only: tables of every step and epoch, and TensorBoard's where it is installed.",
)
@click.option("--resume", is_flag=True, help="Go on with an interrupted training, and refuse where there is none.")
@as_json_option
def train(
    data: str,
    network: str | None,
    out: Path | None,
    retrain: str,
    minutes: float | None,
    until: float | None,
    seed: int,
    group: str | None,
    recipe: str | None,
    settings: tuple[str, ...],
    epochs: int | None,
    batch_size: int | None,
    learning_rate: str | None,
    weights: Path | None,
    augment: str | None,
    mirror: bool | None,
    journal: Path | None,
    resume: bool,
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
            group=group,
            recipe=recipe,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=_rate(learning_rate),
            settings=_settings(settings),
            weights=weights,
            augment=augment,
            mirror=mirror,
            journal=journal,
            resume=resume,
            progress=progress,
        )
    if not is_first_rank():
        return
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
@as_json_option
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
    "--top", metavar="N", type=NUMBER, default=5, show_default=True, help="How many classes to name for each image."
)
@click.option(
    "--neighbours",
    "data",
    metavar="DATA",
    help="Show the three images nearest to each, of those in DATA that the model was trained on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line for programs.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: path, rank, label, probability, error.")
def predict(model: Path, images: tuple[str, ...], top: int, data: str | None, as_json: bool, as_csv: bool) -> None:
    """Say what images show: one prediction each, in their order. Exit status 1 where an image could not be read.

    With --json each line has `path` and one of `predictions`, `error` (could not be read) and `skipped` (a file in a
    folder that is no image); with `predictions` comes `sure`, whether the first is probable enough to be trusted, and,
    with --neighbours, `neighbours`.
    """
    from mirada.model import load, predict

    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other")
    if as_csv and data is not None:
        raise UsageError("--csv has no column for --neighbours: take --json")
    loaded = load(model)
    notes(doubts(loaded))
    nearest = None if data is None else _nearest(loaded, data)
    answers = predict(loaded, images, top=top)
    table = csv.writer(sys.stdout, lineterminator="\n")
    if as_csv:
        table.writerow(["path", "rank", "label", "probability", "error"])
    failed, skipped = 0, defaultdict[str, list[str]](list)
    for prediction in answers:
        failed += prediction.error is not None
        hits = nearest(prediction.path) if nearest is not None and prediction.label is not None else None
        if as_json:
            more = {} if hits is None else {"neighbours": [hit.json() for hit in hits]}
            print(json.dumps(prediction.json() | more, ensure_ascii=False), flush=True)
        elif as_csv:
            table.writerows(_csv_rows(prediction))
        elif prediction.label is not None:
            print("\n".join([prediction_line(prediction), *neighbour_lines(hits or [])]), flush=True)
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
@as_json_option
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


for command in (index, search, similar, atlas):
    app.add_command(command)


def _nearest(model: Model, data: str) -> Callable[[str], list[Hit]]:
    """Finds the images nearest to one, of those that a model was trained on."""
    from mirada.search import training_images

    with progress_bar() as progress:
        opened = training_images(model, data, progress=progress)
    return lambda path: opened.search(path, k=3)


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


def _rate(text: str | None) -> Any:
    """What --learning-rate says: a number, or "find"."""
    if text is None or text == "find":
        return text
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--learning-rate must be a number, or find, got {text}") from None


def _settings(texts: tuple[str, ...]) -> dict[str, Any]:
    """What --set says, each value as in YAML."""
    import yaml

    from mirada.learn.recipes import plain_values

    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set takes NAME=VALUE, such as clip=1, got {text}")
        try:
            found[name.strip().replace("-", "_")] = plain_values(value)
        except yaml.YAMLError:
            raise UsageError(f"--set {text}: the value cannot be understood") from None
    return found


def _place_for(data: str) -> Path:
    """NAME-model in the current folder, or the next such name that can be had."""
    from mirada.model.store import free_place

    source = Path(data).resolve()
    return free_place(Path(f"{source.stem if source.is_file() else source.name}-model"))
