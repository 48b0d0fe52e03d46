from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.stats import beta
from sklearn import metrics

from drawn import Pixels, decoded
from mirada.annotations import Label
from mirada.arch import parse
from mirada.backbone import Backbone
from mirada.data import Sample, read
from mirada.errors import ImageError
from mirada.image import Preparation
from mirada.learn import charts, evaluate, train
from mirada.learn.evaluation import Answer, Evaluation
from mirada.learn.report import report
from mirada.learn.scores import confusion_matrix, share_interval
from mirada.model import Model
from mirada.tasks import Classify
from mirada.words import visible

Element = ElementTree.Element

NAMES = ("apple", "lime", "pear")
COLOURS = np.random.default_rng(5).integers(30, 226, (2_000, 3)).astype(np.uint8)
"""The colour of the picture of each answer, by its number."""
HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "</title></style></svg>",
    "a & b &lt; c",
    "half \udcff, turned \u202e, ended \x00\x1b",
    "👩\u200d🔬 naïve 日本語",
    "{braces} %s \\n",
]


def jeffreys(right: int, images: int) -> tuple[float, float]:
    """The 95 % interval, from scipy."""
    low = beta.ppf(0.025, right + 0.5, images - right + 0.5) if right else 0.0
    high = beta.ppf(0.975, right + 0.5, images - right + 0.5) if right < images else 1.0
    return float(low), float(high)


def judged(
    truth: Sequence[int],
    called: Sequence[int],
    probabilities: Sequence[float],
    *,
    names: Sequence[str] = NAMES,
    **fields: Any,
) -> Evaluation:
    """Answers on the images test/0.jpg, test/1.jpg, ..."""
    answers = tuple(
        Answer(f"test/{n}.jpg", names[t], names[c], p, p**2)
        for n, (t, c, p) in enumerate(zip(truth, called, probabilities, strict=True))
    )
    confusion = confusion_matrix(np.array(truth), np.array(called), len(names))
    return Evaluation(
        **({"part": "test", "class_names": tuple(names), "answers": answers, "confusion": confusion} | fields)
    )


