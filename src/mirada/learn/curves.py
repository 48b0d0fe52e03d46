"""How a training went, epoch by epoch, as charts of the report.

Does not know: files, models, the rest of the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mirada.learn.charts import curve_chart, rate_chart
from mirada.page import Markup, side_by_side, tag

__all__ = ["epoch_curves", "learnt_from_scratch"]

History = Sequence[Mapping[str, Any]]
"""The epochs of a network, as `training` of a model has them."""


def epoch_curves(name: str, history: History, *, has_train: bool = False) -> list[Markup]:
    """Loss and accuracy by epoch.

    Args:
        name: written before the titles.
        history: may be empty; without validation losses there is no curve but that of the training loss.
        has_train: whether the training loss is drawn too: that of a rung is measured in another way than its
            validation loss.
    """
    train, loss, accuracy = ([epoch[key] for epoch in history] for key in ("train_loss", "val_loss", "val_accuracy"))
    judged = [each for each in loss if each is not None]
    if not judged:
        lines = {"training": train} if history else {}
        return [curve_chart(f"{name}loss on {key}", {key: lines[key]}, None, "{:.3g}".format) for key in lines]
    best, lines = loss.index(min(judged)) + 1, {"validation": loss} | ({"training": train} if has_train else {})
    thin = "; thin: on training" if has_train else ""
    return [
        curve_chart(f"{name}loss on validation{thin}", lines, best, "{:.3g}".format),
        curve_chart(f"{name}right on validation", {"validation": accuracy}, best, "{:.0%}".format),
    ]


def learnt_from_scratch(training: Mapping[str, Any]) -> list[Markup]:
    """What is said and drawn of a training from random weights; nothing where there was none."""
    if not (history := training.get("history")):
        return []
    words = (
        "The network began with random numbers, and all of it was trained on your pictures. An epoch is one pass over "
        "the training pictures. The loss is a figure that is small where the true class gets a high probability. The "
        "dot marks the epoch that was kept. Where the thin line, the loss on the training pictures, goes on falling "
        "while the other rises, the network learns its pictures by heart."
    )
    curves = epoch_curves("", history, has_train=True)
    content = [tag("p", words)]
    if histories := training.get("histories"):
        content.append(
            tag(
                "p",
                f"These are {len(histories)} networks, each from random numbers of its own; what the model answers is "
                "the mean of their probabilities. The first two charts show the first network, the others all of them.",
            )
        )
        curves += _of_all(histories)
    if test := training.get("rate_test"):
        content.append(
            tag(
                "p",
                "The learning rate, how far a step goes, was tried out first: with ever larger ones the loss falls, "
                f"until they are too large. {test['rate']:g} was taken: a tenth of the rate where the loss was lowest.",
            )
        )
        curves.append(rate_chart(test["rates"], test["losses"], test["rate"]))
    return [*content, side_by_side("16rem", curves)]


def _of_all(histories: Sequence[History]) -> list[Markup]:
    """The validation losses and accuracies of several networks, a line each."""
    charts = []
    for key, title, form in (("val_loss", "loss", "{:.3g}"), ("val_accuracy", "right", "{:.0%}")):
        lines = {f"network {i}": [epoch[key] for epoch in each] for i, each in enumerate(histories, 1)}
        if any(value is not None for line in lines.values() for value in line):
            charts.append(curve_chart(f"all networks: {title} on validation", lines, None, form.format))
    return charts
