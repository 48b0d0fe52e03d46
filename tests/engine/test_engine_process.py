from __future__ import annotations

import platform
from collections.abc import Callable

import pytest
import torch

from mirada.engine.process import LITTLE_WORK, give_back_freed_memory, keep_freed_memory, prepare_process


@pytest.mark.parametrize(("work", "expected"), [(None, 3), (LITTLE_WORK, 3), (LITTLE_WORK - 1, 1)])
def test_the_threads_are_those_that_the_process_may_use(
    work: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr("mirada.engine.process.available_cpus", lambda: 3)
    try:
        prepare_process(work)
        assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("tell", [give_back_freed_memory, keep_freed_memory])
@pytest.mark.parametrize(("library", "expected"), [("glibc", True), ("musl", False), ("", False)])
def test_freed_memory_is_given_back_or_kept_where_the_c_library_can(
    tell: Callable[[], bool], library: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if platform.libc_ver()[0] == "glibc" or library != "glibc":
        monkeypatch.setattr("platform.libc_ver", lambda: (library, ""))
        assert tell() is expected
