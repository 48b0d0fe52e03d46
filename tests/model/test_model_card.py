from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mirada.arch import parse
from mirada.arch.build import build
from mirada.backbone.network import arrays_of
from mirada.image import Preparation
from mirada.model import Model
from mirada.model.card import card
from mirada.tasks import Classify

NETWORK = parse("name: Tiny\n[6x5x1] INPUT\nFC: 2 neurons")
SCORE = {
    "images": 1200,
    "right": 1100,
    "unreadable": 0,
    "accuracy": 11 / 12,
    "accuracy_interval": [0.8996, 0.9317],
    "balanced_accuracy": 0.9,
    "calibration_error": 0.0234,
}


def _model(**values: object) -> Model:
    preparation = Preparation((6, 5), "stretch", channels=1, mean=(0.0,), std=(1.0,))
    task = Classify(("cat", "dog"), 1.25, 0.8675)
    return Model(NETWORK, arrays_of(build(NETWORK)), preparation, task, **values)  # type: ignore[arg-type]


def test_the_whole_card() -> None:
    training = {
        "data": {"name": "pets", "kind": "class folders"},
        "images": {"train": 5000, "val": 600, "test": 1200},
        "seed": 3,
        "history": [{"number": 1}],
        "unreadable": [{"path": "cat/7.jpg", "error": "is empty"}],
        "notes": ["Hidden folders were not read: '.git'."],
        "seconds": 12.5,
    }
    assert card(_model(training=training, scores={"test": SCORE, "val": SCORE}), "pets-model") == (
        "# pets-model\n"
        "\n"
        "Tells which of 2 classes an image shows. Made with mirada.\n"
        "\n"
        "```\n"
        "mirada predict pets-model IMAGE...\n"
        "```\n"
        "\n"
        "## How good it is\n"
        "\n"
        "- test: 91.7% of 1,200 images right, 95 % interval 90.0% to 93.2% (never used for a choice)\n"
        "- val: 91.7% of 1,200 images right, 95 % interval 90.0% to 93.2% (used to choose; flatters the model)\n"
        "\n"
        "## How it was made\n"
        "\n"
        "- network: Tiny, trained from scratch; its listing is in model.json\n"
        "- images: stretch to 6 x 5 pixels, grey\n"
        "- data: name pets, kind class folders\n"
        "- images: train 5,000, val 600, test 1,200\n"
        "- seed: 3\n"
        "- seconds: 12.5\n"
        "- not used, could not be read: cat/7.jpg: is empty\n"
        "- Hidden folders were not read: '.git'.\n"
        "\n"
        "## Classes\n"
        "\n"
        "cat, dog\n"
        "\n"
        "## Before you rely on it\n"
        "\n"
        "It answers with one of its classes for every image, also for an image of something else. The score holds for "
        "images like those of its test part; other cameras, light or backgrounds can make it worse. On test its "
        "probabilities are off by 2.3% on average. An answer with a probability below 86.7% counts as not sure.\n"
    )


def test_a_model_that_was_not_evaluated(tmp_path: Path) -> None:
    _model().save(tmp_path / "bare")
    text = (tmp_path / "bare" / "README.md").read_text()
    assert "It has not been evaluated." in text
    assert text.endswith(" Nothing is known of how far its probabilities can be trusted.\n")
    assert "- images: stretch to 6 x 5 pixels, grey\n\n## Classes" in text


def test_the_card_of_a_transfer(transfer_model: Model) -> None:
    text = card(transfer_model, "m")
    test = transfer_model.scores["test"]
    low, high = test["accuracy_interval"]
    assert "- network: efficientnet-lite0 with pretrained weights, its last layer trained anew\n" in text
    assert "- images: crop to 224 x 224 pixels, RGB\n" in text
    assert f"- test: {test['accuracy']:.1%} of 6 images right, 95 % interval {low:.1%} to {high:.1%}" in text
    assert "trials" not in text
    assert "sure precision" not in text
    assert text.endswith(" No probability is known from which its answers can be relied on.\n")  # with so few images


def test_the_card_of_a_climb_names_the_deepest_part_that_was_kept(transfer_model: Model) -> None:
    head, last, deeper = (
        {"name": name, "stages": stages, "is_kept": is_kept}
        for name, stages, is_kept in (("head", 0, True), ("blocks.6", 1, True), ("blocks.5", 2, False))
    )
    for rungs, words in (
        ([head], "its last layer trained anew"),
        ([head, last, deeper], "trained further from blocks.6 on, its last layer trained anew"),
    ):
        text = card(replace(transfer_model, training=transfer_model.training | {"rungs": rungs}), "m")
        assert f"- network: efficientnet-lite0 with pretrained weights, {words}\n" in text


def test_the_card_of_a_training_that_is_not_finished_keeps_its_figures_for_itself() -> None:
    training = {"seed": 3, "climbing": {"val_losses": [0.1] * 9, "val_right": [True] * 9}, "key": "0" * 64, "notes": []}
    text = card(_model(training=training | {"policy": {"name": "light", "turn": 0.0}}), "m")
    assert "- images: stretch to 6 x 5 pixels, grey\n- seed: 3\n- policy: light\n\n## Classes" in text
    assert "## How good it is\n\nThe training of the model is not finished: run the command that began it" in text
