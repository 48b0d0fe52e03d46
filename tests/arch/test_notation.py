"""Legal sentences and the values they give."""

from __future__ import annotations

import pytest

from mirada.arch import Architecture, Pair, Volume, format_listing, parse
from mirada.arch.layers import (
    ACTIVATIONS,
    Activation,
    BatchNorm,
    Conv,
    Dropout,
    FullyConnected,
    GlobalPool,
    Layer,
    LocalResponseNorm,
    Pool,
    SqueezeExcite,
)

ONE, TWO, THREE = Pair(1, 1), Pair(2, 2), Pair(3, 3)
C33 = Conv("CONV1", 4, THREE)
FLOOR = {"rounding": "floor"}

CONVOLUTIONS = {
    "CONV1: 4 3x3 filters at stride 1, pad 0": C33,
    "CONV 4 3x3": C33,
    "conv: 4 3X3": C33,
    "Convolution 3x3, 4": C33,
    "CONV: 4 filters of 3x3": C33,
    "CONV: a layer with 4 3x3 kernels; stride 1 and pad 0": C33,
    "CONV: 4 3×3": C33,
    "CONV: 4 3*3 (class scores, or whatever a lecture says)": C33,
    "CONV7: 4 3x3": Conv("CONV7", 4, THREE),
    "CONV 7: 4 3x3": Conv("CONV7", 4, THREE),
    "conv3_2: 4 3x3": Conv("CONV3_2", 4, THREE),
    "CONV_in 4 3x3": Conv("CONV_in", 4, THREE),
    "CONV-a: 4 3x3": Conv("CONV-a", 4, THREE),
    "CONV: 4 3x1": Conv("CONV1", 4, Pair(3, 1)),
    "CONV: 4 2x2 stride 2": Conv("CONV1", 4, TWO, TWO),
    "CONV: 4 2x2 with strides 2x3, rounding floor": Conv("CONV1", 4, TWO, Pair(2, 3), **FLOOR),
    "CONV: 4 2x2 stride of 3, rounding: ceil": Conv("CONV1", 4, TWO, THREE, rounding="ceil"),
    "CONV: 4 2x2, stride: 3, rounding : ceil": Conv("CONV1", 4, TWO, THREE, rounding="ceil"),
    "CONV: 4 3x3 padding 2": Conv("CONV1", 4, THREE, pad=TWO),
    "CONV: 4 3x3 pad 1x0": Conv("CONV1", 4, THREE, pad=Pair(1, 0)),
    "CONV: 4 3x5 pad same": Conv("CONV1", 4, Pair(3, 5), pad=Pair(1, 2)),
    "CONV: 4 3x3 dilation 2 pad same": Conv("CONV1", 4, THREE, pad=TWO, dilation=TWO),
    "CONV: 4 3x3 pad 1, no pad": C33,
    "CONV: 4 3x3 groups 2": Conv("CONV1", 4, THREE, groups=2),
    "CONV: 4 3x3 group 4": Conv("CONV1", 4, THREE, groups=4),
    "CONV: 4 2x2 dilation 2x3": Conv("CONV1", 4, TWO, dilation=Pair(2, 3)),
    "CONV: 4 3x3 no bias": Conv("CONV1", 4, THREE, bias=False),
    "CONV: 4 3x3 bias": C33,
    "CONV: 4 3x3 batch norm": Conv("CONV1", 4, THREE, bias=False, batch_norm=True),
    "CONV: 4 3x3 batchnorm, bias": Conv("CONV1", 4, THREE, batch_norm=True),
    "CONV: 4 3x3 batch normalization": Conv("CONV1", 4, THREE, bias=False, batch_norm=True),
    "CONV: 4 3x3 no batch norm": C33,
    "CONV: 4 3x3 no activation": Conv("CONV1", 4, THREE, activation="none"),
    "CONV: 4 3x3 linear": Conv("CONV1", 4, THREE, activation="none"),
    "CONV: 4 3x3 none": Conv("CONV1", 4, THREE, activation="none"),
    "[6x6x4] CONV: 4 3x3": C33,
    "[ 6 x 6 x 4 ]CONV: 4 3x3": C33,
}

