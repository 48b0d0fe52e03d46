"""The report on a model as a page: offline, well formed, safe from what names say, small."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from reported import RUNGS, TRIED, Page, colour_of, judged, model_of, page_of, picture, some_answers, text

from mirada.data import Sample, read
from mirada.errors import ImageError
from mirada.learn import charts, evaluate, train
from mirada.learn.report import report
from mirada.words import visible

HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "</title></style></svg>",
    "a & b &lt; c",
    "half \udcff, turned \u202e, ended \x00\x1b",
    "👩\u200d🔬 naïve 日本語",
    "{braces} %s \\n",
]


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
