from __future__ import annotations

import itertools
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mirada.data import Sample, load_all, prepared_batches
from mirada.image import Preparation

SMALL = Preparation((4, 3), "stretch")
GREY = Preparation((4, 3), "stretch", channels=1, mean=(0.0,), std=(1.0,))


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Ten files of one level each, 0, 20, ... 180, of which numbers 3, 4 and 9 are no images."""
    made = []
    for number in range(10):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (8, 6), (20 * number,) * 3).save(path)
        if number in (3, 4, 9):
            path.write_bytes(b"no image")
        made.append(Sample(path.name, None, path=path))
    return made


def test_batches_by_hand(samples: list[Sample]) -> None:
    batches = list(prepared_batches(samples, SMALL, 2, threads=2))
    assert [batch.indices.tolist() for batch in batches] == [[0, 1], [2], [5], [6, 7], [8]]
    assert [[index for index, _ in batch.failures] for batch in batches] == [[], [3], [4], [], [9]]
    assert [batch.pixels.shape for batch in batches] == [(n, 3, 4, 3) for n in (2, 1, 1, 2, 1)]
    assert [len(batch) for batch in batches] == [2, 1, 1, 2, 1]
    for batch in batches:
        assert (batch.pixels.dtype, batch.indices.dtype) == (np.uint8, np.int64)
        for index, pixels in zip(batch.indices, batch.pixels, strict=True):
            assert (pixels == 20 * index).all()
    assert batches[1].failures[0][1].name == "3.png"


def test_a_batch_of_failures_alone(samples: list[Sample]) -> None:
    (batch,) = prepared_batches([samples[3], samples[4]], GREY, 5)
    assert batch.pixels.shape == (0, 3, 4, 1)
    assert batch.indices.tolist() == []
    assert [index for index, _ in batch.failures] == [0, 1]


def test_no_samples() -> None:
    assert list(prepared_batches([], SMALL, 5)) == []
    pixels, kept, failures = load_all([], SMALL)
    assert (pixels.shape, kept.shape, failures) == ((0, 3, 4, 3), (0,), ())


@pytest.mark.parametrize("preparation", [SMALL, GREY])
def test_pixels_are_those_of_the_preparation(preparation: Preparation) -> None:
    random = np.random.default_rng(0)
    arrays = [random.integers(0, 256, shape, np.uint8) for shape in ((5, 7), (5, 7, 3), (9, 9))]
    arrays = [array.astype(np.uint8) for array in arrays]
    samples = [Sample(f"[{index}]", None, array=array) for index, array in enumerate(arrays)]
    pixels, kept, failures = load_all(samples, preparation)
    assert (kept.tolist(), failures) == ([0, 1, 2], ())
    for row, sample in zip(pixels, samples, strict=True):
        assert np.array_equal(row, preparation.pixels(sample.image()))  # grey goes in as grey, with the same result


@pytest.mark.parametrize("count", [1, 3, 70])
@pytest.mark.parametrize("shape", [(5, 7), (40, 30), (9, 2), (3, 4)])
@pytest.mark.parametrize(
    "preparation",
    [SMALL, GREY, Preparation((4, 3), "pad"), Preparation((20, 20), "crop", zoom=1.4), Preparation((8, 8), "stretch")],
)
def test_grey_arrays_of_one_size_are_prepared_together(
    preparation: Preparation, shape: tuple[int, int], count: int
) -> None:
    random = np.random.default_rng(0)
    arrays = random.integers(0, 256, (count, *shape), np.uint8)
    samples = [Sample(f"[{index}]", None, array=array) for index, array in enumerate(arrays)]
    told: list[int] = []
    pixels, kept, failures = load_all(samples, preparation, progress=lambda _, done, __, note="": told.append(done))
    assert (kept.tolist(), failures, told) == (list(range(count)), (), [count])
    assert pixels.flags.c_contiguous
    assert np.array_equal(pixels, [preparation.pixels(array) for array in arrays])


def test_load_all(samples: list[Sample]) -> None:
    told: list[tuple[str, int, int | None]] = []

    def listen(stage: str, done: int, total: int | None, note: str = "") -> None:
        told.append((stage, done, total))

    pixels, kept, failures = load_all(samples * 7, SMALL, threads=1, progress=listen)
    assert told == [("reading images", 64, 70), ("reading images", 70, 70)]
    assert len(pixels) == len(kept) == 49
    assert len(failures) == 21

    pixels, kept, failures = load_all(samples, SMALL)
    assert kept.tolist() == [0, 1, 2, 5, 6, 7, 8]
    assert pixels[:, 0, 0, 0].tolist() == [0, 20, 40, 100, 120, 140, 160]
    assert [(index, error.name) for index, error in failures] == [(3, "3.png"), (4, "4.png"), (9, "9.png")]


def test_an_endless_iterator_needs_bounded_memory() -> None:
    array = np.zeros((32, 32), np.uint8)
    endless = (Sample(f"[{number}]", None, array=array) for number in itertools.count())
    batches = prepared_batches(endless, Preparation((64, 64), "stretch"), 16)  # 196,608 bytes a batch
    next(batches)
    tracemalloc.start()
    for batch in itertools.islice(batches, 100):
        assert len(batch) == 16
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * 196_608
    assert next(batches).indices.tolist() == list(range(101 * 16, 102 * 16))


def test_closing_ends_the_threads(samples: list[Sample]) -> None:
    def forever() -> Iterator[Sample]:
        while True:
            yield from samples

    batches = prepared_batches(forever(), SMALL, 4, threads=2)
    next(batches)
    batches.close()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("mirada-data")] == []


def test_a_batch_size_below_one(samples: list[Sample]) -> None:
    with pytest.raises(ValueError, match=r"^batch_size must be at least 1, got 0$"):
        prepared_batches(samples, SMALL, 0)


@pytest.mark.parametrize(
    "images",
    [
        [],
        [np.zeros((3, 4), np.uint8), np.zeros((4, 3), np.uint8)],
        [np.zeros((3, 4, 3), np.uint8)],
        [np.zeros((3, 4), np.float32)],
    ],
)
def test_pictures_that_cannot_be_prepared_together(images: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match="expected grey pictures of one size"):
        SMALL.pixels_of_grey(images)
