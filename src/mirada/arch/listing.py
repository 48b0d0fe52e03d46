"""Architecture -> text, in the canonical form: what `parse` reads back as an equal value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mirada.arch.architecture import Architecture, Row
from mirada.arch.blocks import Block, Branch, Parallel, Repeat, Residual
from mirada.arch.grammar import Defaults, automatic_name, kind_of, split_label
from mirada.arch.layers import (
    Activation,
    ActivationName,
    BatchNorm,
    Conv,
    Dropout,
    FullyConnected,
    Layer,
    LocalResponseNorm,
    Pool,
    SqueezeExcite,
)
from mirada.arch.shapes import ONE, ZERO, Rounding, Volume
from mirada.errors import ArchitectureError

__all__ = ["describe", "format_listing"]

_INDENT = "    "


def format_listing(architecture: Architecture) -> str:
    """The canonical listing, with the computed volume of every line; `parse` of it equals the architecture.

    Raises:
        MisfitError: a layer does not fit, so that there is no volume to print.
        ArchitectureError: a layer has a name that no line can have.

    >>> from mirada.arch import parse
    >>> print(format_listing(parse("INPUT 28x28x1; CONV 6 5x5; MAX POOL 2x2; FC 10".replace("; ", chr(10)))))
    [28x28x1] INPUT
    [24x24x6] CONV1: 6 5x5 filters at stride 1, pad 0
    [12x12x6] MAX POOL1: 2x2 filters at stride 2
    [10] FC1: 10 neurons (class scores)
    """
    header = [
        *(f"{key}: {_checked_setting(key, value)}" for key, value in _texts(architecture).items() if value),
        *([f"activation: {architecture.activation}"] if architecture.activation != "relu" else []),
        *([f"rounding: {architecture.rounding}"] if architecture.rounding != "exact" else []),
        *(["batch norm: yes"] if architecture.batch_norm else []),
    ]
    printer = _Printer(architecture)
    body = [f"[{_input(architecture.input)}] INPUT", *printer.chain(architecture.layers, "", "", ends_in_sum=False)]
    return "\n".join([*header, *body])


def describe(layer: Layer, architecture: Architecture) -> str:
    """What a line says after its name, with every number written out; empty where nothing is to be said."""
    return _words(layer, architecture, None, is_short=False)


class _Printer:
    """Prints chains, knowing the volume at each path and the defaults of the header."""

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        self.claims = _claims(architecture.rows)
        self.defaults = Defaults(architecture.activation, _count_fc(architecture.layers))

    def chain(self, layers: Sequence[Layer], path: str, indent: str, *, ends_in_sum: bool) -> Iterator[str]:
        for layer, unsaid in self._with_defaults(layers, ends_in_sum):
            own = path + layer.module_name
            if isinstance(layer, Branch):
                _checked_name(layer)
                yield from self.branch(layer, own, indent, ends_in_sum=False)
                continue
            text = _words(layer, self.architecture, unsaid, is_short=False)
            claim = f"[{self.claims[own]}] " if self.claims[own] else ""
            yield f"{indent}{claim}{_checked_name(layer)}" + (f": {text}" if text else "")
            match layer:
                case Residual():
                    yield from self.chain(layer.body, f"{own}.", indent + _INDENT, ends_in_sum=True)
                    if layer.shortcut.layers:
                        yield from self.branch(layer.shortcut, f"{own}.SHORTCUT", indent + _INDENT, ends_in_sum=True)
                case Repeat():
                    yield from self.chain(layer.body, f"{own}.1.", indent + _INDENT, ends_in_sum=False)
                case Parallel():
                    yield from self.chain(layer.branches, f"{own}.", indent + _INDENT, ends_in_sum=False)

    def branch(self, branch: Branch, path: str, indent: str, *, ends_in_sum: bool) -> Iterator[str]:
        """On one line where its layers are simple, else below it."""
        if not branch.layers:
            yield f"{indent}{branch.name}: identity"
        elif any(isinstance(layer, Block) for layer in branch.layers):
            yield f"{indent}{branch.name}:"
            yield from self.chain(branch.layers, f"{path}.", indent + _INDENT, ends_in_sum=ends_in_sum)
        else:
            yield f"{indent}{branch.name}: " + " -> ".join(self._short(branch.layers, ends_in_sum))

    def _short(self, layers: Sequence[Layer], ends_in_sum: bool) -> Iterator[str]:
        names: list[str] = []
        for layer, unsaid in self._with_defaults(layers, ends_in_sum):
            kind = kind_of(layer)
            text = _words(layer, self.architecture, unsaid, is_short=True)
            if layer.name == automatic_name(kind, names):
                yield f"{kind} {text}".rstrip()
            else:
                yield f"{_checked_name(layer)}: {text}" if text else _checked_name(layer)
            names.append(layer.name)

    def _with_defaults(self, layers: Sequence[Layer], ends_in_sum: bool) -> Iterator[tuple[Layer, ActivationName]]:
        kinds = [kind_of(layer) for layer in layers]
        previous: ActivationName = "none"
        for i, layer in enumerate(layers):
            unsaid = self.defaults.activation(kinds, i, ends_in_sum=ends_in_sum, previous=previous)
            previous = getattr(layer, "activation", "none")
            yield layer, unsaid


def _words(layer: Layer, architecture: Architecture, unsaid: ActivationName | None, *, is_short: bool) -> str:
    """The description of a line. `unsaid` is the activation that need not be said; None says every activation."""
    match layer:
        case Conv():
            return ", ".join(_conv_words(layer, architecture, unsaid, is_short))
        case Pool():
            stride = f" at stride {layer.stride.short}" if not is_short or layer.stride != layer.kernel else ""
            pad = [f"pad {layer.pad.short}"] if layer.pad != ZERO else []
            return ", ".join([f"{layer.kernel} filters{stride}", *pad, *_rounding(layer.rounding, architecture)])
        case FullyConnected():
            bias = ["no bias"] if not layer.bias else []
            said = _activation(layer.activation, unsaid)
            scores = " (class scores)" if not is_short and unsaid == layer.activation == "none" else ""
            return ", ".join([f"{layer.neurons} neurons{scores}", *bias, *said])
        case LocalResponseNorm():
            changed = {
                k: getattr(layer, k) for k in ("n", "k", "alpha", "beta") if unsaid is None or _changed(layer, k)
            }
            return ", ".join(f"{k} {v!r}" for k, v in changed.items()) or ("" if is_short else "Normalization layer")
        case BatchNorm():
            return ", ".join(_activation(layer.activation, unsaid))
        case Dropout():
            return f"{layer.rate!r}"
        case Activation():
            return "" if kind_of(layer).lower() == layer.function else layer.function
        case SqueezeExcite():
            return f"reduction {layer.reduction}"
        case Residual():
            return ", ".join(_activation(layer.activation, None if unsaid is None else architecture.activation))
        case Repeat():
            return f"{layer.times} times"
        case _:
            return ""


def _conv_words(
    layer: Conv, architecture: Architecture, unsaid: ActivationName | None, is_short: bool
) -> Iterator[str]:
    is_default = layer.stride == ONE
    yield f"{layer.filters} {layer.kernel} filters" + (
        "" if is_short and is_default else f" at stride {layer.stride.short}"
    )
    if not is_short or layer.pad != ZERO:
        yield f"pad {layer.pad.short}"
    if layer.groups != 1:
        yield f"groups {layer.groups}"
    if layer.dilation != ONE:
        yield f"dilation {layer.dilation.short}"
    if layer.batch_norm != (architecture.batch_norm if unsaid is not None else False):
        yield "batch norm" if layer.batch_norm else "no batch norm"
    if layer.bias == layer.batch_norm:
        yield "bias" if layer.bias else "no bias"
    yield from _activation(layer.activation, unsaid)
    yield from _rounding(layer.rounding, architecture)


def _activation(activation: ActivationName, unsaid: ActivationName | None) -> list[str]:
    if activation == unsaid or (unsaid is None and activation == "none"):
        return []
    return ["no activation" if activation == "none" else activation]


def _rounding(rounding: Rounding, architecture: Architecture) -> list[str]:
    return [] if rounding == architecture.rounding else [f"rounding {rounding}"]


def _changed(layer: LocalResponseNorm, name: str) -> bool:
    return bool(getattr(layer, name) != getattr(LocalResponseNorm, name))


def _texts(architecture: Architecture) -> dict[str, str]:
    return {"name": architecture.name, "source": architecture.source}


def _checked_setting(key: str, value: str) -> str:
    if value != value.strip() or len(value.splitlines()) > 1 or "#" in value:
        raise ArchitectureError(f"{value!r} cannot be the {key} of a listing: it must stand on one line, without #")
    return value


def _claims(rows: Sequence[Row]) -> dict[str, Volume | None]:
    """The volume at each path; None inside a REPEAT whose rounds differ, where one line stands for several volumes."""
    claims: dict[str, Volume | None] = {}
    for row in rows:
        path = re.sub(r"\.\d+(?=\.|$)", ".1", row.path)
        claims[path] = row.volume if claims.get(path, row.volume) == row.volume else None
    return claims


def _input(volume: Volume) -> str:
    return f"{volume.width}x{volume.height}x{volume.depth}"


def _count_fc(layers: Sequence[Layer]) -> int:
    return sum(isinstance(layer, FullyConnected) + _count_fc(_inner(layer)) for layer in layers)


def _inner(layer: Layer) -> tuple[Layer, ...]:
    match layer:
        case Residual():
            return (*layer.body, layer.shortcut)
        case Parallel():
            return layer.branches
        case Repeat(body=inner) | Branch(layers=inner):
            return inner
    return ()


def _checked_name(layer: Layer) -> str:
    split = split_label(f"{layer.name}:")
    if split is None or split[0] != kind_of(layer) or not split[1] or f"{split[0]}{split[1]}" != layer.name:
        raise ArchitectureError(
            f"{layer.name!r} cannot be the name of a line: call it {kind_of(layer)} and a number or _word",
            layer=layer.name,
        )
    return layer.name
