"""Architecture -> torch module. The one file of `arch` that imports torch.

Every module takes and gives (N, D, H, W), a vector being (N, D, 1, 1), so that what `Architecture.rows` announces is
what runs. Module names are those of the listing, joined by dots where blocks nest: `CONV1`, `RESIDUAL2.SHORTCUT.CONV1`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from mirada.arch.architecture import Architecture
from mirada.arch.blocks import Parallel, Repeat, Residual
from mirada.arch.layers import (
    Activation,
    ActivationName,
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
from mirada.arch.shapes import Volume

__all__ = ["Network", "build"]


def build(architecture: Architecture) -> Network:
    """The torch module of an architecture, with fresh random weights drawn from torch's generator.

    Weights of layers followed by a rectifier start from N(0, 2/fan in) (He et al. 2015, "Delving deep into rectifiers",
    equation 10), others from N(0, 2/(fan in + fan out)) (Glorot and Bengio 2010, equation 12); biases from 0.

    Raises:
        MisfitError, ClaimError: as `Architecture.walk`.
    """
    return Network(architecture)


class Network(nn.Module):
    """A whole network: (N, D, H, W) float -> class scores (N, K), or (N, D, H, W) where it ends in a volume.

    Attributes:
        architecture: what it was built from.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        _ = architecture.rows  # refuses what does not fit before any weight is made
        _add_chain(self, architecture.layers, architecture.input)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = layer(x)
        return x.flatten(1) if self.architecture.output.is_vector else x


class _Chain(nn.Sequential):
    """The layers of a branch, one after the other."""

    def __init__(self, layers: Sequence[Layer], given: Volume) -> None:
        super().__init__()
        _add_chain(self, layers, given)


class _Conv(nn.Conv2d):
    def __init__(self, layer: Conv, given: Volume) -> None:
        super().__init__(
            given.depth,
            layer.filters,
            (layer.kernel.h, layer.kernel.w),
            stride=(layer.stride.h, layer.stride.w),
            padding=(layer.pad.h, layer.pad.w),
            dilation=(layer.dilation.h, layer.dilation.w),
            groups=layer.groups,
            bias=layer.bias,
        )
        self.overhang = _overhang(layer, given)
        self.norm = nn.BatchNorm2d(layer.filters) if layer.batch_norm else None
        self.activation = _activation(layer.activation)
        self.is_rectified = False  # known when it is added to its chain

    def forward(self, x: Tensor) -> Tensor:
        if any(self.overhang):
            x = nnf.pad(x, self.overhang)
        x = super().forward(x)
        if self.norm is not None:
            x = self.norm(x)
        return self.activation(x) if self.activation is not None else x


class _FullyConnected(nn.Linear):
    def __init__(self, layer: FullyConnected, given: Volume) -> None:
        super().__init__(given.size, layer.neurons, bias=layer.bias)
        self.activation = _activation(layer.activation)
        self.is_rectified = False  # known when it is added to its chain

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x.flatten(1))  # (N, K)
        if self.activation is not None:
            x = self.activation(x)
        return x[:, :, None, None]  # (N, K, 1, 1)


class _BatchNorm(nn.BatchNorm2d):
    def __init__(self, layer: BatchNorm, given: Volume) -> None:
        super().__init__(given.depth)
        self.activation = _activation(layer.activation)

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        return self.activation(x) if self.activation is not None else x


class _LocalResponseNorm(nn.Module):
    """As the paper writes it: alpha times the sum over n filters. (torch's own layer divides alpha by n.)"""

    def __init__(self, layer: LocalResponseNorm) -> None:
        super().__init__()
        self.n, self.k, self.alpha, self.beta = layer.n, layer.k, layer.alpha, layer.beta

    def forward(self, x: Tensor) -> Tensor:
        # From max(0, i - n/2) to min(D - 1, i + n/2), n/2 rounded down: n filters for an odd n, n + 1 for an even one.
        half = self.n // 2
        squares = nnf.pad(x.square(), (0, 0, 0, 0, half, half))
        total = sum((squares[:, i : i + x.shape[1]] for i in range(1, 2 * half + 1)), squares[:, : x.shape[1]])
        return x * (self.k + self.alpha * total) ** -self.beta


class _SqueezeExcite(nn.Module):
    def __init__(self, layer: SqueezeExcite, given: Volume) -> None:
        super().__init__()
        reduced = given.depth // layer.reduction
        self.reduce = nn.Conv2d(given.depth, reduced, 1)
        self.reduce.is_rectified = True  # type: ignore[assignment]
        self.expand = nn.Conv2d(reduced, given.depth, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3), keepdim=True)  # (N, D, 1, 1)
        return x * torch.sigmoid(self.expand(torch.relu(self.reduce(mean))))


