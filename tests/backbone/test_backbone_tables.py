from __future__ import annotations

from pathlib import Path

import pytest

from mirada.arch import Volume
from mirada.backbone import layers
from mirada.errors import ArchitectureError, UsageError


@pytest.mark.parametrize(
    ("network", "parameters", "input"),
    [
        ("lenet5", 61_706, Volume(32, 32, 1)),  # 156 + 2,416 + 48,120 + 10,164 + 850
        ("vgg16", 138_357_544, Volume(224, 224, 3)),  # torchvision's figure
        ("timm:resnet18", 11_689_512, Volume(224, 224, 3)),
        ("timm:resnet18.a1_in1k", 11_689_512, Volume(224, 224, 3)),
        ("torchvision:squeezenet1_1", 1_235_496, Volume(224, 224, 3)),
        ("efficientnet-lite0", 4_652_008, Volume(224, 224, 3)),
    ],
)
def test_published_numbers_of_parameters(network: str, parameters: int, input: Volume) -> None:
    table = layers(network)
    assert table.parameters == parameters
    assert table.rows[0].volume == input


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.net"
    path.write_text("name: Mine\n[8x8x1] INPUT\nFC: 5 neurons\n")
    for given in (path, str(path)):
        table = layers(given)
        assert (table.name, table.parameters) == ("Mine", 8 * 8 * 5 + 5)


@pytest.mark.parametrize(
    ("network", "volume"),
    [
        ("torchvision:squeezenet1_1", Volume(13, 13, 512)),
        ("torchvision:resnet18", Volume(7, 7, 512)),
        ("torchvision:vgg11", Volume(7, 7, 512)),
    ],
)
def test_the_last_feature_maps_of_torchvision(network: str, volume: Volume) -> None:
    maps = [row.volume for row in layers(network).rows if row.volume.depth == 512 and not row.volume.is_vector]
    assert maps[-1] == volume


@pytest.mark.parametrize("name", ["resnet18", "vgg11"])
def test_a_listing_and_torchvisions_module_agree(name: str) -> None:
    listing, module = layers(name), layers(f"torchvision:{name}")
    assert listing.parameters == module.parameters
    assert listing.multiply_adds == module.multiply_adds


def test_another_input_scales_the_multiply_adds() -> None:
    """Twice the width and height: four times the work of the convolutions, the same for the 1000 x 512 of the FC."""
    usual, larger = (layers("timm:resnet18", input=Volume(side, side, 3)) for side in (224, 448))
    assert larger.rows[0].volume == Volume(448, 448, 3)
    assert larger.multiply_adds - 512_000 == 4 * (usual.multiply_adds - 512_000)
    assert larger.parameters == usual.parameters


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("timm:efficientnet_lite00", "timm has no network called 'efficientnet_lite00'\n  did you mean timm:"),
        (
            "torchvision:resnet188",
            "torchvision has no network called 'resnet188'\n  did you mean torchvision:resnet18?",
        ),
        ("torchvision:qqqqqq", "torchvision has no network called 'qqqqqq'\n  to see the names of its "),
        ("timm:", "timm has no network called ''\n  to see the names of its "),
        ("lenet", "lenet is no network that mirada knows\n  did you mean lenet5?"),
    ],
)
def test_unknown_networks(network: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        layers(network)
    assert str(caught.value).startswith(message)


def test_an_input_that_does_not_fit() -> None:
    with pytest.raises(ArchitectureError) as caught:
        layers("torchvision:resnet18", input=Volume(64, 64, 4))
    first, reason = str(caught.value).split("\n")
    assert first == "torchvision:resnet18 cannot be run on an input of 64x64x4"
    assert "to have 3 channels, but got 4 channels instead" in reason
    assert caught.value.source == "torchvision:resnet18"
