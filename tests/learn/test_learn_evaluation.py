from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn import metrics

from mirada.annotations import Label
from mirada.arch import parse
from mirada.data import Entry, Fractions, Manifest, Sample
from mirada.errors import DataError, UsageError
from mirada.image import Preparation
from mirada.learn import evaluate
from mirada.learn.evaluation import evaluate_samples
from mirada.learn.scores import balanced_accuracy_interval, expected_calibration_error, share_interval
from mirada.model import Model
from mirada.tasks import Classify

LEVELS = (20, 120, 220)
NAMES = ("dark", "grey", "light")


def _near_levels() -> dict[str, np.ndarray]:
    """Weights for scores by how near the mean x of a picture is to 20, 120 and 220 of 255: -|x - level| / 10.

    The absolute value is the sum of two rectifiers, of x - level and of level - x.
    """
    to_mean = np.full((3, 4), 255 / 4)
    return {
        "FC1.weight": np.concatenate([to_mean, -to_mean]).astype(np.float32),
        "FC1.bias": np.concatenate([-np.array(LEVELS), LEVELS]).astype(np.float32),
        "FC2.weight": np.tile(-np.eye(3) / 10, 2).astype(np.float32),
        "FC2.bias": np.zeros(3, np.float32),
    }


MODEL = Model(
    parse("[2x2x1] INPUT\nFC: 6 neurons, relu\nFC: 3 neurons"),
    dict(_near_levels()),
    Preparation((2, 2), "stretch", channels=1, mean=(0.0,), std=(1.0,)),
    Classify(NAMES),
)


def _samples(truths: Sequence[int], answers: Sequence[int]) -> list[Sample]:
    """Pictures of the level of the answer that are said to be of the class of the truth."""
    return [
        Sample(f"s{i}", Label(NAMES[truth], truth), array=np.full((2, 2), LEVELS[answer], np.uint8))
        for i, (truth, answer) in enumerate(zip(truths, answers, strict=True))
    ]


def _write(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (3, 3), level).save(path)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=70))
def test_figures_against_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truths, answers = zip(*pairs, strict=True)
    result = evaluate_samples(MODEL, _samples(truths, answers), "unseen")
    assert np.array_equal(result.confusion, metrics.confusion_matrix(truths, answers, labels=[0, 1, 2]))
    assert result.accuracy == pytest.approx(metrics.accuracy_score(truths, answers))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # answers of a class that no truth has
        assert result.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(truths, answers))
    precision, recall, _, support = metrics.precision_recall_fscore_support(
        truths, answers, labels=[0, 1, 2], zero_division=np.nan
    )
    for k, score in enumerate(result.classes):
        assert (score.name, score.images) == (NAMES[k], support[k])
        assert (score.precision is None) == np.isnan(precision[k])
        assert score.precision is None or score.precision == pytest.approx(precision[k])
        assert (score.recall is None) == np.isnan(recall[k])
        assert score.recall is None or score.recall == pytest.approx(recall[k])
        assert score.recall_interval == share_interval(int(result.confusion[k, k]), int(support[k]))
        assert score.precision_interval == share_interval(int(result.confusion[k, k]), answers.count(k))
    assert [a.truth for a in result.answers] == [NAMES[k] for k in truths]
    assert [a.label for a in result.answers] == [NAMES[k] for k in answers]
    assert result.interval == share_interval(result.right, len(pairs))


def test_everything_as_plain_values(tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"")
    samples = [*_samples([0, 0, 1], [0, 1, 1]), Sample("bad.png", Label("light", 2), path=bad)]
    told: list[tuple[str, int, int | None]] = []
    result = evaluate_samples(
        MODEL,
        samples,
        "test",
        notes=("a note",),
        progress=lambda *args: told.append(args[:3]),  # type: ignore[misc]
    )
    content = json.loads(json.dumps(result.json()))
    probability = [1 / (1 + np.exp(-10) + np.exp(-20)), 1 / (1 + 2 * np.exp(-10))]
    answers = content.pop("answers")
    assert [(a["path"], a["truth"], a["label"]) for a in answers] == [
        ("s0", "dark", "dark"),
        ("s1", "dark", "grey"),
        ("s2", "grey", "grey"),
    ]
    assert [a["probability"] for a in answers] == pytest.approx([probability[0], probability[1], probability[1]])
    assert content == {
        "part": "test",
        "images": 3,
        "right": 2,
        "unreadable": 1,
        "accuracy": 2 / 3,
        "accuracy_interval": list(share_interval(2, 3)),
        "balanced_accuracy": 0.75,
        "balanced_accuracy_interval": list(balanced_accuracy_interval(result.confusion)),
        "calibration_error": pytest.approx((probability[0] + 2 * probability[1] - 2) / 3),  # all in the last bin
        "calibration_error_uncalibrated": pytest.approx((probability[0] + 2 * probability[1] - 2) / 3),
        "classes": [
            {
                "name": name,
                "images": images,
                "precision": precision,
                "recall": recall,
                "precision_interval": list(share_interval(*named)),
                "recall_interval": list(share_interval(*shown)),
            }
            for name, images, precision, recall, named, shown in (
                ("dark", 2, 1.0, 0.5, (1, 1), (1, 2)),
                ("grey", 1, 0.5, 1.0, (1, 2), (1, 1)),
                ("light", 0, None, None, (0, 0), (0, 0)),
            )
        ],
        "confusion": [[1, 1, 0], [0, 1, 0], [0, 0, 0]],
        "failures": [{"path": "bad.png", "error": "is empty (0 bytes)"}],
        "notes": ["a note"],
    }
    assert told == [("evaluating on test", done, 4) for done in range(1, 5)]


