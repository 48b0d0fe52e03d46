"""The trained end of a network: its last stages and its head, made fast to train on a processor.

What makes it fast, measured in docs/engineering-notes.md:

- Batch norms are frozen and folded into the convolutions before them; ReLU and ReLU6 are done in place.
- A 1 x 1 convolution is one matrix product, forward and twice backward.
- The filters of depthwise convolutions keep their pretrained values, scale included: the gradient for these few numbers
  costs more than all the rest together. Their input gradient is itself a depthwise convolution, with the filter turned
  round, and is run as one: the libraries' own is tens of times slower in bfloat16.
- Activations are kept in channels-last order, in bfloat16 where the processor has it.

After training, `state` writes everything back under the names of the whole network: a folded convolution takes the
place of its convolution, and its batch norm becomes the addition of a bias.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.nn import functional

from mirada.backbone.lite0 import same_padding
from mirada.backbone.stages import Stage

__all__ = ["Tail"]


class Tail(nn.Module):
    """The last stages of a backbone, and a head: (N, D, H, W) -> class scores (N, K) float32.

    Always in evaluation mode: there is no dropout in it, and batch statistics stay.

    Args:
        stages: those to train, the last one giving the features.
        weight, bias: of the head, (K, F) and (K,).
        dtype: of the arithmetic; parameters are float32.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        weight: NDArray[np.float32],
        bias: NDArray[np.float32],
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.dtype = dtype
        self.stages = nn.ModuleList(_made_fast(stage.module, dtype) for stage in stages)
        self.head = nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            self.head.weight.copy_(torch.from_numpy(weight))
            self.head.bias.copy_(torch.from_numpy(bias))
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Class scores for the input of the first stage."""
        scores: Tensor = self.head(self.features(x))
        return scores

    def features(self, x: Tensor) -> Tensor:
        """What the head is given, (N, F) float32."""
        x = x.to(self.dtype)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            for stage in self.stages:
                x = stage(x)
        return x.to(self.head.weight.dtype)

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        return self.head.weight.device

    def parameters_by_depth(self) -> list[list[nn.Parameter]]:
        """The parameters of each stage, and at last those of the head."""
        return [*(list(stage.parameters()) for stage in self.stages), list(self.head.parameters())]

    def state(self) -> dict[str, NDArray[np.generic]]:
        """The tensors of the stages by the names of the whole backbone."""
        found: dict[str, NDArray[np.generic]] = {}
        for stage in self.stages:
            for module in stage.modules():
                if isinstance(module, _Folded):
                    found |= module.unfolded()
            for name, tensor in stage.state_dict().items():
                if not name.startswith(_FOLDED):
                    found[name] = tensor.detach().cpu().numpy()
        return {name: np.array(array) for name, array in found.items()}


_FOLDED = "folded_"


def _made_fast(module: fx.GraphModule, dtype: torch.dtype) -> fx.GraphModule:
    """A copy of a stage with folded batch norms and fast convolutions."""
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    owner = nn.Module()
    taken: set[fx.Node] = set()
    uses = Counter(node.target for node in module.graph.nodes if node.op == "call_module")
    for node in module.graph.nodes:
        if node in taken:
            continue
        layer = module.get_submodule(str(node.target)) if node.op == "call_module" else None
        if not (isinstance(layer, nn.Conv2d) and _is_plain(layer) and uses[node.target] == 1):
            copies[node] = graph.node_copy(node, copies.__getitem__)
            if node.op in ("call_module", "get_attr"):
                _place(owner, module, str(node.target))
            continue
        chain = list(_followers(module, node))
        folded = _folded(module, node, chain, dtype)
        name = f"{_FOLDED}{len(copies)}"
        owner.add_module(name, folded)
        made = graph.call_module(name, (copies[cast(fx.Node, node.args[0])],))
        for covered in (node, *chain):
            copies[covered] = made
        taken.update(chain)
    return fx.GraphModule(owner, graph)


def _is_plain(layer: nn.Conv2d) -> bool:
    """Whether it does nothing but convolve, with zeros around: not so where weights are standardised on the way."""
    is_known = type(layer) is nn.Conv2d or type(layer).__name__ == "Conv2dSame"
    return is_known and layer.padding_mode == "zeros" and layer.padding != "valid"


def _place(owner: nn.Module, module: nn.Module, name: str) -> None:
    """Give `owner` a copy of the layer or parameter of that dotted name."""
    path, _, last = name.rpartition(".")
    parent = module.get_submodule(path)
    for part in path.split(".") if path else ():
        if not hasattr(owner, part):
            owner.add_module(part, nn.Module())
        owner = owner.get_submodule(part)
    made = getattr(parent, last)
    if isinstance(made, nn.Module):
        setattr(owner, last, _without_inplace(made))
    elif isinstance(made, nn.Parameter):
        setattr(owner, last, copy.deepcopy(made))
    else:
        is_saved = last in parent.state_dict(keep_vars=True)
        owner.register_buffer(last, made.detach().clone(), persistent=is_saved)


def _without_inplace(module: nn.Module) -> nn.Module:
    """A copy that leaves its input as it is: a gradient may need it."""
    made = copy.deepcopy(module)
    for layer in made.modules():
        if hasattr(layer, "inplace"):
            layer.inplace = cast(Any, False)
    return made


def _followers(module: fx.GraphModule, node: fx.Node) -> Iterator[fx.Node]:
    """The batch norm after a convolution, and the activation after that, where nothing else needs what lies between."""
    wanted: tuple[type[nn.Module], ...] = (nn.BatchNorm2d, nn.ReLU, nn.ReLU6)
    while len(node.users) == 1:
        (follower,) = node.users
        layer = module.get_submodule(str(follower.target)) if follower.op == "call_module" else None
        if not isinstance(layer, wanted):
            return
        yield follower
        if not isinstance(layer, nn.BatchNorm2d) or not isinstance(_activation(layer), nn.Identity):
            return
        wanted, node = (nn.ReLU, nn.ReLU6), follower


def _activation(layer: nn.Module) -> nn.Module:
    """What timm's batch norm does after normalising; torch's does nothing more."""
    return cast(nn.Module, getattr(layer, "act", None) or nn.Identity())


def _folded(module: fx.GraphModule, node: fx.Node, chain: Sequence[fx.Node], dtype: torch.dtype) -> nn.Module:
    """The convolution of a node with what follows it, as one module."""
    convolution = cast(nn.Conv2d, module.get_submodule(str(node.target)))
    names = [str(follower.target) for follower in chain]
    layers = [module.get_submodule(name) for name in names]
    norm = next(((n, layer) for n, layer in zip(names, layers, strict=True) if isinstance(layer, nn.BatchNorm2d)), None)
    activation: nn.Module = nn.Identity()
    for layer in layers:
        activation = _activation(layer) if isinstance(layer, nn.BatchNorm2d) else layer
    limit = 6.0 if isinstance(activation, nn.ReLU6) else float("inf") if isinstance(activation, nn.ReLU) else None
    is_depthwise = convolution.groups == convolution.in_channels == convolution.out_channels > 1
    kind: type[_Folded] = _General
    if is_depthwise and convolution.kernel_size[0] > 1 and convolution.dilation == (1, 1):
        kind = _Depthwise
    elif _is_matrix_product(convolution):
        kind = _Pointwise
    folded = kind(convolution, str(node.target), norm, limit, dtype)
    if limit is not None or isinstance(activation, nn.Identity):
        return folded
    return nn.Sequential(folded, _without_inplace(activation))


def _is_matrix_product(convolution: nn.Conv2d) -> bool:
    """Whether each place of the output is made of the same place of the input alone."""
    is_padded = convolution.padding not in ((0, 0), "same")
    return convolution.kernel_size == convolution.stride == (1, 1) and convolution.groups == 1 and not is_padded


class _Folded(nn.Module):
    """A convolution, the batch norm after it folded in, and max(0, min(limit, x)) after that.

    Args:
        convolution, name: the layer and its name.
        norm: name and layer of its batch norm, or None.
        limit: 6 for ReLU6, infinity for ReLU, None for no activation.
        dtype: of the arithmetic.
    """

    def __init__(
        self,
        convolution: nn.Conv2d,
        name: str,
        norm: tuple[str, nn.Module] | None,
        limit: float | None,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self._name, self._norm, self._limit, self._dtype = name, norm, limit, dtype
        self._has_bias = convolution.bias is not None
        self._stride, self._groups, self._dilation = convolution.stride, convolution.groups, convolution.dilation
        self._kernel = cast(tuple[int, int], convolution.kernel_size)
        is_same = type(convolution).__name__ == "Conv2dSame" or convolution.padding == "same"
        self._padding = None if is_same else cast(tuple[int, int], convolution.padding)
        weight, bias = _fold(convolution, norm[1] if norm else None)
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
        # Where the network has no place for a bias there is none to train.
        self.bias = nn.Parameter(bias, requires_grad=norm is not None or self._has_bias)

    def pads(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Left, right, top, bottom."""
        if self._padding is not None:
            vertical, horizontal = self._padding
            return horizontal, horizontal, vertical, vertical
        sides = zip((height, width), self._kernel, self._stride, self._dilation, strict=True)
        (top, bottom), (left, right) = (same_padding(*side) for side in sides)
        return left, right, top, bottom

    def unfolded(self) -> dict[str, NDArray[np.generic]]:
        """The tensors of the convolution and its batch norm, by their names."""
        weight = self.weight.detach().cpu().contiguous().numpy()
        bias = self.bias.detach().cpu().numpy()
        if self._norm is None:
            found: dict[str, NDArray[np.generic]] = {f"{self._name}.weight": weight}
            return found | ({f"{self._name}.bias": bias} if self._has_bias else {})
        name, norm = self._norm
        found = {f"{self._name}.weight": weight} | (
            {f"{self._name}.bias": np.zeros_like(bias)} if self._has_bias else {}
        )
        if not cast(nn.BatchNorm2d, norm).affine:
            variance = np.full_like(bias, 1 - cast(nn.BatchNorm2d, norm).eps)
            return found | {f"{name}.running_mean": -bias, f"{name}.running_var": variance}
        return found | {
            f"{name}.weight": np.ones_like(bias),
            f"{name}.bias": bias,
            f"{name}.running_mean": np.zeros_like(bias),
            f"{name}.running_var": np.full_like(bias, 1 - cast(nn.BatchNorm2d, norm).eps),
        }