def some_answers(images: int = 90, seed: int = 0, classes: int = 3) -> Evaluation:
    """Of 3 classes: four in five are right."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, images)
    called = np.where(rng.random(images) < 0.8, truth, (truth + 1) % classes)
    names = NAMES if classes == 3 else [f"class {k:04}" for k in range(classes)]
    return judged(
        truth.tolist(), called.tolist(), rng.uniform(0.4, 1, images).round(6).tolist(), names=names, sure_from=0.8
    )


def picture(number: int, width: int = 60, height: int = 40) -> Pixels:
    return np.full((height, width, 3), COLOURS[number], np.uint8)


def samples_of(evaluation: Evaluation) -> dict[str, Sample]:
    return {
        answer.path: Sample(answer.path, Label(answer.truth, 0), array=picture(number))
        for number, answer in enumerate(evaluation.answers)
    }


def model_of(names: Sequence[str] = NAMES, **fields: Any) -> Model:
    network = parse(f"[8x8x3] INPUT\nFC: {len(names)} neurons", "small.net")
    preparation = Preparation((8, 8), "crop", 2.0)
    state = {"1.weight": np.zeros((2, 3), np.float32)}
    return Model(
        **({"network": network, "state": state, "preparation": preparation, "task": Classify(tuple(names))} | fields)
    )


def val(right: int, images: int, loss: float) -> dict[str, Any]:
    interval = list(share_interval(right, images))
    return {"images": images, "right": right, "accuracy": right / images, "accuracy_interval": interval, "loss": loss}


def epochs(losses: Sequence[float | None]) -> list[dict[str, Any]]:
    return [
        {"number": n, "train_loss": 1 / n, "val_loss": loss, "val_accuracy": loss and 1 - loss / 2, "seconds": 2.0 * n}
        for n, loss in enumerate(losses, 1)
    ]


RUNGS = [
    {"name": "head", "stages": 0, "parameters": 15_372, "seconds": 4.0, "val": val(60, 100, 0.9), "p_value": None}
    | {"is_kept": True},
    {
        "name": "blocks.6",
        "stages": 1,
        "parameters": 1_018_700,
        "seconds": 36.0,
        "val": val(75, 100, 0.7),
        "p_value": 0.004,
    }
    | {"is_kept": True, "history": epochs([0.9, 0.7, 0.8])},
    {
        "name": "blocks.5",
        "stages": 2,
        "parameters": 2_000_000,
        "seconds": 60.0,
        "val": val(73, 100, 0.8),
        "p_value": 0.62,
    }
    | {"is_kept": False, "history": epochs([0.95, 0.8])},
]
TRIED = [
    {"fit": "crop", "zoom": 1.1429, "val_loss": 0.8, "val_accuracy": 0.75},
    {"fit": "crop", "zoom": 1.4286, "val_loss": 0.6, "val_accuracy": 0.8},
    {"fit": "crop", "zoom": 1.7857, "val_loss": 0.7, "val_accuracy": 0.7},
]


class Page:
    """A report, read as XML: what is not escaped does not get so far."""

    def __init__(self, html: str) -> None:
        self.html = html
        assert html.startswith("<!doctype html>\n")
        self.root = ElementTree.fromstring(html.removeprefix("<!doctype html>\n"))
        self.sections = {section.attrib["id"]: section for section in self.root.iter("section")}

    def rows(self, section: str, table: int = 0) -> list[list[str]]:
        return [
            [text(cell) for cell in row.iter("td")]
            for row in list(self.sections[section].iter("tbody"))[table].iter("tr")
        ]

    def classed(self, section: str, kind: str) -> list[Element]:
        return [each for each in self.sections[section].iter() if kind in each.get("class", "").split()]


def text(element: Element) -> str:
    return "".join(element.itertext())


def page_of(model: Model, evaluation: Evaluation | None, samples: Mapping[str, Sample] | None = None) -> Page:
    found = samples_of(evaluation) if samples is None and evaluation is not None else samples or {}
    evaluations = {} if evaluation is None else {evaluation.part: evaluation}
    return Page(report(model, evaluations, found, name="fruit", command="mirada train fruit -o model"))  # type: ignore[arg-type]


def colour_of(image: Element) -> Pixels:
    return decoded(image.get("src") or image.attrib["href"]).reshape(-1, 3).mean(axis=0)


def is_colour(image: Element, number: int) -> bool:
    return bool(np.abs(colour_of(image) - COLOURS[number]).max() < 6)


# How good it is


def test_the_score_in_digits_and_in_words() -> None:
    evaluation = judged([0] * 100 + [1] * 60 + [2] * 40, [0] * 90 + [1] * 70 + [2] * 40, [0.9] * 200)
    page = page_of(model_of(), evaluation)
    low, high = jeffreys(190, 200)
    assert text(page.classed("score", "big")[0]) == "95.0%"
    words = text(page.sections["score"])
    assert "190 of 200 test pictures are named rightly." in words
    assert (
        f"Of 100 new pictures like these, about 95 ({100 * low:.0f} to {100 * high:.0f}) will be named rightly."
        in words
    )
    assert "the commonest class would give: 50.0%." in words
    assert (
        page.classed("score", "range")[0].attrib["style"]
        == f"--v:95.0;--l:{100 * low:.1f};--h:{100 * high:.1f};--o:50.0"
    )
    assert page.classed("score", "warning") == []


def test_a_share_near_1_is_given_with_a_decimal() -> None:
    page = page_of(model_of(), judged([0] * 400 + [1] * 400, [0] * 400 + [1] * 399 + [0], [0.9] * 800))
    low, high = jeffreys(799, 800)
    assert f"about 99.9 ({100 * low:.1f} to {100 * high:.1f}) will be" in text(page.sections["score"])


def test_balanced_accuracy_is_the_mean_recall() -> None:
    evaluation = some_answers()
    truth, called = ([getattr(a, side) for a in evaluation.answers] for side in ("truth", "label"))
    card = page_of(model_of(), evaluation).classed("score", "card")[0]
    assert text(card[1]) == f"{metrics.balanced_accuracy_score(truth, called):.1%}"
    low, high = evaluation.balanced_interval
    assert text(card).endswith(f"95% interval: {low:.1%} to {high:.1%}.")


def test_the_calibration_error_before_and_after() -> None:
    """100 answers of 90 %, of which 60 are right: 30 points off. Before scaling they said 81 %: 21 points."""
    evaluation = judged([0] * 60 + [1] * 40, [0] * 100, [0.9] * 100)
    card = page_of(model_of(task=Classify(NAMES, 0.8)), evaluation).classed("score", "card")[1]
    assert text(card[1]) == "30.0 points off"
    assert "these are a rough guide, and too high: 90.0% on average." in text(card)
    assert "the division of all class scores by 0.80, a number chosen on the validation pictures, it was 21.0." in text(
        card
    )


def test_exact_probabilities_are_not_spoken_against() -> None:
    evaluation = judged([0] * 90 + [1] * 10, [0] * 100, [0.9] * 100)
    card = page_of(model_of(), evaluation).classed("score", "card")[1]
    assert text(card[1]) == "0.0 points off"
    assert "nothing speaks against these. No temperature scaling was done." in text(card)


def test_sure_answers_and_how_many_of_them_are_right() -> None:
    evaluation = judged([0] * 40 + [1] * 60, [0] * 38 + [1] * 62, [0.95] * 40 + [0.5] * 60, sure_from=0.95)
    low, high = jeffreys(38, 40)
    card = page_of(model_of(training={"sure_precision": 0.9}), evaluation).classed("score", "card")[2]
    assert text(card[1]) == "40.0%"
    assert (
        f"(40) have a probability of 95.0% or more: they count as sure. Of these, 95.0% ({low:.1%} to {high:.1%})"
        in text(card)
    )
    assert "Of the other 60, 100.0%: check those." in text(card)
    assert "to have 90% of the sure answers right" in text(card)


@pytest.mark.parametrize(
    ("sure_from", "figure", "words"),
    [
        (None, "No probability", "above which 95% right answers can be promised"),
        (0.99, "0.0%", "of the answers (0) have a probability of 99.0% or more"),
        (0.0, "100.0%", "of the answers: all 4 count as sure. Of these"),
    ],
)
def test_no_answer_is_sure_or_all_are(sure_from: float | None, figure: str, words: str) -> None:
    evaluation = judged([0, 0, 1, 2], [0, 0, 1, 1], [0.9, 0.8, 0.7, 0.6], sure_from=sure_from)
    card = page_of(model_of(), evaluation).classed("score", "card")[2]
    assert text(card[1]) == figure
    assert words in text(card)


def test_a_model_that_has_learnt_nothing_is_called_so() -> None:
    page = page_of(model_of(), judged([0] * 30 + [1] * 30, [0] * 60, [0.5] * 60))
    [warning] = page.classed("score", "warning")
    assert "not clearly better than always naming the commonest class" in text(warning)


@pytest.mark.parametrize(
    ("parts", "word"),
    [(("val", "test"), "test"), (("val",), "validation"), (("train",), "training"), (("train", "val"), "validation")],
)
def test_the_page_is_about_the_part_that_says_most(parts: Sequence[str], word: str) -> None:
    evaluations = {part: replace(some_answers(30 + n), part=part) for n, part in enumerate(parts)}
    page = Page(report(model_of(), evaluations, {}, name="fruit", command=""))  # type: ignore[arg-type]
    best = evaluations[{"test": "test", "validation": "val", "training": "train"}[word]]
    assert f"{best.right} of {best.images} {word} pictures are named rightly." in text(page.sections["score"])
    assert ("flatters the model" in text(page.sections["score"])) == (word == "validation")


def test_pictures_that_the_model_has_never_seen() -> None:
    evaluation = replace(some_answers(), part="unseen")
    page = Page(report(model_of(), {"test": evaluation}, {}, name="fruit", command=""))
    assert f"{evaluation.right} of 90 unseen pictures are named rightly." in text(page.sections["score"])


# How it was trained


def test_the_ladder_as_a_table() -> None:
    page = page_of(model_of(training={"rungs": RUNGS}), some_answers())
    assert "Kept: step 1, the last stage (from blocks.6) and the head." in text(page.sections["retrained"])
    rows = page.rows("retrained")
    assert [row[:4] for row in rows] == [
        ["0", "the head alone", "15,372", "4 s"],
        ["1", "the last stage (from blocks.6) and the head", "1,018,700", "36 s"],
        ["2", "the last 2 stages (from blocks.5) and the head", "2,000,000", "1 min"],
    ]
    intervals = [jeffreys(right, 100) for right in (60, 75, 73)]
    assert [row[4] for row in rows] == [
        f"{share} ({low:.1%} to {high:.1%})"
        for share, (low, high) in zip(("60.0%", "75.0%", "73.0%"), intervals, strict=True)
    ]
    assert [row[5:] for row in rows] == [
        ["0.900", "", ""],
        ["0.700", "15 more right: this difference is probably no chance (p = 0.004)", "kept: this is the model"],
        ["0.800", "2 fewer right: this difference could well be chance (p = 0.62)", ""],
    ]


@pytest.mark.parametrize(
    ("right", "p", "words"),
    [
        (60, 1.0, "as many right answers"),
        (61, 0.21, "1 more right: this difference could well be chance (p = 0.21)"),
        (58, 0.2, "2 fewer right: this difference could be chance (p = 0.2)"),
        (70, 0.05, "10 more right: this difference could be chance (p = 0.05)"),
        (70, 0.049, "10 more right: this difference is probably no chance (p = 0.049)"),
    ],
)
def test_a_p_value_in_words(right: int, p: float, words: str) -> None:
    rungs = [RUNGS[0], RUNGS[1] | {"val": val(right, 100, 0.8), "p_value": p}]
    assert page_of(model_of(training={"rungs": rungs}), some_answers()).rows("retrained")[1][6] == words


def test_the_ladder_as_a_chart() -> None:
    """Every point stands where the numbers of the axes say."""
    page = page_of(model_of(training={"rungs": RUNGS}), some_answers())
    chart = next(page.sections["retrained"].iter("svg"))
    circles = list(chart.iter("circle"))
    assert [c.attrib["class"] for c in circles] == ["point-other", "point-best", "point-other"]
    labels = {text(t): t for t in chart.iter("text")}
    y = {float(name[:-1]) / 100: float(t.attrib["y"]) - 4 for name, t in labels.items() if name.endswith("%")}
    assert len(y) >= 3
    slope, offset = np.polyfit(list(y), list(y.values()), 1)
    for circle, accuracy in zip(circles, (0.6, 0.75, 0.73), strict=True):
        assert float(circle.attrib["cy"]) == pytest.approx(slope * accuracy + offset, abs=0.05)
    bars = [line for line in chart.iter("line") if line.attrib["class"].startswith("bar")]
    for bar, right in zip(bars, (60, 75, 73), strict=True):
        ends = [slope * share + offset for share in jeffreys(right, 100)]
        assert [float(bar.attrib["y1"]), float(bar.attrib["y2"])] == pytest.approx(ends, abs=0.05)
    seconds = {"5 s": 5, "20 s": 20, "1 min": 60, "2 min": 120}
    x = {seconds[name]: float(t.attrib["x"]) for name, t in labels.items() if name in seconds}
    assert len(x) >= 2
    slope, offset = np.polyfit(np.log(list(x)), list(x.values()), 1)
    for circle, time in zip(circles, (4, 40, 100), strict=True):
        assert float(circle.attrib["cx"]) == pytest.approx(slope * np.log(time) + offset, abs=0.05)


def test_the_curves_of_the_rungs_mark_the_epoch_that_was_kept() -> None:
    page = page_of(model_of(training={"rungs": RUNGS}), some_answers())
    curves = [svg for svg in page.sections["retrained"].iter("svg") if "loss on" in svg.attrib["aria-label"]]
    assert [svg.attrib["aria-label"] for svg in curves] == ["step 1: loss on validation", "step 2: loss on validation"]
    assert [text(circle) for svg in curves for circle in svg.iter("circle")] == ["epoch 2: 0.7", "epoch 2: 0.8"]


def test_a_ladder_without_validation_pictures() -> None:
    rungs = [rung | {"val": None, "p_value": None} for rung in RUNGS[:1]]
    page = page_of(model_of(training={"rungs": rungs}), some_answers())
    assert page.rows("retrained") == [["0", "the head alone", "15,372", "4 s", "", "", "", "kept: this is the model"]]
    assert "No other step was tried." in text(page.sections["retrained"])
    assert list(page.sections["retrained"].iter("svg")) == []


@pytest.mark.parametrize("has_val", [True, False])
def test_a_model_trained_from_scratch(has_val: bool) -> None:
    history = epochs([0.9, 0.5, 0.6] if has_val else [None, None])
    page = page_of(model_of(training={"history": history}), some_answers())
    assert text(page.sections["retrained"][0]) == "How it learnt"
    charts_ = list(page.sections["retrained"].iter("svg"))
    names = ["loss on validation; thin: on training", "right on validation"] if has_val else ["loss on training"]
    assert [svg.attrib["aria-label"] for svg in charts_] == names
    assert [text(line) for line in charts_[0].iter("polyline")] == (
        ["validation", "training"] if has_val else ["training"]
    )
    assert [text(circle) for circle in charts_[0].iter("circle")] == (["epoch 2: 0.5"] if has_val else [])


# What it sees


@pytest.mark.parametrize(
    ("preparation", "share"),
    [
        (Preparation((8, 8), "crop", 2.0), "17%"),  # 20 x 20 of 60 x 40
        (Preparation((24, 24), "pad"), "100%"),
        (Preparation((8, 8), "stretch"), "100%"),
    ],
)
def test_the_frame_that_the_network_sees(preparation: Preparation, share: str) -> None:
    page = page_of(model_of(preparation=preparation), some_answers())
    [svg] = page.sections["view"].iter("svg")
    [frame] = (path for path in svg.iter("path") if path.attrib["class"] == "frame")
    box = [float(number) for number in re.findall(r"-?[\d.]+", frame.attrib["d"])]
    x1, y1, x2, y2 = preparation.to_original((0, 0, *preparation.size_wh), 60, 40)
    assert box == pytest.approx([x1, y1, x2, y2, x1], abs=0.01)
    left, top, width, height = map(float, svg.attrib["viewBox"].split())
    assert left <= min(x1, 0)
    assert top <= min(y1, 0)
    assert left + width >= max(x2, 60)
    assert top + height >= max(y2, 40)
    assert is_colour(next(svg.iter("image")), 0)
    assert f"As a person sees it, 60 × 40 pixels. In the frame, which the network sees: {share} of it." in text(
        page.sections["view"]
    )
    [network] = page.sections["view"].iter("img")
    assert decoded(network.attrib["src"]).shape[0] % preparation.size_wh[1] == 0


def test_the_first_picture_that_can_be_read_is_the_example() -> None:
    evaluation = some_answers()
    samples = {key: sample for key, sample in samples_of(evaluation).items() if key != "test/0.jpg"}
    page = page_of(model_of(), evaluation, samples)
    assert is_colour(next(page.sections["view"].iter("image")), 1)
    assert list(page_of(model_of(), evaluation, {}).sections["view"].iter("svg")) == []


@pytest.mark.parametrize(("zoom", "chosen"), [(1.4286, ["", "chosen", ""]), (1.5, ["", "", ""])])
def test_the_views_that_were_tried(zoom: float, chosen: list[str]) -> None:
    preparation = Preparation((8, 8), "crop", zoom)
    page = page_of(model_of(preparation=preparation, training={"preparations_tried": TRIED}), some_answers())
    rows = page.rows("view")
    assert [row[:4] for row in rows] == [
        ["crop", "1.14", "0.800", "75.0%"],
        ["crop", "1.43", "0.600", "80.0%"],
        ["crop", "1.79", "0.700", "70.0%"],
    ]
    assert [row[4] for row in rows] == chosen
    assert ("Chosen: crop, zoom 1.50, where a curve" in text(page.sections["view"])) == (zoom == 1.5)


# Where it fails


def test_every_cell_of_the_confusion_matrix() -> None:
    evaluation = some_answers()
    page = page_of(model_of(), evaluation)
    svg = next(page.sections["confusion"].iter("svg"))
    found = np.zeros((3, 3), int)
    for cell in svg.iter("rect"):
        if cell.attrib["class"] in ("right", "wrong"):
            truth, said, count, images = re.fullmatch(r"(\w+), called (\w+): (\d+) of (\d+)", text(cell)).groups()  # type: ignore[union-attr]
            i, j = NAMES.index(truth), NAMES.index(said)
            found[i, j] = int(count)
            assert int(images) == evaluation.confusion[i].sum()
            assert cell.attrib["class"] == ("right" if i == j else "wrong")
            assert float(cell.attrib["fill-opacity"]) == pytest.approx(
                0.15 + 0.85 * int(count) / int(images), abs=0.006
            )
    assert found.tolist() == evaluation.confusion.tolist()


def test_the_pairs_that_are_mixed_up_most_with_a_picture_of_each() -> None:
    truth, called = [0, 0, 0, 1, 1, 2, 2], [1, 1, 0, 1, 2, 2, 2]
    page = page_of(model_of(), judged(truth, called, [0.9] * 7))
    figures = list(page.sections["confusion"].iter("figure"))
    assert [text(figure) for figure in figures] == [
        "apple called lime: 2 of 3. Beside it: a true lime.",
        "lime called pear: 1 of 2. Beside it: a true pear.",
    ]
    shown = [list(figure.iter("img")) for figure in figures]
    assert [[image.attrib["alt"] for image in pair] for pair in shown] == [
        ["test/0.jpg", "test/3.jpg"],
        ["test/4.jpg", "test/5.jpg"],
    ]
    assert all(
        is_colour(image, number)
        for pair, numbers in zip(shown, ((0, 3), (4, 5)), strict=True)
        for image, number in zip(pair, numbers, strict=True)
    )


def test_a_model_without_a_mistake() -> None:
    page = page_of(model_of(), judged([0, 1, 2], [0, 1, 2], [0.9, 0.8, 0.7]))
    assert "There is no mistake." in text(page.sections["confusion"])
    assert "There is no mistake." in text(page.sections["mistakes"])
    assert len(list(page.sections["mistakes"].iter("img"))) == 3


def test_the_reliability_diagram() -> None:
    evaluation = some_answers(300)
    page = page_of(model_of(), evaluation)
    probabilities = np.array([answer.probability for answer in evaluation.answers])
    is_right = np.array([answer.truth == answer.label for answer in evaluation.answers])
    expected, total = [], 0
    for m in range(10):
        inside = (probabilities > m / 10) & (probabilities <= (m + 1) / 10)
        if inside.any():
            total += int(inside.sum())
            low, high = jeffreys(int(is_right[inside].sum()), int(inside.sum()))
            given = probabilities[inside].mean()
            said = f"{inside.sum()} answers of {10 * m:.1f}% to {10 * m + 10:.1f}%, mean {given:.1%}"
            expected.append(f"{said}: {is_right[inside].mean():.1%} of them are right ({low:.1%} to {high:.1%})")
    [svg] = page.sections["trust"].iter("svg")
    assert [text(circle) for circle in svg.iter("circle")] == expected
    assert total == 300
    for circle, words in zip(svg.iter("circle"), expected, strict=True):
        mean, right = (float(each) / 100 for each in re.search(r"mean ([\d.]+)%: ([\d.]+)%", words).groups())  # type: ignore[union-attr]
        assert float(circle.attrib["cx"]) == pytest.approx(58 + 442 * mean, abs=0.5)
        assert float(circle.attrib["cy"]) == pytest.approx(330 - 316 * right, abs=0.5)


def test_the_surest_mistakes_and_the_least_sure_answers() -> None:
    evaluation = some_answers(200)
    page = page_of(model_of(), evaluation)
    numbered = list(enumerate(evaluation.answers))
    wrong = sorted((pair for pair in numbered if not pair[1].is_right), key=lambda pair: -pair[1].probability)[:12]
    unsure = sorted(numbered, key=lambda pair: pair[1].probability)[:12]
    figures = list(page.sections["mistakes"].iter("figure"))
    assert len(figures) == 24
    for figure, (number, answer) in zip(figures, wrong + unsure, strict=True):
        said = f"right: {answer.label}" if answer.is_right else f"it is {answer.truth}, called {answer.label}"
        assert text(figure) == f"{said}, {answer.probability:.1%}{answer.path}"
        [image] = figure.iter("img")
        assert image.attrib["alt"] == answer.path
        assert is_colour(image, number)


def test_pictures_that_cannot_be_read_any_more(tmp_path: Path) -> None:
    evaluation = judged([0, 0], [1, 0], [0.9, 0.8])
    gone = Sample("test/0.jpg", Label("apple", 0), path=tmp_path / "gone.jpg")
    page = page_of(model_of(), evaluation, {"test/0.jpg": gone})
    boxes = [text(box) for box in page.classed("mistakes", "gone")]
    assert boxes == [f"cannot be read any more: test/{n}.jpg" for n in (0, 1, 0)]
    assert list(page.sections["mistakes"].iter("img")) == []


def test_the_classes_worst_first() -> None:
    evaluation = judged([0] * 5 + [1] * 4, [0] * 4 + [1] * 4 + [0], [0.9] * 9)
    low, high = jeffreys(3, 4)
    rows = page_of(model_of(), evaluation).rows("classes")
    assert [row[:2] for row in rows] == [["lime", "4"], ["apple", "5"], ["pear", "0"]]
    assert rows[0][3] == f"75.0% ({low:.1%} to {high:.1%})"
    assert rows[1][5] == "80.0% ({:.1%} to {:.1%})".format(*jeffreys(4, 5))
    assert rows[2][2:] == ["no picture", "", "never named", ""]


def test_recall_and_precision_against_scikit_learn() -> None:
    evaluation = some_answers(150, seed=3)
    truth, called = ([getattr(a, side) for a in evaluation.answers] for side in ("truth", "label"))
    precision, recall, _, images = metrics.precision_recall_fscore_support(truth, called, labels=list(NAMES))
    rows = {row[0]: row for row in page_of(model_of(), evaluation).rows("classes")}
    for k, name in enumerate(NAMES):
        assert rows[name][1] == str(images[k])
        assert rows[name][3].startswith(f"{recall[k]:.1%} (")
        assert rows[name][5].startswith(f"{precision[k]:.1%} (")
    recalls = [float(row[3].split("%")[0]) for row in rows.values()]
    assert recalls == sorted(recalls)


def test_many_classes_are_folded_away() -> None:
    evaluation = some_answers(300, classes=30)
    page = page_of(model_of([f"class {k:04}" for k in range(30)]), evaluation)
    [details] = page.sections["classes"].iter("details")
    assert text(details[0]) == "all 30 classes"
    assert [len(page.rows("classes", n)) for n in (0, 1)] == [10, 30]
    assert page.rows("classes", 0) == page.rows("classes", 1)[:10]


# What it was made from


def test_the_data_and_how_to_make_the_model_again() -> None:
    training = {
        "images": {"train": 4_000, "val": 500, "test": 91},
        "notes": ["A note.", "Another note."],
        "unreadable": [{"path": "cut.jpg", "error": "is cut short"}],
        "data": {"name": "fruit", "kind": "class folders"},
        "seed": 17,
        "seconds": 340.0,
    }
    evaluation = replace(some_answers(), notes=("A note.", "Of the test."), failures=(ImageError("b.jpg", "is empty"),))
    page = page_of(model_of(training=training), evaluation)
    low, high = evaluation.interval
    assert [row[:2] for row in page.rows("data")] == [["training", "4,000"], ["validation", "500"], ["test", "91"]]
    assert (
        page.rows("data")[2][3]
        == f"{evaluation.right} of 90 right: {evaluation.accuracy:.1%} ({low:.1%} to {high:.1%})"
    )
    assert [text(item) for item in page.sections["data"].iter("li")] == ["A note.", "Another note.", "Of the test."]
    assert page.rows("data", 1) == [["cut.jpg", "is cut short"], ["b.jpg", "is empty"]]
    assert text(next(page.sections["again"].iter("pre"))) == "mirada train fruit -o model"
    facts = dict(page.rows("again"))
    assert (facts["seed"], facts["data"], facts["time"]) == ("17", "fruit, class folders", "5.7 min")
    assert re.fullmatch("[0-9a-f]{64}", facts["SHA-256 of the network"])
    assert f"NumPy {np.__version__}" in facts["versions"]
    assert "3 neurons (class scores)" in text(next(page.sections["again"].iter("details")))


def test_a_backbone_has_no_listing() -> None:
    page = page_of(model_of(network=Backbone("efficientnet-lite0", "tf_efficientnet_lite0")), some_answers())
    assert dict(page.rows("again"))["network"] == "efficientnet-lite0"
    assert list(page.sections["again"].iter("details")) == []


ALWAYS = ["score", "view", "data", "limits", "again"]
OF_ANSWERS = ["confusion", "trust", "mistakes", "classes"]


@pytest.mark.parametrize(
    ("training", "is_judged", "expected"),
    [
        ({}, False, ALWAYS),
        ({}, True, ["score", "view", *OF_ANSWERS, *ALWAYS[2:]]),
        ({"rungs": RUNGS}, False, ["score", "retrained", *ALWAYS[1:]]),
        ({"history": epochs([0.5])}, True, ["score", "retrained", "view", *OF_ANSWERS, *ALWAYS[2:]]),
    ],
)
def test_sections_without_data_are_left_out(training: dict[str, Any], is_judged: bool, expected: list[str]) -> None:
    page = page_of(model_of(training=training), some_answers() if is_judged else None)
    assert list(page.sections) == expected
    assert [link.attrib["href"] for link in page.root.iter("a")] == [f"#{name}" for name in expected]
    assert ("The model has not been tested" in text(page.sections["score"])) != is_judged


# The page as a whole


@pytest.fixture(scope="module")
def full() -> Page:
    training = {"rungs": RUNGS, "preparations_tried": TRIED, "notes": ["A note."]}
    return page_of(model_of(training=training), some_answers(200))


def test_nothing_is_fetched_and_nothing_runs(full: Page) -> None:
    for element in full.root.iter():
        assert element.tag not in ("script", "link", "iframe", "object", "base", "form")
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            if name in ("src", "href"):
                assert value.startswith(("#", "data:image/jpeg;base64,"))
    assert re.findall(r"https?:|//|url\(|@import", re.sub(r"base64,[^\"]*", "", full.html)) == []
    policies = [each.get("content") for each in full.root.iter("meta") if each.get("http-equiv")]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


class _Events(HTMLParser):
    """What a reader of HTML, not XML, makes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.closed_at_once: set[str] = set()
        self.words: list[str] = []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.closed_at_once.add(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_html_and_xml_agree_on_the_page(full: Page) -> None:
    events = _Events()
    events.feed(full.html.removeprefix("<!doctype html>\n"))
    events.close()
    assert events.closed_at_once <= {"meta", "img", "image", "circle", "line", "path", "polyline", "rect"}
    assert "".join(events.words).strip() == text(full.root).strip()


def test_the_colours_of_the_page_are_all_defined(full: Page) -> None:
    [style] = full.root.iter("style")
    used = set(re.findall(r"var\((--\w+)", text(style)))
    set_by_elements = {"--v", "--l", "--h", "--o", "--least"}
    light, dark = (
        set(re.findall(r"(--\w+):", part)) for part in re.findall(r":root \{(.*?)\}", text(style), re.DOTALL)[:2]
    )
    assert used - set_by_elements == light
    assert dark == light


@pytest.mark.parametrize("word", HOSTILE)
def test_hostile_names_are_only_text(word: str) -> None:
    names = sorted([word, "b", "c"])
    evaluation = judged([0, 1, 2] * 8, [1, 1, 2] * 8, [0.9] * 24, names=names)
    answers = tuple(replace(a, path=f"{word}/{n}") for n, a in enumerate(evaluation.answers))
    failures = (ImageError(f"{word}/x", word),)
    evaluation = replace(evaluation, answers=answers, notes=(word,), failures=failures)
    training = {"notes": [word], "data": {"name": word}, "rungs": [RUNGS[0], RUNGS[1] | {"name": word}], "seconds": 1.0}
    samples = {a.path: Sample(a.path, None, array=picture(n)) for n, a in enumerate(answers) if n % 2}
    html = report(model_of(names, training=training), {"test": evaluation}, samples, name=word, command=word)
    html.encode("utf-8")
    page, shown = Page(html), visible(word)
    plain = page_of(model_of(training={"rungs": RUNGS[:2]}), some_answers(24))
    assert {each.tag for each in page.root.iter()} <= {each.tag for each in plain.root.iter()} | {
        "h3",
        "ul",
        "span",
        "li",
    }
    assert text(next(page.root.iter("h1"))) == shown
    assert text(next(page.root.iter("title"))) == f"{shown}: report"
    assert text(next(page.sections["again"].iter("pre"))) == shown
    assert shown in [row[0] for row in page.rows("classes")]
    assert page.rows("data", 1) == [[f"{shown}/x", shown]]
    assert f"{shown}/1" in [image.get("alt") for image in page.root.iter("img")]


@pytest.mark.parametrize("classes", [2, 41, 1_000])
def test_a_page_about_1000_pictures_is_below_2_mb(classes: int) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, classes, 1_000)
    called = np.where(rng.random(1_000) < 0.5, truth, rng.integers(0, classes, 1_000))
    names = [f"species number {k:04}" for k in range(classes)]
    evaluation = judged(truth.tolist(), called.tolist(), rng.uniform(0, 1, 1_000).tolist(), names=names)
    noise = rng.integers(0, 256, (480, 640, 3)).astype(np.uint8)  # no photograph takes more bytes
    samples = {a.path: Sample(a.path, None, array=noise) for a in evaluation.answers}
    page = page_of(model_of(names, training={"rungs": RUNGS}), evaluation, samples)
    assert len(page.html.encode()) < 2_000_000
    counts = [re.search(r": (\d+) of", text(r)) for r in page.sections["confusion"].iter("rect") if len(r)]
    assert sum(int(count[1]) for count in counts if count) == 1_000


