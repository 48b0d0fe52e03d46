"""Samples -> results, in order, by a few threads that never run far ahead.

Decoding, resizing and hashing leave Python's lock, so threads are enough, and no process is ever forked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, islice
from typing import Final, TypeVar

from mirada.data.samples import Sample
from mirada.machine.cpus import available_cpus

__all__ = ["map_items", "map_samples", "threads_for", "threads_of"]

FAR: Final = 16
"""Threads that read from object storage: they wait more than they work."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_samples(
    function: Callable[[Sample], Result], samples: Iterable[Sample], *, threads: int | None = None, ahead: int = 64
) -> Generator[Result, None, None]:
    """Yield `function(sample)` for every sample, in the order of the samples.

    Samples with a file go to the threads; those with an array are done here when their turn comes, because handing
    over a small array costs more than the work on it. At most `ahead` results wait, so the samples may be an endless
    iterator. When the iterator is closed or interrupted, the work that has not begun is dropped and the threads end.

    Args:
        threads: how many; None for as many as read the first sample best.
        ahead: how many samples may be taken before their result is asked for, at least 1; more from object storage.

    Raises ValueError where a number is below 1, and whatever the function raises, at the sample's turn.
    """
    if threads is None:
        rest = iter(samples)
        first = list(islice(rest, 1))
        threads, samples = threads_of(first), chain(first, rest)
    return _map(function, samples, threads, ahead, lambda sample: sample.array is not None)


def threads_for(is_far: bool) -> int:
    """How many threads read images best: one a processor, or more where they lie in object storage."""
    return max(FAR, available_cpus()) if is_far else available_cpus()


def threads_of(samples: Sequence[Sample]) -> int:
    """`threads_for` samples that lie where the first of them does."""
    return threads_for(bool(samples) and samples[0].is_far)


def map_items(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int | None = None, ahead: int = 64
) -> Generator[Result, None, None]:
    """Yield `function(item)` for every item, in their order; each is done by one of the threads. See `map_samples`.

    Args:
        threads: how many; None for `available_cpus()`.
        ahead: as of `map_samples`.
    """
    return _map(function, items, threads, ahead, lambda _: False)


def _map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int | None,
    ahead: int,
    is_done_here: Callable[[Item], bool],
) -> Generator[Result, None, None]:
    if (threads is not None and threads < 1) or ahead < 1:
        raise ValueError(f"threads and ahead must be at least 1, got {threads} and {ahead}")
    threads = available_cpus() if threads is None else threads
    if threads > available_cpus():  # they wait for a store: give each something to wait for
        ahead = max(ahead, 2 * threads)
    return _mapped(function, items, threads, ahead, is_done_here)


def _mapped(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int,
    ahead: int,
    is_done_here: Callable[[Item], bool],
) -> Generator[Result, None, None]:
    pool = ThreadPoolExecutor(threads, thread_name_prefix="mirada-data")  # starts a thread only when it gets work
    waiting: deque[Callable[[], Result]] = deque()
    try:
        for item in items:
            is_mine = is_done_here(item)
            if is_mine and not waiting:
                yield function(item)
                continue
            waiting.append(partial(function, item) if is_mine else pool.submit(function, item).result)
            if len(waiting) >= ahead:
                yield waiting.popleft()()
        while waiting:
            yield waiting.popleft()()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