def _fold(convolution: nn.Conv2d, norm: nn.Module | None) -> tuple[Tensor, Tensor]:
    """Filters and bias of the convolution that does both."""
    weight = convolution.weight.detach().clone()
    bias = torch.zeros(len(weight)) if convolution.bias is None else convolution.bias.detach().clone()
    if norm is None:
        return weight, bias
    norm = cast(nn.BatchNorm2d, norm)
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = torch.rsqrt(variance + norm.eps) * (norm.weight.detach() if norm.affine else 1.0)
    shift = norm.bias.detach() if norm.affine else torch.zeros_like(mean)
    return weight * scale[:, None, None, None], (bias - mean) * scale + shift


def _padded(x: Tensor, pads: tuple[int, int, int, int]) -> tuple[Tensor, tuple[int, int]]:
    """The input, and the padding (vertical, horizontal) that the convolution does: all, where both sides are alike."""
    left, right, top, bottom = pads
    return (x, (top, left)) if left == right and top == bottom else (functional.pad(x, pads), (0, 0))


class _General(_Folded):
    """Any convolution; torch's own gradients."""

    def forward(self, x: Tensor) -> Tensor:
        x, padding = _padded(x, self.pads(x.shape[2], x.shape[3]))
        weight, bias = self.weight.to(self._dtype), self.bias.to(self._dtype)
        y = functional.conv2d(x, weight, bias, self._stride, padding, self._dilation, self._groups)
        return y if self._limit is None else functional.hardtanh(y, 0.0, self._limit)