OTHERS: dict[str, Layer] = {
    "MAX POOL1: 2x2 filters at stride 2": Pool("MAX POOL1", "max", TWO, TWO),
    "POOL 2x2": Pool("MAX POOL1", "max", TWO, TWO),
    "maxpool: 2x2 window": Pool("MAX POOL1", "max", TWO, TWO),
    "max_pool3 2x2": Pool("MAX POOL3", "max", TWO, TWO),
    "MAX POOL: 3x3 at stride 2, pad 1, rounding floor": Pool("MAX POOL1", "max", THREE, TWO, ONE, "floor"),
    "MAX POOL: 2x4 stride 1x4": Pool("MAX POOL1", "max", Pair(2, 4), Pair(1, 4)),
    "AVG POOL: 3x3 kernel stride 2 padding 1 rounding ceil": Pool("AVG POOL1", "avg", THREE, TWO, ONE, "ceil"),
    "Average Pool: 2x2": Pool("AVG POOL1", "avg", TWO, TWO),
    "AVGPOOL 2x2": Pool("AVG POOL1", "avg", TWO, TWO),
    "GLOBAL AVG POOL": GlobalPool("GLOBAL AVG POOL1"),
    "global average pool: global average pooling": GlobalPool("GLOBAL AVG POOL1"),
    "GAP5": GlobalPool("GLOBAL AVG POOL5"),
    "NORM1: Normalization layer": LocalResponseNorm("NORM1"),
    "NORM": LocalResponseNorm("NORM1", 5, 2.0, 1e-4, 0.75),
    "LRN: n 3, k 1, alpha 2e-5, beta 0.5": LocalResponseNorm("NORM1", 3, 1.0, 2e-5, 0.5),
    "NORM: local response normalisation with n 4": LocalResponseNorm("NORM1", 4),
    "BATCH NORM": BatchNorm("BATCH NORM1"),
    "BN2: relu": BatchNorm("BATCH NORM2", "relu"),
    "batchnorm: normalization": BatchNorm("BATCH NORM1"),
    "FC: 9 neurons": FullyConnected("FC1", 9, activation="none"),
    "Fully Connected 6: 9 units, no bias, tanh": FullyConnected("FC6", 9, bias=False, activation="tanh"),
    "FC 9": FullyConnected("FC1", 9, activation="none"),
    "fc 8: 9 classes": FullyConnected("FC8", 9, activation="none"),
    "FC: 9 outputs, bias, relu": FullyConnected("FC1", 9, activation="relu"),
    "FC: 9 linear": FullyConnected("FC1", 9, activation="none"),
    "FC: 9 neurons, no activation": FullyConnected("FC1", 9, activation="none"),
    "DROPOUT": Dropout("DROPOUT1", 0.5),
    "DROPOUT6: 0.4": Dropout("DROPOUT6", 0.4),
    "DROPOUT: with rate 0": Dropout("DROPOUT1", 0.0),
    "DROPOUT: p 25%": Dropout("DROPOUT1", 0.25),
    "RELU": Activation("RELU1", "relu"),
    "TANH": Activation("TANH1", "tanh"),
    "SIGMOID_x": Activation("SIGMOID_x", "sigmoid"),
    "RELU: leaky-relu": Activation("RELU1", "leaky-relu"),
    "ACTIVATION": Activation("ACTIVATION1", "relu"),
    "ACTIVATION: no activation": Activation("ACTIVATION1", "none"),
    "SQUEEZE EXCITE: reduction 4": SqueezeExcite("SQUEEZE EXCITE1", 4),
    "SE: reduction ratio 2": SqueezeExcite("SQUEEZE EXCITE1", 2),
}


@pytest.mark.parametrize("line", [*CONVOLUTIONS, *OTHERS])
def test_a_line_gives_its_layer(line: str):
    expected = {**CONVOLUTIONS, **OTHERS}[line]
    architecture = parse(f"[8x8x4] INPUT\n{line}")
    assert architecture.layers == (expected,)
    assert parse(format_listing(architecture)) == architecture


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_can_be_said(activation: str):
    architecture = parse(
        f"[3x3x1] INPUT\nCONV: 1 1x1, {activation}\nACTIVATION: {activation.upper()}\nFC: 2, {activation}"
    )
    assert architecture.layers == (
        Conv("CONV1", 1, ONE, activation=activation),
        Activation("ACTIVATION1", activation),
        FullyConnected("FC1", 2, activation=activation),
    )


def test_squeeze_excite_reduces_by_16_unless_told():
    assert parse("[2x2x32] INPUT\nSE").layers == (SqueezeExcite("SQUEEZE EXCITE1", 16),)


WAYS_TO_SAY = {
    "plain": "[8x8x1] INPUT\nCONV1: 2 3x3 filters at stride 1, pad 0\nFC1: 3 neurons",
    "behind the word": "INPUT: 8x8x1\nCONV 2 3x3\nFC 3",
    "without colon": "input 8x8x1\nconv 2 3x3\nfc 3",
    "both": "[8x8x1] INPUT 8x8x1\nCONV 2 3x3\nFC 3",
    "on one line": "[8x8x1] INPUT -> CONV 2 3x3 -> FC 3",
    "claims": "[8x8x1] INPUT\n[6x6x2] CONV 2 3x3\n[1x1x3] FC 3",
    "a claim of the last of a line": "[8x8x1] INPUT\n[3] CONV 2 3x3 -> FC 3",
    "comments and empty lines": "# a net\n\n[8x8x1] INPUT # here\n   # aside\nCONV 2 3x3#there\n\n\nFC 3 # [4]\n",
    "pasted with indentation": "\n        [8x8x1] INPUT\n        CONV 2 3x3\n        FC 3\n    ",
    "pasted with tabs": "\t[8x8x1] INPUT\n\tCONV 2 3x3\n\tFC 3",
    "pasted with its fence": "```text\n[8x8x1] INPUT\nCONV 2 3x3\nFC 3\n```",
    "with a byte order mark": "\ufeff[8x8x1] INPUT\nCONV 2 3x3\nFC 3",
    "with the line ends of Windows": "[8x8x1] INPUT\r\nCONV 2 3x3\r\nFC 3\r\n",
}


@pytest.mark.parametrize("way", WAYS_TO_SAY)
def test_many_ways_to_say_the_same(way: str):
    expected = Architecture(Volume(8, 8, 1), (Conv("CONV1", 2, THREE), FullyConnected("FC1", 3, activation="none")))
    assert parse(WAYS_TO_SAY[way]) == expected


def test_layers_know_their_line_and_claim():
    architecture = parse("# first\n[8x8x1] INPUT\n\n[6x6x2] CONV 2 3x3 -> RELU\nFC 3")
    assert [(layer.name, layer.line, layer.claim) for layer in architecture.layers] == [
        ("CONV1", 4, None),
        ("RELU1", 4, Volume(6, 6, 2)),
        ("FC1", 5, None),
    ]
