"""Results in words, for people on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mirada.words import counted, least_percent, mean_of, visible

if TYPE_CHECKING:
    from mirada.engine import Choice
    from mirada.inspection import Finding, Report
    from mirada.learn import Evaluation
    from mirada.model import Model, Prediction
    from mirada.search import Group, Hit, Index

__all__ = [
    "engine_lines",
    "evaluation_lines",
    "finding_lines",
    "group_lines",
    "hit_lines",
    "index_lines",
    "neighbour_lines",
    "notes",
    "prediction_line",
    "shown",
    "trained_lines",
    "warn",
]


def warn(text: str) -> None:
    """A message on standard error; what would play tricks on a terminal is spelled out."""
    print(f"mirada: {visible(text)}", file=sys.stderr)


def notes(lines: Sequence[str]) -> None:
    """What should be known, on standard error."""
    for line in lines:
        warn(f"note: {line}")


def shown(path: str) -> str:
    """A path or a name as it may stand on a line of a terminal."""
    return visible(path).replace("\n", "\\n")


def trained_lines(model: Model) -> list[str]:
    """What was trained on what, how good it is, and what to do next."""
    from mirada.backbone import Backbone
    from mirada.model.store import REPORT

    training, images = model.training, model.training["images"]
    network = model.network
    how = (
        f"{network.name}, pretrained"
        if isinstance(network, Backbone)
        else f"{network.name or 'the listing'} from scratch: {network.parameters:,} parameters, "
        f"{counted(training['epochs_done'], 'epoch')}"
    )
    if test := training.get("rate_test"):
        how += f", learning rate {test['rate']:.2g} (found)"
    missing = len(training["unreadable"])
    unreadable = f"; {missing:,} of these could not be read" if missing else ""
    classes = counted(len(model.class_names), "class")
    lines = [
        f"data      {shown(training['data']['name'])} ({training['data']['kind']}): {classes}; "
        f"{images['train']:,} images to train, {images['val']:,} to validate, {images['test']:,} to test{unreadable}",
        f"network   {how}, in {training['seconds']:.1f} s",
        *rung_lines(training.get("rungs", ())),
        *(_score_line(part, model.scores[part]) for part in ("val", "test") if part in model.scores),
        *_confidence_lines(model),
    ]
    if "test" not in model.scores:
        reason = "the test part was not looked at" if images["test"] else "there is no test part"
        lines.append(f"test      {reason}: how good the model is on new images is not known")
    if model.path is not None:
        place = shown(str(model.path))
        lines.append(f"saved     {place}")
        if (report := model.path / REPORT).exists():
            lines.append(f"read      {shown(str(report))}, in a browser")
        lines.append(f"try it    mirada predict {place} IMAGE...")
    return lines


def rung_lines(rungs: Sequence[dict[str, Any]]) -> list[str]:
    """The ladder as a table: what was retrained, what it cost, what it brought on the validation images."""
    if not rungs:
        return []
    rows = [("retrained", "parameters", "seconds", "val accuracy", "95 % interval", "by chance")]
    for rung in rungs:
        val, p_value = rung["val"], rung["p_value"]
        name = "head" if not rung["stages"] else f"from {rung['name']}{', tried' if rung.get('is_trial') else ''}"
        name += mean_of(rung.get("runs", 1))
        name += ", stopped" if rung.get("was_stopped") else ""
        low, high = val["accuracy_interval"] if val else (0.0, 1.0)
        rows.append(
            (
                f"{name}{'' if rung['is_kept'] else ' (not kept)'}",
                f"{rung['parameters']:,}",
                f"{rung['seconds']:.1f}",
                f"{val['accuracy']:.1%}" if val else "-",
                f"{low:.1%} to {high:.1%}" if val else "-",
                "" if p_value is None else f"p = {p_value:.2g}",
            )
        )
    return ["", *_aligned(rows), ""]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows of a table as lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = "<" + ">" * (len(widths) - 1)
    return [
        "  ".join(f"{cell:{side}{w}}" for cell, side, w in zip(row, sides, widths, strict=True)).rstrip()
        for row in rows
    ]


def _confidence_lines(model: Model) -> list[str]:
    """How far the probabilities can be trusted, and from where the model is sure."""
    score = model.scores.get("test") or model.scores.get("val")
    if score is None:
        return []
    lines = [
        f"trust     probabilities are off by {score['calibration_error']:.1%} on average "
        f"({score['calibration_error_uncalibrated']:.1%} before calibration)"
    ]
    if model.task.sure_from is None:
        lines.append("sure      of no answer: there are too few validation images, or too many mistakes among them")
        return lines
    least = least_percent(model.task.sure_from)
    if score.get("sure"):
        share, right = score["sure"] / score["images"], score["sure_and_right"] / score["sure"]
        some = f"{share:.0%} of the answers have a probability of {least} or more; {right:.1%} of these are right"
        lines.append(f"sure      {f'of all answers: {right:.1%} are right' if share == 1 else some}")
    else:
        lines.append(f"sure      of none of these images: none has a probability of {least} or more")
    return lines


def _score_line(part: str, score: dict[str, Any]) -> str:
    from mirada.model.card import score_words

    comment = "never seen in training" if part == "test" else "used to choose, so it flatters"
    return f"{part:<9} {score_words(score)} ({comment})"


def evaluation_lines(evaluation: Evaluation) -> list[str]:
    """The score, the classes with the most mistakes, and what is confused most."""
    low, high = evaluation.interval
    lines = [
        f"{evaluation.part}: {evaluation.accuracy:.1%} of {evaluation.images:,} images right "
        f"({evaluation.right:,}), 95 % interval {low:.1%} to {high:.1%}",
        f"balanced over the classes: {evaluation.balanced_accuracy:.1%}",
    ]
    names = [shown(name) for name in evaluation.class_names]
    scores = [score for score in evaluation.classes if score.images]
    rows = [("class", "images", "recall", "precision")]
    for score in sorted(scores, key=lambda s: (s.recall or 0.0, s.name)):
        precision = "-" if score.precision is None else f"{score.precision:.1%}"
        rows.append((shown(score.name), f"{score.images:,}", f"{score.recall or 0.0:.1%}", precision))
    lines += ["", *_aligned(rows)]
    mistakes = [
        (int(evaluation.confusion[i, j]), names[i], names[j])
        for i in range(len(names))
        for j in range(len(names))
        if i != j and evaluation.confusion[i, j]
    ]
    if mistakes:
        lines += ["", "most confused:"]
        for count, true, called in sorted(mistakes, key=lambda m: (-m[0], m[1], m[2]))[:5]:
            lines.append(f"  {true} called {called}: {count:,} {'time' if count == 1 else 'times'}")
    return lines


def engine_lines(choice: Choice) -> list[str]:
    """A network, what was tried to run it, and what came of that."""
    where = choice.where
    rows = [("tried", "images/s", "mean deviation", "largest", "same top 1", "result")]
    for trial in choice.trials:
        result = f"refused: {trial.refusal}" if trial.refusal else "passed"
        rows.append(
            (
                trial.name,
                "-" if trial.images_per_second is None else f"{trial.images_per_second:,.0f}",
                "-" if trial.mean_deviation is None else f"{trial.mean_deviation:.2%}",
                "-" if trial.max_deviation is None else f"{trial.max_deviation:.2%}",
                "-" if trial.same_top1 is None else f"{trial.same_top1:.0%}",
                f"{result}, chosen" if trial.name == choice.chosen else result,
            )
        )
    return [
        f"{choice.name} on {where['processors']} processors, {where['processor']} ({where['abilities']})",
        *(f"  {line}  {row[-1]}" for line, row in zip(_aligned([row[:-1] for row in rows]), rows, strict=True)),
    ]


def index_lines(index: Index) -> list[str]:
    """What the run did, and what to do next."""
    changes = index.changes
    assert changes is not None
    counts = [(getattr(changes, name), words) for name, words in _CHANGES]
    done = ", ".join(f"{count:,} {words}" for count, words in counts if count) or "nothing has changed"
    unread = f"; {len(changes.unread):,} could not be read" if changes.unread else ""
    return [
        f"images    {len(index):,}: {done}{unread}",
        f"vectors   {index.maker.dimension:,} numbers each, by {shown(str(index.maker))}",
        *([] if index.effort is None else [_EFFORT.format(index.effort.recall, index.effort.asked)]),
        f"saved     {shown(index.place)}",
        f"try it    mirada search {shown(index.place)} IMAGE...",
    ]


_EFFORT = (
    "nearest   looked for in a part of so large an index: {:.1%} of the ten nearest are found (measured on {} images)"
)
_CHANGES = (
    ("new", "new"),
    ("changed", "changed"),
    ("moved", "known by their content"),
    ("gone", "gone"),
    ("unchanged", "as before"),
)


def hit_lines(hits: Sequence[Hit]) -> list[str]:
    """The path of each, its label, and how much it is like the query."""
    if not hits:
        return ["nothing else is there, or nothing meets the condition"]
    rows = [(f"{hit.similarity:.3f}", hit.words, shown(hit.label or "-"), shown(hit.path)) for hit in hits]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return ["  ".join([*(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=False)), row[3]]) for row in rows]


def neighbour_lines(hits: Sequence[Hit]) -> list[str]:
    """The training images nearest to what was asked about, below its answer."""
    return [f"  like {hit.similarity:.2f}  {shown(hit.label or '-')}  {shown(hit.path)}" for hit in hits]


def group_lines(groups: Sequence[Group]) -> list[str]:
    """What the images of each group share, how sure that is, and their paths."""
    if not groups:
        return ["no two images are the same"]
    lines = []
    for group in groups:
        lines += [group.words, *(f"  {shown(path)}" for path in group.paths)]
    return lines


FEW = 5
"""Cases of a finding that are printed; all are in the JSON and, with thumbnails, on the page."""


def finding_lines(report: Report) -> list[str]:
    """What was looked at, and what was found, what must be mended first."""
    dataset = report.dataset
    lines = [f"{counted(len(dataset), 'image')}, {counted(len(dataset.class_names), 'class')}, {dataset.kind}"]
    for finding in report.findings:
        lines += ["", *_finding(finding)]
    mend = sum(finding.weight == "mend" for finding in report.findings)
    end = f"{counted(mend, 'finding')} must be mended" if mend else "nothing must be mended"
    deep = "" if report.is_deep else "; labels and odd pictures were not looked at (--deep)"
    return [*lines, "", end + deep]


def _finding(finding: Finding) -> list[str]:
    weight = "MEND" if finding.weight == "mend" else "look"
    lines = [
        f"{weight}  {finding.title} ({len(finding.items):,})",
        f"      {finding.why}",
        f"      {finding.what_to_do}",
    ]
    for item in finding.items[:FEW]:
        names = ", ".join(shown(key) for key in item.keys[:FEW])
        more = f" and {len(item.keys) - FEW:,} more" if len(item.keys) > FEW else ""
        lines.append(f"        {': '.join(filter(None, (names + more, shown(item.said))))}")
    if len(finding.items) > FEW:
        lines.append(f"        ... {len(finding.items) - FEW:,} more (--json has all, --html shows them)")
    return lines


def doubts(model: Model) -> list[str]:
    """What must be known of a model before its answers are read."""
    from mirada.model.model import NOT_FINISHED

    if not model.is_finished:
        return [NOT_FINISHED]
    if model.task.sure_from is None:
        return ["It is not known from which probability its answers can be relied on, so none is marked as not sure."]
    return []


def prediction_line(prediction: Prediction) -> str:
    """The path and the most probable classes with their probabilities."""
    answers = ", ".join(f"{shown(label.name)} {label.probability or 0.0:.1%}" for label in prediction.labels)
    return f"{shown(prediction.path)}  {'not sure: ' if prediction.is_sure is False else ''}{answers}"
