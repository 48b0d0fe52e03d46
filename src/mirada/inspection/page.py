"""The findings of a check as one offline page of thumbnails."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mirada.data import PARTS, Sample
from mirada.data.threads import map_items
from mirada.errors import ImageError
from mirada.inspection.check import Report
from mirada.inspection.findings import Finding, Item
from mirada.page import Markup, footer, page, table, tag, thumbnail
from mirada.words import counted

__all__ = ["report_page"]

SHOWN: Final = 60
"""Cases of a finding that are shown; all are in the JSON."""
OF_A_CASE: Final = 2
"""Pictures of a case that are shown."""
NAMED: Final = 4
"""And that are named."""
FRAME: Final = (255, 60, 0)


def report_page(report: Report) -> str:
    """The text of the page."""
    dataset = report.dataset
    samples = {sample.key: sample for sample in dataset.samples}
    mend = [finding for finding in report.findings if finding.weight == "mend"]
    lead = f"{counted(len(dataset), 'picture')}, {len(dataset.class_names):,} classes, {dataset.kind}. "
    lead += f"{counted(len(mend), 'finding')} must be mended." if mend else "Nothing must be mended."
    body = [
        tag("header", tag("h1", f"The data set {dataset.name}"), tag("p", lead, class_="lead"), _ways(report)),
        _overview(report),
        *(_section(finding, samples) for finding in report.findings),
    ]
    if not report.is_deep:
        body.append(tag("p", "Labels and odd pictures were not looked at: mirada check --deep does.", class_="small"))
    body.append(footer("Nothing was changed."))
    return page(f"Check of {dataset.name}", *body)


def _ways(report: Report) -> Markup:
    links = [
        tag("a", f"{finding.title} ({len(finding.items):,})", href=f"#{finding.kind}") for finding in report.findings
    ]
    return tag("nav", *links)


def _overview(report: Report) -> Markup:
    dataset = report.dataset
    parts = [part for part in PARTS if any(sample.part == part for sample in dataset.samples)]
    counts = {part: Counter(c for s in dataset.samples if s.part == part for c in s.class_ids) for part in parts}
    whole: Counter[int] = Counter(class_id for sample in dataset.samples for class_id in sample.class_ids)
    rows = [
        [name, f"{whole[i]:,}", *(f"{counts[part][i]:,}" for part in parts)]
        for i, name in sorted(enumerate(dataset.class_names), key=lambda each: (-whole[each[0]], each[1]))
    ]
    facts = [", ".join(f"{count:,} {name}" for name, count in report.formats.items())]
    if report.sizes is not None:
        facts.append(
            "longer side {:,} to {:,} pixels, half of them up to {:,}".format(*(report.sizes[i] for i in (0, 2, 1)))
        )
    return tag(
        "section",
        tag("h2", "What is there"),
        tag("p", "; ".join(facts)),
        *(tag("p", note, class_="small") for note in report.notes),
        tag("details", tag("summary", "Pictures of each class"), table(["class", "pictures", *parts], rows)),
    )


def _section(finding: Finding, samples: dict[str, Sample]) -> Markup:
    with_pictures = [item for item in finding.items if item.keys]
    plain = [item for item in finding.items if not item.keys]
    with closing(map_items(lambda item: _case(item, samples), with_pictures[:SHOWN])) as made:
        cases = list(made)
    more = len(with_pictures) - len(cases)
    weight = "must be mended" if finding.weight == "mend" else "look at it"
    return tag(
        "section",
        tag("h2", f"{finding.title} ({len(finding.items):,})", id=finding.kind),
        tag("p", tag("b", weight), Markup(". "), finding.why, class_="warning" if finding.weight == "mend" else None),
        tag("p", *_with_options(finding.what_to_do)),
        *([tag("ul", *(tag("li", item.said) for item in plain))] if plain else []),
        tag("div", *cases, class_="grid-of", style="--least:15rem"),
        *([tag("p", f"{more:,} more are in the output of --json.", class_="small")] if more > 0 else []),
    )


def _with_options(text: str) -> list[str]:
    """The text, with options such as --group kept from being broken after their hyphens."""
    return [tag("code", part) if part.startswith("--") else part for part in re.split(r"(--[a-z]+)", text)]


def _case(item: Item, samples: dict[str, Sample]) -> Markup:
    shown = [_thumbnail(samples[key], item, is_first=key == item.keys[0]) for key in item.keys[:OF_A_CASE]]
    names = [tag("span", key, Markup("<br/>")) for key in item.keys[:NAMED]]
    more = len(item.keys) - len(names)
    rest = [tag("span", f"and {more:,} more")] if more > 0 else []
    said = [tag("b", item.said), Markup("<br/>")] if item.said else []
    kind = "thumbs two" if len(shown) > 1 else "thumbs"
    return tag("figure", tag("div", *shown, class_=kind), tag("figcaption", *said, *names, *rest))


def _thumbnail(sample: Sample, item: Item, *, is_first: bool) -> Markup:
    try:
        image = sample.image()
    except ImageError as error:
        return tag("span", error.reason, class_="gone")
    if is_first and item.boxes_xyxy:
        image = _framed(image, item.boxes_xyxy)
    return tag("img", src=thumbnail(image, 240), alt=sample.key)


def _framed(image: NDArray[np.uint8], boxes_xyxy: Sequence[tuple[float, float, float, float]]) -> NDArray[np.uint8]:
    """The picture with boxes drawn, on a small copy so that lines can be seen."""
    height, width = image.shape[:2]
    scale = min(1.0, 480 / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    for box in boxes_xyxy:
        left, top, right, bottom = (round(float(np.clip(value, -1e4, 1e4)) * scale) for value in box)
        cv2.rectangle(small, (left, top), (right, bottom), FRAME, 2)
    return np.asarray(small, np.uint8)
