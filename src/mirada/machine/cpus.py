"""How many processors this process may use: those it is bound to, within its container's quota and OMP_NUM_THREADS.

Libraries count the machine's processors, and in a container that is granted two of sixty-four they slow themselves down
with threads that wait for each other. So do two processes that use all of them each, which is why the person's
OMP_NUM_THREADS counts.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

__all__ = ["available_cpus", "cgroup_quota"]

CGROUP_ROOT: Final = Path("/sys/fs/cgroup")
MEMBERSHIP: Final = Path("/proc/self/cgroup")


def available_cpus() -> int:
    """The number of processors to use, at least 1. A quota of one and a half counts as two."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_quota()
    granted = bound if quota is None else min(bound, math.ceil(quota))
    return max(1, min(granted, _asked_for() or granted))


def _asked_for() -> int | None:
    """What OMP_NUM_THREADS asks for, of a list its first number (OpenMP 5.2, 21.1.2); None where that is no number."""
    words = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(words) if words.isdecimal() else None


def cgroup_quota(root: Path = CGROUP_ROOT, membership: Path = MEMBERSHIP) -> float | None:
    """The processors that the control groups of this process grant, or None where there is no limit.

    The tightest of the groups from this process up to the root counts. Version 2 says it in `cpu.max` ("150000 100000"
    or "max 100000"), version 1 in `cpu.cfs_quota_us` (-1: no limit) and `cpu.cfs_period_us`.

    Args:
        root: where control groups are mounted.
        membership: the file that says which groups this process is in.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:  # not Linux
        return None
    quotas = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            quotas += [_version_2(folder) for folder in _upwards(root, group)]
        elif "cpu" in controllers.split(","):
            mounted = (root / controllers, root / "cpu")
            quotas += [_version_1(folder) for mount in mounted for folder in _upwards(mount, group)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _upwards(mount: Path, group: str) -> Iterator[Path]:
    """The folder of a group, then of its parents, up to the mount. Inside a container the mount may be the group."""
    path = PurePosixPath(group.lstrip("/"))
    for each in (path, *path.parents):
        yield mount / each


def _version_2(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such group here, or a file that says something else
        return None


def _version_1(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        return None if quota <= 0 else quota / int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError, ZeroDivisionError):
        return None
