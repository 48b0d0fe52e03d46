"""Numbers and pixels -> charts in SVG, as pieces of an HTML page.

Does not know: models, files, what a page says. Charts are drawn in units of the picture and shrink with the page; their
colours are variables of the page, so that they follow its light and dark scheme.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirada.learn.scores import ReliabilityBin
from mirada.page import Markup, tag, thumbnail, value_text
from mirada.words import duration, percent, visible

__all__ = [
    "Rung",
    "confusion_chart",
    "curve_chart",
    "framed",
    "ladder_chart",
    "ordered_by_confusion",
    "range_bar",
    "rate_chart",
    "reliability_chart",
]

MOST_NAMED = 40
"""With more classes the confusion matrix has no names along its sides."""
MOST_HOVERS = 2_000
"""With more cells that are not empty, none tells what it is when pointed at: the page would be too large."""

_TIMES = (0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18_000, 36_000, 86_400, 172_800)
_POWERS = tuple(10.0**n for n in range(-9, 7))


def range_bar(share: float, interval: tuple[float, float], other: float | None = None) -> Markup:
    """A bar from 0 to 1: a tick at a share, its interval tinted, and a grey tick at another share."""
    at = f"--v:{100 * share:.1f};--l:{100 * interval[0]:.1f};--h:{100 * interval[1]:.1f}"
    return tag("span", class_="range", style=at if other is None else f"{at};--o:{100 * other:.1f}")


def framed(image: NDArray[np.uint8], box_xyxy: Sequence[float], side: int) -> Markup:
    """A picture (H, W, 3) with a frame: outside of it the picture is shaded; the frame may reach beyond the picture."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box_xyxy
    left, top, right, bottom = min(x1, 0), min(y1, 0), max(x2, width), max(y2, height)
    line = max(right - left, bottom - top) / 120
    frame = f"M{x1:.2f} {y1:.2f}H{x2:.2f}V{y2:.2f}H{x1:.2f}Z"
    return _svg(
        (left - line, top - line, right - left + 2 * line, bottom - top + 2 * line),
        "the picture, and the frame that the network sees",
        tag("image", href=thumbnail(image, side), width=width, height=height, preserveAspectRatio="none"),
        tag("path", d=f"M0 0H{width}V{height}H0Z{frame}", class_="shade", fill_rule="evenodd"),
        tag("path", d=frame, class_="frame", stroke_width=line),
    )


@dataclass(frozen=True, slots=True)
class Rung:
    """A step of the ladder as it is drawn.

    Attributes:
        step: which, from 0: the number that is written.
        name: for whoever points at it.
        seconds: from the beginning of training to its end.
        accuracy, interval: on validation.
        is_best: whether it is the model that was kept in the end.
    """

    step: int
    name: str
    seconds: float
    accuracy: float
    interval: tuple[float, float]
    is_best: bool


def ladder_chart(rungs: Sequence[Rung]) -> Markup:
    """Validation accuracy with its interval against the time it took, a point a rung."""
    times = [max(rung.seconds, 0.01) for rung in rungs]
    lows, highs = zip(*(rung.interval for rung in rungs), strict=True)
    room = 0.08 * (max(highs) - min(lows)) + 0.002
    x = _Axis(min(times) / 1.5, max(times) * 1.5, 58, 500, _TIMES)
    y = _Axis(max(min(lows) - room, 0), min(max(highs) + room, 1), 250, 14)
    points = []
    for rung, time in zip(rungs, times, strict=True):
        low, high = rung.interval
        hover = f"{rung.name}: {percent(rung.accuracy)}, {percent(low)} to {percent(high)}, after {duration(time)}"
        kind = "best" if rung.is_best else "other"
        points += [
            _line(x(time), y(low), x(time), y(high), f"bar-{kind}"),
            tag("circle", tag("title", hover), cx=x(time), cy=y(rung.accuracy), r=10, class_=f"point-{kind}"),
            _text(x(time), y(rung.accuracy) + 4, str(rung.step), f"in-{kind}", "middle"),
        ]
    way = " ".join(f"{x(time):.1f},{y(rung.accuracy):.1f}" for rung, time in zip(rungs, times, strict=True))
    axes = _scales(x, y, duration, "{:.0%}".format)
    name, below = (
        "validation accuracy of each step against time",
        _text(279, 292, "time since training began", anchor="middle"),
    )
    return _svg((0, 0, 520, 300), name, *axes, below, tag("polyline", points=way, class_="way"), *points)


