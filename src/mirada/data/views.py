"""What random views of a data set may change: the policy that was asked for, and whether mirroring leaves it true."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mirada.data.samples import Dataset
from mirada.errors import UsageError
from mirada.image.policy import Policy, find_policy

__all__ = ["may_mirror", "policy_for", "policy_of"]


def policy_of(given: str | Policy | Mapping[str, object]) -> Policy:
    """A policy by its name, from a JSON file, or from its fields.

    Raises:
        UsageError: there is none, or the file cannot be understood.
    """
    if isinstance(given, Policy):
        return given
    if isinstance(given, Mapping):
        return Policy.from_json(given)
    if not given.endswith(".json"):
        return find_policy(given)
    try:
        values = json.loads(Path(given).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{given}: the policy cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{given}: the policy is not JSON ({error})") from error
    try:
        return Policy.from_json(values)
    except UsageError as error:
        raise UsageError(f"{given}: {error}") from error


def may_mirror(dataset: Dataset) -> bool:
    """Whether pictures may be mirrored without becoming something else.

    Not where they are known to be digits, and not where there are five classes or more and each is called by one letter
    or digit.
    """
    names = dataset.class_names
    are_characters = len(names) >= 5 and all(len(name) == 1 and name.isalnum() for name in names)
    return dataset.kind not in ("digits", "IDX") and not are_characters


def policy_for(dataset: Dataset, given: str | Policy | Mapping[str, object], mirror: bool | None = None) -> Policy:
    """The policy for the views of a data set.

    Args:
        given: its name, a JSON file, its fields, or a policy.
        mirror: whether views may be mirrored; None: as the policy says, but digits never are.
    """
    policy = policy_of(given)
    return policy if (may_mirror(dataset) if mirror is None else mirror) else policy.without_mirror()
