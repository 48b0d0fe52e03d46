"""The tail of a network, made fast, against the plain stages and a linear layer, in float64.

Weights and the statistics of batch norms are random, so that nothing is zero or one by chance.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import pytest
import timm
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from mirada.backbone.stages import Stage, cut
from mirada.learn.tail import Tail, _DepthwiseConvolution, _through

NETWORKS = {
    "tf_efficientnet_lite0": "depthwise with stride 2 and TensorFlow's padding, ReLU6",
    "resnet18": "plain 3 x 3, ReLU after the sum, 1 x 1 with stride 2",
    "resnet14t": "a 1 x 1 whose output is added to",
    "mobilenetv3_small_050": "squeeze-and-excitation, hard swish, 5 x 5",
    "densenet121": "norms before convolutions",
    "regnety_002": "grouped, squeeze-and-excitation",
    "mixnet_s": "depthwise of many kernel sizes in one layer",
    "convnext_atto": "layer norm, 7 x 7 depthwise, a scale of its own",
}
CLASSES = 5
TARGETS = torch.tensor([3, 0, 3])


pytestmark = pytest.mark.usefixtures("one_thread")


class Case:
    """The last stages of a network in float64, the input that they are given, and a head."""

    def __init__(self, module: nn.Module, taken: int, size: int) -> None:
        torch.manual_seed(1)
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm2d):
                if norm.affine:
                    nn.init.uniform_(norm.weight, 0.5, 1.5)
                    nn.init.normal_(norm.bias, std=0.5)
                nn.init.normal_(norm.running_mean, std=0.5)
                nn.init.uniform_(norm.running_var, 0.5, 1.5)
        self.module = module.eval()
        pieces = cut(module, (3, size, size))
        module.double()
        self.stages: tuple[Stage, ...] = pieces[-taken:]
        with torch.no_grad():
            x = torch.randn(len(TARGETS), 3, size, size, dtype=torch.float64)
            for stage in pieces[:-taken]:
                x = stage.module(x)
        self.input = x
        self.weight = np.random.default_rng(2).normal(0, 0.1, (CLASSES, pieces[-1].output_shape[0])).astype(np.float32)
        self.bias = np.random.default_rng(3).normal(0, 1, CLASSES).astype(np.float32)

    def tail(self) -> Tail:
        return Tail(self.stages, self.weight, self.bias, torch.float64).double()

    def plain(self, x: Tensor) -> Tensor:
        """Class scores of the stages as they are, whatever their parameters are now."""
        for stage in self.stages:
            x = stage.module(x)
        return functional.linear(x, torch.from_numpy(self.weight).double(), torch.from_numpy(self.bias).double())

    @contextmanager
    def holding(self, state: dict[str, NDArray[np.generic]]) -> Iterator[None]:
        """The whole network, and so its stages, with other tensors for a while."""
        own = {name: tensor.clone() for name, tensor in self.module.state_dict().items()}
        try:
            self.module.load_state_dict(own | {name: torch.from_numpy(array) for name, array in state.items()})
            yield
        finally:
            self.module.load_state_dict(own)


@cache
def _case(name: str) -> Case:
    torch.manual_seed(0)
    return Case(timm.create_model(name, pretrained=False, num_classes=0), taken=2, size=64)


def _gradient(scores: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Class scores, and the gradient of a loss for the input."""
    x = x.clone().requires_grad_()
    y = scores(x)
    (gradient,) = torch.autograd.grad(functional.cross_entropy(y, TARGETS), x)
    return y.detach(), gradient


def _assert_near(found: Tensor | NDArray[np.generic], wanted: Tensor | NDArray[np.generic], what: str = "") -> None:
    """Within 1e-9 of the largest value."""
    a, b = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    assert a.shape == b.shape, what
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-9 * max(float(np.abs(b).max()), 1e-6), err_msg=what)


@pytest.mark.parametrize("name", NETWORKS)
def test_scores_and_input_gradient_are_those_of_the_plain_stages(name: str) -> None:
    case = _case(name)
    scores, gradient = _gradient(case.tail(), case.input)
    right, right_gradient = _gradient(case.plain, case.input)
    assert float(right.std()) > 0.01
    assert float(right_gradient.abs().max()) > 0
    _assert_near(scores, right)
    _assert_near(gradient, right_gradient)


