"""What `arch` announces is what the built module does: volumes, parameters, names; and printing reads back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from architectures import architectures, examples
from hypothesis import given
from torch import Tensor
from torch.nn import Module

from mirada.arch import Architecture, Volume, format_listing, parse, zoo
from mirada.arch.blocks import Branch
from mirada.arch.build import Network, build
from mirada.arch.layers import Conv, GlobalPool, Layer
from mirada.errors import ArchitectureError, MisfitError

Zoo = Callable[[str], Architecture]


def shapes_that_run(network: Network) -> dict[str, tuple[int, ...]]:
    """What each module, by its name, gives for one image, and the network itself under the empty name."""
    given: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Callable[[Module, object, Tensor], None]:
        return lambda _, __, out: given.update({name: tuple(out.shape)})

    hooks = [module.register_forward_hook(note(name)) for name, module in network.named_modules()]
    volume = network.architecture.input
    with torch.no_grad():
        network.eval()(torch.rand(1, volume.depth, volume.height, volume.width))
    for hook in hooks:
        hook.remove()
    return given


def check_announced(architecture: Architecture) -> None:
    network = build(architecture)
    ran = shapes_that_run(network)
    first, *rows = architecture.rows
    assert (first.volume, first.parameters, first.layer) == (architecture.input, 0, None)
    assert len({row.path for row in rows}) == len(rows)
    for row in rows:
        v = row.volume
        assert ran[row.path] == (1, v.depth, v.height, v.width), row.path
        numel = sum(p.numel() for p in network.get_submodule(row.path).parameters())
        inside = [r.parameters for r in rows if r.path.startswith(f"{row.path}.")]
        assert numel == row.parameters + sum(inside), row.path
        assert row.is_block or not inside
        assert not row.is_block or row.parameters == row.multiply_adds == 0
    out = architecture.output
    assert ran[""] == ((1, out.depth) if out.is_vector else (1, out.depth, out.height, out.width))
    assert (
        sum(row.parameters for row in rows) == sum(p.numel() for p in network.parameters()) == architecture.parameters
    )
    assert architecture.multiply_adds == sum(row.multiply_adds for row in rows)


@pytest.mark.parametrize("name", zoo.names())
def test_networks_of_the_zoo_run_as_announced(name: str, network_of_the_zoo: Zoo):
    architecture = network_of_the_zoo(name)
    check_announced(architecture)
    assert parse(format_listing(architecture)) == architecture


@given(architectures())
@examples(500)
def test_random_networks_run_as_announced_and_read_back(architecture: Architecture):
    check_announced(architecture)
    listing = format_listing(architecture)
    again = parse(listing)
    assert again == architecture
    assert format_listing(again) == listing
    assert hash(again) == hash(architecture)
    assert architecture.with_input(architecture.input) == architecture


def test_modules_carry_the_names_of_the_listing():
    network = build(
        parse(
            """
            [8x8x2] INPUT
            CONV_in: 2 3x3 pad 1, batch norm
            REPEAT: 2 times
                RESIDUAL
                    CONV 2 1x1
                    SHORTCUT: CONV 2 1x1 -> BN
            MAX POOL7: 2x2
            """
        )
    )
    assert [name for name, _ in network.named_parameters()] == [
        "CONV_in.weight",
        "CONV_in.norm.weight",
        "CONV_in.norm.bias",
        *(
            f"REPEAT1.{turn}.RESIDUAL1.{name}"
            for turn in (1, 2)
            for name in (
                "CONV1.weight",
                "CONV1.bias",
                "SHORTCUT.CONV1.weight",
                "SHORTCUT.CONV1.bias",
                "SHORTCUT.BATCH_NORM1.weight",
                "SHORTCUT.BATCH_NORM1.bias",
            )
        ),
    ]
    assert isinstance(network.MAX_POOL7, torch.nn.MaxPool2d)


def test_repeat_whose_rounds_differ_in_volume_reads_back():
    architecture = parse("[9x7x1] INPUT\nREPEAT: 3 times\n  CONV: 2 3x3\nFC: 4")
    assert format_listing(architecture) == (
        "[9x7x1] INPUT\n"
        "[3x1x2] REPEAT1: 3 times\n"
        "    CONV1: 2 3x3 filters at stride 1, pad 0\n"
        "[4] FC1: 4 neurons (class scores)"
    )
    assert parse(format_listing(architecture)) == architecture
    assert [str(row.volume) for row in architecture.rows if row.path.endswith("CONV1")] == ["7x5x2", "5x3x2", "3x1x2"]
    check_announced(architecture)


def test_initial_weights_are_those_of_he_and_of_glorot():
    torch.manual_seed(0)
    lines = "CONV_relu: 60 5x5\nCONV_tanh: 60 5x5, groups 2, tanh\nFC: 1000, silu\nFC: 500, sigmoid"
    network = build(parse(f"[9x9x50] INPUT\n{lines}"))
    variances = {
        network.CONV_relu: 2 / (50 * 5 * 5),
        network.CONV_tanh: 2 / (30 * 5 * 5 + 60 * 5 * 5),
        network.FC1: 2 / 60,
        network.FC2: 2 / (1000 + 500),
    }
    for module, variance in variances.items():
        n = module.weight.numel()
        assert abs(module.weight.var().item() / variance - 1) < 6 * (2 / n) ** 0.5
        assert abs(module.weight.mean().item()) < 6 * (variance / n) ** 0.5
        assert not module.bias.any()


def test_torch_seed_makes_the_weights():
    architecture = parse("[4x4x1] INPUT\nFC 3")
    first, second = (torch.manual_seed(5) and build(architecture).FC1.weight for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, build(architecture).FC1.weight)


@pytest.mark.parametrize("name", ["resnet18", "senet", "googlenet"])
def test_with_input_leads_another_image_through(name: str, network_of_the_zoo: Zoo):
    architecture = network_of_the_zoo(name)
    smaller = architecture.with_input(Volume(64, 96, 3))
    assert smaller.input == Volume(64, 96, 3)
    assert smaller.layers == architecture.layers
    assert smaller.parameters == architecture.parameters  # convolutions do not know the size of the image
    check_announced(smaller)
    assert parse(zoo.text(name), input=Volume(64, 96, 3)) == smaller


def test_with_input_refuses_what_does_not_fit(network_of_the_zoo: Zoo):
    smaller = network_of_the_zoo("alexnet").with_input(Volume(224, 224, 3))
    with pytest.raises(MisfitError, match=r"54\.25 is not whole"):
        build(smaller)


def test_with_classes_replaces_the_class_scores(network_of_the_zoo: Zoo):
    architecture = network_of_the_zoo("alexnet")
    two = architecture.with_classes(2)
    assert two.output == Volume(1, 1, 2)
    assert two.layers[:-1] == architecture.layers[:-1]
    assert two.parameters == architecture.parameters - 4097 * 998
    assert format_listing(two).endswith("[2] FC8: 2 neurons (class scores)")


def test_with_classes_of_a_network_that_ends_in_a_convolution():
    architecture = parse("[8x8x1] INPUT\nCONV: 4 3x3\nRELU\n[6x6x10] CONV: 10 1x1, linear\n[10] GAP")
    seven = architecture.with_classes(7)
    assert seven.output == Volume(1, 1, 7)
    assert [layer.filters for layer in seven.layers if isinstance(layer, Conv)] == [4, 7]


def test_with_classes_refuses_where_a_block_gives_the_scores():
    architecture = parse("[8x8x1] INPUT\nCONV 4 1x1\nREPEAT: 1 times\n  FC 10")
    with pytest.raises(ArchitectureError, match="has no layer of class scores"):
        architecture.with_classes(3)


def test_with_classes_refuses_where_there_are_no_scores():
    architecture = parse("name: Pools\n[8x8x1] INPUT\nMAX POOL: 2x2", "pools.net")
    with pytest.raises(ArchitectureError) as caught:
        architecture.with_classes(3)
    assert str(caught.value) == ("Pools has no layer of class scores: end it with a line such as 'FC: 3 neurons'")
    assert caught.value.source == "pools.net"


class Dream(Layer):
    def volume(self, given: Volume) -> Volume:
        return given


@pytest.mark.parametrize("layer", [Dream("DREAM1"), Branch("BRANCH1", (GlobalPool("GLOBAL AVG POOL1"),))])
def test_a_layer_that_no_module_is_known_for(layer: Layer):
    with pytest.raises(TypeError, match=f"no module is known for {type(layer).__name__}"):
        build(Architecture(Volume(1, 1, 1), (layer,)))


def test_architectures_differ_where_their_values_do():
    first = parse("[4x4x1] INPUT\nFC 3")
    assert first == parse("[4x4x1] INPUT\n\n[3] FC1: 3 neurons # the same", "elsewhere.net")
    assert first != parse("[4x4x1] INPUT\nFC 4")
    assert first != parse("[4x4x2] INPUT\nFC 3")
    assert first != "FC 3"
    assert len({first, parse("INPUT 4x4x1\nFC 3")}) == 1
    assert first.rows[1].activation_bytes == 12


@pytest.mark.parametrize(
    ("listing", "variance"),
    [
        ("CONV 64 3x3", 2 / 27),
        ("CONV 64 3x3 -> RELU", 2 / 27),
        ("CONV 64 3x3, batch norm", 2 / 27),
        ("CONV 64 3x3 -> BATCH NORM", 2 / 27),
        ("CONV 64 3x3 -> BATCH NORM: linear -> RELU", 2 / 27),
        ("CONV 64 3x3 -> TANH", 2 / (27 + 576)),
        ("CONV 64 3x3, linear", 2 / (27 + 576)),
        ("CONV 64 3x3, linear -> MAX POOL 2x2 -> RELU", 2 / (27 + 576)),
    ],
)
def test_every_spelling_of_a_network_starts_alike(listing: str, variance: float):
    torch.manual_seed(0)
    weight = build(parse(f"rounding: floor\n[9x9x3] INPUT\n{listing}\nFC 2")).CONV1.weight
    assert float(weight.detach().std()) == pytest.approx(variance**0.5, rel=0.1)
