"""A network as a value: its input, its layers, and the walk of a volume through them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import NamedTuple

from mirada.arch.blocks import Block, Branch, Parallel
from mirada.arch.layers import ActivationName, Conv, Dropout, FullyConnected, Layer
from mirada.arch.shapes import Pair, Rounding, Volume
from mirada.arch.sliding import Refusal
from mirada.arch.view import View
from mirada.errors import ArchitectureError, ClaimError, MisfitError

__all__ = ["Architecture", "Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """What one layer does to the volume: a line of the table.

    Attributes:
        path: the layer's place, joined by dots: also the name of the torch module built from it.
        layer: its description, or None for the input.
        depth: how many blocks it stands in.
        given: the volume it gets.
        volume: the volume it makes.
        parameters: those of the layer alone; 0 for a block, whose layers have rows of their own.
        multiply_adds: for one image; 0 for a block.
        receptive: the width and height, in pixels of the input, that one of its values depends on; padding counts, so
            that it may be more than the image. The image itself where every value depends on all of it.
        stride: how many pixels of the input lie between two neighbouring values.
    """

    path: str
    layer: Layer | None
    depth: int
    given: Volume
    volume: Volume
    parameters: int
    multiply_adds: int
    receptive: Pair
    stride: Pair

    @property
    def is_block(self) -> bool:
        """Whether it is a block, whose layers follow in rows of their own."""
        return isinstance(self.layer, (Block, Branch))

    @property
    def activation_bytes(self) -> int:
        """Bytes of its volume for one image in float32."""
        return 4 * self.volume.size


@dataclass(frozen=True)
class Architecture:
    """A network: what goes in, and its layers in order. Equal to another where input, defaults and layers are.

    Args:
        input: the volume of an image.
        layers: in order.
        name: what people call it.
        source: the paper it comes from.
        activation: what follows a CONV or FC whose line does not say.
        rounding: what is done where a sliding window does not fit and the line does not say.
        batch_norm: whether batch normalisation follows a CONV whose line does not say.
        file: where it was read from, for messages; does not count in comparisons.

    Making one checks the shape of no volume: `walk`, `table` and `build` do, and raise `MisfitError` or `ClaimError`.
    """

    input: Volume
    layers: tuple[Layer, ...]
    name: str = ""
    source: str = ""
    activation: ActivationName = "relu"
    rounding: Rounding = "exact"
    batch_norm: bool = False
    file: str | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Architecture) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    @property
    def _value(self) -> tuple[object, ...]:
        return self.input, self.layers, self.name, self.source, self.activation, self.rounding, self.batch_norm

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The input and every layer, blocks before the layers inside them, checked. See `walk`."""
        return tuple(self.walk())

    @property
    def output(self) -> Volume:
        """The volume of the last layer."""
        return next((row.volume for row in reversed(self.rows) if row.depth == 0), self.input)

    @property
    def parameters(self) -> int:
        """All numbers that training changes."""
        return sum(row.parameters for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """Multiplications with their additions for one image."""
        return sum(row.multiply_adds for row in self.rows)

    def walk(self) -> Iterator[Row]:
        """Lead the input through the layers, one row a layer.

        Raises:
            MisfitError: a layer does not fit what it is given; with the sum, what would be lost, and what fits.
            ClaimError: a volume in brackets is not what the arithmetic gives.
        """
        start = View(self.input)
        yield Row("INPUT", None, 0, self.input, self.input, 0, 0, start.receptive, start.stride)
        rows, _ = self._chain(self.layers, _At(self.input, start), prefix="", depth=0)
        yield from rows

    def with_input(self, volume: Volume) -> Architecture:
        """The same layers on another input. What the listing claims of the volumes holds no longer and is dropped."""
        return replace(self, input=volume, layers=_without_claims(self.layers))

    def with_classes(self, classes: int) -> Architecture:
        """The same network with another number of class scores: its last FC, or the last CONV where no FC stands.

        Raises:
            ArchitectureError: the last layer that learns is neither at the outer level, so that there is nothing to
                replace.
        """
        for i in reversed(range(len(self.layers))):
            layer = self.layers[i]
            if isinstance(layer, (FullyConnected, Conv)):
                rest = _without_claims(self.layers[i + 1 :])
                return replace(self, layers=(*self.layers[:i], _with_outputs(layer, classes), *rest))
            if isinstance(layer, Block):
                break
        raise ArchitectureError(
            f"{self.name or 'the network'} has no layer of class scores: end it with a line such as "
            f"'FC: {classes} neurons'",
            source=self.file,
        )

    def with_dropout(self, rate: float) -> Architecture:
        """The same network with dropout behind each FC at the outer level but the last; as it is where it has some.

        Args:
            rate: the share of the values that is left out.
        """
        places = [i for i, layer in enumerate(self.layers) if isinstance(layer, FullyConnected)][:-1]
        if not rate or any(isinstance(layer, Dropout) for layer in self.layers):
            return self
        layers: list[Layer] = []
        for i, layer in enumerate(self.layers):
            layers.append(layer)
            if i in places:
                layers.append(Dropout(f"DROPOUT{places.index(i) + 1}", rate))
        return replace(self, layers=tuple(layers))

    def _chain(self, layers: tuple[Layer, ...], at: _At, prefix: str, depth: int) -> tuple[list[Row], _At]:
        rows: list[Row] = []
        for layer in layers:
            new, at = self._step(layer, at, prefix, depth)
            rows += new
        return rows, at

    def _step(self, layer: Layer, at: _At, prefix: str, depth: int) -> tuple[list[Row], _At]:
        path, given = prefix + layer.module_name, at.volume
        if isinstance(layer, Block):
            rows, after = self._block(layer, at, path, depth)
            own = 0, 0
        else:
            try:
                volume = layer.volume(given)
            except Refusal as refusal:
                raise self._misfit(layer, path, refusal) from None
            rows, after = [], _At(volume, at.view.through(layer.window(given)))
            own = layer.parameters(given), layer.multiply_adds(given)
        self._check_claim(layer, path, given, after.volume)
        return [_row(path, layer, depth, given, after, *own), *rows], after

    def _block(self, block: Block, at: _At, path: str, depth: int) -> tuple[list[Row], _At]:
        rows: list[Row] = []
        ends: list[_At] = []
        for chain in block.chains:
            start = ends[-1] if block.is_serial and ends else at
            new, end = self._chain_of_block(block, chain, start, path, depth + 1)
            rows += new
            ends.append(end)
        try:
            volume = block.join(tuple(end.volume for end in ends))
        except Refusal as refusal:
            raise self._misfit(block, path, refusal) from None
        return rows, _At(volume, ends[-1].view if block.is_serial else View.joined([end.view for end in ends]))

    def _chain_of_block(self, block: Block, chain: Branch, start: _At, path: str, depth: int) -> tuple[list[Row], _At]:
        """The rows of one chain: a heading of its own unless it is the block's body, or hands on its input."""
        if chain is block.body_chain:
            return self._chain(chain.layers, start, f"{path}.", depth)
        own = f"{path}.{chain.module_name}"
        rows, end = self._chain(chain.layers, start, f"{own}.", depth + 1)
        self._check_claim(chain, own, start.volume, end.volume)
        heading = _row(own, chain, depth, start.volume, end, 0, 0)
        return ([heading, *rows] if rows or isinstance(block, Parallel) else []), end

    def _misfit(self, layer: Layer, path: str, refusal: Refusal) -> MisfitError:
        head = f"{_called(layer, path)} {refusal.headline}{self._place(layer)}"
        lines = [head, *(f"  {detail}" for detail in refusal.details)]
        return MisfitError("\n".join(lines), source=self.file, line=layer.line, layer=path)

    def _check_claim(self, layer: Layer, path: str, given: Volume, volume: Volume) -> None:
        if layer.claim is None or layer.claim == volume:
            return
        claimed, computed = layer.claim, volume
        if (claimed.width, claimed.height) == (volume.width, volume.height):
            why = f": the depth is {volume.depth}, not {claimed.depth}"
        else:
            sum_ = layer.size_sum(given)
            why = f": {sum_}" if sum_ else ""
        raise ClaimError(
            f"{_called(layer, path)} does not give what the listing claims{self._place(layer)}\n"
            f"  claimed [{claimed}], computed [{computed}] from its input [{given}]{why}",
            source=self.file,
            line=layer.line,
            layer=path,
        )

    def _place(self, layer: Layer) -> str:
        known = [str(self.file or self.name)] * bool(self.file or self.name) + [f"line {layer.line}"] * bool(layer.line)
        return f" ({', '.join(known)})" if known else ""


class _At(NamedTuple):
    """Where the walk is: the volume so far, and what its values see of the image."""

    volume: Volume
    view: View


def _row(path: str, layer: Layer, depth: int, given: Volume, after: _At, parameters: int, multiply_adds: int) -> Row:
    receptive, stride = after.view.receptive, after.view.stride
    return Row(path, layer, depth, given, after.volume, parameters, multiply_adds, receptive, stride)


def _called(layer: Layer, path: str) -> str:
    """`CONV1`, or `CONV1 in RESIDUAL2` inside a block."""
    outer = path.rpartition(".")[0]
    return f"{layer.name} in {outer}" if outer else layer.name


def _with_outputs(layer: FullyConnected | Conv, outputs: int) -> Layer:
    if isinstance(layer, FullyConnected):
        return replace(layer, neurons=outputs, claim=None)
    return replace(layer, filters=outputs, claim=None)


def _without_claims(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    return tuple(_without_claim(layer) for layer in layers)


def _without_claim(layer: Layer) -> Layer:
    values = {field.name: getattr(layer, field.name) for field in fields(layer)}
    inner = {
        name: _without_claims(value) if isinstance(value, tuple) else _without_claim(value)
        for name, value in values.items()
        if isinstance(value, Layer) or (isinstance(value, tuple) and value and isinstance(value[0], Layer))
    }
    return replace(layer, claim=None, **inner)  # type: ignore[arg-type]
