"""How deep a network may be retrained: the last stages that can be trained alone, and what was asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mirada.backbone.body import Body
from mirada.errors import ArchitectureError, UsageError
from mirada.image.policy import POLICIES, Policy
from mirada.words import last_stages

__all__ = ["Options", "Retrain", "depths"]

Retrain = Literal["auto", "head", "all"] | int
"""How far to climb: as far as it pays, not at all, to the pixels, or the last N stages at once."""

DEEPEST = 2 / 3
"""The largest share of the network's multiply-adds that is retrained without being asked for by number."""


@dataclass(frozen=True)
class Options:
    """What was asked for.

    Args:
        retrain: how far to climb.
        deadline: of `time.perf_counter()`, for everything; infinite where there is none.
        until: the validation accuracy that is enough, 0 to 1; None for no such limit.
        policy: what the views of a training image change.
    """

    retrain: Retrain = "auto"
    deadline: float = math.inf
    until: float | None = None
    policy: Policy = POLICIES["light"]


def depths(body: Body, retrain: Retrain) -> list[int]:
    """How many of the last stages a rung may train, rising.

    Raises:
        ArchitectureError: the network cannot be cut, or not there.
        UsageError: so many stages cannot be trained; says which can.
    """
    if retrain == "head":
        return []
    name, count = body.backbone.name, len(body.stages)
    can_be_cut = [len(body.input_shape(count - stages)) == 3 for stages in range(1, count + 1)]
    if isinstance(retrain, int):
        if not 1 <= retrain <= count:
            raise UsageError(f"--retrain {retrain}: {name} has {count} stages, give 1 to {count}")
        if not can_be_cut[retrain - 1]:
            others = ", ".join(str(stages) for stages, can in enumerate(can_be_cut, 1) if can)
            raise UsageError(
                f"--retrain {retrain}: {last_stages(retrain)} of {name} cannot be trained alone, since no activation "
                f"maps are given to them; give one of {others}"
            )
        return [retrain]
    if retrain == "all":
        return [count]
    work = np.cumsum([stage.multiply_adds for stage in reversed(body.stages)])
    most = max(1, int((work <= DEEPEST * work[-1]).sum()))
    if not all(can_be_cut[:most]):
        raise ArchitectureError(f"no activation maps are given to {last_stages(1)} of {name}")
    return list(range(1, most + 1))
