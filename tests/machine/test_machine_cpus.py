from __future__ import annotations

import os
from pathlib import Path

import pytest

from mirada.machine import available_cpus, cpus
from mirada.machine.cpus import cgroup_quota


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("membership", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {}, None),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "200000 100000\n", "cpu.max": "400000 100000"}, 2.0),
        ("0::/not/seen/from/inside\n", {"cpu.max": "50000 100000\n"}, 0.5),
        ("0::/\n", {"cpu.max": "nonsense\n"}, None),
        ("1:cpu:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3.0),
        ("1:cpu:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        (
            "4:memory:/\n3:cpu,cpuacct:/docker/x\n",
            {"cpu,cpuacct/docker/x/cpu.cfs_quota_us": "50000", "cpu,cpuacct/docker/x/cpu.cfs_period_us": "25000"},
            2.0,
        ),
    ],
)
def test_quota(tmp_path: Path, membership: str, files: dict[str, str], quota: float | None) -> None:
    write(tmp_path, {**files, "membership": membership})
    assert cgroup_quota(tmp_path, tmp_path / "membership") == quota


def test_where_there_are_no_control_groups(tmp_path: Path) -> None:
    assert cgroup_quota(tmp_path, tmp_path / "membership") is None


@pytest.mark.parametrize(
    ("bound", "quota", "asked", "expected"),
    [
        (8, None, None, 8),
        (8, 1.5, None, 2),
        (8, 0.2, None, 1),
        (2, 6.0, None, 2),
        (8, 3.0, None, 3),
        (8, 3.0, "2", 2),
        (8, 3.0, "5", 3),
        (8, None, " 4 ,2", 4),
        (8, None, "0", 8),
        (8, None, "-1", 8),
        (8, None, "many", 8),
        (8, None, "", 8),
    ],
)
def test_available(
    monkeypatch: pytest.MonkeyPatch, bound: int, quota: float | None, asked: str | None, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(bound)), raising=False)
    monkeypatch.setattr(cpus, "cgroup_quota", lambda: quota)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert available_cpus() == expected


def test_without_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(cpus, "cgroup_quota", lambda: None)
    assert available_cpus() == 6