def curve_chart(
    title: str, lines: Mapping[str, Sequence[float | None]], best: int | None, tick: Callable[[float], str]
) -> Markup:
    """Small curves over the epochs.

    Args:
        title: written above.
        lines: values by name, one an epoch, None where there is none; all but the first are thin.
        best: the epoch, from 1, whose point on the first line is marked.
        tick: how a value is written.
    """
    points = {
        name: [(n, v) for n, v in enumerate(line, 1) if v is not None and math.isfinite(v)]
        for name, line in lines.items()
    }
    known = [v for line in points.values() for _, v in line] or [0.0]
    room = 0.06 * (max(known) - min(known)) or 0.05
    x = _Axis(1, max(2, *(len(line) for line in lines.values())), 48, 288)
    y = _Axis(max(min(known) - room, 0), max(known) + room, 134, 26)
    drawn: list[Markup] = []
    for place, (name, line) in enumerate(points.items()):
        way = " ".join(f"{x(n):.1f},{y(v):.1f}" for n, v in line)
        drawn.append(tag("polyline", tag("title", name), points=way, class_="faint" if place else "curve"))
        for n, v in (point for point in line if place == 0 and point[0] == best):
            hover = tag("title", f"epoch {n}: {tick(v)}")
            drawn.append(tag("circle", hover, cx=x(n), cy=y(v), r=5, class_="point-best"))
    axes = _scales(x, y, lambda n: f"{n:.0f}" if n == int(n) else "", tick, most=4)
    written = _text(48, 14, title, "name"), _text(168, 165, "epoch", anchor="middle")
    return _svg((0, 0, 300, 168), title, *written, *axes, *drawn)


def rate_chart(rates: Sequence[float], losses: Sequence[float], rate: float) -> Markup:
    """The loss after each step with a larger learning rate, and the rate that was taken."""
    x = _Axis(min(rates), max(rates), 48, 288, _POWERS)
    room = 0.06 * (max(losses) - min(losses)) or 0.05
    y = _Axis(max(min(losses) - room, 0), max(losses) + room, 134, 26)
    way = " ".join(f"{x(at):.1f},{y(loss):.1f}" for at, loss in zip(rates, losses, strict=True))
    axes = _scales(x, y, "{:g}".format, "{:.3g}".format, most=4)
    chosen = tag("line", tag("title", f"{rate:g}"), x1=x(rate), y1=y.start, x2=x(rate), y2=y.end, class_="ideal")
    title = "loss by learning rate"
    written = _text(48, 14, title, "name"), _text(168, 165, "learning rate", anchor="middle")
    return _svg((0, 0, 300, 168), title, *written, *axes, tag("polyline", points=way, class_="curve"), chosen)


def reliability_chart(bins: Sequence[ReliabilityBin]) -> Markup:
    """Share of right answers against the probability given, with intervals, and how many answers each bin has."""
    x, y = _Axis(0, 1, 58, 500), _Axis(0, 1, 330, 14)
    counts = _Axis(0, max(each.images for each in bins), 450, 398)
    drawn: list[Markup] = []
    for each in bins:
        low, high = each.interval
        many = "1 answer" if each.images == 1 else f"{each.images:,} answers"
        said = f"{many} of {percent(each.low)} to {percent(each.high)}, mean {percent(each.confidence)}"
        hover = f"{said}: {percent(each.accuracy)} of them are right ({percent(low)} to {percent(high)})"
        centre, left, width = x(each.confidence), x(each.low) + 1, x(each.high) - x(each.low) - 2
        top = counts(each.images)
        drawn += [
            _line(centre, y(low), centre, y(high), "bar-best"),
            tag("circle", tag("title", hover), cx=centre, cy=y(each.accuracy), r=5.5, class_="point-best"),
            tag("rect", tag("title", hover), x=left, y=top, width=width, height=450 - top, class_="count"),
            _text(left + width / 2, top - 4, f"{each.images:,}", anchor="middle"),
        ]
    return _svg(
        (0, 0, 520, 474),
        "how often answers of each probability are right",
        *_scales(x, y, "{:.0%}".format, "{:.0%}".format),
        _line(x(0), y(0), x(1), y(1), "ideal"),
        _line(58, 450, 500, 450, "grid"),
        *drawn,
        _text(279, 368, "probability that the model gave", anchor="middle"),
        _text(279, 467, "answers with such a probability", anchor="middle"),
    )


def ordered_by_confusion(confusion: NDArray[np.int64]) -> list[int]:
    """Class ids such that classes which are mixed up stand side by side, otherwise in their own order.

    Chains of classes are joined end to end, those with the most mistakes between them first.
    """
    between = np.triu(confusion + confusion.T, 1)
    rows, columns = np.nonzero(between)
    chains = {k: [k] for k in range(len(confusion))}
    for place in np.argsort(-between[rows, columns], kind="stable"):
        i, j = int(rows[place]), int(columns[place])
        first, second = chains[i], chains[j]
        if first is second:
            continue
        if first[0] == i:
            first.reverse()
        if second[-1] == j:
            second.reverse()
        first += second
        chains.update(dict.fromkeys(second, first))
    distinct = {id(chain): chain for chain in chains.values()}.values()
    return [k for chain in sorted(distinct, key=min) for k in chain]