class _Residual(nn.Module):
    def __init__(self, layer: Residual, given: Volume) -> None:
        super().__init__()
        _add_chain(self, layer.body, given)
        self.SHORTCUT = _Chain(layer.shortcut.layers, given) if layer.shortcut.layers else None
        self.activation = _activation(layer.activation)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for name, layer in self.named_children():
            if name not in ("SHORTCUT", "activation"):
                y = layer(y)
        y = y + (self.SHORTCUT(x) if self.SHORTCUT is not None else x)
        return self.activation(y) if self.activation is not None else y


class _Parallel(nn.Module):
    def __init__(self, layer: Parallel, given: Volume) -> None:
        super().__init__()
        for branch in layer.branches:
            self.add_module(branch.module_name, _Chain(branch.layers, given))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.children()], dim=1)


class _Repeat(nn.Sequential):
    def __init__(self, layer: Repeat, given: Volume) -> None:
        super().__init__()
        for chain in layer.chains:
            self.add_module(chain.name, _Chain(chain.layers, given))
            given = chain.volume(given)


def _add_chain(parent: nn.Module, layers: Sequence[Layer], given: Volume) -> None:
    for i, layer in enumerate(layers):
        module = _module(layer, given)
        if isinstance(module, (_Conv, _FullyConnected)):
            module.is_rectified = _is_rectified(_activation_after(layers[i:]))
        parent.add_module(layer.module_name, module)
        given = layer.volume(given)


def _activation_after(layers: Sequence[Layer]) -> ActivationName:
    """The activation that follows the first of these layers, on its own line or on the next ones."""
    for i, layer in enumerate(layers):
        if i > 0 and not isinstance(layer, (Activation, BatchNorm)):
            return "none"
        name: ActivationName = layer.function if isinstance(layer, Activation) else getattr(layer, "activation", "none")
        if name != "none" or isinstance(layer, Activation):
            return name
    return "none"


def _module(layer: Layer, given: Volume) -> nn.Module:
    match layer:
        case Conv():
            return _Conv(layer, given)
        case Pool():
            window = (layer.kernel.h, layer.kernel.w), (layer.stride.h, layer.stride.w), (layer.pad.h, layer.pad.w)
            pool = nn.MaxPool2d if layer.kind == "max" else nn.AvgPool2d
            return pool(*window, ceil_mode=layer.rounding == "ceil")
        case GlobalPool():
            return nn.AdaptiveAvgPool2d(1)
        case LocalResponseNorm():
            return _LocalResponseNorm(layer)
        case BatchNorm():
            return _BatchNorm(layer, given)
        case FullyConnected():
            return _FullyConnected(layer, given)
        case Dropout():
            return nn.Dropout(layer.rate)
        case Activation():
            return _activation(layer.function) or nn.Identity()
        case SqueezeExcite():
            return _SqueezeExcite(layer, given)
        case Residual():
            return _Residual(layer, given)
        case Parallel():
            return _Parallel(layer, given)
        case Repeat():
            return _Repeat(layer, given)
    raise TypeError(f"no module is known for {type(layer).__name__}")


def _overhang(layer: Conv, given: Volume) -> tuple[int, int, int, int]:
    """Zeros to add at the left, right, top and bottom so that the last window fits, where rounding is `ceil`."""
    if layer.rounding != "ceil":
        return 0, 0, 0, 0
    out, window = layer.volume(given), layer.window(given)
    assert window.filter is not None
    filter_, stride = window.filter, window.stride
    right = (out.width - 1) * stride.w + filter_.w - given.width - 2 * layer.pad.w
    bottom = (out.height - 1) * stride.h + filter_.h - given.height - 2 * layer.pad.h
    return 0, max(right, 0), 0, max(bottom, 0)


def _activation(name: ActivationName) -> nn.Module | None:
    match name:
        case "relu":
            return nn.ReLU()
        case "relu6":
            return nn.ReLU6()
        case "leaky-relu":
            return nn.LeakyReLU(0.01)
        case "elu":
            return nn.ELU()
        case "gelu":
            return nn.GELU()
        case "silu":
            return nn.SiLU()
        case "hard-swish":
            return nn.Hardswish()
        case "sigmoid":
            return nn.Sigmoid()
        case "tanh":
            return nn.Tanh()
        case "none":
            return None


def _is_rectified(name: ActivationName) -> bool:
    return name not in ("none", "sigmoid", "tanh")


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if not isinstance(module, (nn.Conv2d, nn.Linear)):
            continue
        fan_in = math.prod(module.weight.shape[1:])
        fan_out = module.weight.shape[0] * math.prod(module.weight.shape[2:])
        variance = 2 / fan_in if getattr(module, "is_rectified", False) else 2 / (fan_in + fan_out)
        nn.init.normal_(module.weight, 0.0, math.sqrt(variance))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
