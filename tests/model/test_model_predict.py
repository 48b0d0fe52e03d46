from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mirada.annotations import Label
from mirada.arch import parse
from mirada.backbone import Backbone
from mirada.backbone.network import BackboneClassifier, arrays_of, build_backbone
from mirada.data import Sample, Skipped, images_in
from mirada.engine.program import body_program
from mirada.engine.torch_engine import BATCH_SIZES
from mirada.errors import DataError, ModelError, UsageError
from mirada.image import Preparation, decode
from mirada.model import Model, Prediction, predict
from mirada.tasks import Classify, softmax

NETWORK = parse("[4x4x3] INPUT\nFC: 3 neurons")
MEANS = {  # the scores are the means of red, green and blue, times ten
    "FC1.weight": np.repeat(np.eye(3, dtype=np.float32), 16, axis=1) * np.float32(10 / 16),  # (3, 3 * 4 * 4)
    "FC1.bias": np.zeros(3, np.float32),
}
MODEL = Model(NETWORK, dict(MEANS), Preparation((4, 4), "stretch"), Classify(("blue", "green", "red")))
COLOURS = {"blue": (255, 0, 0), "green": (0, 255, 0), "red": (0, 0, 255)}  # by the order of the scores


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pictures of one colour, a text, a picture that is none, a hidden one and a sub-folder."""
    monkeypatch.chdir(tmp_path)
    root = Path("in")
    (root / "deep").mkdir(parents=True)
    for name, colour in (("b", "red"), ("a", "green"), ("deep/c", "blue"), ("e", "red")):
        Image.new("RGB", (9, 7), COLOURS[colour]).save(root / f"{name}.png")
    (root / "d.jpg").write_bytes(b"no picture")
    (root / "0.txt").write_text("text")
    (root / "z.txt").write_text("text")
    (root / ".hidden.png").write_bytes(b"")
    return root


def test_a_folder_in_order_with_everything_accounted_for(folder: Path) -> None:
    answers = MODEL.predict(folder)
    assert [(a.path, a.label.name if a.label else None, a.error, a.skipped) for a in answers] == [
        ("in/.hidden.png", None, None, "it is hidden"),
        ("in/0.txt", None, None, ".txt is not the suffix of an image"),
        ("in/a.png", "green", None, None),
        ("in/b.png", "red", None, None),
        ("in/d.jpg", None, "is not an image that can be read (bytes begin 6e 6f 20 70 69 63 74 75)", None),
        ("in/deep/c.png", "blue", None, None),
        ("in/e.png", "red", None, None),
        ("in/z.txt", None, None, ".txt is not the suffix of an image"),
    ]


def test_the_probabilities(folder: Path) -> None:
    (answer,) = MODEL.predict(folder / "a.png", top=2)
    expected = softmax(np.array([0.0, 10.0, 0.0]))
    assert [label.name for label in answer.labels] == ["green", "blue"]
    assert [label.probability for label in answer.labels] == pytest.approx([expected[1], expected[0]], rel=1e-5)
    assert answer.label == answer.labels[0]


def test_the_probabilities_are_those_of_the_calibrated_task(folder: Path) -> None:
    tempered = replace(MODEL, task=replace(MODEL.task, temperature=4.0))
    (answer,) = tempered.predict(folder / "a.png")
    assert answer.label is not None
    assert answer.label.probability == pytest.approx(softmax(np.array([0.0, 2.5, 0.0]))[1], rel=1e-5)


def test_an_answer_below_the_threshold_is_not_sure(folder: Path) -> None:
    (answer,) = MODEL.predict(folder / "a.png")
    assert answer.label is not None
    probability = answer.label.probability
    assert probability is not None
    for sure_from, is_sure in ((None, None), (probability, True), (np.nextafter(probability, 1.0), False)):
        (answer,) = replace(MODEL, task=replace(MODEL.task, sure_from=sure_from)).predict(folder / "a.png")
        assert (answer.is_sure, answer.json()["sure"]) == (is_sure, is_sure)
        assert answer.label.name == "green"


@pytest.mark.parametrize("count", [0, 1, 9])
def test_the_class_scores_of_pixels(count: int) -> None:
    pixels = np.random.default_rng(count).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    scores = MODEL.logits(pixels)
    assert (scores.shape, scores.dtype) == ((count, 3), np.float32)
    expected = 10 * MODEL.preparation.normalise(pixels).mean(axis=(2, 3), dtype=np.float64)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("top", "count"), [(1, 1), (3, 3), (5, 3)])
def test_how_many_classes_are_named(top: int, count: int, folder: Path) -> None:
    assert [len(answer.labels) for answer in MODEL.predict(folder / "b.png", top=top)] == [count]


def test_paths_in_the_order_given(folder: Path) -> None:
    given = ["in/e.png", folder / "no.png", "in/deep", folder / "a.png", "in/e.png"]
    answers = MODEL.predict(iter(given))
    assert [(a.path, a.label.name if a.label else a.error) for a in answers] == [
        ("in/e.png", "red"),
        ("in/no.png", "does not exist"),
        ("in/deep/c.png", "blue"),
        ("in/a.png", "green"),
        ("in/e.png", "red"),
    ]


def test_as_plain_values(folder: Path) -> None:
    (good,) = MODEL.predict(folder / "a.png", top=1)
    (bad,) = MODEL.predict(folder / "d.jpg")
    assert good.json() == {
        "path": "in/a.png",
        "predictions": [{"label": "green", "probability": good.labels[0].probability}],
        "sure": None,
    }
    assert bad.json() == {"path": "in/d.jpg", "error": bad.error}
    assert Prediction("x", skipped="why").json() == {"path": "x", "skipped": "why"}
    assert Prediction("x", (Label("a", 0, 0.5),)).label == Label("a", 0, 0.5)
    assert Prediction("x").label is None


@pytest.mark.parametrize("count", [7, 8, 9, 17])
def test_batches_do_not_move_an_answer(count: int, folder: Path) -> None:
    """Failures and skipped files at every place of a batch; answers still belong to their pictures."""
    names = [("a.png", "b.png", "d.jpg", "deep/c.png", "0.txt")[i % 5] for i in range(count)]
    expected = {"a.png": "green", "b.png": "red", "deep/c.png": "blue"}
    for answer, name in zip(MODEL.predict([folder / name for name in names]), names, strict=True):
        assert answer.path == f"in/{name}"
        assert (answer.label.name if answer.label else None) == expected.get(name)
        assert (answer.error is None) == (name in expected)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "no image was given"),
        ("no/such.png", "nothing exists at no/such.png"),
        (["no/a", "no/b"], "nothing exists at no/a, no/b"),
    ],
)
def test_nothing_there(images: str | list[str], message: str, folder: Path) -> None:
    with pytest.raises(DataError) as caught:
        MODEL.predict(images)
    assert str(caught.value) == message


def test_folders_without_an_image(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "texts").mkdir()
    (folder / "texts" / "a.txt").write_text("text")
    with pytest.raises(DataError) as caught:
        MODEL.predict([folder / "empty", folder / "texts"])
    assert str(caught.value) == "there is no image in what was given"


@pytest.mark.parametrize("top", [0, -1])
def test_no_answer_cannot_be_asked_for(folder: Path, top: int) -> None:
    with pytest.raises(UsageError) as caught:
        MODEL.predict_iter([folder / "a.png"], top=top)
    assert str(caught.value) == f"top must be at least 1, got {top}"


def test_an_endless_iterator_of_paths_is_answered_one_by_one(folder: Path) -> None:
    answers = MODEL.predict_iter(itertools.repeat(folder / "a.png"))
    assert [next(answers).path for _ in range(3)] == ["in/a.png"] * 3
    answers.close()


def test_answers_come_before_everything_is_read(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """An endless folder: the first answers come after about three batches were taken from it."""
    taken = 0

    def endless(paths: object) -> Iterator[Sample | Skipped]:
        nonlocal taken
        for taken in itertools.count(1):
            yield Skipped(f"{taken}.txt", "text") if taken % 2 else Sample(f"{taken}.png", None, path=folder / "a.png")

    monkeypatch.setattr("mirada.model.model.images_in", endless)
    answers = MODEL.predict_iter(folder)
    first = list(itertools.islice(answers, 100))
    assert [answer.path for answer in first[:3]] == ["1.txt", "2.png", "3.txt"]
    assert {answer.label.name for answer in first if answer.label} == {"green"}
    assert taken <= 2 * (100 + 4 * BATCH_SIZES[-1])
    answers.close()  # type: ignore[attr-defined]


def test_a_prediction_is_what_the_preparation_and_the_network_give(digits_model: Model, folder: Path) -> None:
    """The path of a file and the path of an array meet: no second preparation anywhere."""
    level = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
    Image.fromarray(level).save(folder / "grey.png")
    (answer,) = digits_model.predict(folder / "grey.png", top=10)
    pixels = digits_model.preparation.pixels(level)[None]
    expected = softmax(digits_model.logits(pixels) / digits_model.task.temperature)[0]
    assert [label.probability for label in answer.labels] == sorted(expected.tolist(), reverse=True)
    assert answer.label is not None
    assert answer.label.class_id == expected.argmax()


def test_a_backbone_sees_pixels_as_the_models_own_preparation_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another size, mean and deviation than those of the network's makers (160 x 160, ImageNet's)."""
    monkeypatch.setattr("mirada.engine.openvino_engine.is_installed", lambda: False)
    torch.manual_seed(0)
    network = Backbone("timm:test_resnet", "test_resnet")
    backbone, features = build_backbone(network)
    preparation = Preparation((64, 48), "stretch", mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 1.0))
    state = arrays_of(BackboneClassifier(backbone, features, 3))
    model = Model(network, state, preparation, Classify(("a", "b", "c")))
    pixels = np.random.default_rng(5).integers(0, 256, (10, 48, 64, 3), dtype=np.uint8)
    with torch.inference_mode():
        expected = model.module(torch.from_numpy(preparation.normalise(pixels))).numpy()
    np.testing.assert_allclose(model.logits(pixels), expected, rtol=1e-4, atol=1e-4)
    assert model.engine.program.key != body_program(model.body).key


