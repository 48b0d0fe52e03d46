"""What a frozen network computes, apart from how it is run: uint8 pixels in, arrays out, normalisation inside."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mirada.image import Preparation

if TYPE_CHECKING:
    from torch import nn

    from mirada.backbone.body import Body

__all__ = ["Program", "body_program", "trunk_program"]

VERSION = 1
"""Of what `key` stands for; one more where the same key would give other numbers."""


@dataclass(frozen=True, eq=False)
class Program:
    """A frozen network with the normalisation of its pixels.

    Args:
        name: for people.
        identity: plain values that, with the preparation, decide every output: which network, which weights (a hash),
            which outputs.
        preparation: gives size, channels, mean and standard deviation; its fit and zoom do not matter here.
        build: makes the module, (N, C, h, w) float32 -> a tensor or a tuple of tensors, (N, K) or (N, D, H, W). Called
            only where no compiled form is kept, since it may import torch and read weights.
        multiply_adds: for one image, where known: little work is left to torch, which has no conversion to wait for.
        family: what the network is apart from its weights. Where another of its family was tried on this machine, only
            the way that was chosen for that one is tested; "" for none.
    """

    name: str
    identity: dict[str, Any]
    preparation: Preparation
    build: Callable[[], nn.Module]
    multiply_adds: int | None = None
    family: str = ""

    @cached_property
    def key(self) -> str:
        """SHA-256 of everything that decides the outputs: 64 hexadecimal digits."""
        values = self.preparation.to_json()
        content = {
            "version": VERSION,
            "identity": self.identity,
            "preparation": {name: values[name] for name in ("size_wh", "channels", "mean", "std")},
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(h, w, C) of the prepared pixels of one image."""
        width, height = self.preparation.size_wh
        return height, width, self.preparation.channels


def body_program(body: Body, taps: Sequence[int] = (), preparation: Preparation | None = None) -> Program:
    """A pretrained network without its head; outputs: the inputs of the stages `taps`, float16, and the features.

    Args:
        body: the network.
        taps: numbers of stages, rising.
        preparation: says how pixels are normalised; None for the one of the network's makers.
    """
    preparation = preparation or body.preparation
    if not taps:
        return Program(body.name, body.identity, preparation, lambda: body.module, family=body.backbone.name)
    from mirada.backbone.body import tapped

    names = [body.stages[tap].name for tap in taps]
    return Program(
        f"{body.name}, also before {' and '.join(names)}",
        body.identity | {"taps": names},
        preparation,
        lambda: tapped(body.stages, taps),
    )


def trunk_program(body: Body, place: int) -> Program:
    """A pretrained network up to the input of the stage number `place`, from 1, which is its output, float16."""
    from mirada.backbone.body import tapped

    name = body.stages[place].name
    return Program(
        f"{body.name} up to {name}",
        body.identity | {"up_to": name},
        body.preparation,
        lambda: tapped(body.stages[:place], ()),
    )
