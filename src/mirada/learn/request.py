"""What is asked of `train`: understood, and refused where it contradicts itself, before anything is read."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mirada.arch import Architecture
from mirada.backbone import BUILTIN, Backbone, find
from mirada.errors import ArchitectureError, UsageError
from mirada.image.policy import Policy
from mirada.learn.recipes import Recipe, find_recipe
from mirada.machine.ranks import rank_count

__all__ = ["Request", "request_of"]


@dataclass(frozen=True)
class Request:
    """What is to be trained, and how.

    Attributes:
        network: its name, or the file of a listing.
        source: a pretrained network, or a listing.
        recipe: of a listing.
        finds_rate: whether its learning rate is found by trying it out.
    """

    network: str
    source: Architecture | Backbone
    recipe: Recipe
    finds_rate: bool


def request_of(
    network: str | os.PathLike[str] | None,
    recipe: str | Recipe | None,
    values: Mapping[str, Any],
    settings: Mapping[str, Any],
    climbing: Mapping[str, Any],
    *,
    augment: str | Policy | None,
    has_journal: bool,
    has_weights: bool,
    seed: int,
) -> Request:
    """See `mirada.learn.train` for what these are.

    Args:
        values: `epochs`, `batch_size` and `learning_rate`.
        climbing: `retrain`, `minutes` and `until`.

    Raises:
        UsageError: they contradict each other, or are out of range.
        ArchitectureError: the network cannot be read.
    """
    chosen = recipe if isinstance(recipe, Recipe) else find_recipe(recipe or "modern")
    if network is not None:
        name, source = os.fspath(network), find(os.fspath(network))
    elif recipe is None:
        name, source = BUILTIN, find(BUILTIN)
    else:
        name, source = _of_recipe(recipe, chosen)
    if not 0 <= seed < 2**32:
        raise UsageError(f"the seed must be from 0 to {2**32 - 1:,}, got {seed}")
    others = {"recipe": recipe, "journal": has_journal or None, "set": settings or None}
    if isinstance(source, Backbone):
        _check_is_not_scratch(source, {**values, **others})
    else:
        _check_is_not_climbing(climbing)
    if has_weights and (isinstance(source, Architecture) or source.is_builtin):
        other = "its own are built in" if isinstance(source, Backbone) else "a listing starts from scratch"
        raise UsageError(f"--weights is for a pretrained network, such as --from timm:resnet18; {other}")
    _check_climbing(**climbing)
    if "network" in settings:
        raise UsageError("--set network is not for choosing one: name it with --from")
    if "policy" in settings and augment is not None:
        raise UsageError("--augment and --set policy contradict each other: leave one of them out")
    asked = {name: value for name, value in values.items() if value is not None and value != "find"}
    return Request(name, source, chosen.with_values(**{**settings, **asked}), values["learning_rate"] == "find")


def _of_recipe(recipe: str | Recipe, chosen: Recipe) -> tuple[str, Architecture | Backbone]:
    """The network that a recipe names, or LeNet-5."""
    name = chosen.network or "lenet5"
    try:
        return name, find(name)
    except (ArchitectureError, UsageError) as error:
        raise UsageError(f"{recipe if isinstance(recipe, str) else chosen.name}: network: {error}") from error


def _check_is_not_scratch(source: Backbone, settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        if value is not None:
            raise UsageError(
                f"--{name.replace('_', '-')} is for training a listing from scratch, such as --from lenet5: "
                f"{source.name} is pretrained, and climbs the ladder by its own recipe"
            )
    if rank_count() > 1:
        raise UsageError(f"several processes train a listing from scratch; {source.name} climbs the ladder in one")


def _check_is_not_climbing(climbing: Mapping[str, Any]) -> None:
    for name, value in climbing.items():
        if value not in (None, "auto"):
            raise UsageError(f"--{name} is for a pretrained network: a listing is trained whole, from scratch")


def _check_climbing(retrain: object, minutes: float | None, until: float | None) -> None:
    if not (
        retrain in ("auto", "head", "all")
        or (isinstance(retrain, int) and not isinstance(retrain, bool) and retrain >= 1)
    ):
        raise UsageError(f"--retrain must be auto, head, all or a number of stages from 1, got {retrain}")
    if minutes is not None and not 0 < minutes < math.inf:
        raise UsageError(f"--minutes must be a number above 0, got {minutes}")
    if until is not None and not 0 < until <= 1:
        raise UsageError(f"--until must be an accuracy above 0 and up to 1, such as 0.9 or 90%, got {until}")
    if until is not None and retrain == "head":
        raise UsageError("--until ends a climb early, and with --retrain head there is none: leave one of them out")
