"""Reports on made-up answers, read as XML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np
from scipy.stats import beta

from drawn import Pixels, decoded
from mirada.annotations import Label
from mirada.arch import parse
from mirada.data import Sample
from mirada.image import Preparation
from mirada.learn.evaluation import Answer, Evaluation
from mirada.learn.report import report
from mirada.learn.scores import confusion_matrix, share_interval
from mirada.model import Model
from mirada.tasks import Classify

Element = ElementTree.Element

NAMES = ("apple", "lime", "pear")
COLOURS = np.random.default_rng(5).integers(30, 226, (2_000, 3)).astype(np.uint8)
"""The colour of the picture of each answer, by its number."""


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


def page_of(
    model: Model,
    evaluation: Evaluation | None,
    samples: Mapping[str, Sample] | None = None,
    command: str = "mirada train fruit -o model",
) -> Page:
    found = samples_of(evaluation) if samples is None and evaluation is not None else samples or {}
    evaluations = {} if evaluation is None else {evaluation.part: evaluation}
    return Page(report(model, evaluations, found, name="fruit", command=command))  # type: ignore[arg-type]


def colour_of(image: Element) -> Pixels:
    return decoded(image.get("src") or image.attrib["href"]).reshape(-1, 3).mean(axis=0)


def is_colour(image: Element, number: int) -> bool:
    return bool(np.abs(colour_of(image) - COLOURS[number]).max() < 6)
