"""A slow forward pass in NumPy, written from the definitions: loops over positions, no torch, nothing clever.

Every function takes and gives arrays (N, D, H, W), a vector being (N, K, 1, 1), real or complex. Where a function has
kinks it branches on the real part alone, so that a step of 1e-30 i in one input leaves its derivative, exact to the
last digits, in the imaginary part of the output ("complex-step differentiation", Squire and Trapp 1998).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from mirada.arch import Architecture, Pair
from mirada.arch.blocks import Parallel, Repeat, Residual
from mirada.arch.layers import (
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

Array = NDArray[np.float64] | NDArray[np.complex128]
Values = Mapping[str, Array]

_STEP = 1e-30
_EPSILON = 1e-5
"""What batch normalisation adds to the variance."""


def window_starts(W: int, F: int, S: int, P: int, rounding: str) -> list[int]:
    """Where the windows begin along one side of W values, from -P: found by sliding, not by the formula.

    A window lies inside the padded input. With `ceil` one more may hang over its end, where something is left to read
    and it begins inside the input or its left padding. With `exact` an empty list says that something is left over.
    """
    starts = []
    start = -P
    while start + F <= W + P:
        starts.append(start)
        start += S
    if not starts:
        return []
    is_left_over = starts[-1] + F < W + P
    if is_left_over and rounding == "exact":
        return []
    if is_left_over and rounding == "ceil" and start < W:
        starts.append(start)
    return starts


def forward(architecture: Architecture, values: Values, x: Array, *, training: bool = False) -> Array:
    """The output of the network, (N, K) or (N, D, H, W). `values` holds parameters and buffers by their torch names."""
    x = _chain(architecture.layers, "", values, x, training)
    return x[:, :, 0, 0] if x.shape[2:] == (1, 1) else x


def gradients(
    architecture: Architecture, values: dict[str, Array], x: Array, weights: Array, *, training: bool = False
) -> dict[str, Array]:
    """The derivative of sum(weights * output) by the input, called `input`, and by every parameter in `values`."""
    everything: dict[str, Array] = {"input": x, **values}
    found: dict[str, Array] = {}
    for name, array in everything.items():
        if "running" in name:
            continue
        found[name] = np.zeros(array.shape)
        for place in np.ndindex(array.shape):
            moved = array.astype(complex)
            moved[place] += 1j * _STEP
            changed = everything | {name: moved}
            out = forward(architecture, changed, changed["input"], training=training)
            found[name][place] = np.sum(weights * out).imag / _STEP
    return found


def _chain(layers: Sequence[Layer], path: str, values: Values, x: Array, training: bool) -> Array:
    for layer in layers:
        x = _layer(layer, path + layer.name.replace(" ", "_"), values, x, training)
    return x


def _layer(layer: Layer, path: str, values: Values, x: Array, training: bool) -> Array:
    match layer:
        case Conv():
            y = convolve(layer, values[f"{path}.weight"], values.get(f"{path}.bias"), x)
            y = batch_norm(values, f"{path}.norm", y, training) if layer.batch_norm else y
            return FUNCTIONS[layer.activation](y)
        case Pool():
            return pool(layer, x)
        case GlobalPool():
            return x.sum((2, 3), keepdims=True) / (x.shape[2] * x.shape[3])
        case LocalResponseNorm():
            return local_response_norm(layer, x)
        case BatchNorm():
            return FUNCTIONS[layer.activation](batch_norm(values, path, x, training))
        case FullyConnected():
            return FUNCTIONS[layer.activation](_dense(values, path, x))
        case Dropout():
            return x
        case Activation():
            return FUNCTIONS[layer.function](x)
        case SqueezeExcite():
            mean = x.sum((2, 3), keepdims=True) / (x.shape[2] * x.shape[3])
            hidden = FUNCTIONS["relu"](_dense(values, f"{path}.reduce", mean))
            return x * FUNCTIONS["sigmoid"](_dense(values, f"{path}.expand", hidden))
        case Residual():
            way = _chain(layer.body, f"{path}.", values, x, training)
            short = _chain(layer.shortcut.layers, f"{path}.SHORTCUT.", values, x, training)
            return FUNCTIONS[layer.activation](way + short)
        case Parallel():
            ways = [_chain(b.layers, f"{path}.{b.name}.", values, x, training) for b in layer.branches]
            return np.concatenate(ways, axis=1)
        case Repeat():
            for turn in range(layer.times):
                x = _chain(layer.body, f"{path}.{turn + 1}.", values, x, training)
            return x
    raise TypeError(layer)


def convolve(layer: Conv, weight: Array, bias: Array | None, x: Array) -> Array:
    """Each output is the sum of its window times the filter. `weight` is (K, D/groups, F, F)."""
    N, _, H, W = x.shape
    K, depth = weight.shape[:2]
    dilation, kernel = layer.dilation, layer.kernel
    covers = Pair(dilation.w * (kernel.w - 1) + 1, dilation.h * (kernel.h - 1) + 1)
    rows = window_starts(H, covers.h, layer.stride.h, layer.pad.h, layer.rounding)
    columns = window_starts(W, covers.w, layer.stride.w, layer.pad.w, layer.rounding)
    y = np.zeros((N, K, len(rows), len(columns)), np.result_type(x, weight, *([] if bias is None else [bias])))
    for n, k, (i, top), (j, left) in _places(N, K, rows, columns):
        first = (k // (K // layer.groups)) * depth
        total = bias[k] if bias is not None else 0.0
        for fi in range(kernel.h):
            for fj in range(kernel.w):
                row, column = top + fi * dilation.h, left + fj * dilation.w
                if 0 <= row < H and 0 <= column < W:  # beyond the edge lie zeros
                    total = total + np.sum(x[n, first : first + depth, row, column] * weight[k, :, fi, fj])
        y[n, k, i, j] = total
    return y


def pool(layer: Pool, x: Array) -> Array:
    """The largest value of each window, or its mean: over its padded zeros too, but not over what lies beyond them."""
    N, D, H, W = x.shape
    kernel, pad = layer.kernel, layer.pad
    rows = window_starts(H, kernel.h, layer.stride.h, pad.h, layer.rounding)
    columns = window_starts(W, kernel.w, layer.stride.w, pad.w, layer.rounding)
    y = np.zeros((N, D, len(rows), len(columns)), x.dtype)
    for n, d, (i, top), (j, left) in _places(N, D, rows, columns):
        seen = [
            x[n, d, row, column]
            for row in range(top, top + kernel.h)
            for column in range(left, left + kernel.w)
            if 0 <= row < H and 0 <= column < W
        ]
        if layer.kind == "max":
            y[n, d, i, j] = max(seen, key=lambda value: value.real)
        else:
            height = min(top + kernel.h, H + pad.h) - top
            width = min(left + kernel.w, W + pad.w) - left
            y[n, d, i, j] = sum(seen) / (height * width)
    return y


def _places(N: int, K: int, rows: Sequence[int], columns: Sequence[int]) -> list[tuple]:
    return [
        (n, k, row, col) for n in range(N) for k in range(K) for row in enumerate(rows) for col in enumerate(columns)
    ]


def local_response_norm(layer: LocalResponseNorm, x: Array) -> Array:
    """b_i = a_i / (k + alpha sum_j a_j^2)^beta, j from i - n/2 to i + n/2 where there is one (Krizhevsky 2012, 3.3)."""
    D = x.shape[1]
    y = np.zeros_like(x)
    for i in range(D):
        total = sum(x[:, j] * x[:, j] for j in range(D) if i - layer.n // 2 <= j <= i + layer.n // 2)
        y[:, i] = x[:, i] / (layer.k + layer.alpha * total) ** layer.beta
    return y


def batch_norm(values: Values, path: str, x: Array, training: bool) -> Array:
    """Over batch and positions in training, with the running figures else; then scale and shift."""
    y = np.zeros(x.shape, complex if any(np.iscomplexobj(v) for v in (x, *values.values())) else float)
    for d in range(x.shape[1]):
        of_slice = x[:, d]
        mean = of_slice.sum() / of_slice.size if training else values[f"{path}.running_mean"][d]
        squared = (of_slice - mean) * (of_slice - mean)
        variance = squared.sum() / of_slice.size if training else values[f"{path}.running_var"][d]
        normal = (of_slice - mean) / (variance + _EPSILON) ** 0.5
        y[:, d] = normal * values[f"{path}.weight"][d] + values[f"{path}.bias"][d]
    return y


def _dense(values: Values, path: str, x: Array) -> Array:
    """Each neuron: the whole volume, depth slice by depth slice, row by row, times its weights, plus its bias."""
    weight, bias = values[f"{path}.weight"], values.get(f"{path}.bias")
    flat = np.array([image.ravel() for image in x])  # (N, D H W)
    neurons = [np.sum(flat * row.ravel(), axis=1) + (0.0 if bias is None else bias[k]) for k, row in enumerate(weight)]
    return np.stack(neurons, axis=1)[:, :, None, None]


def _hard_swish(x: Array) -> Array:
    return np.where(x.real <= -3, 0, np.where(x.real >= 3, x, x * (x + 3) / 6))


FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.where(x.real > 0, x, 0),
    "relu6": lambda x: np.where(x.real > 6, 6, np.where(x.real > 0, x, 0)),
    "leaky-relu": lambda x: np.where(x.real > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x.real > 0, x, np.exp(x) - 1),
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "hard-swish": _hard_swish,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "none": lambda x: x,
}
"""The activations by their names in a listing."""
