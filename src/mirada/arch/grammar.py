"""The words of the notation, and the defaults that a line leaves unsaid: what reading and printing share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mirada.arch.blocks import Branch, Parallel, Repeat, Residual
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

__all__ = ["KINDS", "Defaults", "automatic_name", "kind_of", "split_label"]

KINDS: dict[str, tuple[str, ...]] = {
    "INPUT": (),
    "CONV": ("CONVOLUTION",),
    "MAX POOL": ("MAXPOOL", "POOL"),
    "AVG POOL": ("AVGPOOL", "AVERAGE POOL"),
    "GLOBAL AVG POOL": ("GLOBAL AVERAGE POOL", "GAP"),
    "NORM": ("LRN",),
    "BATCH NORM": ("BATCHNORM", "BN"),
    "FC": ("FULLY CONNECTED",),
    "DROPOUT": (),
    "ACTIVATION": (),
    "RELU": (),
    "TANH": (),
    "SIGMOID": (),
    "SQUEEZE EXCITE": ("SE",),
    "RESIDUAL": (),
    "SHORTCUT": (),
    "PARALLEL": (),
    "BRANCH": (),
    "REPEAT": (),
}
"""The word that begins a line, and what else is understood for it."""

_CANONICAL = {word: kind for kind, others in KINDS.items() for word in (kind, *others)}
_WORDS = "|".join(word.replace(" ", r"[ _]") for word in sorted(_CANONICAL, key=len, reverse=True))
_SUFFIX = r"[0-9_\-][\w\-]*"
_BARE_LABEL = re.compile(rf"({_WORDS})({_SUFFIX})?(?![\w\-])", re.IGNORECASE)
_COLON_LABEL = re.compile(rf"({_WORDS})(?: ?({_SUFFIX}))?\s*(?=:)", re.IGNORECASE)


def split_label(text: str) -> tuple[str, str, int] | None:
    """Kind, suffix and length of the label that begins a line; None where no known word does.

    >>> split_label("MAX POOL1: 3x3 filters at stride 2")
    ('MAX POOL', '1', 9)
    >>> split_label("conv 96 11x11")
    ('CONV', '', 4)
    """
    match = _COLON_LABEL.match(text) or _BARE_LABEL.match(text)
    if match is None:
        return None
    kind = _CANONICAL[match[1].upper().replace("_", " ")]
    return kind, match[2] or "", match.end()


def automatic_name(kind: str, taken: Iterable[str]) -> str:
    """The name of a layer that the listing does not name: its kind and the next number.

    >>> automatic_name("CONV", ["CONV1", "MAX POOL1"])
    'CONV2'
    """
    names = set(taken)
    number = 1 + sum(split is not None and split[0] == kind for split in map(split_label, names))
    while f"{kind}{number}" in names:
        number += 1
    return f"{kind}{number}"


def kind_of(layer: Layer) -> str:
    """The word that begins the line of a layer."""
    match layer:
        case Pool(kind=kind):
            return {"max": "MAX POOL", "avg": "AVG POOL"}[kind]
        case Branch(name="SHORTCUT"):
            return "SHORTCUT"
        case Activation():
            split = split_label(layer.name)
            return split[0] if split and split[0] in ("RELU", "TANH", "SIGMOID") else "ACTIVATION"
        case _:
            return _KIND_OF_TYPE[type(layer)]


_KIND_OF_TYPE: dict[type[Layer], str] = {
    Conv: "CONV",
    GlobalPool: "GLOBAL AVG POOL",
    LocalResponseNorm: "NORM",
    BatchNorm: "BATCH NORM",
    FullyConnected: "FC",
    Dropout: "DROPOUT",
    SqueezeExcite: "SQUEEZE EXCITE",
    Residual: "RESIDUAL",
    Parallel: "PARALLEL",
    Branch: "BRANCH",
    Repeat: "REPEAT",
}


@dataclass
class Defaults:
    """Which activation follows a layer whose line does not say.

    The activation of the header follows every CONV and every FC but the last of the listing. It stands behind a BATCH
    NORM that follows them, and is left out where the next line is itself an activation. The last CONV of a residual
    block, and of its shortcut, has none: there it follows the sum.

    Args:
        header: the activation of the header.
        last_fc: the place of the last FC among all FC of the listing, from 1; 0 where there is none.
    """

    header: ActivationName
    last_fc: int
    _fc_seen: int = field(default=0, init=False)

    def activation(
        self, kinds: Sequence[str], i: int, *, ends_in_sum: bool, previous: ActivationName
    ) -> ActivationName:
        """The activation after the layer at `i` of a chain. To be asked once a layer, in the order of the listing.

        Args:
            kinds: the words of all layers of the chain.
            i: the place in the chain.
            ends_in_sum: whether the chain is the body or the shortcut of a residual block.
            previous: the activation of the layer before.
        """
        kind = kinds[i]
        following = kinds[i + 1] if i + 1 < len(kinds) else ""
        self._fc_seen += kind == "FC"
        if following in ("ACTIVATION", "RELU", "TANH", "SIGMOID"):
            return "none"
        if kind in ("CONV", "FC"):
            return "none" if following == "BATCH NORM" else self._due(kinds, i, ends_in_sum)
        if kind == "BATCH NORM" and i > 0 and kinds[i - 1] in ("CONV", "FC") and previous == "none":
            return self._due(kinds, i - 1, ends_in_sum)
        return "none"

    def _due(self, kinds: Sequence[str], i: int, ends_in_sum: bool) -> ActivationName:
        is_class_scores = kinds[i] == "FC" and self._fc_seen == self.last_fc
        is_last_of_sum = ends_in_sum and kinds[i] == "CONV" and "CONV" not in kinds[i + 1 :]
        return "none" if is_class_scores or is_last_of_sum else self.header
