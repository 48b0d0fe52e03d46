"""What random views of a data set may change: the policy that was asked for, and whether mirroring leaves it true."""

from __future__ import annotations

import json
from pathlib import Path

from mirada.data.samples import Dataset
from mirada.errors import UsageError
from mirada.image.policy import Policy, find_policy

__all__ = ["may_mirror", "policy_for", "policy_of"]


def policy_of(given: str | Policy) -> Policy:
    """A policy by its name, or from a JSON file.

    Raises:
        UsageError: there is none, or the file cannot be understood.
    """
    if isinstance(given, Policy):
        return given
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
    """Whether pictures may be mirrored without becoming something else: not where they are known to be digits."""
    return dataset.kind not in ("digits", "IDX")


def policy_for(dataset: Dataset, given: str | Policy, mirror: bool | None = None) -> Policy:
    """The policy for the views of a data set.

    Args:
        given: its name, or a JSON file, or a policy.
        mirror: whether views may be mirrored; None: as the policy says, but digits never are.
    """
    policy = policy_of(given)
    return policy if (may_mirror(dataset) if mirror is None else mirror) else policy.without_mirror()
