"""Lines together: names, blocks, settings, and the activations that nobody wrote."""

from __future__ import annotations

import pytest

from mirada.arch import Architecture, Pair, Volume, format_listing, parse
from mirada.arch.blocks import Branch, Parallel, Repeat, Residual
from mirada.arch.layers import (
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    FullyConnected,
    Layer,
    Pool,
    SqueezeExcite,
)

ONE, TWO, THREE = Pair(1, 1), Pair(2, 2), Pair(3, 3)


def one(name: str = "CONV1", activation: str = "relu", **more: object) -> Conv:
    return Conv(name, 4, ONE, activation=activation, **more)


LISTINGS: dict[str, tuple[str, tuple[Layer, ...]]] = {
    "names go on counting": (
        "CONV 4 1x1\nRELU\nCONV 4 1x1\nCONV7: 4 1x1\nCONV 4 1x1",
        (one(activation="none"), Activation("RELU1"), one("CONV2"), one("CONV7"), one("CONV4")),
    ),
    "a name that is taken is passed over": ("CONV2: 4 1x1\nCONV 4 1x1", (one("CONV2"), one("CONV3"))),
    "arrows": ("CONV 4 1x1 -> CONV 4 1x1 → DROPOUT", (one(), one("CONV2"), Dropout("DROPOUT1"))),
    "residual": ("RESIDUAL\n  CONV 4 1x1\n  CONV 4 1x1", (Residual("RESIDUAL1", (one(), one("CONV2", "none"))),)),
    "residual whose last layer is no convolution": (
        "RESIDUAL3: sum, linear\n CONV 4 1x1\n SE: reduction 2",
        (Residual("RESIDUAL3", (one(activation="none"), SqueezeExcite("SQUEEZE EXCITE1", 2)), activation="none"),),
    ),
    "residual with batch norm lines": (
        "RESIDUAL: block\n CONV 4 1x1\n BN\n CONV 4 1x1\n BN",
        (
            Residual(
                "RESIDUAL1",
                (
                    one(activation="none"),
                    BatchNorm("BATCH NORM1", "relu"),
                    one("CONV2", "none"),
                    BatchNorm("BATCH NORM2"),
                ),
            ),
        ),
    ),
    "shortcut on one line": (
        "RESIDUAL\n CONV 4 1x1\n SHORTCUT: CONV 4 1x1 -> CONV 4 1x1",
        (Residual("RESIDUAL1", (one(activation="none"),), Branch("SHORTCUT", (one(), one("CONV2", "none")))),),
    ),
    "shortcut below it": (
        "RESIDUAL\n CONV 4 1x1\n SHORTCUT:\n  CONV 4 1x1\n  BN",
        (
            Residual(
                "RESIDUAL1",
                (one(activation="none"),),
                Branch("SHORTCUT", (one(activation="none"), BatchNorm("BATCH NORM1"))),
            ),
        ),
    ),
    "shortcut that hands on": (
        "RESIDUAL: tanh\n CONV 4 1x1\n SHORTCUT: Identity",
        (Residual("RESIDUAL1", (one(activation="none"),), activation="tanh"),),
    ),
    "parallel": (
        "PARALLEL3a: branches joined along the depth\n BRANCH: CONV 4 1x1 -> DROPOUT\n BRANCH: identity\n"
        " BRANCHx1: CONV 4 1x1".replace("BRANCHx1", "BRANCH_x"),
        (
            Parallel(
                "PARALLEL3a",
                (Branch("BRANCH1", (one(), Dropout("DROPOUT1"))), Branch("BRANCH2"), Branch("BRANCH_x", (one(),))),
            ),
        ),
    ),
    "branch below it, with a block": (
        "PARALLEL\n  BRANCH\n    [8x8x4] REPEAT: 2x\n      CONV 4 1x1",
        (Parallel("PARALLEL1", (Branch("BRANCH1", (Repeat("REPEAT1", 2, (one(),)),)),)),),
    ),
    "repeat": ("REPEAT2: 3 times\n\tCONV 4 1x1\n\tDROPOUT", (Repeat("REPEAT2", 3, (one(), Dropout("DROPOUT1"))),)),
    "repeat once": ("REPEAT: 1 time\n CONV 4 1x1\nRELU", (Repeat("REPEAT1", 1, (one(),)), Activation("RELU1"))),
    "the last FC gives scores": (
        "FC 4\nDROPOUT\nFC 4\nFC 4",
        (
            FullyConnected("FC1", 4),
            Dropout("DROPOUT1"),
            FullyConnected("FC2", 4),
            FullyConnected("FC3", 4, activation="none"),
        ),
    ),
    "the last FC is the last of the listing, not of its block": (
        "PARALLEL\n BRANCH: FC 4\n BRANCH: FC 4\nFC 4",
        (
            Parallel(
                "PARALLEL1",
                (Branch("BRANCH1", (FullyConnected("FC1", 4),)), Branch("BRANCH2", (FullyConnected("FC1", 4),))),
            ),
            FullyConnected("FC1", 4, activation="none"),
        ),
    ),
    "batch norm takes over the activation": (
        "CONV 4 1x1\nBN\nFC 4\nBN\nFC 4\nBN",
        (
            one(activation="none"),
            BatchNorm("BATCH NORM1", "relu"),
            FullyConnected("FC1", 4, activation="none"),
            BatchNorm("BATCH NORM2", "relu"),
            FullyConnected("FC2", 4, activation="none"),
            BatchNorm("BATCH NORM3"),
        ),
    ),
    "batch norm behind an activation has none": (
        "CONV 4 1x1, tanh\nBN\nMAX POOL 1x1\nBN",
        (
            one(activation="tanh"),
            BatchNorm("BATCH NORM1"),
            Pool("MAX POOL1", "max", ONE, ONE),
            BatchNorm("BATCH NORM2"),
        ),
    ),
    "a line that is an activation takes the default's place": (
        "CONV 4 1x1\nBN\nTANH\nFC 4\nSIGMOID\nFC 4",
        (
            one(activation="none"),
            BatchNorm("BATCH NORM1"),
            Activation("TANH1", "tanh"),
            FullyConnected("FC1", 4, activation="none"),
            Activation("SIGMOID1", "sigmoid"),
            FullyConnected("FC2", 4, activation="none"),
        ),
    ),
}