class _Pointwise(_Folded):
    """A 1 x 1 convolution: a matrix product over the channels of every place."""

    def forward(self, x: Tensor) -> Tensor:
        product = _PointwiseProduct.apply(x.to(self._dtype), self.weight.flatten(1), self.bias, self._limit)
        return cast(Tensor, product)


class _PointwiseProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, limit: float | None) -> Tensor:
        n, channels, height, width = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(-1, channels)  # (N H W, C)
        weight = weight.to(x.dtype)
        y = torch.addmm(bias.to(x.dtype), rows, weight.t())  # (N H W, K)
        if limit is not None:
            y.clamp_(0.0, limit)
        ctx.limit, ctx.kind = limit, bias.dtype
        ctx.save_for_backward(rows, weight, *([y] if limit is not None else []))
        return y.view(n, height, width, -1).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,) = gradients
        rows, weight, *outputs = ctx.saved_tensors
        n, _, height, width = gradient.shape
        flat = gradient.permute(0, 2, 3, 1).reshape(-1, gradient.shape[1])  # (N H W, K)
        if outputs:
            flat = torch.ops.aten.hardtanh_backward(flat, outputs[0], 0.0, ctx.limit)
        to_input = None
        if ctx.needs_input_grad[0]:
            to_input = (flat @ weight).view(n, height, width, -1).permute(0, 3, 1, 2)
        return to_input, (flat.t() @ rows).to(ctx.kind), flat.sum(0).to(ctx.kind), None


