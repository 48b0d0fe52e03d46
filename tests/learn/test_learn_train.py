"""Training from end to end: from scratch on a few small pictures, and what the data set may do to it."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mirada.data import read
from mirada.errors import ArchitectureError, DataError, ImageError, MiradaError, UsageError
from mirada.image import Preparation
from mirada.learn import evaluate, train
from mirada.learn.scores import expected_calibration_error, fit_temperature, share_interval
from mirada.model import Model, load
from mirada.tasks import softmax

Snapshot = Callable[[Path], dict[str, tuple[str, int]]]

SMALL = "name: Small\n[8x8x3] INPUT\nCONV: 4 3x3 filters\nMAX POOL: 2x2\nFC: 2 neurons\n"


def _picture(name: str, number: int) -> np.ndarray:
    """8 x 8, "cold" is blue and "warm" is red, with noise."""
    rng = np.random.default_rng([number, *name.encode()])
    picture = rng.integers(0, 120, (8, 8, 3), dtype=np.uint8)
    picture[:, :, 0 if name == "warm" else 2] += 100
    return picture


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a few numbers, threads cost more than they bring."""
    monkeypatch.setattr("mirada.engine.process.available_cpus", lambda: 1)


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    path = tmp_path / "small.net"
    path.write_text(SMALL)
    return path


@pytest.fixture
def divided(tmp_path: Path) -> Path:
    """train/val/test folders with the classes cold and warm: 12, 4 and 4 pictures each."""
    root, number = tmp_path / "divided", 0
    for part, count in (("train", 12), ("val", 4), ("test", 4)):
        for name in ("cold", "warm"):
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                number += 1
                Image.fromarray(_picture(name, number)).save(root / part / name / f"{i}.png")
    return root


def _weights(model: Model) -> dict[str, bytes]:
    return {name: tensor.contiguous().numpy().tobytes() for name, tensor in model.module.state_dict().items()}


def _trained(data: Path, listing: Path, **options: Any) -> Model:
    return train(data, listing, **({"epochs": 6, "batch_size": 8, "learning_rate": 0.02} | options))


def test_lenet5_reads_digits(digits_model: Model) -> None:
    """Three epochs; 97 % on this split. Guessing gets 10 %."""
    test = digits_model.scores["test"]
    assert test["accuracy"] > 0.9
    assert test["images"] == 359  # a fifth of 1,797
    assert test["accuracy_interval"][0] < test["accuracy"] < test["accuracy_interval"][1]
    preparation = digits_model.preparation
    assert (preparation.size_wh, preparation.fit, preparation.channels) == ((32, 32), "stretch", 1)
    assert evaluate(digits_model, "digits").summary() == test
    assert [epoch["number"] for epoch in digits_model.training["history"]] == [1, 2, 3]
    assert digits_model.training["images"] == {"train": 1168, "val": 270, "test": 359}
    assert (digits_model.training["epochs_done"], digits_model.training["recipe"]["epochs"]) == (3, 3)


def test_the_transfer_knows_the_textures(transfer_model: Model, textures: Path) -> None:
    assert transfer_model.class_names == ("checks", "dots", "stripes")
    assert transfer_model.scores["test"]["accuracy"] == 1.0
    assert transfer_model.scores["test"]["images"] == 6  # a fifth of 30
    training = transfer_model.training
    assert training["method"] == "transfer: the ladder"
    chosen = min(training["strengths_tried"], key=lambda trial: trial["val_loss"])
    assert training["inverse_strength"] == chosen["strength"]
    (rung,) = training["rungs"]  # the head alone was asked for
    assert (rung["stages"], rung["is_kept"], rung["parameters"]) == (0, True, 3 * 1280 + 3)
    assert rung["val"]["accuracy"] == transfer_model.scores["val"]["accuracy"]
    assert rung["val"]["images"] == training["images"]["val"]
    assert evaluate(transfer_model, textures).accuracy == 1.0


