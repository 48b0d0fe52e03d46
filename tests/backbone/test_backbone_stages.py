"""A network cut into stages. Weights are random, and so are the statistics of norms, so that nothing is zero."""

from __future__ import annotations

from functools import cache

import pytest
import timm
import torch
from torch import Tensor, nn

from mirada.arch import Volume
from mirada.backbone import stages
from mirada.backbone.stages import GROWTH, Stage, cut
from mirada.backbone.trace import module_table
from mirada.errors import ArchitectureError

NETWORKS = ("tf_efficientnet_lite0", "resnet18", "mobilenetv3_small_050", "densenet121", "convnext_atto")
SHAPE = (3, 64, 64)


def _with_random_norms(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
    return module.eval()


@cache
def _network(name: str) -> tuple[nn.Module, tuple[Stage, ...]]:
    torch.manual_seed(1)
    module = _with_random_norms(timm.create_model(name, pretrained=False, num_classes=0))
    return module, cut(module, SHAPE)


def _through(pieces: tuple[Stage, ...], x: Tensor) -> list[Tensor]:
    outputs = []
    for stage in pieces:
        x = stage.module(x)
        outputs.append(x)
    return outputs


def _works(pieces: tuple[Stage, ...]) -> list[int]:
    return [stage.multiply_adds for stage in pieces]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(64, 64), (80, 96)])
def test_one_after_the_other_they_give_exactly_what_the_module_gives(name: str, size: tuple[int, int]) -> None:
    module, pieces = _network(name)
    x = torch.randn(2, 3, *size)
    with torch.no_grad():
        whole, last = module(x), _through(pieces, x)[-1]
    assert float(whole.std()) > 0
    assert torch.equal(last, whole)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_parameters_are_those_of_the_network_under_its_names(name: str) -> None:
    module, pieces = _network(name)
    found = [item for stage in pieces for item in stage.module.named_parameters()]
    own = dict(module.named_parameters())
    assert len(found) == len(own)  # none in two stages
    assert {name for name, _ in found} == set(own)
    assert all(parameter is own[name] for name, parameter in found)
    assert {name for stage in pieces for name in stage.module.state_dict()} == set(module.state_dict())


@pytest.mark.parametrize("name", NETWORKS)
def test_the_announced_shapes_are_the_real_ones(name: str) -> None:
    _, pieces = _network(name)
    with torch.no_grad():
        outputs = _through(pieces, torch.randn(2, *SHAPE))
    assert [stage.output_shape for stage in pieces] == [tuple(output.shape[1:]) for output in outputs]
    assert len({stage.name for stage in pieces}) == len(pieces)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_multiply_adds_are_those_of_the_table(name: str) -> None:
    """The table counts with hooks on a running network; a row belongs to the stage that holds its weight."""
    module, pieces = _network(name)
    rows = module_table(module, Volume(64, 64, 3), name).rows
    assert sum(_works(pieces)) == sum(row.multiply_adds for row in rows) > 0
    for stage in pieces:
        held = {parameter for parameter, _ in stage.module.named_parameters()}
        assert stage.multiply_adds == sum(row.multiply_adds for row in rows if f"{row.path}.weight" in held)


@pytest.mark.parametrize("name", NETWORKS)
def test_each_stage_grows_the_work(name: str) -> None:
    works = _works(_network(name)[1])
    assert len(works) > 2
    for i in range(1, len(works) - 1):
        assert sum(works[i:]) >= GROWTH * sum(works[i + 1 :])
    assert works[-1] > 0


def test_the_stages_of_the_built_in_network() -> None:
    """Channels and sizes at 224 px are those of Table 1 of Tan and Le 2019 (EfficientNet-B0 has the same)."""
    module = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
    pieces = cut(module, (3, 224, 224))
    assert [stage.name for stage in pieces] == ["conv_stem", "blocks.2", "blocks.4", "blocks.5", "blocks.6"]
    maps = [(24, 56, 56), (80, 14, 14), (112, 14, 14), (192, 7, 7)]
    assert [stage.output_shape for stage in pieces] == [*maps, (1280,)]
    assert not module.training


