"""What the words behind a layer's name say: one function a kind, `96 11x11 filters at stride 4, pad 0` -> `Conv`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from mirada.arch.layers import (
    ACTIVATIONS,
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
    PoolKind,
    SqueezeExcite,
)
from mirada.arch.shapes import ONE, ZERO, Pair, Rounding, effective_filter
from mirada.arch.words import SIZE, Words

__all__ = ["PHRASES", "Header"]


class Header(Protocol):
    """The settings of the whole listing that a line falls back on."""

    @property
    def rounding(self) -> Rounding:
        """That of layers whose line names none."""

    @property
    def batch_norm(self) -> bool:
        """Whether batch normalisation follows every CONV whose line does not refuse it."""


def _conv(words: Words, name: str, unsaid: ActivationName, header: Header) -> Layer:
    filters: int | None = None
    kernel: Pair | None = None
    stride, pad, dilation, groups = ONE, ZERO, ONE, 1
    is_same = False
    bias: bool | None = None
    batch_norm, activation, rounding = header.batch_norm, unsaid, header.rounding
    known = (
        "filters",
        "stride",
        "pad",
        "groups",
        "dilation",
        "bias",
        "no bias",
        "batch norm",
        "rounding",
        *ACTIVATIONS,
    )
    while (word := words.next()) is not None:
        match word:
            case "stride" | "strides":
                stride = words.pair(words.value(word), "stride")
            case "pad" | "padding":
                value = words.value(word)
                is_same = value == "same"
                pad = pad if is_same else words.pair(value, "pad", 0)
            case "groups" | "group":
                groups = words.integer(words.value(word), "groups")
            case "dilation":
                dilation = words.pair(words.value(word), "dilation")
            case "bias":
                bias = True
            case "batch" | "batchnorm":
                words.skip("norm", "normalization", "normalisation")
                batch_norm = True
            case "rounding":
                rounding = words.rounding()
            case "no":
                match words.value("no", "bias"):
                    case "bias":
                        bias = False
                    case "activation":
                        words.once("the activation", "activation")
                        activation = "none"
                    case "batch" | "batchnorm":
                        words.skip("norm")
                        batch_norm = False
                    case "pad" | "padding":
                        pad = ZERO
                    case other:
                        words.unknown(other, ("bias", "activation", "batch norm", "pad"))
            case "filter" | "filters" | "kernel" | "kernels":
                pass
            case "linear":
                activation = "none"
            case _ if word in ACTIVATIONS:
                words.once("the activation", word)
                activation = word  # type: ignore[assignment]
            case _ if SIZE.fullmatch(word):
                if kernel is not None:
                    words.fail(word, f"two filter sizes, {kernel} and {word}", "leave one of the two out")
                kernel = words.pair(word, "filter size")
            case _ if word.isdigit():
                if filters is not None:
                    words.fail(word, f"two numbers of filters, {filters} and {word}", "leave one of the two out")
                filters = words.integer(word, "filters")
            case _:
                words.unknown(word, known)
    if filters is None or kernel is None:
        missing = "how many filters" if filters is None else "how large the filters are"
        words.fail(None, f"{name} does not say {missing}", "write it as in CONV1: 96 11x11 filters at stride 4, pad 0")
    if is_same:
        pad = _same_pad(words, kernel, dilation, stride)
    bias = not batch_norm if bias is None else bias
    return Conv(name, filters, kernel, stride, pad, groups, dilation, bias, batch_norm, activation, rounding)


def _same_pad(words: Words, kernel: Pair, dilation: Pair, stride: Pair) -> Pair:
    """The padding that keeps width and height: (F - 1)/2 for an odd filter at stride 1."""
    F = Pair(effective_filter(kernel.w, dilation.w), effective_filter(kernel.h, dilation.h))
    if stride != ONE or F.w % 2 == 0 or F.h % 2 == 0:
        words.fail("same", "pad same needs stride 1 and an odd filter", "write the padding as a number")
    return Pair((F.w - 1) // 2, (F.h - 1) // 2)


def _pool(kind: PoolKind) -> Callable[[Words, str, ActivationName, Header], Layer]:
    def read(words: Words, name: str, unsaid: ActivationName, header: Header) -> Layer:
        kernel: Pair | None = None
        stride: Pair | None = None
        pad, rounding = ZERO, header.rounding
        while (word := words.next()) is not None:
            match word:
                case "stride":
                    stride = words.pair(words.value(word), "stride")
                case "pad" | "padding":
                    pad = words.pair(words.value(word), "pad", 0)
                case "rounding":
                    rounding = words.rounding()
                case "filter" | "filters" | "window" | "windows" | "kernel":
                    pass
                case _ if SIZE.fullmatch(word):
                    if kernel is not None:
                        words.fail(word, f"two filter sizes, {kernel} and {word}", "leave one of the two out")
                    kernel = words.pair(word, "filter size")
                case _:
                    words.unknown(word, ("filters", "stride", "pad", "rounding"))
        if kernel is None:
            words.fail(
                None, f"{name} does not say how large its window is", f"write it as in {name}: 3x3 filters at stride 2"
            )
        return Pool(name, kind, kernel, stride or kernel, pad, rounding)

    return read


def _global_pool(words: Words, name: str, unsaid: ActivationName, header: Header) -> Layer:
    words.nothing("global", "average", "pooling")
    return GlobalPool(name)


def _local_response_norm(words: Words, name: str, unsaid: ActivationName, header: Header) -> Layer:
    filling = ("normalization", "normalisation", "local", "response", "contrast")
    layer = LocalResponseNorm(name)
    while (word := words.next()) is not None:
        if word == "n":
            layer = replace(layer, n=words.integer(words.value("n"), "n"))
        elif word == "k":
            layer = replace(layer, k=words.number(words.value("k"), "k"))
        elif word == "alpha":
            layer = replace(layer, alpha=words.number(words.value("alpha"), "alpha"))
        elif word == "beta":
            layer = replace(layer, beta=words.number(words.value("beta"), "beta"))
        elif word not in filling:
            words.unknown(word, ("n", "k", "alpha", "beta", *filling))
    return layer


def _batch_norm(words: Words, name: str, unsaid: ActivationName, header: Header) -> Layer:
    return BatchNorm(name, words.activation_only(unsaid, "normalization", "normalisation"))


def _fully_connected(words: Words, name: str, unsaid: ActivationName, header: Header) -> Layer:
    neurons: int | None = None
    bias, activation = True, unsaid
    while (word := words.next()) is not None:
        match word:
            case "no":
                match words.value("no", "bias"):
                    case "bias":
                        bias = False
                    case "activation":
                        words.once("the activation", "activation")
                        activation = "none"
                    case other:
                        words.unknown(other, ("bias", "activation"))
            case "bias":
                bias = True
            case "neurons" | "neuron" | "units" | "outputs" | "classes":
                pass
            case "linear":
                activation = "none"
            case _ if word in ACTIVATIONS:
                words.once("the activation", word)
                activation = word  # type: ignore[assignment]
            case _ if word.isdigit():
                if neurons is not None:
                    words.fail(word, f"two numbers of neurons, {neurons} and {word}", "leave one of the two out")
                neurons = words.integer(word, "neurons")
            case _:
                words.unknown(word, ("neurons", "bias", "no bias", "no activation", *ACTIVATIONS))
    if neurons is None:
        words.fail(None, f"{name} does not say how many neurons it has", f"write it as in {name}: 4096 neurons")
    return FullyConnected(name, neurons, bias, activation)


def _dropout(words: Words, name: str, unsaid: ActivationName, header: Header) -> Layer:
    rate: float | None = None
    while (word := words.next()) is not None:
        if word in ("rate", "probability", "p"):
            continue
        if rate is not None:
            words.fail(word, f"two rates, {rate:g} and {word}", "leave one of the two out")
        rate = words.number(word.removesuffix("%"), "the rate") / (100 if word.endswith("%") else 1)
        if not 0 <= rate < 1:
            words.fail(
                word, f"a dropout rate of {word} is not from 0 to below 1", "write the share dropped, such as 0.5"
            )
    return Dropout(name, Dropout.rate if rate is None else rate)


def _activation_layer(function: ActivationName) -> Callable[[Words, str, ActivationName, Header], Layer]:
    def read(words: Words, name: str, unsaid: ActivationName, header: Header) -> Layer:
        return Activation(name, words.activation_only(function))

    return read


def _squeeze_excite(words: Words, name: str, unsaid: ActivationName, header: Header) -> Layer:
    reduction = SqueezeExcite.reduction
    while (word := words.next()) is not None:
        if word == "reduction":
            words.skip("ratio")
            reduction = words.integer(words.value("reduction"), "reduction")
        else:
            words.unknown(word, ("reduction",))
    return SqueezeExcite(name, reduction)


PHRASES: dict[str, Callable[[Words, str, ActivationName, Header], Layer]] = {
    "CONV": _conv,
    "MAX POOL": _pool("max"),
    "AVG POOL": _pool("avg"),
    "GLOBAL AVG POOL": _global_pool,
    "NORM": _local_response_norm,
    "BATCH NORM": _batch_norm,
    "FC": _fully_connected,
    "DROPOUT": _dropout,
    "ACTIVATION": _activation_layer("relu"),
    "RELU": _activation_layer("relu"),
    "TANH": _activation_layer("tanh"),
    "SIGMOID": _activation_layer("sigmoid"),
    "SQUEEZE EXCITE": _squeeze_excite,
}
"""How the words behind each kind are read."""