def _depthwise(module: nn.Module) -> set[str]:
    """The names of the filters of depthwise convolutions larger than 1 x 1."""
    return {
        f"{name}.weight"
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d)
        and layer.groups == layer.in_channels == layer.out_channels > 1
        and layer.kernel_size != (1, 1)
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_down_the_gradient_is_that_of_the_whole_network(name: str) -> None:
    """Written back, a folded norm is the addition of a bias. In the network with these tensors torch's own gradients
    are taken; a step of size 1 changes each trained tensor by minus its gradient.
    """
    case = _case(name)
    tail = case.tail()
    before = tail.state()
    own = {n: p for stage in case.stages for n, p in stage.module.named_parameters()}
    with case.holding(before):
        found = torch.autograd.grad(functional.cross_entropy(case.plain(case.input), TARGETS), list(own.values()))
    gradients = dict(zip(own, found, strict=True))

    optimizer = torch.optim.SGD(tail.parameters(), lr=1.0)
    functional.cross_entropy(tail(case.input), TARGETS).backward()
    optimizer.step()
    after = tail.state()

    assert after.keys() == before.keys()
    frozen = _depthwise(case.module)
    norms = {n for n, layer in case.module.named_modules() if isinstance(layer, nn.BatchNorm2d)}
    trained = 0
    for tensor, array in before.items():
        change = after[tensor] - array
        gradient = gradients.get(tensor)
        is_folded = tensor.removesuffix(".weight") in norms and (array == 1).all()
        if tensor in frozen or is_folded or gradient is None:
            assert not change.any(), tensor
        else:
            assert change.any(), tensor
            _assert_near(-change, gradient, tensor)
            trained += 1
    assert trained > 10


@pytest.mark.parametrize("name", NETWORKS)
def test_written_back_into_the_network_it_gives_the_same(name: str) -> None:
    case = _case(name)
    tail = case.tail()
    held = {tensor for stage in case.stages for tensor in stage.module.state_dict()}
    held -= {tensor for tensor in held if tensor.endswith("num_batches_tracked")}
    first = tail.state()
    assert held == {tensor for tensor in first if not tensor.endswith("num_batches_tracked")}
    with torch.no_grad():
        right = case.plain(case.input)
        with case.holding(first):
            _assert_near(case.plain(case.input), right)
    optimizer = torch.optim.AdamW(tail.parameters_by_depth()[-2], lr=1e-3)
    functional.cross_entropy(tail(case.input), TARGETS).backward()
    optimizer.step()
    with torch.no_grad():
        scores = tail(case.input)
        assert float((scores - right).abs().max()) > 1e-4
        with case.holding(tail.state()):
            _assert_near(case.plain(case.input), scores)
        with case.holding(first):  # what was given before the step is a copy
            _assert_near(case.plain(case.input), right)


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "mobilenetv3_small_050"])
def test_depthwise_filters_do_not_learn_but_their_bias_does(name: str) -> None:
    case = _case(name)
    tail = case.tail()
    functional.cross_entropy(tail(case.input), TARGETS).backward()
    fixed = [(n, p) for n, p in tail.named_parameters() if not p.requires_grad and p.ndim > 1]
    held = {tensor for stage in case.stages for tensor in stage.module.state_dict()}
    assert len(fixed) == len(_depthwise(case.module) & held) > 0
    others = dict(tail.named_parameters())
    for parameter_name, parameter in fixed:
        assert parameter.grad is None
        gradient = others[parameter_name.removesuffix("weight") + "bias"].grad
        assert gradient is not None
        assert bool(gradient.any())
    assert all(p.grad is not None for p in tail.parameters() if p.requires_grad)


def test_the_stages_stay_as_they_are() -> None:
    case = _case("tf_efficientnet_lite0")
    before = {n: t.clone() for stage in case.stages for n, t in stage.module.state_dict().items()}
    tail = case.tail()
    optimizer = torch.optim.SGD(tail.parameters(), lr=1.0)
    functional.cross_entropy(tail(case.input), TARGETS).backward()
    optimizer.step()
    for stage in case.stages:
        for name, tensor in stage.module.state_dict().items():
            assert torch.equal(tensor, before[name])
        assert all(p.grad is None for p in stage.module.parameters())


