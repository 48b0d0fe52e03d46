"""What one value sees of the input, against going back by hand and against where gradients land."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mirada.arch import Architecture, Pair, Volume, parse
from mirada.arch.build import build
from mirada.arch.layers import (
    Conv,
    FullyConnected,
    GlobalPool,
    Layer,
    LocalResponseNorm,
    Pool,
)


def seen(layers: list[Layer], sizes: list[int], place: int) -> tuple[int, int]:
    """First and last column of the input that the value at `place` depends on, going back a layer at a time."""
    first = last = place
    for layer, W in zip(reversed(layers), reversed(sizes), strict=True):
        match layer:
            case Conv():
                first = first * layer.stride.w - layer.pad.w
                last = last * layer.stride.w - layer.pad.w + (layer.kernel.w - 1) * layer.dilation.w
            case Pool():
                first = first * layer.stride.w - layer.pad.w
                last = last * layer.stride.w - layer.pad.w + layer.kernel.w - 1
            case GlobalPool() | FullyConnected():
                first, last = 0, W - 1
    return first, last


def sliding_layers(draw: st.DrawFn, i: int) -> Layer:
    kernel, stride, pad = (
        Pair(n, 1) for n in (draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.integers(0, 2)))
    )
    pad = Pair(pad.w, 0)
    match draw(st.sampled_from(["conv", "max", "norm"])):
        case "conv":
            return Conv(f"CONV{i}", 1, kernel, stride, pad, dilation=Pair(draw(st.integers(1, 2)), 1), rounding="floor")
        case "max":
            return Pool(f"MAX POOL{i}", "max", kernel, stride, Pair(min(pad.w, kernel.w // 2), 0), "floor")
    return LocalResponseNorm(f"NORM{i}")


@given(st.data())
@settings(max_examples=150)
def test_receptive_field_and_stride_of_a_chain(data: st.DataObject):
    layers = [data.draw(st.composite(sliding_layers)(i)) for i in range(data.draw(st.integers(1, 5)))]
    layers += [GlobalPool("GLOBAL AVG POOL1")] * data.draw(st.booleans())
    architecture = Architecture(Volume(400, 1, 1), tuple(layers))
    sizes = [row.given.width for row in architecture.rows[1:]]
    for n, row in enumerate(architecture.rows[1:], 1):
        (first, last), (after, _) = seen(layers[:n], sizes[:n], 0), seen(layers[:n], sizes[:n], 1)
        seen_all = isinstance(row.layer, GlobalPool)
        assert row.receptive == Pair(400 if seen_all else last - first + 1, 1)
        if not isinstance(row.layer, GlobalPool):
            assert row.stride == Pair(after - first, 1)


MARKED = {
    "two 3x3 see 5x5, three see 7x7": ("[15x15x1] INPUT\nREPEAT: 3 times\n  CONV 1 3x3", Pair(7, 7), ONE := Pair(1, 1)),
    "stride multiplies": (
        "[31x31x1] INPUT\nCONV 1 3x3 stride 2\nAVG POOL 3x3 stride 2\nCONV 1 3x3",
        Pair(15, 15),
        Pair(4, 4),
    ),
    "not square": (
        "[21x17x1] INPUT\nCONV 1 5x1\nAVG POOL: 2x3 at stride 2x1, rounding floor\nCONV 1 1x3",
        Pair(6, 5),
        Pair(2, 1),
    ),
    "dilated": ("[15x15x1] INPUT\nCONV 1 3x3 dilation 2", Pair(5, 5), ONE),
    "residual": ("[15x15x1] INPUT\nRESIDUAL\n  CONV 1 3x3 pad 1\n  CONV 1 3x3 pad 1", Pair(5, 5), ONE),
    "inception": (
        "[15x15x1] INPUT\nPARALLEL\n  BRANCH: CONV 1 1x1\n  BRANCH: CONV 1 1x1 -> CONV 1 5x5 pad 2\nCONV 1 3x3",
        Pair(7, 7),
        ONE,
    ),
    "fully connected sees everything": ("[9x7x1] INPUT\nCONV 1 3x3\nFC 2", Pair(9, 7), ONE),
    "global pool": ("[9x7x1] INPUT\nCONV 1 3x3\nGAP", Pair(9, 7), ONE),
    "squeeze excite": ("[9x7x1] INPUT\nCONV 1 3x3\nSE: reduction 1", Pair(9, 7), ONE),
    "what follows one that sees all": ("[9x7x1] INPUT\nCONV 1 3x3\nSE: reduction 1\nCONV 1 3x3", Pair(9, 7), ONE),
    "ways that are not centred alike": (
        "rounding: floor\n[8x1x1] INPUT\nPARALLEL\n  BRANCH: CONV 1 3x1 stride 2x1 pad 1x0\n"
        "  BRANCH: CONV 1 3x1 stride 2x1 rounding ceil",
        Pair(4, 1),
        Pair(2, 1),
    ),
}


@pytest.mark.parametrize("case", MARKED)
def test_receptive_field_is_where_the_gradient_of_one_value_lands(case: str):
    listing, receptive, stride = MARKED[case]
    architecture = parse(f"activation: none\n{listing}")
    row = architecture.rows[-1] if len(architecture.rows) == 2 else [r for r in architecture.rows if r.depth == 0][-1]
    assert (row.receptive, row.stride) == (receptive, stride)
    network = build(architecture).double()
    for parameter in network.parameters():
        torch.nn.init.ones_(parameter)
    volume, out = architecture.input, architecture.output
    x = torch.rand(1, volume.depth, volume.height, volume.width, dtype=torch.float64, requires_grad=True)
    y = network(x).reshape(out.depth, out.height, out.width)
    y[:, out.height // 2, out.width // 2].sum().backward()
    rows, columns = x.grad[0, 0].nonzero(as_tuple=True)
    assert Pair(int(columns.max() - columns.min()) + 1, int(rows.max() - rows.min()) + 1) == receptive
