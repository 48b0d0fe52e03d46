"""The way of a person: train, evaluate, predict, with what is said on the way."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

SCORE = r"{part} +\d+\.\d% of {images} images right, 95 % interval \d+\.\d% to \d+\.\d% \({comment}\)"


@pytest.fixture(scope="session")
def digit_folders(tmp_path_factory):
    """The digits 0, 1 and 2 as class folders of 16 PNG files each."""
    root = tmp_path_factory.mktemp("digit-folders") / "small"
    bunch = load_digits()
    for name in (0, 1, 2):
        (root / str(name)).mkdir(parents=True)
        for number, image in enumerate(bunch.images[bunch.target == name][:16]):
            Image.fromarray(np.rint(image * (255 / 16)).astype(np.uint8)).save(root / str(name) / f"{number:02}.png")
    return root


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_train_says_what_it_did_and_takes_the_next_free_name(mirada, here):
    said = mirada("train", "digits", "--from", "lenet5", "--epochs", "2")
    assert (said.status, said.err) == (0, "")
    lines = said.out.splitlines()
    patterns = [
        r"data      digits \(digits\): 10 classes; 1,\d{3} images to train, \d+ to validate, \d+ to test",
        r"network   LeNet-5 from scratch: 61,706 parameters, 2 epochs, in \d+\.\d s",
        SCORE.format(part="val", images=r"\d+", comment="used to choose, so it flatters"),
        SCORE.format(part="test", images=r"\d+", comment="never seen in training"),
        r"trust     probabilities are off by \d\.\d% on average \(\d+\.\d% before calibration\)",
        r"sure      \d+% of the answers have a probability of \d+\.\d% or more; \d+\.\d% of these are right",
        r"saved     digits-model",
        r"read      digits-model/report\.html, in a browser",
        r"try it    mirada predict digits-model IMAGE\.\.\.",
    ]
    assert len(lines) == len(patterns)
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(pattern, line), line
    counts = [int(number.replace(",", "")) for number in re.findall(r"([\d,]+) (?:images )?to [tv]", lines[0])]
    assert sum(counts) == 1_797  # every image is in one part
    assert sorted(path.name for path in here.iterdir()) == ["digits-model"]
    assert sorted(path.name for path in (here / "digits-model").iterdir()) == [
        "README.md",
        "model.json",
        "report.html",
        "split.json",
        "weights.safetensors",
    ]

    again = mirada("train", "digits", "--from", "lenet5", "--epochs", "2", "--json")
    assert (again.status, again.err) == (0, "")
    assert again.json["model"] == "digits-model-2"
    assert again.json["training"]["epochs_done"] == 2
    first = json.loads((here / "digits-model" / "model.json").read_text())
    assert again.json["scores"] == first["scores"]  # the same seed, the same model
    weights = [here / name / "weights.safetensors" for name in ("digits-model", "digits-model-2")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_another_seed_divides_otherwise(mirada, here, digit_folders):
    splits = []
    for seed in ("0", "0", "1"):
        said = mirada(
            "train", digit_folders, "--from", "lenet5", "--epochs", "1", "--seed", seed, "-o", f"m{len(splits)}"
        )
        assert said.status == 0
        split = json.loads((here / f"m{len(splits)}" / "split.json").read_text())
        splits.append(split["parts"])
    assert splits[0] == splits[1] != splits[2]


LEFT_OUT = "mirada: note: 1,438 images were used to make the model and are left out.\n"


def test_evaluate_counts_the_test_part(mirada, digits_model):
    said = mirada("evaluate", digits_model.path, "digits", "--json")
    assert (said.status, said.err) == (0, LEFT_OUT)
    score = said.json
    assert score["part"] == "test"
    assert {name: score[name] for name in digits_model.scores["test"]} == digits_model.scores["test"]
    confusion = np.array(score["confusion"])
    assert confusion.shape == (10, 10)
    assert (confusion.sum(), np.trace(confusion)) == (score["images"], score["right"])
    assert score["accuracy"] == score["right"] / score["images"]
    right = sum(answer["truth"] == answer["label"] for answer in score["answers"])
    assert right == score["right"]
    for k, each in enumerate(score["classes"]):
        assert each["images"] == confusion[k].sum()
        assert each["recall"] == confusion[k, k] / confusion[k].sum()


def test_evaluate_in_words(mirada, digits_model):
    said = mirada("evaluate", digits_model.path, "digits")
    score = digits_model.scores["test"]
    low, high = score["accuracy_interval"]
    lines = said.out.splitlines()
    assert (said.status, said.err) == (0, LEFT_OUT)
    assert lines[:4] == [
        f"test: {score['accuracy']:.1%} of {score['images']} images right ({score['right']}), "
        f"95 % interval {low:.1%} to {high:.1%}",
        f"balanced over the classes: {score['balanced_accuracy']:.1%}",
        "",
        "class  images  recall  precision",
    ]
    rows = [line.split() for line in lines[4:14]]
    assert {row[0] for row in rows} == set("0123456789")
    assert sum(int(row[1]) for row in rows) == score["images"]
    recalls = [float(row[2].rstrip("%")) for row in rows]
    assert recalls == sorted(recalls)  # the worst first
    assert lines[14:16] == ["", "most confused:"]
    assert re.fullmatch(r"  \d called \d: \d+ times?", lines[16])


def test_another_part_can_be_asked_for(mirada, digits_model):
    score = mirada("evaluate", digits_model.path, "digits", "--part", "val", "--json").json
    assert (score["part"], score["accuracy"]) == ("val", digits_model.scores["val"]["accuracy"])


def test_evaluate_and_predict_say_the_same_of_each_image(mirada, here, digit_folders):
    assert mirada("train", digit_folders, "--from", "lenet5", "--epochs", "3").status == 0
    answers = mirada("evaluate", "small-model", digit_folders, "--json").json["answers"]
    assert len(answers) >= 9
    paths = [str(digit_folders / answer["path"]) for answer in answers]
    said = mirada("predict", "small-model", *paths, "--json")
    predictions = [json.loads(line) for line in said.out.splitlines()]
    assert [prediction["path"] for prediction in predictions] == paths  # in the order of the request
    for answer, prediction in zip(answers, predictions, strict=True):
        best = prediction["predictions"][0]
        assert (best["label"], best["probability"]) == (answer["label"], answer["probability"])
        assert sum(each["probability"] for each in prediction["predictions"]) == pytest.approx(1)


def test_predict_in_every_form(mirada, here, digits_model, digit_folders):
    shutil.copytree(digit_folders / "1", here / "ones")
    asked = ("predict", digits_model.path, "ones/03.png", "ones", "--top", "2")
    table, lines, rows = mirada(*asked), mirada(*asked, "--json"), mirada(*asked, "--csv")
    for said in (table, lines, rows):
        assert (said.status, said.err) == (0, "")
    paths = ["ones/03.png", *(f"ones/{number:02}.png" for number in range(16))]
    objects = [json.loads(line) for line in lines.out.splitlines()]
    assert [each["path"] for each in objects] == paths
    assert {len(each["predictions"]) for each in objects} == {2}
    assert objects[0] == objects[4]  # the same file, the same answer, wherever it stands
    assert table.out.splitlines() == [
        f"{each['path']}  " + ", ".join(f"{p['label']} {p['probability']:.1%}" for p in each["predictions"])
        for each in objects
    ]
    head, *body = list(csv.reader(io.StringIO(rows.out)))
    assert head == ["path", "rank", "label", "probability", "error"]
    assert body == [
        [each["path"], str(rank), p["label"], f"{p['probability']:.6f}", ""]
        for each in objects
        for rank, p in enumerate(each["predictions"], 1)
    ]


def test_predict_and_evaluate_say_what_a_model_does_not_know(mirada, here, digits_model, digit_folders):
    task = replace(digits_model.task, sure_from=None)
    replace(digits_model, task=task).save(here / "unsure")
    replace(digits_model, task=task, training={"climbing": {}, "notes": []}).save(here / "begun")
    for command in ("predict", "evaluate"):
        said = mirada(command, "begun", digit_folders).err
        assert "note: The training of the model is not finished: run the command that began it again" in said
    assert (
        "not known from which probability its answers can be relied on"
        in mirada("predict", "unsure", digit_folders).err
    )
    assert "note:" not in mirada("evaluate", "unsure", digit_folders).err


def test_predict_says_where_it_is_not_sure(mirada, here, digits_model, digit_folders):
    images = sorted(digit_folders.rglob("*.png"))
    best = [answer.label.probability for answer in digits_model.predict(images)]
    limit = sorted(best)[20]  # so that 20 of the 48 are not sure
    replace(digits_model, task=replace(digits_model.task, sure_from=limit)).save(here / "careful")
    lines = mirada("predict", "careful", *images, "--top", "1").out.splitlines()
    objects = [json.loads(line) for line in mirada("predict", "careful", *images, "--json").out.splitlines()]
    assert [each["sure"] for each in objects] == [probability >= limit for probability in best]
    assert sum(not each["sure"] for each in objects) == 20
    for line, each in zip(lines, objects, strict=True):
        label, probability = each["predictions"][0].values()
        doubt = "" if each["sure"] else "not sure: "
        assert line == f"{each['path']}  {doubt}{label} {probability:.1%}"


def test_predict_top_is_at_most_the_classes(mirada, here, digits_model, digit_folders):
    said = mirada("predict", digits_model.path, digit_folders / "0" / "00.png", "--top", "99", "--json")
    labels = [each["label"] for each in said.json["predictions"]]
    assert sorted(labels) == list("0123456789")


def test_what_cannot_be_read_is_named_and_the_rest_is_done(mirada, here, digits_model, digit_folders):
    shutil.copy(digit_folders / "0" / "00.png", here / "good.png")
    cut = (here / "good.png").read_bytes()[:60]
    (here / "cut.png").write_bytes(cut)
    (here / "note.txt").write_text("no image\n")
    asked = ("predict", digits_model.path, "cut.png", "good.png", "gone.png", "note.txt", "--top", "1")

    said = mirada(*asked)
    assert said.status == 1
    assert re.fullmatch(r"good\.png  \d \d+\.\d%\n", said.out)
    first, second, third, last = said.err.splitlines()
    assert first.startswith("mirada: cut.png: cannot be read: ")
    assert second == "mirada: gone.png: cannot be read: does not exist"
    assert third.startswith("mirada: note.txt: cannot be read: is not an image that can be read")
    assert last == "mirada: 3 images could not be read"
    assert (here / "cut.png").read_bytes() == cut  # never rewritten

    objects = [json.loads(line) for line in mirada(*asked, "--json").out.splitlines()]
    assert [each["path"] for each in objects] == ["cut.png", "good.png", "gone.png", "note.txt"]
    assert [sorted(set(each) - {"path"}) for each in objects] == [
        ["error"],
        ["predictions", "sure"],
        ["error"],
        ["error"],
    ]

    rows = list(csv.DictReader(io.StringIO(mirada(*asked, "--csv").out)))
    assert [bool(row["error"]) for row in rows] == [True, False, True, True]
    assert (rows[2]["path"], rows[2]["label"], rows[2]["error"]) == ("gone.png", "", "does not exist")


def test_a_name_with_a_line_break_stays_on_one_line(mirada, tmp_path, digits_model, digit_folders):
    odd = tmp_path / "a\nb.png"
    shutil.copy(digit_folders / "0" / "00.png", odd)
    said = mirada("predict", digits_model.path, odd)
    assert said.out.startswith(f"{tmp_path}/a\\nb.png  ")
    assert said.out.count("\n") == 1
    assert json.loads(mirada("predict", digits_model.path, odd, "--json").out)["path"] == str(odd)


def test_what_is_no_image_in_a_folder_is_skipped_and_said(mirada, here, digits_model, digit_folders):
    shutil.copytree(digit_folders / "0", here / "zeros")
    (here / "zeros" / "note.txt").write_text("no image\n")
    said = mirada("predict", digits_model.path, "zeros")
    assert said.status == 0  # nothing that was asked for is missing
    assert len(said.out.splitlines()) == 16
    assert said.err == "mirada: skipped: zeros/note.txt: .txt is not the suffix of an image\n"
    objects = [json.loads(line) for line in mirada("predict", digits_model.path, "zeros", "--json").out.splitlines()]
    assert objects[-1] == {"path": "zeros/note.txt", "skipped": ".txt is not the suffix of an image"}


def test_train_names_what_it_could_not_use(mirada, here, digit_folders):
    shutil.copytree(digit_folders, here / "odd")
    (here / "odd" / "1" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (here / "odd" / "1" / "note.txt").write_text("no image\n")
    said = mirada("train", "odd", "--from", "lenet5", "--epochs", "1")
    assert said.status == 0
    assert "mirada: note: '1/note.txt' was not read: .txt is not the suffix of an image.\n" in said.err
    broken = [line for line in said.err.splitlines() if "broken.png" in line]
    assert len(broken) == 1
    assert broken[0].startswith("mirada: not used: 1/broken.png: ")
    assert re.search(r"odd \(class folders\): 3 classes; .* to test; 1 of these could not be read\n", said.out)

    judged = mirada("evaluate", "odd-model", "odd", "--part", "train")
    unread = [line for line in judged.err.splitlines() if line.startswith("mirada: not counted: 1/broken.png: ")]
    assert judged.status == len(unread)  # 1 where the broken image is in this part, else 0


def test_nothing_for_terminals_goes_into_a_pipe(mirada, here, digits_model, digit_folders):
    for arguments in (
        ("train", digit_folders, "--from", "lenet5", "--epochs", "1"),
        ("evaluate", digits_model.path, "digits"),
        ("layers", "resnet50"),
        ("--help",),
    ):
        said = mirada(*arguments)
        assert said.status == 0
        assert all(line.startswith("mirada: note: ") for line in said.err.splitlines())
        assert "\x1b" not in said.out + said.err
        assert "\r" not in said.out


def test_a_name_that_was_taken_meanwhile(mirada, here, digit_folders, monkeypatch):
    """Another run saves under the automatic name while this one trains: nothing is lost, nothing overwritten."""
    from mirada.learn import training

    finished = training._finished

    def slow(*arguments):
        (here / f"{digit_folders.name}-model").mkdir(exist_ok=True)
        return finished(*arguments)

    monkeypatch.setattr(training, "_finished", slow)
    said = mirada("train", digit_folders, "--from", "lenet5", "--epochs", "1")
    assert said.status == 0
    assert list((here / f"{digit_folders.name}-model").iterdir()) == []
    assert (here / f"{digit_folders.name}-model-2" / "model.json").is_file()
