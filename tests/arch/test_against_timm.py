"""Networks of the zoo against another library's, with the same weights; and the published numbers of parameters."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
import timm
import torch
from torch import Tensor, nn

from mirada.arch import Architecture, Volume
from mirada.arch.build import build

Zoo = Callable[[str], Architecture]

PARAMETERS = {
    "lenet5": 61_706,
    "alexnet": 62_378_344,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "senet": 28_088_024,
    "googlenet": 6_998_552,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_the_published_ones(name: str, network_of_the_zoo: Zoo):
    assert network_of_the_zoo(name).parameters == PARAMETERS[name]


@pytest.mark.parametrize("name", ["vgg11", "vgg13", "vgg16", "vgg19", "resnet18", "resnet34", "resnet50"])
def test_parameters_are_those_of_timm(name: str, network_of_the_zoo: Zoo):
    with torch.device("meta"):
        theirs = timm.create_model(name)
    assert sum(p.numel() for p in theirs.parameters()) == network_of_the_zoo(name).parameters


def test_alexnet_in_two_groups_has_the_papers_parameters(network_of_the_zoo: Zoo):
    """As on two graphics cards: CONV2, CONV4 and CONV5 see half the depth (Krizhevsky et al. 2012: 60 million)."""
    from dataclasses import replace

    one = network_of_the_zoo("alexnet")
    two = replace(
        one, layers=tuple(replace(x, groups=2) if x.name in ("CONV2", "CONV4", "CONV5") else x for x in one.layers)
    )
    assert two.parameters == 60_965_224


def give_weights(ours: nn.Module, theirs: nn.Module) -> None:
    """Their weights and running figures, in the order of the state, to a network of the same layers."""
    given = [value for name, value in theirs.state_dict().items() if not name.endswith("num_batches_tracked")]
    state = ours.state_dict()
    names = [name for name in state if not name.endswith("num_batches_tracked")]
    assert len(names) == len(given)
    with torch.no_grad():
        for name, value in zip(names, given, strict=True):
            state[name].copy_(value.reshape(state[name].shape))


def stir(network: nn.Module) -> None:
    """Batch norms away from scale 1, shift 0, mean 0 and variance 1, mildly, so that outputs stay of order 1."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.0)
                module.bias.uniform_(-0.2, 0.2)
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.8, 1.2)


def largest_difference(name: str, architecture: Architecture) -> tuple[float, Tensor]:
    torch.manual_seed(0)
    theirs = timm.create_model(name).eval()
    stir(theirs)
    ours = build(architecture).eval()
    give_weights(ours, theirs)
    volume = architecture.input
    x = torch.randn(1, volume.depth, volume.height, volume.width)
    with torch.no_grad():
        expected = theirs(x)
        difference = (ours(x) - expected).abs().max().item()
    del ours, theirs
    gc.collect()
    return difference, expected


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_residual_networks_give_timms_outputs(name: str, network_of_the_zoo: Zoo):
    difference, expected = largest_difference(name, network_of_the_zoo(name).with_input(Volume(64, 64, 3)))
    assert expected.shape == (1, 1000)
    assert 0.1 < expected.std() < 10
    assert difference < 1e-5


def test_vgg16_gives_timms_outputs(network_of_the_zoo: Zoo):
    """timm writes its first fully connected layers as convolutions: the same weights, reshaped."""
    difference, expected = largest_difference("vgg16", network_of_the_zoo("vgg16"))
    assert expected.std() > 1e-3
    assert difference < 1e-5