def test_parameters_by_depth_are_all_of_them_once() -> None:
    tail = _case("tf_efficientnet_lite0").tail()
    depths = tail.parameters_by_depth()
    assert len(depths) == 2 + 1
    assert [parameter.shape for parameter in depths[-1]] == [(CLASSES, 1280), (CLASSES,)]
    listed = [id(parameter) for parameters in depths for parameter in parameters]
    assert len(listed) == len(set(listed))
    assert set(listed) == {id(parameter) for parameter in tail.parameters()}


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18", "mobilenetv3_small_050", "regnety_002"])
def test_bfloat16_stays_near(name: str) -> None:
    """8 bits a number: the scores are within a few percent of their length. The gradient goes through many random
    layers: it is about as near as that of the plain stages under torch's own autocast.
    """
    case = _case(name)
    right, right_gradient = _gradient(case.plain, case.input)
    single = [Stage(s.name, copy.deepcopy(s.module).float(), s.multiply_adds, s.output_shape) for s in case.stages]
    tail = Tail(single, case.weight, case.bias, torch.bfloat16)
    scores, gradient = _gradient(tail, case.input.float().contiguous(memory_format=torch.channels_last))
    assert scores.dtype == torch.float32
    assert all(p.dtype == torch.float32 for p in tail.parameters())
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in tail.parameters())
    assert 1e-6 < float((scores - right).norm() / right.norm()) < 0.03

    def mixed(x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            for stage in single:
                x = stage.module(x)
        return functional.linear(x.float(), torch.from_numpy(case.weight), torch.from_numpy(case.bias))

    _, mixed_gradient = _gradient(mixed, case.input.float())
    assert float((gradient - right_gradient).norm()) < 1.5 * float((mixed_gradient - right_gradient).norm())


class _Standardised(nn.Conv2d):
    """Computes with other filters than those it holds, as timm's StdConv2d does (Qiao et al. 2019)."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return functional.conv2d(x, weight, self.bias, self.stride, self.padding)


class _Made(nn.Module):
    """Two convolutions of a kind, a norm and an activation after each, and the mean over places."""

    def __init__(self, first: nn.Module, second: nn.Module, between: nn.Module) -> None:
        super().__init__()
        self.block = nn.Sequential(first, between, second, nn.BatchNorm2d(6), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return y.mean((2, 3))


MADE = {
    "with bias": _Made(nn.Conv2d(3, 6, 3, stride=2), nn.Conv2d(6, 6, 3, padding=1), nn.ReLU6()),
    "padding in words": _Made(nn.Conv2d(3, 6, 5, padding="same"), nn.Conv2d(6, 6, 3, padding="valid"), nn.ReLU()),
    "dilated": _Made(nn.Conv2d(3, 6, 3, dilation=2), nn.Conv2d(6, 6, 3, padding=2, dilation=2, groups=6), nn.ReLU()),
    "more filters than channels": _Made(nn.Conv2d(3, 6, 3, groups=3), nn.Conv2d(6, 6, 1, stride=2), nn.ReLU6()),
    "of one row": _Made(nn.Conv2d(3, 6, (1, 3), padding=(0, 1)), nn.Conv2d(6, 6, (1, 5), groups=6), nn.ReLU()),
    "of one column": _Made(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, (5, 1), stride=(2, 1), groups=6), nn.Hardswish()),
    "a norm without parameters": _Made(nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3), nn.BatchNorm2d(6, affine=False)),
    "no padding of zeros": _Made(
        nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect"), nn.Conv2d(6, 6, 3, padding=1), nn.ReLU()
    ),
    "filters made before use": _Made(_Standardised(3, 6, 3), _Standardised(6, 6, 1), nn.ReLU()),
}


@pytest.mark.parametrize("kind", MADE)
def test_convolutions_of_other_kinds(kind: str) -> None:
    case = Case(copy.deepcopy(MADE[kind]), taken=9, size=11)
    tail = case.tail()
    scores, gradient = _gradient(tail, case.input)
    right, right_gradient = _gradient(case.plain, case.input)
    _assert_near(scores, right)
    _assert_near(gradient, right_gradient)
    with torch.no_grad(), case.holding(tail.state()):
        _assert_near(case.plain(case.input), right)


@pytest.mark.parametrize("name", ["test_nfnet", "levit_128s"])
def test_networks_of_timm_with_rarer_layers(name: str) -> None:
    """Filters that are standardised before use; tables of positions, which are not part of the weights."""
    torch.manual_seed(0)
    module = timm.create_model(name, pretrained=False, num_classes=0)
    case = Case(module, taken=2, size=224 if name == "levit_128s" else 64)
    tail = case.tail()
    with torch.no_grad():
        right = case.plain(case.input)
        _assert_near(tail(case.input), right)
    assert tail.state().keys() <= module.state_dict().keys()


kernels = st.tuples(st.integers(1, 5), st.integers(1, 5))
strides = st.tuples(st.integers(1, 3), st.integers(1, 3))
paddings = st.tuples(*[st.integers(0, 6)] * 4)
sizes = st.tuples(st.integers(1, 11), st.integers(1, 11))


@settings(max_examples=120)
@given(kernel=kernels, stride=strides, pads=paddings, size=sizes, limit=st.sampled_from([None, 0.7, float("inf")]))
def test_the_depthwise_function_against_torch(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int],
    size: tuple[int, int],
    limit: float | None,
) -> None:
    """Left, right, top and bottom may be padded differently, and by more than the filter reaches."""
    left, right, top, bottom = pads
    assume(size[0] + top + bottom >= kernel[0] and size[1] + left + right >= kernel[1])
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(s, dtype=torch.float64, generator=generator) for s in ((2, 3, *size), (3, 1, *kernel), (3,))]
    x, filters, bias = drawn
    results = []
    for is_fast in (False, True):
        inputs = [tensor.clone().requires_grad_() for tensor in (x, bias)]
        if is_fast:
            y = _DepthwiseConvolution.apply(inputs[0], filters, filters.flip(2, 3), inputs[1], stride, pads, limit)
        else:
            y = functional.conv2d(functional.pad(inputs[0], pads), filters, inputs[1], stride, groups=3)
            y = y if limit is None else y.clamp(0.0, limit)
        weights = torch.randn(y.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        (y * weights).sum().backward()
        results.append([y.detach(), *(tensor.grad for tensor in inputs)])
    for found, wanted in zip(results[1], results[0], strict=True):
        assert found.shape == wanted.shape
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


@settings(max_examples=120)
@given(kernel=kernels, stride=strides, pads=paddings, size=sizes, is_last=st.booleans())
def test_the_gradient_through_a_depthwise_convolution_against_torch(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int],
    size: tuple[int, int],
    is_last: bool,
) -> None:
    left, right, top, bottom = pads
    assume(size[0] + top + bottom >= kernel[0] and size[1] + left + right >= kernel[1])
    torch.manual_seed(0)
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    filters = torch.randn(3, 1, *kernel, dtype=torch.float64)
    y = functional.conv2d(functional.pad(x, pads), filters, stride=stride, groups=3)
    gradient = torch.randn(y.shape, dtype=torch.float64)
    (right_gradient,) = torch.autograd.grad(y, x, gradient)
    if is_last:
        gradient = gradient.contiguous(memory_format=torch.channels_last)
    found = _through(gradient, filters.flip(2, 3), size, stride, pads)
    assert found.shape == right_gradient.shape
    torch.testing.assert_close(found, right_gradient, rtol=0, atol=1e-12)


BF16 = ("convnextv2_atto", "poolformer_s12", "hgnetv2_b0", "inception_next_atto")
"""Networks in which numbers of float32 come before a 1 x 1 convolution: scales and norms of their own."""


@pytest.mark.parametrize("name", [*NETWORKS, *BF16])
def test_in_bfloat16_it_learns_about_the_same(name: str) -> None:
    torch.manual_seed(0)
    *before, first, last = cut(timm.create_model(name, pretrained=False, num_classes=0).eval(), (3, 64, 64))
    pieces = first, last
    weight = np.random.default_rng(2).normal(0, 0.1, (CLASSES, pieces[-1].output_shape[0])).astype(np.float32)
    x = torch.randn(len(TARGETS), *before[-1].output_shape)
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        tail = Tail(pieces, weight, np.zeros(CLASSES, np.float32), dtype)
        scores = tail(x)
        functional.cross_entropy(scores, TARGETS).backward()
        gradients = [p.grad.flatten() for p in tail.parameters() if p.grad is not None]
        assert all(gradient.dtype == torch.float32 for gradient in gradients)
        found.append((scores.detach(), torch.cat(gradients)))
    (right, gradient), (scores, rounded) = found
    assert scores.dtype == torch.float32
    assert float((scores - right).norm() / right.norm()) < 0.1
    assert float(functional.cosine_similarity(rounded, gradient, dim=0)) > 0.9


class _Odd(nn.Module):
    """A padded 1 x 1 convolution, and a convolution that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.padded, self.twice = nn.Conv2d(4, 6, 1, padding=1), nn.Conv2d(6, 6, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.padded(x))
        return self.twice(torch.relu(self.twice(x))).mean((2, 3))


def test_convolutions_of_odd_kinds_are_what_they_were() -> None:
    torch.manual_seed(0)
    module = _Odd().eval()
    pieces = cut(module, (4, 8, 8))
    module.double()
    tail = Tail(pieces, np.eye(6, dtype=np.float32), np.zeros(6, np.float32), torch.float64).double()
    x = torch.randn(3, 4, 8, 8, dtype=torch.float64)
    _assert_near(tail(x).detach(), module(x).detach())
    functional.cross_entropy(tail(x), TARGETS).backward()
    functional.cross_entropy(module(x), TARGETS).backward()
    with torch.no_grad():
        for both in (tail, module):
            for parameter in both.parameters():
                if both is module or parameter.grad is not None:
                    parameter -= 0.1 * parameter.grad
        tail.head.weight.copy_(torch.eye(6))
        tail.head.bias.zero_()
    state = {name: torch.from_numpy(array) for name, array in tail.state().items()}
    written = _Odd().double()
    written.load_state_dict(state)
    _assert_near(written(x).detach(), module(x).detach())