def test_a_picture_turned_by_exif_gets_the_answer_of_the_upright_one(digits_model: Model, folder: Path) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (40, 24, 3), dtype=np.uint8)
    Image.fromarray(picture).save(folder / "upright.png")
    exif = Image.Exif()
    exif[274] = 6  # to be turned a quarter clockwise, so it is stored a quarter counter-clockwise
    buffer = io.BytesIO()
    Image.fromarray(np.rot90(picture)).save(buffer, "PNG", exif=exif)
    (folder / "turned.png").write_bytes(buffer.getvalue())
    turned, upright = digits_model.predict([folder / "turned.png", folder / "upright.png"])
    assert turned.labels == upright.labels


def test_predict_takes_a_model_or_its_directory(digits_model: Model, folder: Path) -> None:
    assert digits_model.path is not None
    by_path = list(predict(digits_model.path, folder, top=2))
    assert by_path == list(predict(digits_model, folder, top=2)) == digits_model.predict(folder, top=2)
    assert [a.path for a in by_path if a.label] == [
        s.key for s in images_in(folder) if isinstance(s, Sample) and not s.key.endswith(".jpg")
    ]
    with pytest.raises(ModelError, match="there is no model at no/model"):
        predict("no/model", folder)


def test_pictures_as_arrays_are_answered_like_their_files(folder: Path) -> None:
    pictures = [decode(folder / name) for name in ("a.png", "b.png")]
    from_files = MODEL.predict([folder / "a.png", folder / "b.png"])
    from_arrays = MODEL.predict([pictures[0], folder / "b.png", pictures[1]])
    assert [answer.path for answer in from_arrays] == ["image[0]", "in/b.png", "image[2]"]
    assert [answer.labels for answer in from_arrays] == [from_files[i].labels for i in (0, 1, 1)]
    assert [answer.path for answer in MODEL.predict(pictures[0])] == ["image[0]"]
    assert len(MODEL.predict(np.stack([pictures[0]] * 3))) == 3


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((2, 2, 3)), r"image\[0\]: expected uint8 \(H, W\) or \(H, W, 3\), got float64 \(2, 2, 3\)"),
        (b"bytes", r"image\[0\] is a bytes: give a path, or an array of uint8, \(H, W, 3\) or \(H, W\)"),
    ],
)
def test_what_is_no_picture(image: object, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}$"):
        MODEL.predict([image])  # type: ignore[list-item]
