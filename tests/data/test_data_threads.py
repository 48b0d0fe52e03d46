from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mirada.data.samples import Sample
from mirada.data.threads import map_samples


@pytest.fixture(autouse=True)
def four_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """More threads than processors would run further ahead."""
    monkeypatch.setattr("mirada.data.threads.available_cpus", lambda: 4)


def files(count: int | None = None) -> Iterator[Sample]:
    numbers = itertools.count() if count is None else range(count)
    return (Sample(str(number), None, path=Path(str(number))) for number in numbers)


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("mirada-data")]


def test_results_come_in_order_though_work_ends_out_of_order() -> None:
    turn = threading.Event()

    def work(sample: Sample) -> str:
        if sample.key == "0":
            assert turn.wait(timeout=30)  # the first ends after the second
        elif sample.key == "1":
            turn.set()
        return sample.key

    assert list(map_samples(work, files(20), threads=2, ahead=4)) == [str(number) for number in range(20)]


@pytest.mark.parametrize("ahead", [1, 2, 7])
def test_it_never_runs_further_ahead_than_asked(ahead: int) -> None:
    taken = 0

    def counted() -> Iterator[Sample]:
        nonlocal taken
        for sample in files():
            taken += 1
            yield sample

    results = map_samples(lambda sample: sample.key, counted(), threads=2, ahead=ahead)
    for number in range(25):
        assert next(results) == str(number)
        assert taken == number + ahead
    results.close()


def test_closing_drops_what_has_not_begun_and_ends_the_threads() -> None:
    done = []
    results = map_samples(lambda sample: done.append(sample.key), files(), threads=2, ahead=5)
    next(results)
    assert len(workers()) == 2
    results.close()
    assert workers() == []
    assert len(done) <= 5


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_interruption_ends_the_threads(error: type[BaseException]) -> None:
    def interrupted() -> Iterator[Sample]:
        yield from files(8)
        raise error

    with pytest.raises(error):
        list(map_samples(lambda sample: sample.key, interrupted(), threads=3, ahead=5))
    assert workers() == []


def test_an_error_comes_at_its_turn() -> None:
    results = map_samples(lambda sample: 1 / (int(sample.key) - 2), files(9), threads=2)
    assert [next(results), next(results)] == [-0.5, -1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert workers() == []


def test_arrays_need_no_thread() -> None:
    grey = np.zeros((1, 1), np.uint8)
    samples = [Sample(str(number), None, array=grey) for number in range(9)]
    results = map_samples(lambda sample: (sample.key, threading.current_thread()), samples, ahead=3)
    for number, (key, thread) in enumerate(results):
        assert (key, thread) == (str(number), threading.main_thread())
        assert workers() == []


def test_files_and_arrays_keep_their_order() -> None:
    grey = np.zeros((1, 1), np.uint8)
    mixed = [Sample(sample.key, None, array=grey) if int(sample.key) % 3 else sample for sample in files(30)]
    assert list(map_samples(lambda sample: sample.key, mixed, threads=2, ahead=5)) == [str(n) for n in range(30)]


@pytest.mark.parametrize(("threads", "ahead"), [(0, 1), (1, 0), (-1, 5)])
def test_numbers_below_one(threads: int, ahead: int) -> None:
    with pytest.raises(ValueError, match=f"^threads and ahead must be at least 1, got {threads} and {ahead}$"):
        map_samples(lambda sample: sample, files(1), threads=threads, ahead=ahead)