def confusion_chart(confusion: NDArray[np.int64], names: Sequence[str], order: Sequence[int]) -> Markup:
    """The confusion matrix (K, K): a row a true class, a column an answer; the stronger, the larger a share of the row.

    Args:
        names: of the classes, by class id.
        order: class ids in the order in which they are drawn.
    """
    classes, is_named = len(names), len(names) <= MOST_NAMED
    cell = min(max(480 / classes, 20), 44) if is_named else 720 / classes
    short = [_shortened(names[k], 26) for k in order]
    longest = 14 + 7.4 * max(map(len, short))
    left, top = (max(longest, 132), max(longest, 40)) if is_named else (24, 24)  # 132: the words in the corner
    placed = confusion[np.ix_(order, order)]
    shares = placed / np.maximum(placed.sum(axis=1, keepdims=True), 1)
    side, size = classes * cell, max(cell, 3.0)  # a lone cell of 1,000 classes must be seen too
    drawn = [tag("rect", x=left, y=top, width=side, height=side, class_="field")]
    rows, columns = np.nonzero(placed)
    cells = sorted(zip(rows.tolist(), columns.tolist(), strict=True), key=lambda at: at[0] != at[1])  # mistakes on top
    for i, j in cells:
        x, y, share = left + (j + 0.5) * cell, top + (i + 0.5) * cell, float(shares[i, j])
        hover = f"{names[order[i]]}, called {names[order[j]]}: {placed[i, j]:,} of {placed[i].sum():,}"
        title = [tag("title", hover)] if len(cells) <= MOST_HOVERS else []
        kind, strength = "right" if i == j else "wrong", 0.15 + 0.85 * share
        square = {"x": x - size / 2, "y": y - size / 2, "width": size, "height": size}
        drawn.append(tag("rect", *title, **square, class_=kind, fill_opacity=strength))
        if is_named:
            drawn.append(_text(x, y + 4, f"{placed[i, j]:,}", "in-dense" if share > 0.5 else "in-thin", "middle"))
    for i, name in enumerate(short if is_named else []):
        middle, end = (i + 0.5) * cell, (i + 1) * cell
        turned = f"translate({left + middle + 4:.1f} {top - 6:.1f}) rotate(-90)"
        drawn.append(_text(left - 6, top + middle + 4, name, "name", "end"))
        drawn.append(tag("text", name, class_="name", transform=turned))
        drawn.append(_line(left, top + end, left + side, top + end, "grid"))
        drawn.append(_line(left + end, top, left + end, top + side, "grid"))
    if is_named:
        drawn.append(_text(left - 6, top - 24, "the model says →", anchor="end"))
        drawn.append(_text(left - 6, top - 8, "the picture shows ↓", anchor="end"))
    else:
        drawn.append(_text(left, 16, "rows: what the picture shows; columns: what the model says"))
    return _svg((0, 0, left + side + 4, top + side + 4), "confusion matrix", *drawn, width=left + side + 4)


@dataclass(frozen=True, slots=True)
class _Axis:
    """Values from `low` to `high`, drawn from `start` to `end`; by their logarithm where round ones are given."""

    low: float
    high: float
    start: float
    end: float
    rounds: Sequence[float] = ()

    def __call__(self, value: float) -> float:
        low, high, at = self.low, self.high, value
        if self.rounds:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Round values, at most about so many."""
        if self.rounds:
            inside = [value for value in self.rounds if self.low <= value <= self.high]
            return inside[:: -(-len(inside) // (most + 1)) or 1]
        rough = (self.high - self.low) / most
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [n * step for n in range(first, last + 1)]


def _scales(
    x: _Axis, y: _Axis, x_text: Callable[[float], str], y_text: Callable[[float], str], most: int = 5
) -> list[Markup]:
    """The lines and numbers of both axes."""
    drawn: list[Markup] = []
    for value in x.ticks(most):
        drawn.append(_line(x(value), y.start, x(value), y.end, "grid"))
        drawn.append(_text(x(value), y.start + 17, x_text(value), anchor="middle"))
    for value in y.ticks(most):
        drawn.append(_line(x.start, y(value), x.end, y(value), "grid"))
        drawn.append(_text(x.start - 7, y(value) + 4, y_text(value), anchor="end"))
    return drawn


def _svg(view: tuple[float, float, float, float], label: str, *content: Markup, width: float | None = None) -> Markup:
    at = {"viewBox": " ".join(map(value_text, view))}
    least = None if width is None else f"min-width: min({width:.0f}px, 30rem)"
    return tag("svg", *content, **at, role="img", aria_label=label, width=width, style=least)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def _text(x: float, y: float, text: str, kind: str | None = None, anchor: str | None = None) -> Markup:
    return tag("text", text, x=x, y=y, class_=kind, text_anchor=anchor)


def _shortened(name: str, most: int) -> str:
    shown = visible(name)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"
