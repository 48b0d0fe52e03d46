from __future__ import annotations

import gzip
import struct
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mirada.data import read
from mirada.data.idx import read_idx
from mirada.errors import DataError


def idx(array: np.ndarray) -> bytes:
    """The bytes of an IDX file, written after the description of the format."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def make_mnist(root: Path, names: dict[str, str] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Five training images and three of test, 2 x 3 pixels; returns the images of both."""
    train, test = (np.arange(count * 6, dtype=np.uint8).reshape(count, 2, 3) for count in (5, 3))
    contents = {
        "train-images-idx3-ubyte": idx(train),
        "train-labels-idx1-ubyte": idx(np.array([7, 7, 10, 2, 2], np.uint8)),
        "t10k-images-idx3-ubyte": idx(test + 100),
        "t10k-labels-idx1-ubyte": idx(np.array([2, 10, 7], np.uint8)),
    }
    root.mkdir()
    for name, content in contents.items():
        written = (names or {}).get(name, name)
        (root / written).write_bytes(gzip.compress(content) if written.endswith(".gz") else content)
    return train, test + 100


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"train-images-idx3-ubyte": "train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte": "t10k-labels.idx1-ubyte"},
        {"train-labels-idx1-ubyte": "train-labels.idx1-ubyte.gz"},
    ],
)
def test_mnist(tmp_path: Path, names: dict[str, str]) -> None:
    train, test = make_mnist(tmp_path / "m", names)
    dataset = read(tmp_path / "m")
    assert (dataset.name, dataset.kind, dataset.class_names) == ("m", "IDX", ("10", "2", "7"))
    assert Counter(sample.part for sample in dataset.samples) == {"train": 5, "test": 3}
    file = names.get("train-images-idx3-ubyte", "train-images-idx3-ubyte")
    assert dataset.samples[2].key == f"{file}[2]"
    assert [sample.label.class_id for sample in dataset.samples if sample.label] == [2, 2, 0, 1, 1, 1, 0, 2]
    for sample, expected in zip(dataset.samples, [*train, *test], strict=True):
        assert sample.array is not None
        assert np.array_equal(sample.array, expected)
        assert not sample.array.flags.writeable
    assert dataset.notes == ()


def test_without_a_test_pair_and_beside_other_files(tmp_path: Path) -> None:
    root = tmp_path / "m"
    make_mnist(root)
    (root / "t10k-images-idx3-ubyte").unlink()
    (root / "t10k-labels-idx1-ubyte").unlink()
    (root / "train-labels-idx1-ubyte.gz").write_bytes(b"not read: the same without .gz is there")
    (root / "png").mkdir()
    dataset = read(root)
    assert Counter(sample.part for sample in dataset.samples) == {"train": 5}
    assert dataset.notes == ("Beside the IDX files, this was not read: png/, train-labels-idx1-ubyte.gz.",)


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("train-images-idx3-ubyte", "{root}: the file train-images-idx3-ubyte (or with .gz) is missing."),
        ("train-labels-idx1-ubyte", "{root}: the file train-labels-idx1-ubyte (or with .gz) is missing."),
        ("t10k-images-idx3-ubyte", "{root}: the file t10k-images-idx3-ubyte (or with .gz) is missing."),
        ("t10k-labels-idx1-ubyte", "{root}: the file t10k-labels-idx1-ubyte (or with .gz) is missing."),
    ],
)
def test_half_a_pair(tmp_path: Path, gone: str, message: str) -> None:
    root = tmp_path / "m"
    make_mnist(root)
    (root / gone).unlink()
    with pytest.raises(DataError) as caught:
        read(root)
    assert str(caught.value) == message.format(root=root)


def test_pairs_of_different_lengths(tmp_path: Path) -> None:
    root = tmp_path / "m"
    make_mnist(root)
    (root / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(4, np.uint8)))
    with pytest.raises(DataError) as caught:
        read(root)
    assert str(caught.value) == (
        f"{root}/train-labels-idx1-ubyte: 4 labels, but train-images-idx3-ubyte holds 5 images. "
        "The two files do not belong together: get both from the same place."
    )