@pytest.mark.parametrize(
    ("growth", "names"),
    [(1.0, ["conv_stem", *(f"blocks.{i}" for i in range(7))]), (1e9, ["conv_stem", "blocks.6"])],
)
def test_how_much_a_stage_must_grow_the_work(monkeypatch: pytest.MonkeyPatch, growth: float, names: list[str]) -> None:
    """The stem is one plain convolution and joins the first stage; what follows the last block joins it."""
    monkeypatch.setattr(stages, "GROWTH", growth)
    pieces = cut(_network("tf_efficientnet_lite0")[0], SHAPE)
    assert [stage.name for stage in pieces] == names


def _convolution(given: int, made: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(given, made, 3, padding=1), nn.ReLU())


class _Block(nn.Module):
    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.layers = _convolution(given, made)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


class _Skipping(nn.Module):
    """What the first block makes is still needed after the second and third."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third, self.fourth = (_Block(*pair) for pair in ((3, 4), (4, 4), (4, 4), (4, 9)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        x = x + self.third(self.second(x))
        y: Tensor = self.fourth(x)
        return y


def test_no_cut_where_an_earlier_value_is_still_needed() -> None:
    torch.manual_seed(0)
    module = _Skipping().eval()
    pieces = cut(module, (3, 8, 8))
    assert [stage.name for stage in pieces] == ["first", "second", "fourth"]
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(_through(pieces, x)[-1], module(x))
    # D H W times k k of the given channels, by hand
    assert _works(pieces) == [4 * 64 * 27, 2 * 4 * 64 * 36, 9 * 64 * 36]


class _ByValue(nn.Module):
    """Goes one way for bright images, another for dark ones."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.bright, self.dark = nn.Conv2d(given, made, 1), nn.Conv2d(given, made, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bright(x) if x.mean() > 0 else self.dark(x)
        return y


class _Around(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.before, self.inner, self.after = _Block(3, 4), inner, _Block(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.after(self.inner(self.before(x) - 0.2))
        return y


def test_a_network_whose_way_depends_on_its_values_is_refused() -> None:
    with pytest.raises(ArchitectureError, match=r"cannot be cut into stages: .*control flow"):
        cut(_ByValue(3, 4), (3, 8, 8))


@pytest.mark.parametrize("inner", [_ByValue(4, 4), nn.Sequential(_ByValue(4, 4))], ids=["in the network", "in a list"])
def test_a_part_whose_way_depends_on_its_values_is_one_leaf(inner: nn.Module) -> None:
    torch.manual_seed(0)
    module = _Around(inner).eval()
    pieces = cut(module, (3, 8, 8))
    ways = set()
    with torch.no_grad():
        for seed in range(20):
            x = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) + seed / 5 - 2
            ways.add(bool((module.before(x) - 0.2).mean() > 0))
            assert torch.equal(_through(pieces, x)[-1], module(x))
    assert ways == {False, True}


def test_a_part_inside_a_part_whose_way_depends_on_its_values_is_one_leaf() -> None:
    torch.manual_seed(0)
    inner = _Around(_ByValue(4, 4))
    inner.before = _Block(4, 4)
    module = _Around(inner).eval()
    pieces = cut(module, (3, 8, 8))
    x = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(_through(pieces, x)[-1], module(x))


def test_the_work_inside_a_leaf_is_counted() -> None:
    module = _Around(_ByValue(4, 400)).eval()
    module.after = _Block(400, 4)
    counted = sum(row.multiply_adds for row in module_table(module, Volume(8, 8, 3), "around").rows)
    assert counted == 64 * (27 * 4 + 4 * 400 + 9 * 400 * 4)  # of its two ways, one is gone
    assert sum(_works(cut(module, (3, 8, 8)))) == counted


def test_a_network_of_timm_with_such_parts() -> None:
    """Its attention asks on which device its values are; it stands some modules below the network."""
    module = _with_random_norms(timm.create_model("efficientvit_b0", pretrained=False, num_classes=0))
    pieces = cut(module, SHAPE)
    x = torch.randn(2, *SHAPE)
    with torch.no_grad():
        assert torch.equal(_through(pieces, x)[-1], module(x))