def test_probabilities_are_calibrated_and_those_before_are_kept() -> None:
    """At a temperature of 5 the scores of a picture of a level are 0, -2 and, two levels away, -4."""
    task = replace(MODEL.task, temperature=5.0, sure_from=0.8)
    result = evaluate_samples(replace(MODEL, task=task), _samples([0, 0, 1, 2], [0, 1, 1, 1]), "unseen")
    at_the_end, between = 1 / (1 + np.exp(-2) + np.exp(-4)), 1 / (1 + 2 * np.exp(-2))
    assert at_the_end > 0.8 > between
    assert [a.probability for a in result.answers] == pytest.approx([at_the_end, *[between] * 3], rel=1e-5)
    before = [1 / (1 + np.exp(-10) + np.exp(-20)), *[1 / (1 + 2 * np.exp(-10))] * 3]
    assert [a.uncalibrated for a in result.answers] == pytest.approx(before, rel=1e-6)
    right = np.array([True, False, True, False])
    assert np.array_equal(result.is_right, right)
    assert result.calibration_error == pytest.approx((1 - at_the_end + 3 * between - 1) / 4, rel=1e-5)
    assert result.uncalibrated_error == pytest.approx(expected_calibration_error(np.array(before), right), rel=1e-5)
    assert result.sure == (1, 1)
    assert (result.summary()["sure"], result.summary()["sure_and_right"]) == (1, 1)
    assert evaluate_samples(MODEL, _samples([0], [0]), "unseen").sure is None


