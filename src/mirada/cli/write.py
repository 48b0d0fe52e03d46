"""Results in words, for people on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mirada.learn import Evaluation
    from mirada.model import Model, Prediction

__all__ = ["evaluation_lines", "notes", "prediction_line", "trained_lines", "warn"]


def warn(text: str) -> None:
    """One line on standard error."""
    print(f"mirada: {text}", file=sys.stderr)


def notes(lines: Sequence[str]) -> None:
    """What should be known, on standard error."""
    for line in lines:
        warn(f"note: {line}")


def trained_lines(model: Model) -> list[str]:
    """What was trained on what, how good it is, and what to do next."""
    from mirada.backbone import Backbone

    training, images = model.training, model.training["images"]
    network = model.network
    how = (
        f"{network.name}, pretrained: its last layer trained anew"
        if isinstance(network, Backbone)
        else f"{network.name or 'the listing'} from scratch: {network.parameters:,} parameters, "
        f"{training['epochs_done']} {'epoch' if training['epochs_done'] == 1 else 'epochs'}"
    )
    lines = [
        f"data      {training['data']['name']} ({training['data']['kind']}): {len(model.class_names)} classes; "
        f"{images['train']:,} images to train, {images['val']:,} to validate, {images['test']:,} to test",
        f"network   {how}, in {training['seconds']:.1f} s",
        *(_score_line(part, model.scores[part]) for part in ("val", "test") if part in model.scores),
    ]
    if "test" not in model.scores:
        lines.append("test      there is no test part: how good the model is on new images is not known")
    if model.path is not None:
        lines += [f"saved     {model.path}", f"try it    mirada predict {model.path} IMAGE..."]
    return lines


def _score_line(part: str, score: dict[str, Any]) -> str:
    from mirada.model.card import score_words

    comment = "never seen in training" if part == "test" else "used to choose, so it flatters"
    return f"{part:<9} {score_words(score)} ({comment})"


def evaluation_lines(evaluation: Evaluation) -> list[str]:
    """The score, the classes with the most mistakes, and what is confused most."""
    low, high = evaluation.interval
    lines = [
        f"{evaluation.part}: {evaluation.accuracy:.1%} of {evaluation.images:,} images right "
        f"({evaluation.right:,}), 95 % interval {low:.1%} to {high:.1%}",
        f"balanced over the classes: {evaluation.balanced_accuracy:.1%}",
    ]
    names = evaluation.class_names
    width = max(map(len, names))
    scores = [score for score in evaluation.classes if score.images]
    lines += ["", f"{'class':<{width}}  images  recall  precision"]
    for score in sorted(scores, key=lambda s: (s.recall or 0.0, s.name)):
        precision = "-" if score.precision is None else f"{score.precision:.1%}"
        lines.append(f"{score.name:<{width}}  {score.images:>6,}  {score.recall or 0.0:>6.1%}  {precision:>9}")
    mistakes = [
        (int(evaluation.confusion[i, j]), names[i], names[j])
        for i in range(len(names))
        for j in range(len(names))
        if i != j and evaluation.confusion[i, j]
    ]
    if mistakes:
        lines += ["", "most confused:"]
        for count, true, called in sorted(mistakes, key=lambda m: (-m[0], m[1], m[2]))[:5]:
            lines.append(f"  {true} called {called}: {count:,} {'time' if count == 1 else 'times'}")
    return lines


def prediction_line(prediction: Prediction) -> str:
    """The path and the most probable classes with their probabilities."""
    answers = (f"{label.name} {label.probability or 0.0:.1%}" for label in prediction.labels)
    return f"{prediction.path}  {', '.join(answers)}"