class _Depthwise(_Folded):
    """A depthwise convolution: its filters stay, its bias is trained."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.weight.requires_grad_(False)
        self.register_buffer("_turned", self.weight.detach().flip(2, 3).to(self._dtype), persistent=False)
        self.register_buffer("_filters", self.weight.detach().to(self._dtype), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x, pads = x.to(self._dtype), self.pads(x.shape[2], x.shape[3])
        result = _DepthwiseConvolution.apply(x, self._filters, self._turned, self.bias, self._stride, pads, self._limit)
        return cast(Tensor, result)


class _DepthwiseConvolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        filters: Tensor,
        turned: Tensor,
        bias: Tensor,
        stride: tuple[int, int],
        pads: tuple[int, int, int, int],
        limit: float | None,
    ) -> Tensor:
        ctx.size, ctx.stride, ctx.pads, ctx.limit, ctx.kind = x.shape[2:], stride, pads, limit, bias.dtype
        x, padding = _padded(x, pads)
        y = functional.conv2d(x, filters, bias.to(x.dtype), stride, padding, groups=x.shape[1])
        if limit is not None:
            y.clamp_(0.0, limit)
        ctx.save_for_backward(turned, *([y] if limit is not None else []))
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,) = gradients
        turned, *outputs = ctx.saved_tensors
        if outputs:
            gradient = torch.ops.aten.hardtanh_backward(gradient, outputs[0], 0.0, ctx.limit)
        to_bias = gradient.sum((0, 2, 3)).to(ctx.kind)
        to_input = _through(gradient, turned, ctx.size, ctx.stride, ctx.pads) if ctx.needs_input_grad[0] else None
        return to_input, None, None, to_bias, None, None, None


def _through(
    gradient: Tensor, turned: Tensor, size: tuple[int, int], stride: tuple[int, int], pads: tuple[int, int, int, int]
) -> Tensor:
    """The input gradient of a depthwise convolution: the output gradient, spread out by the stride, convolved with the
    filters turned round.
    """
    n, channels, rows, columns = gradient.shape
    tall, wide = turned.shape[2:]
    above, left = tall - 1 - pads[2], wide - 1 - pads[0]
    if stride == (1, 1) and pads[0] == pads[1] and pads[2] == pads[3] and above >= 0 and left >= 0:
        return functional.conv2d(gradient, turned, padding=(above, left), groups=channels)
    shape = n, channels, size[0] + tall - 1, size[1] + wide - 1
    # Made in this order of axes: turning zeros round afterwards takes longer than all else here.
    spread = torch.empty(shape, dtype=gradient.dtype, device=gradient.device, memory_format=torch.channels_last).zero_()
    # Padding beyond the filter's own reach puts the first rows outside: what lies there reaches no input.
    skip_y, skip_x = -(-max(-above, 0) // stride[0]), -(-max(-left, 0) // stride[1])
    above, left = above + skip_y * stride[0], left + skip_x * stride[1]
    rows = min(rows - skip_y, -(-(spread.shape[2] - above) // stride[0]))
    columns = min(columns - skip_x, -(-(spread.shape[3] - left) // stride[1]))
    target = spread[:, :, above :: stride[0], left :: stride[1]][:, :, :rows, :columns]
    target.copy_(gradient[:, :, skip_y : skip_y + rows, skip_x : skip_x + columns])
    return functional.conv2d(spread, turned, groups=channels)
