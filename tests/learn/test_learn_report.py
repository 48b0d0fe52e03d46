"""The report on a model: how good it is, how it was trained, what it sees."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from reported import (
    NAMES,
    RUNGS,
    TRIED,
    Page,
    epochs,
    is_colour,
    jeffreys,
    judged,
    model_of,
    page_of,
    samples_of,
    some_answers,
    text,
    val,
)
from sklearn import metrics

from drawn import decoded
from mirada.image import Preparation
from mirada.learn.report import report
from mirada.tasks import Classify

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


@pytest.mark.parametrize(("learnt", "said"), [({}, "was tried."), ({"is_head_enough": True}, "was tried: with all")])
def test_the_head_alone_says_why(learnt: dict[str, bool], said: str) -> None:
    page = page_of(model_of(training={"rungs": RUNGS[:1]} | learnt), some_answers())
    assert f"No other step {said}" in text(page.sections["retrained"])


def test_a_mean_of_runs_is_called_so() -> None:
    rungs = [*RUNGS, RUNGS[-1] | {"runs": 2}]
    page = page_of(model_of(training={"rungs": rungs}), some_answers())
    said = [row[1] for row in page.rows("retrained")]
    assert said[-1] == f"{said[-2]}, mean of 2 runs"


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