def test_a_transfer_leaves_the_backbone_as_it_was(transfer_model: Model) -> None:
    from mirada.backbone.weights import lite0_state

    kept = [t for name, t in transfer_model.module.state_dict().items() if name.startswith("backbone.")]
    theirs = list(lite0_state().values())[:-2]
    assert [name for name in transfer_model.state if name.startswith("head.")] == ["head.weight", "head.bias"]
    assert [np.array_equal(a, b) for a, b in zip(kept, theirs, strict=True)] == [True] * len(theirs)


def test_the_same_seed_gives_the_same_files_to_the_byte(divided: Path, listing: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 5), ("two", 5), ("other", 6)):
        _trained(divided, listing, seed=seed, out=tmp_path / name)
    one, two, other = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("one", "two", "other"))
    assert one == two
    assert one != other
    assert load(tmp_path / "one").scores == load(tmp_path / "two").scores


def test_it_learns_and_is_saved(divided: Path, listing: Path, tmp_path: Path) -> None:
    model = _trained(divided, listing, out=tmp_path / "model")
    assert model.path == tmp_path / "model"
    assert model.scores["test"]["accuracy"] == model.scores["val"]["accuracy"] == 1.0
    assert model.training["data"] == {"name": "divided", "kind": "train/val/test folders"}
    assert model.training["images"] == {"train": 24, "val": 8, "test": 8}
    loaded = load(tmp_path / "model")
    assert _weights(loaded) == _weights(model)
    assert json.loads((tmp_path / "model" / "model.json").read_text())["training"] == model.training


def test_probabilities_are_calibrated_on_the_validation_part(divided: Path, listing: Path, tmp_path: Path) -> None:
    """Learnt to the end, its scores are too modest: a temperature below 1, and a limit for what is sure."""
    model = _trained(divided, listing, out=tmp_path / "model")
    samples = [sample for sample in read(divided).samples if sample.part == "val"]
    logits = np.stack([answer for _, answer in model.answers(samples) if not isinstance(answer, ImageError)])
    class_ids = np.array([sample.label.class_id for sample in samples if sample.label is not None])
    assert model.task.temperature < 1
    assert model.task.temperature == pytest.approx(fit_temperature(logits, class_ids), rel=1e-6)
    probabilities = softmax(logits / model.task.temperature)
    error = expected_calibration_error(probabilities.max(axis=1), probabilities.argmax(axis=1) == class_ids)
    assert model.scores["val"]["calibration_error"] == pytest.approx(error, abs=1e-6)
    assert model.task.sure_from is None  # eight right answers are too few to promise 95 %
    assert (model.training["sure_precision"], model.training["sure_share_of_val"]) == (0.95, 0.0)
    assert load(tmp_path / "model").task == model.task


def test_from_where_the_answers_are_sure(digits_model: Model) -> None:
    """The threshold was chosen on 270 images; the images above it are right as often as was promised."""
    val, test, sure_from = digits_model.scores["val"], digits_model.scores["test"], digits_model.task.sure_from
    assert sure_from is not None
    assert digits_model.training["sure_share_of_val"] == pytest.approx(val["sure"] / val["images"])
    assert share_interval(val["sure_and_right"], val["sure"])[0] >= 0.95
    answers = evaluate(digits_model, "digits").answers
    assert test["sure"] == sum(answer.probability >= sure_from for answer in answers)
    assert test["sure_and_right"] / test["sure"] > max(0.95, test["accuracy"])


def test_the_test_part_never_has_a_say(divided: Path, listing: Path) -> None:
    before = _trained(divided, listing)
    test = divided / "test"
    (test / "cold").rename(test / "x")
    (test / "warm").rename(test / "cold")
    (test / "x").rename(test / "warm")  # every label wrong
    Image.new("RGB", (8, 8), (255, 0, 0)).save(test / "cold" / "0.png")
    (test / "warm" / "1.png").unlink()
    after = _trained(divided, listing)
    assert _weights(after) == _weights(before)
    assert after.scores["val"] == before.scores["val"]
    assert after.preparation == before.preparation
    assert (before.scores["test"]["accuracy"], after.scores["test"]["accuracy"]) == (1.0, 0.0)