@pytest.mark.parametrize("case", LISTINGS)
def test_lines_give_their_layers(case: str):
    lines, layers = LISTINGS[case]
    architecture = parse(f"[8x8x4] INPUT\n{lines}")
    assert architecture.layers == layers
    assert parse(format_listing(architecture)) == architecture


def test_settings_above_the_input():
    architecture = parse(
        "Name: A: b\nsource: Who, 2012\nactivation: Tanh\nrounding: ceil\nbatch_norm: yes\n\n"
        "[8x8x4] INPUT\nCONV: 4 3x3 at stride 2\nCONV: 4 1x1, no batch norm, rounding exact, relu\nPOOL: 2x2\n"
        "RESIDUAL\n  CONV: 4 1x1, bias\nFC: 3\nFC: 2"
    )
    assert architecture == Architecture(
        Volume(8, 8, 4),
        (
            Conv("CONV1", 4, THREE, TWO, bias=False, batch_norm=True, activation="tanh", rounding="ceil"),
            Conv("CONV2", 4, ONE),
            Pool("MAX POOL1", "max", TWO, TWO, rounding="ceil"),
            Residual("RESIDUAL1", (one(activation="none", batch_norm=True, rounding="ceil"),), activation="tanh"),
            FullyConnected("FC1", 3, activation="tanh"),
            FullyConnected("FC2", 2, activation="none"),
        ),
        name="A: b",
        source="Who, 2012",
        activation="tanh",
        rounding="ceil",
        batch_norm=True,
    )
    assert format_listing(architecture) == (
        "name: A: b\nsource: Who, 2012\nactivation: tanh\nrounding: ceil\nbatch norm: yes\n"
        "[8x8x4] INPUT\n"
        "[4x4x4] CONV1: 4 3x3 filters at stride 2, pad 0\n"
        "[4x4x4] CONV2: 4 1x1 filters at stride 1, pad 0, no batch norm, relu, rounding exact\n"
        "[2x2x4] MAX POOL1: 2x2 filters at stride 2\n"
        "[2x2x4] RESIDUAL1\n"
        "    [2x2x4] CONV1: 4 1x1 filters at stride 1, pad 0, bias\n"
        "[3] FC1: 3 neurons\n"
        "[2] FC2: 2 neurons (class scores)"
    )