def header(*sizes: int) -> bytes:
    return bytes([0, 0, 8, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            b"",
            "{file}: not an IDX file of unsigned bytes in 3 dimensions: it begins with nothing, expected 00 00 08 03.",
        ),
        (
            header(9) + bytes(9),
            "{file}: not an IDX file of unsigned bytes in 3 dimensions: "
            "it begins with 00 00 08 01, expected 00 00 08 03.",
        ),
        (
            b"\x89PNG\r\n",
            "{file}: not an IDX file of unsigned bytes in 3 dimensions: "
            "it begins with 89 50 4e 47, expected 00 00 08 03.",
        ),
        (header(2, 2, 2)[:9], "{file}: the header ends after 9 bytes, expected 16."),
        (header(0, 28, 28), "{file}: the header announces 0 x 28 x 28 values, which is nothing."),
        (
            header(2, 2, 2) + bytes(7),
            "{file}: the header announces 2 x 2 x 2 = 8 bytes of values, found 7. Get it again.",
        ),
        (
            header(2, 2, 2) + bytes(9),
            "{file}: the header announces 2 x 2 x 2 = 8 bytes of values, found more. Get it again.",
        ),
        (
            header(1000, 1000, 1000) + bytes(9),
            "{file}: the header announces 1000 x 1000 x 1000 = 1,000,000,000 bytes of values, found fewer. "
            "Get it again.",
        ),
        (
            header(2**32 - 1, 2**32 - 1, 2**32 - 1),
            "{file}: the header announces 4294967295 x 4294967295 x 4294967295 = "
            "79,228,162,458,924,105,385,300,197,375 bytes, more than the limit of 2,147,483,648.",
        ),
        (
            gzip.compress(header(2, 2, 2) + bytes(7), mtime=0),
            "{file}: the header announces 2 x 2 x 2 = 8 bytes of values, found 7. Get it again.",
        ),
        (
            gzip.compress(header(2, 2, 2) + bytes(5_000_000), mtime=0),
            "{file}: the header announces 2 x 2 x 2 = 8 bytes of values, found more. Get it again.",
        ),
        (
            gzip.compress(header(2000, 1000, 1000) + bytes(8), mtime=0),
            "{file}: the header announces 2000 x 1000 x 1000 = 2,000,000,000 bytes of values, found fewer. "
            "Get it again.",
        ),
        (
            gzip.compress(header(2, 2, 2) + bytes(8), mtime=0)[:-9],
            "{file}: the gzip file is damaged (it ends in the middle). Get it again.",
        ),
        (
            gzip.compress(header(2, 2, 2) + bytes(8), mtime=0)[:-8] + bytes(8),
            "{file}: the gzip file is damaged (Error -3 while decompressing data: incorrect data check). Get it again.",
        ),
    ],
)
def test_files_that_are_corrupt(tmp_path: Path, raw: bytes, message: str) -> None:
    file = tmp_path / "train-images-idx3-ubyte"
    file.write_bytes(raw)
    with pytest.raises(DataError) as caught:
        read_idx(file, dimensions=3)
    assert str(caught.value) == message.format(file=file)


@pytest.mark.parametrize("behind", [b"", bytes(512)])
@pytest.mark.parametrize("members", [1, 2, 7])
def test_a_gzip_file_of_several_members(tmp_path: Path, members: int, behind: bytes) -> None:
    file = tmp_path / "train-labels-idx1-ubyte.gz"
    values = np.random.default_rng(0).integers(0, 256, 3_000_000, np.uint8)
    whole = header(len(values)) + values.tobytes()
    pieces = np.array_split(np.frombuffer(whole, np.uint8), members)
    file.write_bytes(b"".join(gzip.compress(piece.tobytes(), 1) for piece in pieces) + behind)
    np.testing.assert_array_equal(read_idx(file, dimensions=1), values)


def test_a_gzip_bomb_is_not_inflated(tmp_path: Path) -> None:
    file = tmp_path / "train-labels-idx1-ubyte.gz"
    file.write_bytes(gzip.compress(header(1000) + bytes(100_000_000), mtime=0))
    tracemalloc.start()
    with pytest.raises(DataError, match="found more"):
        read_idx(file, dimensions=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "x"
    with pytest.raises(DataError) as caught:
        read_idx(file, dimensions=1)
    assert str(caught.value) == f"{file}: the file cannot be read (No such file or directory)."