def test_nothing_to_evaluate_on(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        evaluate_samples(MODEL, [], "test")
    assert str(caught.value) == "no image is left to evaluate on: there is none"
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        evaluate_samples(MODEL, [Sample("bad.png", Label("dark", 0), path=bad)], "test")
    assert str(caught.value) == "no image is left to evaluate on: the first: bad.png: is empty (0 bytes)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes of three pictures, each of its own level: 0, 1 and 2 above the level of the class."""
    for name, level in zip(NAMES, LEVELS, strict=True):
        for number in range(3):
            _write(tmp_path / "data" / name / f"{number}.png", level + number)
    return tmp_path / "data"


def _with_manifest(folder: Path) -> Model:
    """The model, said to have been trained on pictures 0, chosen on 1 and judged on 2 of each class."""

    def entry(name: str, number: int) -> Entry:
        sample = Sample(f"{name}/{number}.png", None, path=folder / name / f"{number}.png")
        return Entry(sample.key, name, sample.content_hash())

    parts = {part: tuple(entry(name, n) for name in NAMES) for n, part in enumerate(("train", "val", "test"))}
    return replace(MODEL, manifest_or_json=Manifest("data", "class folders", 0, Fractions(0.1, 0.1), NAMES, parts))  # type: ignore[arg-type]


def _keys(model: Model, data: Path, part: str | None = None) -> tuple[str, list[str], tuple[str, ...]]:
    result = evaluate(model, data, part=part)  # type: ignore[arg-type]
    return result.part, [answer.path for answer in result.answers], result.notes


@pytest.mark.parametrize(("part", "number"), [(None, 2), ("test", 2), ("val", 1), ("train", 0)])
def test_the_part_that_the_models_manifest_names(part: str | None, number: int, folder: Path) -> None:
    notes = () if part else ("6 images were used to make the model and are left out.",)
    expected = part or "test", [f"{name}/{number}.png" for name in NAMES], notes
    assert _keys(_with_manifest(folder), folder, part) == expected


def test_pictures_are_known_by_their_content_not_by_their_name(folder: Path, tmp_path: Path) -> None:
    model = _with_manifest(folder)
    for path in sorted(folder.rglob("*.png")):
        target = tmp_path / "moved" / path.parent.name / f"x{path.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    note = "6 images were used to make the model and are left out."
    assert _keys(model, tmp_path / "moved") == ("test", [f"{name}/x2.png" for name in NAMES], (note,))


def test_a_new_folder_is_used_whole(folder: Path, tmp_path: Path) -> None:
    for name in NAMES[:2]:
        for number in range(2):
            _write(tmp_path / "new" / name / f"{number}.png", 90 + number)
    part, keys, notes = _keys(_with_manifest(folder), tmp_path / "new")
    assert (part, len(keys), notes) == ("unseen", 4, ())
    assert _keys(MODEL, folder)[0] == "unseen"


def test_pictures_of_the_training_are_left_out_and_said(folder: Path, tmp_path: Path) -> None:
    model = _with_manifest(folder)
    for name in NAMES:
        shutil.copytree(folder / name, tmp_path / "mixed" / name)
        (tmp_path / "mixed" / name / "2.png").unlink()
        _write(tmp_path / "mixed" / name / "new.png", 60)
    assert _keys(model, tmp_path / "mixed") == (
        "unseen",
        [f"{name}/new.png" for name in NAMES],
        ("6 images were used to make the model and are left out.",),
    )


def test_new_pictures_beside_those_of_the_test_part_all_count(folder: Path) -> None:
    model = _with_manifest(folder)
    _write(folder / "grey" / "new.png", 61)
    part, keys, notes = _keys(model, folder)
    assert (part, keys) == ("unseen", ["dark/2.png", "grey/2.png", "grey/new.png", "light/2.png"])
    assert notes == ("6 images were used to make the model and are left out.",)


def test_a_folder_of_which_all_was_in_the_training(folder: Path, tmp_path: Path) -> None:
    model = _with_manifest(folder)
    for path in folder.rglob("2.png"):
        path.unlink()
    with pytest.raises(DataError) as caught:
        evaluate(model, folder)
    assert str(caught.value) == (f"all images of {folder} were used to make the model: a score on them says nothing")


def test_the_data_sets_own_test_part_comes_first(folder: Path, tmp_path: Path) -> None:
    model, data = _with_manifest(folder), tmp_path / "divided"
    for name, level in zip(NAMES, LEVELS, strict=True):
        for number in range(2):
            _write(data / "train" / name / f"{number}.png", level - 5 - number)
        _write(data / "test" / name / "t.png", level - 3)
    assert _keys(model, data) == ("test", [f"test/{name}/t.png" for name in NAMES], ())
    assert _keys(model, data, "train")[1] == [f"train/{name}/{n}.png" for name in NAMES for n in range(2)]
    shutil.copy(folder / "grey" / "0.png", data / "test" / "grey" / "seen.png")
    new = ["test/dark/t.png", "test/grey/t.png", "test/light/t.png"]
    _, keys, notes = _keys(model, data)
    assert keys == new
    assert notes == ("Left out of the test part, because it was used to make the model: 1 of 4.",)
    _, keys, notes = _keys(model, data, "test")  # where it is asked for, the part is what it is
    assert keys == sorted([*new, "test/grey/seen.png"])
    assert notes == ("1 of these images were, byte for byte, used to make the model: the score flatters it.",)
    for key in new:
        (data / key).unlink()
    with pytest.raises(DataError, match=r"all images in the test part of .* were used to make the model"):
        _keys(model, data)


def test_a_train_folder_that_training_divided(folder: Path, tmp_path: Path) -> None:
    """What the data set calls train is both train and val of the model; its test part stays test."""
    model, data = _with_manifest(folder), tmp_path / "divided"
    for name in NAMES:
        for number in range(2):
            target = data / "train" / name / f"{number}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / name / f"{number}.png", target)
        _write(data / "test" / name / "t.png", 7)
    for part, number in (("train", 0), ("val", 1)):
        assert _keys(model, data, part)[1] == [f"train/{name}/{number}.png" for name in NAMES]
    assert _keys(model, data, "test")[1] == [f"test/{name}/t.png" for name in NAMES]


def test_a_part_of_another_name(folder: Path) -> None:
    with pytest.raises(UsageError) as caught:
        evaluate(MODEL, folder, part="tset")  # type: ignore[arg-type]
    assert str(caught.value) == "tset is no part of a data set: the parts are train, val, test"


def test_one_class_alone_and_an_empty_class_can_be_judged(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "grey", tmp_path / "one" / "grey")
    (tmp_path / "one" / "dark").mkdir()
    assert _keys(MODEL, tmp_path / "one")[1] == [f"grey/{number}.png" for number in range(3)]


def test_a_part_that_is_nowhere(folder: Path) -> None:
    with pytest.raises(DataError) as caught:
        evaluate(MODEL, folder, part="val")
    assert str(caught.value) == f"{folder} has no val part, and the model's split names none of its images"


def test_classes_that_the_model_does_not_know(folder: Path) -> None:
    (folder / "grey").rename(folder / "gray")
    with pytest.raises(DataError) as caught:
        evaluate(MODEL, str(folder))
    assert str(caught.value) == (
        f"{folder} has classes that the model does not know: 'gray'. It knows 'dark', 'grey', 'light'"
    )


def test_a_missing_class_shifts_no_class_id(folder: Path) -> None:
    shutil.rmtree(folder / "dark")
    result = evaluate(MODEL, folder)
    assert result.accuracy == 1.0
    assert result.confusion.tolist() == [[0, 0, 0], [0, 3, 0], [0, 0, 3]]


def test_pictures_that_cannot_be_read_are_reported(folder: Path) -> None:
    (folder / "grey" / "1.png").write_bytes(b"")
    result = evaluate(MODEL, folder)
    assert (result.images, result.right) == (8, 8)
    assert [(error.name, error.reason) for error in result.failures] == [("grey/1.png", "is empty (0 bytes)")]
