"""A model on disk: whole, the same to the bit, free of code; and refused in every other case."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tiny import FILES, PIXELS, tiny

from mirada.arch import parse
from mirada.arch.build import build
from mirada.backbone import Backbone
from mirada.backbone.network import arrays_of
from mirada.data import read, split
from mirada.errors import MiradaError, ModelError, UsageError
from mirada.image import Preparation
from mirada.model import Model, load
from mirada.tasks import Classify, softmax
from mirada.version import __version__


@pytest.fixture
def saved(digits_model: Model, tmp_path: Path) -> Path:
    """A copy of a trained model's directory, to be spoilt."""
    assert digits_model.path is not None
    return Path(shutil.copytree(digits_model.path, tmp_path / "model"))


def _rewritten(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change model.json and give it the digest that fits, as its documentation says: sorted keys, no blanks."""
    content = json.loads((path / "model.json").read_text())
    change(content)
    content.pop("digest", None)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    content["digest"] = hashlib.sha256(text.encode()).hexdigest()
    (path / "model.json").write_text(json.dumps(content))


def _message(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load(path)
    return str(caught.value).replace(str(path), "MODEL")


def test_a_saved_model_gives_the_same_scores_to_the_bit(digits_model: Model, saved: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 32, 32, 1), dtype=np.uint8)
    loaded = load(saved)
    assert np.array_equal(loaded.logits(pixels), digits_model.logits(pixels))
    assert loaded.network == digits_model.network
    assert loaded.preparation == digits_model.preparation
    assert loaded.task == digits_model.task
    assert loaded.manifest == digits_model.manifest
    assert loaded.scores == digits_model.scores
    assert loaded.training == digits_model.training
    assert (loaded.path, digits_model.path != saved) == (saved, True)


def test_the_same_after_moving_and_in_a_new_process(tmp_path: Path) -> None:
    model = tiny().save(tmp_path / "here")
    np.save(tmp_path / "pixels.npy", PIXELS)
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "here", tmp_path / "elsewhere" / "there")
    code = (
        "import sys, numpy as np; from mirada.model import load; "
        "sys.stdout.write(load('elsewhere/there').logits(np.load('pixels.npy')).tobytes().hex())"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert bytes.fromhex(run.stdout) == model.logits(PIXELS).tobytes()


def test_a_transfer_model_comes_back(transfer_model: Model, tmp_path: Path, textures: Path) -> None:
    model = transfer_model.save(tmp_path / "model")
    assert (model.path, transfer_model.path) == (tmp_path / "model", None)
    loaded = load(tmp_path / "model")
    assert loaded.network == Backbone("efficientnet-lite0", "tf_efficientnet_lite0")
    images = sorted(textures.rglob("*.png"))[:6]
    assert loaded.predict(images, top=3) == transfer_model.predict(images, top=3)


def test_every_file_is_json_safetensors_or_text(saved: Path) -> None:
    assert {path.name for path in saved.iterdir()} == FILES
    for name in ("model.json", "split.json"):
        assert isinstance(json.loads((saved / name).read_text()), dict)
    tensors = load_file(saved / "weights.safetensors")
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        "CONV1.weight": (6, 1, 5, 5),
        "CONV1.bias": (6,),
        "CONV2.weight": (16, 6, 5, 5),
        "CONV2.bias": (16,),
        "FC3.weight": (120, 400),
        "FC3.bias": (120,),
        "FC4.weight": (84, 120),
        "FC4.bias": (84,),
        "FC5.weight": (10, 84),
        "FC5.bias": (10,),
    }


def test_what_model_json_says(saved: Path, digits_model: Model) -> None:
    content = json.loads((saved / "model.json").read_text())
    assert (content["format"], content["format_version"], content["mirada"]) == ("mirada model", 2, __version__)
    assert content["task"] == "classify"
    assert content["class_names"] == [str(digit) for digit in range(10)]
    assert content["temperature"] == digits_model.task.temperature != 1
    assert content["sure_from"] == digits_model.task.sure_from
    assert content["preparation"] == digits_model.preparation.to_json()
    assert parse(content["network"]["listing"]) == digits_model.network
    assert content["files"] == {
        name: hashlib.sha256((saved / name).read_bytes()).hexdigest() for name in ("weights.safetensors", "split.json")
    }


def test_the_running_statistics_of_batch_norm_are_no_parameters(tmp_path: Path) -> None:
    network = parse("[6x6x1] INPUT\nCONV: 2 3x3 filters, batch norm\nBATCH NORM\nFC: 3 neurons")
    state = arrays_of(build(network))
    assert sum(array.size for array in state.values()) > network.parameters
    model = replace(tiny(), network=network, state=state)
    assert np.array_equal(load(model.save(tmp_path / "model").path or "").logits(PIXELS), model.logits(PIXELS))


def test_two_saves_are_the_same_to_the_byte(tmp_path: Path) -> None:
    for name in ("one", "two"):
        tiny().save(tmp_path / name)
    for file in ("weights.safetensors", "model.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert not (tmp_path / "one" / "split.json").exists()


@pytest.mark.parametrize("path_of", [lambda p: p / "no", lambda p: p / "no" / "such"], ids=["in a folder", "nowhere"])
def test_no_model_there(path_of: Callable[[Path], Path], tmp_path: Path) -> None:
    path = path_of(tmp_path)
    assert _message(path) == "there is no model at MODEL: a model is a directory with a file model.json"


def test_a_folder_or_a_file_that_is_no_model(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("{}")
    assert _message(tmp_path) == "MODEL is not a model: it has no file model.json"
    assert _message(file) == "MODEL is a file: a model is a directory with a file model.json"


@pytest.mark.parametrize("name", ["weights.safetensors", "split.json"])
def test_a_file_is_missing_altered_or_cut(name: str, saved: Path) -> None:
    file = saved / name
    content = file.read_bytes()
    expected = hashlib.sha256(content).hexdigest()[:12]
    altered = f"the model MODEL was altered: {name} has not the SHA-256 that model.json gives ({expected}...)"
    file.write_bytes(content[:-1])
    assert _message(saved) == altered
    file.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    assert _message(saved) == altered
    file.write_bytes(b"")
    assert _message(saved) == altered
    file.unlink()
    assert _message(saved) == f"the model MODEL is not whole: {name} is missing. Copy the whole directory"
    file.write_bytes(content)
    assert load(saved).class_names[0] == "0"


def test_the_card_may_be_edited_or_removed(saved: Path) -> None:
    (saved / "README.md").write_text("mine")
    load(saved)
    (saved / "README.md").unlink()
    assert load(saved).class_names == tuple(map(str, range(10)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "MODEL/model.json cannot be read as JSON: Expecting value: line 1 column 1 (char 0)"),
        ('{"format": "mirada model', "MODEL/model.json cannot be read as JSON: Unterminated string starting at"),
        ("[" * 200_000, "MODEL/model.json cannot be read as JSON: maximum recursion depth exceeded"),
        ("[]", "MODEL/model.json is not the description of a mirada model"),
        ('{"format": "another"}', "MODEL/model.json is not the description of a mirada model"),
        (
            '{"format": "mirada model", "format_version": 3, "mirada": "9.1"}',
            "MODEL/model.json has the format version 3, this mirada reads 2: it was written by mirada 9.1; install "
            "that version, or train anew",
        ),
        (
            '{"format": "mirada model", "format_version": 1, "mirada": "0.1.0"}',
            "MODEL/model.json has the format version 1, this mirada reads 2: it was written by mirada 0.1.0; install "
            "that version, or train anew",
        ),
        (
            '{"format": "mirada model", "format_version": 2}',
            "the model MODEL was altered: model.json has not the digest that it gives for itself",
        ),
    ],
)
def test_a_model_json_that_is_not_one(text: str, message: str, saved: Path) -> None:
    (saved / "model.json").write_text(text)
    assert _message(saved).startswith(message)


def test_a_model_json_that_is_no_text(saved: Path) -> None:
    (saved / "model.json").write_bytes(b"\xff\xfe\x00")
    assert _message(saved).startswith("MODEL/model.json cannot be read as JSON: 'utf-8' codec can't decode")


@pytest.mark.parametrize("key", ["class_names", "preparation", "temperature", "scores", "training", "files", "mirada"])
def test_every_altered_value_is_noticed(key: str, saved: Path) -> None:
    content = json.loads((saved / "model.json").read_text())
    content[key] = None
    (saved / "model.json").write_text(json.dumps(content))
    assert _message(saved) == "the model MODEL was altered: model.json has not the digest that it gives for itself"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(files=None), "MODEL/model.json does not name the files of a model"),
        (lambda c: c["files"].pop("weights.safetensors"), "MODEL/model.json does not name the files of a model"),
        (lambda c: c["files"].update({"../x": "0"}), "MODEL/model.json does not name the files of a model"),
        (
            lambda c: (
                c.update(network={"kind": "backbone", "name": "timm:no_such"}),
                c["preparation"].update(channels=3, mean=[0, 0, 0], std=[1, 1, 1]),
            ),
            "MODEL/weights.safetensors does not fit the network of model.json: its head is not of 10 classes",
        ),
        (
            lambda c: c.update(network={"kind": "backbone", "name": "lenet5"}),
            "MODEL/model.json cannot be understood: 'lenet5' is no backbone",
        ),
        (
            lambda c: c.update(network={"kind": "backbone", "name": "/etc/hostname"}),  # no file is looked at
            "MODEL/model.json cannot be understood: '/etc/hostname' is no backbone",
        ),
        (
            lambda c: c.update(network={"kind": "backbone", "name": "efficientnet-lite0"}),
            "MODEL/model.json cannot be understood: efficientnet-lite0 takes 3 channels, the preparation gives 1",
        ),
        (
            lambda c: c.update(task="detect"),
            "MODEL/model.json cannot be understood: the task 'detect' is not known",
        ),
        (
            lambda c: c["class_names"].append("9"),
            "MODEL/model.json cannot be understood: class_names must be two or more, sorted, each once",
        ),
        (
            lambda c: c["class_names"].pop(),
            "MODEL/model.json cannot be understood: the network gives [10], there are 9 classes",
        ),
        (
            lambda c: c.update(scores=3),
            "MODEL/model.json cannot be understood: training and scores are no objects",
        ),
        (
            lambda c: c.update(network={"kind": "listing", "listing": "[8x8x1] INPUT\nCONF: 1 3x3"}),
            "MODEL/model.json cannot be understood: 'CONF' is not a layer (model.json, line 2)",
        ),
        (
            lambda c: c.update(network={"kind": "listing", "listing": "[8x8x1] INPUT\nFC: 2 neurons"}),
            "MODEL/model.json cannot be understood: the network takes 8x8x1, the preparation gives 32x32x1",
        ),
        (
            lambda c: c.update(network={"kind": "listing", "listing": "[32x32x1] INPUT\nFC: 10 neurons"}),
            "MODEL/weights.safetensors does not fit the network of model.json: it holds 61,706 parameters, the network "
            "has 10,250",
        ),
        (lambda c: c.pop("network"), "MODEL/model.json cannot be understood: 'network' is missing"),
        (lambda c: c["preparation"].pop("mean"), "MODEL/model.json cannot be understood: preparation: mean missing"),
        (lambda c: c.pop("temperature"), "MODEL/model.json cannot be understood: 'temperature' is missing"),
        (lambda c: c.update(temperature=0), "MODEL/model.json cannot be understood: temperature is no number above 0"),
        (
            lambda c: c.update(temperature=float("inf")),
            "MODEL/model.json cannot be understood: temperature is no number above 0",
        ),
        (
            lambda c: c.update(sure_from=1.01),
            "MODEL/model.json cannot be understood: sure_from is neither null nor a probability",
        ),
        (lambda c: c.update(class_names=7), "MODEL/model.json cannot be understood: class_names is no list of texts"),
    ],
)
def test_a_model_json_that_cannot_be_understood(
    change: Callable[[dict[str, Any]], object], message: str, saved: Path
) -> None:
    _rewritten(saved, change)
    assert _message(saved).startswith(message)


def test_weights_of_another_network_of_the_same_size(tmp_path: Path) -> None:
    model = tiny()
    other = {name.replace("CONV1", "CONV9"): array for name, array in model.state.items()}
    replace(model, state=other).save(tmp_path / "model")
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "model").logits(PIXELS)
    assert str(caught.value).startswith("the weights do not fit the network Tiny: Error(s) in loading state_dict")
    assert 'Missing key(s) in state_dict: "CONV1.weight", "CONV1.bias"' in str(caught.value)


def test_a_backbone_that_timm_has_not(tmp_path: Path) -> None:
    """A model is loaded without torch and timm: what they do not know shows when it is asked."""
    state = {"head.weight": np.zeros((3, 4), np.float32), "head.bias": np.zeros(3, np.float32)}
    preparation = Preparation((6, 6), "stretch", mean=(0.5,) * 3, std=(0.5,) * 3)
    network = Backbone("timm:resnet188", "resnet188")
    Model(network, state, preparation, Classify(("a", "b", "c"))).save(tmp_path / "model")
    with pytest.raises(UsageError) as caught:
        load(tmp_path / "model").logits(np.zeros((1, 6, 6, 3), np.uint8))
    assert str(caught.value) == "timm has no network called 'resnet188'\n  did you mean timm:resnet18?"


@pytest.mark.parametrize("shapes", [((2, 4), (3,)), ((3, 4), (2,)), ((3,), (3,)), None])
def test_a_head_of_other_classes(shapes: tuple[tuple[int, ...], tuple[int, ...]] | None, tmp_path: Path) -> None:
    state = {"backbone.x": np.zeros(1, np.float32)}
    if shapes is not None:
        state |= {"head.weight": np.zeros(shapes[0], np.float32), "head.bias": np.zeros(shapes[1], np.float32)}
    preparation = Preparation((6, 6), "stretch", mean=(0.5,) * 3, std=(0.5,) * 3)
    network = Backbone("efficientnet-lite0", "tf_efficientnet_lite0")
    Model(network, state, preparation, Classify(("a", "b", "c"))).save(tmp_path / "model")
    assert _message(tmp_path / "model") == (
        "MODEL/weights.safetensors does not fit the network of model.json: its head is not of 3 classes"
    )


@pytest.mark.parametrize(("temperature", "sure_from"), [(1.0, None), (0.25, 0.0), (3.5, 0.875), (1 / 3, 1.0)])
def test_the_calibration_comes_back(temperature: float, sure_from: float | None, tmp_path: Path) -> None:
    task = Classify(("a", "b", "c"), temperature, sure_from)
    assert load(tiny(task=task).save(tmp_path / "model").path or "").task == task


def test_weights_that_are_a_pickle_are_refused_even_with_the_right_hash(saved: Path) -> None:
    torch.save({"FC5.bias": torch.zeros(10)}, saved / "weights.safetensors")
    found = hashlib.sha256((saved / "weights.safetensors").read_bytes()).hexdigest()
    _rewritten(saved, lambda content: content["files"].update({"weights.safetensors": found}))
    assert _message(saved).startswith("MODEL/weights.safetensors is not a whole safetensors file (")


def test_a_split_json_that_is_no_manifest(saved: Path) -> None:
    (saved / "split.json").write_text("{}")
    found = hashlib.sha256(b"{}").hexdigest()
    _rewritten(saved, lambda content: content["files"].update({"split.json": found}))
    model = load(saved)  # which is not needed to predict
    assert len(model.predict(PIXELS[0, :, :, 0])) == 1
    with pytest.raises(ModelError, match=re.escape(f"{saved / 'split.json'}: the file must be an object with ")):
        _ = model.manifest


def test_which_images_were_for_what_is_known_when_the_directory_is_gone(
    digits_model: Model, saved: Path, tmp_path: Path
) -> None:
    model = load(saved)
    content = (saved / "split.json").read_bytes()
    shutil.rmtree(saved)
    again = model.save(tmp_path / "again")
    assert again.manifest == model.manifest == digits_model.manifest
    assert (tmp_path / "again" / "split.json").read_bytes() == content
    assert load(tmp_path / "again").manifest == model.manifest


def test_a_model_with_a_manifest_keeps_it(tmp_path: Path) -> None:
    manifest = split(read("digits"), seed=4).manifest
    tiny(manifest_or_json=manifest).save(tmp_path / "model")
    assert load(tmp_path / "model").manifest == manifest


def test_errors_of_the_store_have_one_root() -> None:
    assert issubclass(ModelError, MiradaError)
    with pytest.raises(MiradaError):
        load("no/such/model")


def test_scores_become_probabilities() -> None:
    model = tiny()
    for row, labels in zip(softmax(model.logits(PIXELS)), model.task.annotations(model.logits(PIXELS), 3), strict=True):
        assert [label.probability for label in labels] == sorted(row.tolist(), reverse=True)
