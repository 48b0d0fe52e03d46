"""The arithmetic of volumes against a window that really slides, and against torch's own pooling."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy_reference import window_starts

from mirada.arch import Pair, Volume, parse_volume
from mirada.arch.shapes import Misfit, effective_filter, fitting_values, output_size

sizes = st.integers(1, 40)
filters = st.integers(1, 12)
strides = st.integers(1, 7)
pads = st.integers(0, 8)


@pytest.mark.parametrize(
    ("W", "F", "S", "P", "rounding", "out"),
    [
        (227, 11, 4, 0, "exact", 55),  # AlexNet, CONV1
        (224, 7, 2, 3, "floor", 112),  # ResNet, CONV1
        (112, 3, 2, 0, "ceil", 56),  # GoogLeNet, MAX POOL1
        (112, 3, 2, 0, "floor", 55),
        (5, 5, 3, 0, "exact", 1),
        (4, 2, 3, 2, "ceil", 3),
        (3, 1, 2, 1, "ceil", 3),
        (2, 1, 3, 1, "ceil", 2),
        (2, 1, 2, 1, "ceil", 2),  # a third window would begin at 3, behind the input: left out, as in torch and Caffe
    ],
)
def test_output_size_by_hand(W: int, F: int, S: int, P: int, rounding: str, out: int):
    assert output_size(W, F, S, P, rounding) == out


@given(sizes, filters, strides, pads, st.sampled_from(["exact", "floor", "ceil"]))
@settings(max_examples=200)
def test_output_size_counts_the_windows_of_a_sliding_loop(W: int, F: int, S: int, P: int, rounding: str):
    size = output_size(W, F, S, P, rounding)
    starts = window_starts(W, F, S, P, rounding)
    if not isinstance(size, Misfit):
        assert size == len(starts)
        return
    assert starts == []
    assert (size.W, size.F, size.S, size.P) == (W, F, S, P)
    floored = window_starts(W, F, S, P, "floor")
    assert size.is_too_large == (floored == [])
    if floored:  # what is over behind the last window
        assert size.remainder == (W + P) - (floored[-1] + F) > 0


@given(sizes, filters, strides, st.data(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_output_size_is_that_of_torch(W: int, F: int, S: int, data: st.DataObject, is_ceil: bool):
    P = data.draw(st.integers(0, F // 2))
    size = output_size(W, F, S, P, "ceil" if is_ceil else "floor")
    if isinstance(size, Misfit):
        assert F > W + 2 * P
        return
    pooled = torch.nn.functional.max_pool1d(torch.zeros(1, 1, W), F, S, P, ceil_mode=is_ceil)
    assert pooled.shape[2] == size


def test_misfit_says_its_sum():
    misfit = output_size(224, 11, 4, 0)
    assert misfit == Misfit(224, 11, 4, 0, span=213, remainder=1)
    assert misfit.sum == "(W - F + 2P)/S + 1 = (224 - 11 + 2*0)/4 + 1 = 54.25"
    assert not misfit.is_too_large
    assert output_size(4, 7, 2, 1) == Misfit(4, 7, 2, 1, span=-1, remainder=1)


@pytest.mark.parametrize(
    ("W", "F", "S", "P", "values"),
    [
        (224, 11, 4, 0, {"input": [223, 227], "filter": [12, 8], "stride": [1, 3]}),
        (5, 3, 3, 0, {"input": [6, 3], "filter": [2, 5], "stride": [1, 2], "pad": [2]}),
        (4, 7, 1, 1, {"input": [5, 6], "filter": [6, 5], "pad": [2, 3]}),
        (3, 9, 1, 0, {"input": [9, 10], "filter": [3, 2], "pad": [3, 4]}),
        (8, 3, 2, 0, {"input": [7, 9], "filter": [2, 4], "stride": [1, 5]}),
    ],
)
def test_fitting_values_by_hand(W: int, F: int, S: int, P: int, values: dict[str, list[int]]):
    assert fitting_values(output_size(W, F, S, P)) == values


def test_fitting_filters_of_a_dilated_convolution_are_those_that_are_written():
    """3 taps 3 apart cover 7 of 12, at stride 2; 2 taps cover 4 and 4 taps 10, which both leave a whole sum."""
    misfit = output_size(12, 7, 2, 0)
    assert fitting_values(misfit, dilation=3)["filter"] == [2, 4]
    assert [effective_filter(taps, 3) for taps in (2, 4)] == [4, 10]


def test_fitting_paddings_of_a_pool_stay_within_half_its_filter():
    misfit = output_size(5, 3, 3, 0)
    assert fitting_values(misfit)["pad"] == [2]
    assert "pad" not in fitting_values(misfit, is_pool=True)


@given(sizes, filters, strides, pads, st.integers(1, 3), st.booleans())
@settings(max_examples=200)
def test_fitting_values_fit_and_are_the_nearest(W: int, taps: int, S: int, P: int, dilation: int, is_pool: bool):
    dilation = 1 if is_pool else dilation
    P = min(P, taps // 2) if is_pool else P
    misfit = output_size(W, effective_filter(taps, dilation), S, P)
    if not isinstance(misfit, Misfit):
        return

    def fits(W: int, taps: int, S: int, P: int) -> bool:
        covered = dilation * (taps - 1) + 1
        return bool(window_starts(W, covered, S, P, "exact")) and (not is_pool or taps >= 2 * P)

    span = misfit.span
    covered = misfit.F
    everything = {
        "input": (W, [w for w in range(1, W + 200) if fits(w, taps, S, P)]),
        "filter": (taps, [f for f in range(1, W + 2 * P + 1) if fits(W, f, S, P)]),
        "stride": (S, [s for s in range(1, max(span, 0) + 1) if fits(W, taps, s, P)]),
        "pad": (P, [p for p in range(covered) if fits(W, taps, S, p)]),
    }
    found = fitting_values(misfit, dilation, is_pool=is_pool)
    for name, (start, fitting) in everything.items():
        nearest = sorted(fitting, key=lambda value: (abs(value - start), value))[:2]
        assert found.get(name, []) == (sorted(nearest) if name in ("stride", "pad") else nearest), name


@pytest.mark.parametrize(("F", "dilation", "covered"), [(1, 5, 1), (3, 1, 3), (3, 2, 5), (2, 4, 5), (5, 3, 13)])
def test_effective_filter(F: int, dilation: int, covered: int):
    taps = [i * dilation for i in range(F)]
    assert effective_filter(F, dilation) == covered == taps[-1] - taps[0] + 1


def test_pair():
    assert str(Pair(3, 1)) == Pair(3, 1).short == "3x1"
    assert str(Pair(3, 3)) == "3x3"
    assert Pair(3, 3).short == "3"


def test_volume():
    assert Volume(55, 55, 96).size == 290_400
    assert (str(Volume(55, 54, 96)), str(Volume(1, 1, 10)), str(Volume(1, 2, 1))) == ("55x54x96", "10", "1x2x1")
    assert Volume(1, 1, 10).is_vector
    assert not Volume(1, 2, 10).is_vector
    assert Volume(2, 3, 4) == Volume(2, 3, 4) != Volume(3, 2, 4)


@pytest.mark.parametrize("sides", [(0, 1, 1), (1, -1, 1), (1, 1, 0)])
def test_volume_has_positive_sides(sides: tuple[int, int, int]):
    with pytest.raises(ValueError, match="a volume has positive sides, got {}x{}x{}".format(*sides)):
        Volume(*sides)


@pytest.mark.parametrize(
    ("text", "volume"),
    [
        ("227x227x3", Volume(227, 227, 3)),
        (" 5 x 4 X 3 ", Volume(5, 4, 3)),
        ("5×4*3", Volume(5, 4, 3)),
        ("4096", Volume(1, 1, 4096)),
        ("1x1x7", Volume(1, 1, 7)),
        ("", None),
        ("5x4", None),
        ("0x4x3", None),
        ("0", None),
        ("-1", None),
        ("5x4x3x2", None),
        ("5.5x4x3", None),
        ("1234567890", None),
    ],
)
def test_parse_volume(text: str, volume: Volume | None):
    assert parse_volume(text) == volume