def test_the_normalisation_is_that_of_the_training_pixels_alone(divided: Path, listing: Path) -> None:
    model = _trained(divided, listing, epochs=1)
    pixels = np.stack([np.asarray(Image.open(path)) for path in sorted((divided / "train").rglob("*.png"))]) / 255
    assert model.preparation == Preparation(
        (8, 8),
        "stretch",
        mean=tuple(np.round(pixels.mean(axis=(0, 1, 2)), 4).tolist()),
        std=tuple(np.round(pixels.std(axis=(0, 1, 2)), 4).tolist()),
    )


def test_pictures_of_one_level_have_no_deviation_to_divide_by(tmp_path: Path, listing: Path) -> None:
    for name in ("a", "b"):
        for number in range(4):
            path = tmp_path / "flat" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8 + number, 8 + (name == "a")), (51, 102, 0)).save(path)
    model = _trained(tmp_path / "flat", listing, epochs=1)
    assert model.preparation.mean == (0.2, 0.4, 0.0)
    assert model.preparation.std == (0.0039,) * 3  # one level of 255


def test_class_ids_follow_the_sorted_names(divided: Path, listing: Path) -> None:
    for part in ("train", "val", "test"):
        (divided / part / "cold").rename(divided / part / "b10")
        (divided / part / "warm").rename(divided / part / "B9")
    model = _trained(divided, listing)
    assert model.class_names == ("B9", "b10")  # plain order of characters
    assert model.predict(divided / "test" / "b10" / "0.png")[0].label.name == "b10"  # type: ignore[union-attr]
    assert model.manifest is not None
    assert {entry.label for entry in model.manifest.parts["train"]} == {"B9", "b10"}


def test_the_listing_gets_the_number_of_classes(divided: Path, listing: Path) -> None:
    listing.write_text(SMALL.replace("FC: 2", "[1000] FC: 1000"))
    model = _trained(divided, listing, epochs=1)
    assert model.logits(np.zeros((3, 8, 8, 3), np.uint8)).shape == (3, 2)


def test_a_file_that_cannot_be_read_is_named_and_the_rest_is_used(divided: Path, listing: Path, tmp_path: Path) -> None:
    for key in ("train/cold/3.png", "val/warm/0.png", "test/warm/2.png"):
        (divided / key).write_bytes(b"")
    model = _trained(divided, listing, out=tmp_path / "model")
    assert model.training["unreadable"] == [
        {"path": key, "error": "is empty (0 bytes)"}
        for key in ("train/cold/3.png", "val/warm/0.png", "test/warm/2.png")
    ]
    assert (model.scores["val"]["images"], model.scores["test"]["images"]) == (7, 7)
    assert (model.scores["val"]["unreadable"], model.scores["test"]["unreadable"]) == (1, 1)
    card = (tmp_path / "model" / "README.md").read_text()
    assert "- not used, could not be read: test/warm/2.png: is empty (0 bytes)\n" in card
    (divided / "train/cold/3.png").unlink()
    assert _weights(_trained(divided, listing)) == _weights(model)  # as if it were not there


@pytest.mark.parametrize("network", ["listing", "transfer"])
def test_a_class_of_which_nothing_can_be_read(network: str, divided: Path, listing: Path, tmp_path: Path) -> None:
    """The message names a picture of that class, not the first of all that failed."""
    (divided / "train" / "cold" / "0.png").write_bytes(b"other")
    for path in (divided / "train" / "warm").iterdir():
        path.write_bytes(path.name.encode())
    with pytest.raises(DataError) as caught:
        train(divided, listing if network == "listing" else "efficientnet-lite0", out=tmp_path / "model")
    assert str(caught.value).startswith(
        "not one training image of the class 'warm' can be read; the first that cannot: train/warm/0.png: is not an "
        "image that can be read"
    )
    assert not (tmp_path / "model").exists()


def test_a_test_part_of_which_nothing_can_be_read_does_not_cost_the_model(divided: Path, listing: Path) -> None:
    for path in (divided / "test").rglob("*.png"):
        path.write_bytes(b"")
    model = _trained(divided, listing)
    assert model.scores.keys() == {"val"}
    assert model.training["notes"][-1] == (
        "There is no score on test: no image is left to evaluate on: the first: test/cold/0.png: is empty (0 bytes)"
    )


