"""Settings of the whole process that numerical work runs faster with: threads, and memory that is kept."""

from __future__ import annotations

import ctypes
import importlib
import platform
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Final

from mirada.machine.cpus import available_cpus

__all__ = [
    "LITTLE_NETWORK",
    "LITTLE_WORK",
    "begin_import",
    "give_back_freed_memory",
    "import_ahead",
    "keep_freed_memory",
    "prepare_process",
]

LITTLE_NETWORK: Final = 20_000_000
"""Multiply-adds of an image below which torch runs a network: to convert and try it takes longer than to run it."""

LITTLE_WORK: Final = 10_000_000
"""Multiply-adds at once below which a second thread brings little (measured with LeNet-5)."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of mallopt in glibc's malloc.h
_KEPT_BYTES = 512 * 2**20
_LARGEST_FROM_HEAP = 256 * 2**20, 32 * 2**20
_LARGEST_KEPT = 2**20


def prepare_process(multiply_adds: int | None = None) -> None:
    """Set torch's threads to the processors that may be used, or to one for little work, and keep freed memory.

    The number of threads depends on the work and the processors, never on a measurement, so that the same run on the
    same machine gives the same bits. Both settings are the whole process's, also for code that is not mirada's.

    Args:
        multiply_adds: of what is run at once; None for much.
    """
    import torch

    is_little = multiply_adds is not None and multiply_adds < LITTLE_WORK
    torch.set_num_threads(1 if is_little else available_cpus())
    keep_freed_memory()


def import_ahead(module: str) -> Thread:
    """Import what takes long, such as torch, in a thread, while something else is done.

    Returns:
        The thread; the process waits for it before it ends.
    """
    return begin_import(lambda: importlib.import_module(module))


def begin_import(importing: Callable[[], object]) -> Thread:
    """The same for what is imported in a way of its own."""

    def imported() -> None:
        with suppress(ImportError):  # said where it is needed
            importing()

    thread = Thread(target=imported, name="mirada: import")
    thread.start()
    return thread


def keep_freed_memory() -> bool:
    """Let the C library keep up to 512 MiB of freed memory for the next tensor; whether it does.

    By default glibc takes each large tensor from the system and gives it back: every batch then pays for fresh pages,
    which can cost more than the arithmetic. Older releases allow 32 MiB at most for what comes from the heap. Where
    the C library is another, nothing is changed.
    """
    libc = _glibc()
    if libc is None:
        return False
    is_from_heap = any(libc.mallopt(_M_MMAP_THRESHOLD, size) for size in _LARGEST_FROM_HEAP)
    is_kept = libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
    return bool(is_from_heap and is_kept)


def give_back_freed_memory() -> bool:
    """Let the C library give each block above 1 MiB back to the system once it is free; whether it does.

    By default glibc learns from the first large block that is freed to take the next one, of up to 32 MiB, from a heap
    of the thread, and no block below others that are in use leaves a heap again. What many threads read in turn then
    adds up. Where the C library is another, nothing is changed.
    """
    libc = _glibc()
    if libc is None:
        return False
    return bool(libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT) and libc.mallopt(_M_TRIM_THRESHOLD, _LARGEST_KEPT))


def _glibc() -> ctypes.CDLL | None:
    """The C library; None where it is another."""
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