def test_so_many_cells_that_none_has_a_title() -> None:
    rng = np.random.default_rng(0)
    confusion = rng.integers(0, 2, (100, 100))
    names = [f"class {k}" for k in range(100)]
    chart = ElementTree.fromstring(charts.confusion_chart(confusion, names, range(100)))
    cells = [rect for rect in chart.iter("rect") if rect.attrib["class"] != "field"]
    assert len(cells) == confusion.sum() > charts.MOST_HOVERS
    assert list(chart.iter("title")) == []


def test_a_real_model_on_real_pictures(textures: Path) -> None:
    model = train(textures, retrain="head")
    evaluation = evaluate(model, textures)
    samples = {sample.key: sample for sample in read(textures).samples}
    html = report(model, {"test": evaluation}, samples, name="textures", command="mirada train textures")
    page = Page(html)
    assert html == report(model, {"test": evaluation}, samples, name="textures", command="mirada train textures")
    assert text(page.classed("score", "big")[0]) == f"{model.scores['test']['accuracy']:.1%}"
    assert [row[1] for row in page.rows("data")] == [
        str(model.training["images"][part]) for part in ("train", "val", "test")
    ]
    assert page.rows("retrained")[0][1] == "the head alone"
    for image in page.sections["mistakes"].iter("img"):
        original = samples[image.attrib["alt"]].image()
        assert np.abs(colour_of(image) - original.reshape(-1, 3).mean(axis=0)).max() < 6