def test_without_a_validation_part_it_is_drawn(divided: Path, listing: Path) -> None:
    shutil.rmtree(divided / "val")
    model = _trained(divided, listing)
    # 0.15 of 24 pictures
    assert model.training["images"] == {"train": 20, "val": 4, "test": 8}
    assert all(epoch["val_loss"] is not None for epoch in model.training["history"])


def test_the_data_set_stays_as_it_is(divided: Path, listing: Path, snapshot: Snapshot, tmp_path: Path) -> None:
    """Also pictures with EXIF and with bytes behind their end, which others are known to rewrite."""
    exif = Image.Exif()
    exif[274] = 6
    buffer = io.BytesIO()
    Image.fromarray(_picture("cold", 0)).save(buffer, "JPEG", exif=exif)
    (divided / "train" / "cold" / "trailing.jpg").write_bytes(buffer.getvalue() + b"\0" * 40)
    (divided / "train" / "cold" / "empty.jpg").write_bytes(b"")
    before = snapshot(divided)
    model = _trained(divided, listing, out=tmp_path / "model", epochs=1)
    evaluate(model, divided)
    model.predict(divided)
    assert snapshot(divided) == before


def test_pictures_turned_by_exif_train_like_upright_ones(divided: Path, listing: Path) -> None:
    upright = _weights(_trained(divided, listing))
    exif = Image.Exif()
    exif[274] = 8  # to be turned a quarter counter-clockwise
    for path in divided.rglob("*.png"):
        Image.fromarray(np.rot90(np.asarray(Image.open(path)), -1)).save(path, exif=exif)
    assert _weights(_trained(divided, listing)) == upright


