"""The table of a torch module against sums done by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mirada.arch import Volume
from mirada.arch.table import TableRow
from mirada.backbone.trace import module_table
from mirada.errors import ArchitectureError

PICTURE = Volume(10, 8, 3)


class Twice(nn.Module):
    """One convolution, run twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.conv(x))


class TwoNames(nn.Module):
    """One convolution under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 3, 1, bias=False)
        self.two = self.one

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.one(x))


class Tied(nn.Module):
    """Two fully connected layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(240, 240)
        self.second = nn.Linear(240, 240)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x.flatten(1)))


class Tokens(nn.Module):
    """A parameter of the network itself, one of a module that is never called, and rows of tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.zeros(1, 80, 3))
        self.unused = nn.Linear(3, 5)
        self.block = nn.Sequential(nn.Linear(3, 7), nn.Identity(), nn.GELU())

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x.flatten(2).transpose(1, 2) + self.position)  # (1, 80, 7)


class InADictionary(nn.Module):
    """A module whose output is a dictionary with a list."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Listed()

    def forward(self, x: Tensor) -> dict[str, Any]:
        return {"maps": [self.body(x)[0]], "count": 1}


class Listed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 2)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.conv(x)]


class Scalar(nn.Module):
    """A module whose output has no volume."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, 8, 10))

    def forward(self, x: Tensor) -> Tensor:
        return (self.weight * x).sum()


@pytest.mark.parametrize(
    ("module", "parameters", "multiply_adds"),
    [
        # F F D1 K + K; every value of the volume out takes F F D1
        (nn.Conv2d(3, 4, 3), 3 * 3 * 3 * 4 + 4, (8 * 6 * 4) * 27),
        (nn.Sequential(nn.Conv2d(3, 4, (3, 5), bias=False)), 3 * 5 * 3 * 4, (6 * 6 * 4) * 45),
        (nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, groups=3)), 3 * 3 * 1 * 6 + 6, (4 * 3 * 6) * 9),
        (nn.Sequential(nn.Conv2d(3, 2, 3, dilation=2)), 3 * 3 * 3 * 2 + 2, (6 * 4 * 2) * 27),
        (nn.Sequential(nn.Flatten(), nn.Linear(240, 10)), 2_410, 2_400),
        (nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)), 6, 0),
        (nn.Sequential(nn.Flatten(2), nn.Conv1d(3, 5, 4)), 3 * 4 * 5 + 5, (77 * 5) * 12),
        (Twice(), 3 * 3 * 3 * 3 + 3, 2 * (10 * 8 * 3) * 27),
        (TwoNames(), 9, 2 * (10 * 8 * 3) * 3),
        (Tied(), 240 * 240 + 240 + 240, 2 * 240 * 240),
        (Tokens(), 80 * 3 + 3 * 5 + 5 + 3 * 7 + 7, 80 * 3 * 7),
        (InADictionary(), 2 * 2 * 3 * 2 + 2, (9 * 7 * 2) * 12),
        (Scalar(), 240, 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else str(value),
)
def test_sums_by_hand(module: nn.Module, parameters: int, multiply_adds: int) -> None:
    table = module_table(module, PICTURE, "by hand")
    assert table.parameters == parameters == sum(p.numel() for p in module.parameters())
    assert table.multiply_adds == multiply_adds
    assert table.rows[0] == TableRow("INPUT", "INPUT", "INPUT", 0, "", PICTURE, PICTURE, 0, 0)


def _places(module: nn.Module) -> list[tuple[str, Volume, Volume, int, bool]]:
    rows = module_table(module, PICTURE, "places").rows[1:]
    return [(row.path, row.given, row.volume, row.depth, row.is_block) for row in rows]


def test_rows_of_nested_modules() -> None:
    module = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Identity(), nn.ReLU()), nn.Flatten(), nn.Linear(192, 2))
    assert _places(module) == [
        ("0", PICTURE, Volume(8, 6, 4), 0, True),
        ("0.0", PICTURE, Volume(8, 6, 4), 1, False),
        ("0.2", Volume(8, 6, 4), Volume(8, 6, 4), 1, False),
        ("1", Volume(8, 6, 4), Volume(1, 1, 192), 0, False),
        ("2", Volume(1, 1, 192), Volume(1, 1, 2), 0, False),
    ]
    words = [row.words for row in module_table(module, PICTURE, "words").rows[1:]]
    assert words[0] == "Sequential"
    assert words[1] == "Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))"
    assert words[2] == "ReLU()"
    long = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, dilation=2, groups=1, bias=False, padding_mode="circular"))
    assert module_table(long, PICTURE, "words").rows[1].words == "Conv2d"


def test_parameters_of_modules_that_are_not_called() -> None:
    assert _places(Tokens()) == [
        ("(network)", PICTURE, Volume(1, 80, 7), 0, False),
        ("unused", PICTURE, Volume(1, 80, 7), 0, False),
        ("block", Volume(1, 80, 3), Volume(1, 80, 7), 0, True),
        ("block.0", Volume(1, 80, 3), Volume(1, 80, 7), 1, False),
        ("block.2", Volume(1, 80, 7), Volume(1, 80, 7), 1, False),
    ]


def test_no_hook_is_left_behind() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3))
    module_table(module, PICTURE, "hooks")
    with pytest.raises(ArchitectureError):
        module_table(module, Volume(10, 8, 1), "hooks")
    assert [len(child._forward_hooks) for child in module.modules()] == [0, 0]


class Mute(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise ValueError


@pytest.mark.parametrize(
    ("module", "input", "message"),
    [
        (
            nn.Sequential(nn.Flatten(), nn.Linear(5, 2)),
            PICTURE,
            "odd cannot be run on an input of 10x8x3\n  mat1 and mat2 shapes cannot be multiplied (1x240 and 5x2)",
        ),
        (Mute(), PICTURE, "odd cannot be run on an input of 10x8x3\n  ValueError"),
    ],
)
def test_an_input_that_does_not_fit(module: nn.Module, input: Volume, message: str) -> None:
    with pytest.raises(ArchitectureError) as caught:
        module_table(module, input, "odd")
    assert str(caught.value) == message
