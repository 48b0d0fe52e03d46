"""The built-in network against timm's, which it must be equal to."""

from __future__ import annotations

import subprocess
import sys

import pytest
import timm
import torch
from torch import nn

from mirada.backbone.lite0 import EfficientNetLite0


@pytest.fixture(scope="module")
def networks() -> tuple[nn.Module, nn.Module]:
    """timm's with random weights and statistics, and mirada's with the same."""
    torch.manual_seed(0)
    theirs = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0).eval()
    for layer in theirs.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.running_mean, layer.running_var, layer.weight.data, layer.bias.data):
                tensor.uniform_(0.5, 1.5)
    ours = EfficientNetLite0().eval()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def test_tensors_have_the_names_and_the_order_of_timm(networks: tuple[nn.Module, nn.Module]) -> None:
    theirs, ours = networks
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert {layer.eps for layer in ours.modules() if isinstance(layer, nn.BatchNorm2d)} == {1e-3}


@pytest.mark.parametrize("size", [(224, 224), (97, 97), (64, 81), (33, 50)])
def test_it_computes_what_timm_computes(networks: tuple[nn.Module, nn.Module], size: tuple[int, int]) -> None:
    """Odd sizes too, where TensorFlow's padding is not the same on both sides."""
    theirs, ours = networks
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-6)


def test_its_stages_need_no_timm() -> None:
    """What is imported with timm takes seconds."""
    program = (
        "import sys\n"
        "from mirada.backbone.body import Body\n"
        "from mirada.backbone.catalog import find\n"
        "print(len(Body(find('efficientnet-lite0')).stages), 'timm' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["5", "False"]