def test_what_progress_is_told(divided: Path, listing: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    train(
        divided,
        listing,
        epochs=1,
        batch_size=12,
        progress=lambda stage, done, total, note="": told.append((stage, done, total)),
    )
    assert told == [
        ("reading the training images", 24, 24),
        ("reading the validation images", 8, 8),
        ("training", 1, 2),
        ("training", 2, 2),
        *(("evaluating on val", done, 8) for done in range(1, 9)),
        *(("evaluating on test", done, 8) for done in range(1, 9)),
    ]


@pytest.mark.parametrize(
    ("listing_text", "error", "message"),
    [
        (
            "name: Maps\n[8x8x3] INPUT\nCONV: 4 3x3 filters",
            UsageError,
            "Maps ends in the volume [6x6x4], not in 2 class scores: end it with a line such as 'FC: 2 neurons'",
        ),
        (
            "[8x8x3] INPUT\nMAX POOL: 2x2",
            UsageError,
            "the network ends in the volume [4x4x3], not in 2 class scores: end it with a line such as 'FC: 2 neurons'",
        ),
        (
            "[8x8x3] INPUT\nMAX POOL: 8x8",
            ArchitectureError,
            "the network has no layer of class scores: end it with a line such as 'FC: 2 neurons'",
        ),
        (
            "[8x8x4] INPUT\nFC: 2 neurons",
            UsageError,
            "the network takes 4 channels: images have 1 (grey) or 3 (RGB)",
        ),
    ],
)
def test_listings_that_give_no_class_scores(
    listing_text: str, error: type[MiradaError], message: str, divided: Path, listing: Path, tmp_path: Path
) -> None:
    listing.write_text(listing_text)
    with pytest.raises(error) as caught:
        train(divided, listing, out=tmp_path / "model")
    assert str(caught.value) == message
    assert not (tmp_path / "model").exists()


def test_an_interruption_saves_the_best_so_far(divided: Path, listing: Path, tmp_path: Path) -> None:
    def progress(stage: str, done: int, total: int | None, note: str = "") -> None:
        if stage == "training" and done == 4:
            raise KeyboardInterrupt

    model = _trained(divided, listing, out=tmp_path / "model", progress=progress)
    assert (model.training["epochs_done"], model.training["recipe"]["epochs"]) == (1, 6)
    assert _weights(load(tmp_path / "model")) == _weights(model)


def test_pretrained_weights_from_a_file(divided: Path, tmp_path: Path) -> None:
    """`weights` of a small network of timm; what it learns stands on exactly these."""
    import timm
    from safetensors.torch import save_file

    body = timm.create_model("test_resnet", pretrained=False)
    save_file(body.state_dict(), tmp_path / "w.safetensors")
    model = train(divided, "timm:test_resnet", weights=tmp_path / "w.safetensors")
    state = model.module.state_dict()
    assert all(
        np.array_equal(state[f"backbone.{n}"], t) for n, t in body.state_dict().items() if f"backbone.{n}" in state
    )
    assert state["head.weight"].shape[0] == 2
    assert model.scores["test"]["accuracy"] == 1.0  # blue from red: random filters are enough


@pytest.mark.parametrize("network", ["listing", "efficientnet-lite0"])
def test_two_pictures_a_class_leave_nothing_for_validation(network: str, tmp_path: Path, listing: Path) -> None:
    for name in ("cold", "warm"):
        (tmp_path / "few" / name).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(_picture(name, number)).save(tmp_path / "few" / name / f"{number}.png")
    if network == "listing":
        model = train(tmp_path / "few", listing, epochs=3)
        assert [epoch["val_loss"] for epoch in model.training["history"]] == [None] * 3
    else:
        model = train(tmp_path / "few")
        assert model.training["inverse_strength"] == 0.1
        assert model.training["strengths_tried"] == []
        assert [(rung["stages"], rung["val"]) for rung in model.training["rungs"]] == [(0, None)]
        assert (
            "Without validation images nothing tells whether more layers help: only the head was trained."
            in model.training["notes"]
        )
    assert (model.task.temperature, model.task.sure_from) == (1.0, None)  # nothing to calibrate with
    assert model.training["images"] == {"train": 2, "val": 0, "test": 2}
    assert model.scores.keys() == {"test"}


def test_a_listing_of_other_class_scores_is_said(divided: Path, listing: Path) -> None:
    listing.write_text("[8x8x3] INPUT\nFC: 1000 neurons")
    model = train(divided, listing, epochs=1)
    assert (
        "The listing ends in 1,000 class scores; the last layer was made anew with 2, one a class."
        in model.training["notes"]
    )
    listing.write_text("[8x8x3] INPUT\nFC: 2 neurons")
    assert not any("class scores" in note for note in train(divided, listing, epochs=1).training["notes"])


def test_nothing_is_written_into_the_data(divided: Path, listing: Path) -> None:
    with pytest.raises(UsageError) as caught:
        train(divided, listing, out=divided / "train" / "model")
    assert str(caught.value).startswith(
        f"{divided}/train/model lies inside the data {divided}, where nothing is written"
    )


@pytest.mark.parametrize(("part", "image"), [("val", 1), ("test", 5)])
def test_an_interrupted_evaluation_keeps_what_was_learnt(
    part: str, image: int, divided: Path, listing: Path, tmp_path: Path
) -> None:
    def progress(stage: str, done: int, total: int | None, note: str = "") -> None:
        if (stage, done) == (f"evaluating on {part}", image):
            raise KeyboardInterrupt

    model = train(divided, listing, epochs=1, out=tmp_path / "model", progress=progress)
    assert model.scores == {}
    assert model.training["notes"][-1] == (
        "Evaluation was stopped: the model has no score, and is not calibrated. mirada evaluate gives the score."
    )
    assert _weights(load(tmp_path / "model")) == _weights(model) == _weights(train(divided, listing, epochs=1))


def test_a_model_no_better_than_one_answer_is_said(divided: Path, listing: Path) -> None:
    model = train(divided, listing, epochs=1, learning_rate=1e-12)
    few = model.scores["test"]["images"]
    said = any("not clearly better than naming the commonest class" in note for note in model.training["notes"])
    assert said == (model.scores["test"]["accuracy_interval"][0] <= 0.5), few


def test_a_report_that_fails_does_not_lose_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def report(*_: Any, **__: Any) -> str:
        raise RuntimeError("a mistake in the report")

    monkeypatch.setattr("mirada.learn.report.report", report)
    with pytest.raises(RuntimeError, match="a mistake in the report"):
        train("digits", "lenet5", epochs=1, out=tmp_path / "m")
    model = load(tmp_path / "m")
    assert model.scores["test"]["images"] == 359
    assert not (tmp_path / "m" / "report.html").exists()
