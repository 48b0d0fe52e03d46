"""One page about a trained model, for people: how good it is, how that was reached, and where it fails.

A single HTML file that fetches nothing and runs nothing: style and drawings are inline, pictures are data URIs, and a
content security policy forbids the rest. Whatever comes from data is escaped by `page.tag`.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirada.arch import format_listing
from mirada.backbone import Backbone
from mirada.backbone.weights import tensors_hash
from mirada.data import PARTS, Part, Sample
from mirada.errors import ImageError
from mirada.learn import charts
from mirada.learn.charts import Rung, range_bar
from mirada.learn.curves import epoch_curves, learnt_from_scratch
from mirada.learn.evaluation import Answer, ClassScore, Evaluation
from mirada.learn.scores import expected_calibration_error, reliability, share_interval
from mirada.model import Model
from mirada.page import Markup, footer, page, side_by_side, table, tag, thumbnail
from mirada.version import __version__
from mirada.words import duration, last_stages, least_percent, mean_of, percent

__all__ = ["report"]

SHOWN, PAIRS, SHORT = 12, 8, 20
"""Pictures in a list, pairs of classes with pictures, rows of a table that is not folded away."""

_PARTS = {
    "test": ("test", "Test pictures were laid aside and looked at once, at the end: no choice was made by them."),
    "val": ("validation", "Validation pictures were used to choose between settings: this score flatters the model."),
    "train": ("training", "The model learnt from these very pictures: this score says nothing about new ones."),
    "unseen": ("unseen", "Unseen pictures were used neither to train the model nor to choose its settings."),
}
_FITS = {
    "crop": "Each picture is resized and its middle is cut out. What lies outside the frame is not seen.",
    "pad": "Each picture is resized as a whole, and what is left of that shape around it is filled with grey.",
    "stretch": "Each whole picture is squeezed or stretched to that shape. Nothing is cut off.",
}

_Section = tuple[str, str, list[Markup]]
"""Its id in the page, its heading, its content."""


@dataclass(frozen=True)
class _Pictures:
    """Pictures by key, as they are shown; each thumbnail is made once."""

    samples: Mapping[str, Sample]
    made: dict[str, Markup] = field(default_factory=dict)

    def image(self, key: str) -> NDArray[np.uint8] | None:
        """(H, W, 3), or None where it can no longer be read."""
        try:
            return self.samples[key].image() if key in self.samples else None
        except ImageError:
            return None

    def __call__(self, key: str) -> Markup:
        """A thumbnail, or a grey box with the name."""
        if key not in self.made:
            image, gone = self.image(key), tag("span", f"cannot be read any more: {key}", class_="gone")
            self.made[key] = gone if image is None else tag("img", src=thumbnail(image), alt=key)
        return self.made[key]


def report(
    model: Model, evaluations: Mapping[Part, Evaluation], samples: Mapping[str, Sample], *, name: str, command: str
) -> str:
    """The text of one HTML page about a model, whole in itself; nothing in it is fetched or run.

    Args:
        model: what it is about; how it was made is in its `training`.
        evaluations: its answers, by part. The page is about those on test, else val, else train; there may be none.
        samples: the images by key (`Answer.path`). Where one is missing or can no longer be read, a box with its name
            takes its place.
        name: of the model: the heading.
        command: the command line that makes the same again.
    """
    judged = next((evaluations[part] for part in ("test", "val", "train") if part in evaluations), None)
    pictures = _Pictures(samples)
    sections = [_score(model, judged), *_retrained(model.training), _view(model, pictures, judged)]
    if judged is not None:
        sections += [_mixed_up(judged, pictures), _trust(judged), _mistakes(judged, pictures), _classes(judged.classes)]
    sections += [_data(model, evaluations), _limits(model), _again(model, command)]
    lead = f"Tells which of {len(model.class_names):,} classes a picture shows. This page says how well."
    body = (
        tag("header", tag("h1", name), tag("p", lead, class_="lead")),
        tag("nav", *(tag("a", title, href=f"#{id_}") for id_, title, _ in sections)),
        *(tag("section", tag("h2", title), *content, id=id_) for id_, title, content in sections),
        footer(),
    )
    return page(f"{name}: report", *body)


def _score(model: Model, judged: Evaluation | None) -> _Section:
    if judged is None:
        return "score", "How good it is", [_p("The model has not been tested: nobody knows how good it is.")]
    part, what = _PARTS[judged.part]
    (low, high), common = judged.interval, judged.commonest_share
    digits = 0 if low >= 0.01 and high <= 0.99 and high - low >= 0.02 else 1
    share, least, most = (f"{100 * each:.{digits}f}" for each in (judged.accuracy, low, high))
    hundred = f"Of 100 new pictures like these, about {share} ({least} to {most}) will be named rightly."
    content = [
        tag("div", percent(judged.accuracy), class_="big"),
        range_bar(judged.accuracy, judged.interval, common),
        _p(tag("b", f"{judged.right:,} of {judged.images:,} {part} pictures are named rightly. {hundred}")),
        _p(
            f"{what} The range in brackets is the 95% interval: with this number of pictures, the true share can lie "
            "anywhere in it, and in 1 of 20 such tests outside. The grey mark in the bar is what always naming the "
            f"commonest class would give: {percent(common)}."
        ),
    ]
    if low <= common:
        words = (
            "This is not clearly better than always naming the commonest class: it may have learnt nothing, or there "
        )
        content.append(tag("p", f"{words}are too few {part} pictures to tell.", class_="warning"))
    cards = _balanced(judged), _calibration(model, judged), _sureness(model, judged)
    return "score", "How good it is", [*content, side_by_side("17rem", cards)]


def _balanced(judged: Evaluation) -> Markup:
    words = (
        "The large figure, the accuracy, counts pictures: classes with many weigh more. This one, the balanced "
        "accuracy, is the share of right answers in each class, averaged over the classes. 95% interval: "
    )
    low, high = judged.balanced_interval
    return _card("Every class alike", percent(judged.balanced_accuracy), f"{words}{percent(low)} to {percent(high)}.")


def _calibration(model: Model, judged: Evaluation) -> Markup:
    probabilities, temperature = np.array([answer.probability for answer in judged.answers]), model.task.temperature
    error, mean, by_chance = judged.calibration_error, float(probabilities.mean()), _error_by_chance(probabilities)
    averages = f"too {'high' if mean > judged.accuracy else 'low'}: {percent(mean)} on average"
    trust = "nothing speaks against these" if error <= by_chance else f"these are a rough guide, and {averages}"
    scaling = "No temperature scaling was done."
    if temperature != 1:
        scaling = (
            f"Before temperature scaling, the division of all class scores by {temperature:.2f}, a number chosen on "
        )
        scaling += f"the validation pictures, it was {100 * judged.uncalibrated_error:.1f}."
    words = (
        "is the average gap between the probability that it gives and the share that is then right (calibration "
        "error); of answers given 90%, 9 in 10 should be right. Exact probabilities would by chance show up to "
        f"{100 * by_chance:.1f} here: {trust}. {scaling}"
    )
    return _card("Its probabilities", f"{100 * error:.1f} points off", words)


def _error_by_chance(probabilities: NDArray[np.float64]) -> float:
    """The calibration error that exact probabilities stay below 95 times in 100, for so many pictures."""
    rng = np.random.default_rng(0)
    drawn = [rng.random(len(probabilities)) < probabilities for _ in range(200)]
    return float(np.quantile([expected_calibration_error(probabilities, is_right) for is_right in drawn], 0.95))


def _sureness(model: Model, judged: Evaluation) -> Markup:
    wanted = f"{100 * model.training.get('sure_precision', 0.95):g}%"
    if judged.sure is None or judged.sure_from is None:
        words = (
            f"was found above which {wanted} right answers can be promised: there were too few validation pictures, "
            "or too many mistakes among them. Where a mistake matters, check every answer."
        )
        return _card("Sure answers", "No probability", words)
    (sure, right), images = judged.sure, judged.images
    if sure == images:
        words = f"of the answers: all {sure:,} count as sure. "
    else:
        limit = least_percent(judged.sure_from)
        words = f"of the answers ({sure:,}) have a probability of {limit} or more: they count as sure. "
    if sure:
        words += f"Of these, {_with_interval(right / sure, share_interval(right, sure))} are right. "
    if sure < images:
        words += f"Of the other {images - sure:,}, {percent((judged.right - right) / (images - sure))}: check those. "
    words += f"The limit was chosen on the validation pictures, to have {wanted} of the sure answers right."
    return _card("Sure answers", percent(sure / images), words)


def _retrained(training: Mapping[str, Any]) -> list[_Section]:
    if rungs := training.get("rungs"):
        content = _ladder(rungs, training.get("is_head_enough", False))
        return [("retrained", "How much of the network was retrained", content)]
    content = learnt_from_scratch(training)
    return [("retrained", "How it learnt", content)] if content else []


def _ladder(rungs: Sequence[dict[str, Any]], is_head_enough: bool) -> list[Markup]:
    best = max((i for i, rung in enumerate(rungs) if rung["is_kept"]), default=0)
    times = np.cumsum([rung["seconds"] for rung in rungs]).tolist()
    drawn = [
        Rung(i, _trained(rung), time, rung["val"]["accuracy"], rung["val"]["accuracy_interval"], i == best)
        for i, (rung, time) in enumerate(zip(rungs, times, strict=True))
        if rung["val"] is not None
    ]
    words = (
        "A network is a chain of stages. This one had learnt from other photos before: its stages know edges, textures "
        "and parts of things. Only its last layer, the head, must be new: it gives each of your classes a score. "
        "Training the last stages on your pictures too can pay. So mirada goes step by step, from short tries on, and "
        "judges each step on the validation pictures, on which nothing is trained. A step is kept where it clearly "
        "lowers the loss, a figure that is small where the true class gets a high probability."
    )
    kept = tag("b", f"Kept: step {best}, {_trained(rungs[best])}.")
    why = ": with all validation pictures right and sure there was little to gain" if is_head_enough else ""
    text = tag("div", _p(words), _p(kept, f" No other step was tried{why}." if len(rungs) == 1 else ""))
    caption = tag("figcaption", "Share of the validation pictures named rightly, with its 95% interval. Filled: kept.")
    figure = [tag("figure", charts.ladder_chart(drawn), caption)] if len(drawn) > 1 else []
    heads = ["step", "trained", "numbers", "time", "right on validation", "loss", "against the best before", ""]
    rows = [_rung_cells(rungs, i, i == best) for i in range(len(rungs))]
    content = [side_by_side("24rem", [text, *figure]) if figure else text, table(heads, rows, marked=best)]
    words = "Numbers: how many of the network's were trained. p: the probability of a difference at least so large "
    content.append(tag("p", words, "between two steps that are equally good.", class_="small"))
    if curves := [
        chart for i, rung in enumerate(rungs) for chart in epoch_curves(f"step {i}: ", rung.get("history", ()))
    ]:
        words = (
            "An epoch is one pass over the training pictures. The dot is the one of the lowest loss. Where a step is "
            "the mean of several runs, their weights are averaged, and the curve is that of the last run."
        )
        content += [tag("h3", "Epoch by epoch"), _p(words), side_by_side("14rem", curves)]
    return content


def _trained(rung: Mapping[str, Any]) -> str:
    if not rung["stages"]:
        return "the head alone"
    short = f", tried for {len(rung['history'])} epochs" if rung.get("is_trial") else ""
    return f"{last_stages(rung['stages'])} (from {rung['name']}) and the head{short}{mean_of(rung.get('runs', 1))}"


def _rung_cells(rungs: Sequence[dict[str, Any]], place: int, is_best: bool) -> list[str]:
    rung, val, p = rungs[place], rungs[place]["val"], rungs[place]["p_value"]
    before = next((each["val"] for each in reversed(rungs[:place]) if each["is_kept"]), None)
    right = "" if val is None else _with_interval(val["accuracy"], val["accuracy_interval"])
    against = "" if val is None or before is None or p is None else _compared(val["right"] - before["right"], p)
    kept = "kept: this is the model" if is_best else "better than before" if rung["is_kept"] and place else ""
    cells = [str(place), _trained(rung), f"{rung['parameters']:,}", duration(rung["seconds"])]
    return [*cells, right, "" if val is None else f"{val['loss']:.3f}", against, kept]


def _compared(gain: int, p: float) -> str:
    """A difference in right answers and its p value, in words."""
    if not gain:
        return "as many right answers"
    chance = "could well be chance" if p > 0.2 else "could be chance" if p >= 0.05 else "is probably no chance"
    return f"{abs(gain):,} {'more' if gain > 0 else 'fewer'} right: this difference {chance} (p = {p:.2g})"


def _view(model: Model, pictures: _Pictures, judged: Evaluation | None) -> _Section:
    preparation, tried = model.preparation, model.training.get("preparations_tried", ())
    (width, height), fit, zoom = preparation.size_wh, preparation.fit, preparation.zoom
    grey = " Colours become grey." if preparation.channels == 1 else ""
    content = [_p(f"The network takes pictures of {width} × {height} pixels. {_FITS[fit]}{grey}")]
    answers = () if judged is None else judged.answers
    if (image := next((i for a in answers if (i := pictures.image(a.path)) is not None), None)) is not None:
        H, W = image.shape[:2]
        x1, y1, x2, y2 = preparation.to_original((0, 0, width, height), W, H).tolist()
        seen = (min(x2, W) - max(x1, 0)) * (min(y2, H) - max(y1, 0)) / (W * H)
        person = f"As a person sees it, {W:,} × {H:,} pixels. In the frame, which the network sees: {seen:.0%} of it."
        network = tag("img", src=thumbnail(preparation.pixels(image), 320), alt="what the network sees of it")
        both = (charts.framed(image, (x1, y1, x2, y2), 480), person), (network, "As the network sees it.")
        content.append(side_by_side("20rem", [tag("figure", each, tag("figcaption", words)) for each, words in both]))
    if tried:
        marked = next((i for i, e in enumerate(tried) if e["fit"] == fit and abs(e["zoom"] - zoom) < 1e-3), None)
        rows = [[e["fit"], f"{e['zoom']:.2f}", f"{e['val_loss']:.3f}", percent(e["val_accuracy"]), ""] for e in tried]
        between = f"Chosen: {fit}, zoom {zoom:.2f}, where a curve through the losses is lowest."
        if marked is not None:
            rows[marked][-1], between = "chosen", ""
        words = (
            "These views were tried, with a simple head for each, on some of the pictures. The loss on validation "
            "pictures decides; another view than the first, which the network is used to, must be clearly better. Zoom "
            "2 shows the middle half of the shorter side. The figures compare views; they do not score the model. "
        )
        content += [_p(words, between), table(["view", "zoom", "loss", "right on validation", ""], rows, marked)]
    return "view", "What the network sees", content


def _mixed_up(judged: Evaluation, pictures: _Pictures) -> _Section:
    names, confusion = judged.class_names, judged.confusion
    wrong = confusion - np.diag(np.diagonal(confusion))
    places = [place for place in np.argsort(-wrong, axis=None, kind="stable")[:PAIRS] if wrong.flat[place]]
    words = (
        "A row is what the pictures show, a column what the model says: the confusion matrix. Blue, on the diagonal, "
        "is right; orange is a mistake. The stronger the colour, the larger a share of its row. Classes that are mixed "
        "up stand next to each other."
    )
    chart = charts.confusion_chart(confusion, names, charts.ordered_by_confusion(confusion))
    words += " Point at a square to read what it is." if "<title>" in chart else ""
    example = {(answer.truth, answer.label): answer.path for answer in reversed(judged.answers)}
    cards = []
    for i, j in (divmod(int(place), len(names)) for place in places):
        truth, said, count = names[i], names[j], f": {wrong[i, j]:,} of {confusion[i].sum():,}."
        keys = [key for key in (example[truth, said], example.get((said, said))) if key is not None]
        shown = tag("div", *map(pictures, keys), class_="thumbs two")
        beside = f" Beside it: a true {said}." if len(keys) == 2 else ""
        caption = tag("b", truth), " called ", tag("b", said, class_="said"), count, beside
        cards.append(tag("figure", shown, tag("figcaption", *caption)))
    pairs = [tag("h3", "Most often mixed up"), side_by_side("19rem", cards)] if cards else [_p("There is no mistake.")]
    return "confusion", "What it mixes up", [_p(words), tag("div", chart, class_="wide matrix"), *pairs]


def _trust(judged: Evaluation) -> _Section:
    words = (
        "Answers are sorted by the probability that the model gave. Each point is the share of them that is right, "
        "with its 95% interval. On the dashed line probabilities are exact; below it the model claims too much, above "
        "it too little. Where an interval crosses the line, the gap may be chance. The bars count the answers."
    )
    bins = reliability(np.array([answer.probability for answer in judged.answers]), judged.is_right)
    chart = tag("figure", charts.reliability_chart(bins))
    return "trust", "Can its probabilities be trusted?", [side_by_side("24rem", [chart, _p(words)])]


def _mistakes(judged: Evaluation, pictures: _Pictures) -> _Section:
    by_probability = sorted(judged.answers, key=lambda answer: answer.probability)
    wrong = [answer for answer in reversed(by_probability) if not answer.is_right][:SHOWN]
    first = "Look here first: some may be labelled wrongly, or show two things." if wrong else "There is no mistake."
    content = [
        tag("h3", "Surest mistakes"),
        _p(first),
        side_by_side("9.6rem", (_answer(each, pictures) for each in wrong)),
    ]
    words = "More pictures like these, with the right name, are likely to teach the model most."
    unsure = side_by_side("9.6rem", (_answer(each, pictures) for each in by_probability[:SHOWN]))
    return "mistakes", "Mistakes and doubts", [*content, tag("h3", "Least sure answers"), _p(words), unsure]


def _answer(answer: Answer, pictures: _Pictures) -> Markup:
    said = tag("b", answer.label, class_="said well" if answer.is_right else "said")
    words = ["right: ", said] if answer.is_right else ["it is ", tag("b", answer.truth), ", called ", said]
    caption = tag("figcaption", *words, f", {percent(answer.probability)}", tag("div", answer.path, class_="small"))
    return tag("figure", tag("div", pictures(answer.path), class_="thumbs"), caption)


def _classes(scores: Sequence[ClassScore]) -> _Section:
    words = (
        "Worst first. Found (recall): of the pictures of a class, the share that gets its name. Right when named "
        "(precision): of those that get its name, the share that is of the class. In brackets, tinted: 95% intervals."
    )
    rows = []
    for each in sorted(scores, key=lambda s: (s.recall is None, s.recall or 0.0, s.precision or 0.0, s.name)):
        found, named = (each.recall, each.recall_interval), (each.precision, each.precision_interval)
        shares = *_share_cells(*found, "no picture"), *_share_cells(*named, "never named")
        rows.append([each.name, f"{each.images:,}", *shares])
    heads = ["class", "pictures", "found", "", "right when named", ""]
    return "classes", "Class by class", [_p(words), *_folded(heads, rows, "classes")]


def _share_cells(share: float | None, interval: tuple[float, float], otherwise: str) -> list[str]:
    return [otherwise, ""] if share is None else [range_bar(share, interval), _with_interval(share, interval)]


def _data(model: Model, evaluations: Mapping[Part, Evaluation]) -> _Section:
    training, judged = model.training, list(evaluations.values())
    uses = {"train": "to learn from", "val": "to choose between settings", "test": "to find out how good it is, once"}
    counts = training.get("images") or {part: each.images for part, each in evaluations.items()}
    rows = []
    for part in PARTS:
        rows.append([_PARTS[part][0], f"{counts.get(part, 0):,}", uses[part], ""])
        if (one := evaluations.get(part)) is not None:
            rows[-1][3] = f"{one.right:,} of {one.images:,} right: {_with_interval(one.accuracy, one.interval)}"
    content = [table(["part", "pictures", "what for", "score"], rows)]
    if notes := dict.fromkeys([*training.get("notes", ()), *(note for each in judged for note in each.notes)]):
        content.append(tag("ul", *(tag("li", note) for note in notes)))
    failures = {each["path"]: each["error"] for each in training.get("unreadable", ())}
    if failures := failures | {error.name: error.reason for each in judged for error in each.failures}:
        content.append(tag("h3", f"Not used, because they cannot be read: {len(failures):,}"))
        content += _folded(["picture", "why"], [list(each) for each in failures.items()], "pictures")
    return "data", "The pictures it was made from", content


def _limits(model: Model) -> _Section:
    sentences = (
        f"For every picture it names one of its {len(model.class_names):,} classes, also for one of something else.",
        "The score is for pictures like these. Another camera, light, place or background can make it worse.",
        "Where the classes that it finds hard are commoner than here, more answers are wrong.",
        "Where the same thing or scene is in the training and in the test pictures, the score is too high.",
        "The names in the data are taken for the truth, also where they are wrong.",
    )
    return "limits", "What the score does not say", [tag("ul", *(tag("li", each) for each in sentences))]


_IN_TIME = (
    "How far this training got was a matter of time (a limit, or Ctrl-C): the same command may give other weights."
)


def _again(model: Model, command: str) -> _Section:
    training, listing = model.training, list[Markup]()
    facts = {
        "network": model.network.name or "a listing",
        "method": training.get("method"),
        "seed": training.get("seed"),
        "data": ", ".join(map(str, training.get("data", {}).values())),
        "time": duration(training["seconds"]) if "seconds" in training else None,
        "preparation": json.dumps(model.preparation.to_json()),
        "recipe": json.dumps(training["recipe"]) if "recipe" in training else None,
        "SHA-256 of the network": tensors_hash(model.state),
        "versions": f"mirada {__version__}, Python {platform.python_version()}, NumPy {np.__version__}, "
        f"torch {importlib.metadata.version('torch')}; {platform.system()}, {platform.machine()}",
    }
    rows = [[name, str(value)] for name, value in facts.items() if value not in (None, "")]
    versions = (
        "The versions are those of the machine that wrote this page; on another the figures can differ a little. "
    )
    parts = "Which picture was in which part, with its SHA-256, is in split.json of the model."
    if not isinstance(model.network, Backbone):
        summary = tag("summary", "The network, layer by layer")
        listing = [tag("details", summary, tag("pre", format_listing(model.network)))]
    if "minutes" in training or any(rung.get("was_stopped") for rung in training.get("rungs", ())):
        parts += f" {_IN_TIME}"
    content = [tag("pre", command), table(["", ""], rows), tag("p", versions, parts, class_="small"), *listing]
    return "again", "How to make it again", content


def _p(*content: str) -> Markup:
    return tag("p", *content)


def _card(title: str, figure: str, words: str) -> Markup:
    return tag("div", tag("p", title), tag("b", figure), tag("p", words), class_="card")


def _with_interval(share: float, interval: Sequence[float]) -> str:
    return f"{percent(share)} ({percent(interval[0])} to {percent(interval[1])})"


def _folded(heads: Sequence[str], rows: Sequence[Sequence[str]], what: str) -> list[Markup]:
    """A table; of a long one the first rows, and the whole folded away."""
    if len(rows) <= SHORT:
        return [table(heads, rows)]
    whole = tag("details", tag("summary", f"all {len(rows):,} {what}"), table(heads, rows))
    return [table(heads, rows[: SHORT // 2]), whole]
