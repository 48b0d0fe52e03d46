"""The report on a model: where it fails, what it was made from."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reported import NAMES, RUNGS, epochs, is_colour, jeffreys, judged, model_of, page_of, some_answers, text
from sklearn import metrics

from mirada.annotations import Label
from mirada.backbone import Backbone
from mirada.data import Sample
from mirada.errors import ImageError

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


@pytest.mark.parametrize(
    ("limit", "was_stopped", "expected"), [({}, False, False), ({"minutes": 2.0}, False, True), ({}, True, True)]
)
def test_what_time_has_decided_may_come_out_otherwise(
    limit: dict[str, float], was_stopped: bool, expected: bool
) -> None:
    rungs = [*RUNGS[:-1], RUNGS[-1] | {"was_stopped": was_stopped}]
    page = page_of(model_of(training={"rungs": rungs} | limit), some_answers())
    assert ("the same command may give other weights" in text(page.sections["again"])) == expected


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
