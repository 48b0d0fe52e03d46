"""The model card: what a model is, what it scored and what it should not be used for, on one page for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mirada.backbone import Backbone
from mirada.model.model import NOT_FINISHED, UNFINISHED, Model
from mirada.words import least_percent

__all__ = ["card", "score_words"]

_NOT_SHOWN = (UNFINISHED, "key", "sure_precision", "sure_share_of_val")
"""What a training that is not finished keeps for itself, and what is told in other words."""


def card(model: Model, name: str) -> str:
    """The README.md of a model's directory."""
    return "\n".join(
        [
            f"# {name}",
            "",
            f"Tells which of {len(model.class_names)} classes an image shows. Made with mirada.",
            "",
            "```",
            f"mirada predict {name} IMAGE...",
            "```",
            "",
            "## How good it is",
            "",
            *_score_lines(model),
            "",
            "## How it was made",
            "",
            *(f"- {line}" for line in _made(model)),
            "",
            "## Classes",
            "",
            ", ".join(model.class_names),
            "",
            "## Before you rely on it",
            "",
            "It answers with one of its classes for every image, also for an image of something else. The score holds "
            "for images like those of its test part; other cameras, light or backgrounds can make it worse. "
            + " ".join(_trust(model)),
            "",
        ]
    )


def score_words(score: dict[str, Any]) -> str:
    """The accuracy of one part with its interval."""
    low, high = score["accuracy_interval"]
    return f"{score['accuracy']:.1%} of {score['images']:,} images right, 95 % interval {low:.1%} to {high:.1%}"


def _score_lines(model: Model) -> list[str]:
    if not model.is_finished:
        return [NOT_FINISHED]
    lines = []
    for part, purpose in (("test", "never used for a choice"), ("val", "used to choose; flatters the model")):
        if score := model.scores.get(part):
            lines.append(f"- {part}: {score_words(score)} ({purpose})")
    return lines or ["It has not been evaluated."]


def _trust(model: Model) -> Iterator[str]:
    """How far its probabilities can be trusted."""
    part = next((part for part in ("test", "val") if part in model.scores), None)
    if part is None:
        yield "Nothing is known of how far its probabilities can be trusted."
        return
    yield f"On {part} its probabilities are off by {model.scores[part]['calibration_error']:.1%} on average."
    if model.task.sure_from is not None:
        yield f"An answer with a probability below {least_percent(model.task.sure_from)} counts as not sure."
    else:
        yield "No probability is known from which its answers can be relied on."


def _made(model: Model) -> list[str]:
    training, preparation = model.training, model.preparation
    width, height = preparation.size_wh
    if isinstance(model.network, Backbone):
        deepest = [rung["name"] for rung in training.get("rungs", ()) if rung["is_kept"] and rung["stages"]][-1:]
        further = "".join(f"trained further from {name} on, " for name in deepest)
        network = f"network: {model.network.name} with pretrained weights, {further}its last layer trained anew"
    else:
        network = f"network: {model.network.name or 'a listing'}, trained from scratch; its listing is in model.json"
    return [
        network,
        f"images: {preparation.fit} to {width} x {height} pixels, {'grey' if preparation.channels == 1 else 'RGB'}",
        *(
            f"{key.replace('_', ' ')}: {value['name'] if key == 'policy' else _plain(value)}"
            for key, value in training.items()
            if not isinstance(value, list) and key not in _NOT_SHOWN
        ),
        *(
            f"not used, could not be read: {failure['path']}: {failure['error']}"
            for failure in training.get("unreadable", ())
        ),
        *training.get("notes", ()),
    ]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)
