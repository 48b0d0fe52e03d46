"""The pretrained part of a network. What it says of the built-in weights is held against the weights and timm."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from mirada.backbone.body import LITE0_FEATURES, LITE0_PREPARATION, LITE0_TENSORS, Body, tapped
from mirada.backbone.catalog import Backbone
from mirada.backbone.network import pretrained_backbone
from mirada.backbone.stages import cut
from mirada.backbone.weights import tensors_hash

LITE0 = Backbone("efficientnet-lite0", "tf_efficientnet_lite0")
SMALL = Backbone("timm:test_resnet", "test_resnet")  # 0.47 M parameters, made for tests

State = dict[str, NDArray[np.generic]]


def _arrays(module: nn.Module) -> State:
    return {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}


@pytest.fixture(scope="module")
def real() -> nn.Module:
    """The built-in network as it is read from its package."""
    return pretrained_backbone(LITE0)[0].eval()


@pytest.fixture
def small() -> State:
    torch.manual_seed(0)
    return _arrays(timm.create_model(SMALL.timm_name, pretrained=False, num_classes=0))


def test_the_hash_of_the_built_in_weights_is_theirs(real: nn.Module) -> None:
    digest, counters = hashlib.sha256(), 0
    for name, array in sorted(_arrays(real).items()):
        if name.endswith("num_batches_tracked"):
            counters += 1
            continue
        assert array.dtype == np.float32
        digest.update(f"{name} <f4 {array.shape};".encode() + array.tobytes())
    assert counters == 49  # one a norm: the stem's, two in the first block, three in the other fifteen, the head's
    assert digest.hexdigest() == LITE0_TENSORS == tensors_hash(_arrays(real))
    assert Body(LITE0).identity == {"backbone": "efficientnet-lite0", "tensors": LITE0_TENSORS}


def test_the_features_and_the_preparation_are_the_networks(real: nn.Module) -> None:
    with torch.no_grad():
        assert real(torch.zeros(1, 3, 64, 64)).shape == (1, LITE0_FEATURES)
    config = timm.get_pretrained_cfg(LITE0.timm_name)
    assert LITE0_PREPARATION.size_wh == config.input_size[:0:-1]
    assert LITE0_PREPARATION.zoom == pytest.approx(1 / config.crop_pct)
    body = Body(LITE0)
    assert (body.preparation, body.features) == (LITE0_PREPARATION, LITE0_FEATURES)


def test_of_another_network_they_are_what_timm_says(small: State) -> None:
    body = Body(SMALL, state=small)
    config = timm.get_pretrained_cfg(SMALL.timm_name)
    assert body.preparation.size_wh == config.input_size[:0:-1]
    assert (body.preparation.mean, body.preparation.std) == (config.mean, config.std)
    with torch.no_grad():
        features = body.module(torch.zeros(1, *config.input_size))
    assert features.shape == (1, body.features)
    assert body.stages[-1].output_shape == (body.features,)
    assert body.state is small


def test_one_changed_weight_is_another_identity(small: State) -> None:
    identity = Body(SMALL, state=small).identity
    assert identity["backbone"] == "timm:test_resnet"
    assert Body(SMALL, state=dict(reversed(small.items()))).identity == identity
    seen = {identity["tensors"]}
    for name, array in small.items():
        changed = array.copy()
        changed.reshape(-1)[-1] = np.nextafter(changed.flat[-1], 9) if array.dtype.kind == "f" else changed.flat[-1] + 1
        tensors = Body(SMALL, state=small | {name: changed}).identity["tensors"]
        if name.endswith("num_batches_tracked"):  # counts the steps of a training that is long over
            assert tensors in seen
        else:
            assert tensors not in seen
            seen.add(tensors)
    assert len(seen) > 30


def test_name_type_and_shape_count_too() -> None:
    zeros = np.zeros((2, 3), np.float32)
    states: list[State] = [{"a": zeros}, {"b": zeros}, {"a": zeros.astype("<f8")}, {"a": zeros.T.copy()}]
    states += [{"a": zeros.view(np.int32)}, {"a": zeros, "b": zeros}, {}]
    assert len({Body(SMALL, state=state).identity["tensors"] for state in states}) == len(states)
    apart: State = {"a": np.array([1, 2], np.float32), "b": np.array([3], np.float32)}
    moved: State = {"a": np.array([1], np.float32), "b": np.array([2, 3], np.float32)}
    assert Body(SMALL, state=apart).identity != Body(SMALL, state=moved).identity


def test_the_network_of_a_file_of_weights(tmp_path: Path, small: State) -> None:
    save_file(small, tmp_path / "weights.safetensors")
    body = Body(SMALL, tmp_path / "weights.safetensors")
    assert body.identity == Body(SMALL, state=small).identity
    assert body.state.keys() == small.keys()
    assert all(np.array_equal(body.state[name], array) for name, array in small.items())


def test_the_network_of_given_tensors_computes_with_them(real: nn.Module) -> None:
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    body = Body(LITE0, state=_arrays(real))
    assert body.identity == Body(LITE0).identity
    assert not body.module.training
    with torch.no_grad():
        assert torch.equal(body.module(x), real(x))


def _spoilt(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def _cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:1000])


@pytest.mark.parametrize("damage", [Path.unlink, _spoilt, _cut_short])
def test_the_built_in_state_is_kept_and_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real: nn.Module, damage: object
) -> None:
    monkeypatch.setenv("MIRADA_CACHE", str(tmp_path))
    monkeypatch.setattr(Body, "module", real)  # reads no package again
    first = Body(LITE0).state
    [file] = (tmp_path / "weights").iterdir()
    assert callable(damage)
    damage(file)
    second = Body(LITE0).state
    assert [path.name for path in (tmp_path / "weights").iterdir()] == [file.name]
    for state in (first, second, load_file(file)):
        assert tensors_hash(state) == LITE0_TENSORS


def test_all_but_the_module_is_had_without_torch() -> None:
    assert len(Body(LITE0).state) > 100  # the cache is warm now
    program = (
        "import json, sys\n"
        "from mirada.backbone.body import Body\n"
        "from mirada.backbone.catalog import Backbone\n"
        "body = Body(Backbone('efficientnet-lite0', 'tf_efficientnet_lite0'))\n"
        "found = [len(body.state), body.features, body.identity['tensors'], body.preparation.to_json()]\n"
        "print(json.dumps([*found, sorted({'torch', 'timm', 'openvino'} & sys.modules.keys())]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    expected = [len(Body(LITE0).state), LITE0_FEATURES, LITE0_TENSORS, LITE0_PREPARATION.to_json(), []]
    assert json.loads(done.stdout) == json.loads(json.dumps(expected))


def test_tapped_gives_the_inputs_of_stages() -> None:
    """Held against what a hook sees in the uncut network, before the modules that the stages are named by."""
    torch.manual_seed(0)
    module = timm.create_model(LITE0.timm_name, pretrained=False, num_classes=0).eval()
    pieces = cut(module, (3, 64, 64))
    x = torch.randn(2, 3, 64, 64)
    seen: list[Tensor] = []
    for stage in pieces:
        module.get_submodule(stage.name).register_forward_pre_hook(lambda _, args: seen.append(args[0].clone()))
    with torch.no_grad():
        features = module(x)
        hooked = list(seen)
        for places in ((), (0,), (1, 3), (0, 1, 2, 3, 4)):
            outputs = tapped(pieces, places)(x)
            assert len(outputs) == len(places) + 1
            assert torch.equal(outputs[-1], features)
            for place, output in zip(places, outputs, strict=False):
                assert torch.equal(output, hooked[place])
    assert len(hooked) == 5


class _InPlace(nn.Module):
    """Changes what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Hardswish(inplace=True), nn.Conv2d(4, 4, 3))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


def test_a_stage_that_works_in_place_does_not_change_what_was_tapped() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)), _InPlace()).eval()
    pieces = cut(module, (3, 8, 8))
    assert len(pieces) == 2
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        right = module[0](x)
        given, output = tapped(pieces, (1,))(x.clone())
        assert torch.equal(output, module[1](right.clone()))
        assert torch.equal(given, right)
