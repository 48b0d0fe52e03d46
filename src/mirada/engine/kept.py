"""Outputs of a frozen network, kept on disk by the content of the image: what was run once is not run again.

```
FOLDER/
  rows.bin     one row an image and view: its outputs, one after the other, as raw numbers
  index.bin    one record a row: SHA-256 of the image's content, number of the view, checksum of the row
```

Rows are only ever appended, a row before its record, so a process may be killed at any moment and the next one goes on
from the last whole row. Rows are read by position, never mapped: however many there are, memory holds only those of a
batch, and the system's file cache makes it fast where there is room.
"""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from collections.abc import Sequence
from math import prod
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from mirada.errors import UsageError
from mirada.files import lock_file

__all__ = ["Kept", "Layout", "delete_unused"]

_INDEX = "index.bin"
_MODE = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
_RECORD = struct.Struct("<32sII")  # content, view, checksum
_CHECKED = 256
"""Rows whose checksum is tested when a folder is opened: those that a power cut may have spoilt."""

Layout = tuple[tuple[tuple[int, ...], str], ...]
"""Shape and dtype of each output of a row."""


class Kept:
    """The rows of one folder. Use as a context manager, or call `close`.

    Args:
        folder: made where it is missing; it is this object's alone until it is closed.
        layout: shape and dtype of each output.

    Attributes:
        row_bytes: of one row, all outputs together.

    Raises:
        UsageError: it cannot be written.
        BlockingIOError: another process, or another object, has it open.
    """

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.layout = layout
        self._sizes = [prod(shape) * np.dtype(kind).itemsize for shape, kind in layout]
        self._offsets = [sum(self._sizes[:i]) for i in range(len(layout))]
        self.row_bytes = sum(self._sizes)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._index = os.open(folder / _INDEX, _MODE, 0o600)
            try:
                _lock(self._index)
                self._rows = os.open(folder / "rows.bin", _MODE, 0o600)
            except OSError:
                os.close(self._index)
                raise
        except BlockingIOError:
            raise
        except OSError as error:
            raise UsageError(f"activations cannot be kept in {folder} ({error.strerror})") from error
        self.folder = folder
        os.utime(folder)  # used now, for whoever looks for room
        self._places = self._opened()

    def __enter__(self) -> Kept:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._places)

    def close(self) -> None:
        """Close the files."""
        for descriptor in (self._rows, self._index):
            os.close(descriptor)

    def place(self, content: str, view: int) -> int | None:
        """The number of the row of a view of an image, by the SHA-256 of its content; None where it is not kept."""
        return self._places.get((bytes.fromhex(content), view))

    def append(self, content: str, view: int, outputs: Sequence[NDArray[np.generic]]) -> int:
        """Keep the outputs for a view of an image, unless there are some; the number of its row."""
        row = b"".join(
            np.ascontiguousarray(array, kind).tobytes() for array, (_, kind) in zip(outputs, self.layout, strict=True)
        )
        if len(row) != self.row_bytes:
            raise ValueError(f"outputs: expected {self.row_bytes} bytes, got {len(row)}")
        number = len(self._places)
        key = bytes.fromhex(content), view
        if key in self._places:
            return self._places[key]
        try:
            _write(self._rows, row, number * self.row_bytes)
            _write(self._index, _RECORD.pack(*key, zlib.crc32(row)), number * _RECORD.size)
        except OSError as error:
            raise UsageError(
                f"activations cannot be kept in {self.folder} ({error.strerror}): free some space, or name another "
                "folder in the environment variable MIRADA_CACHE"
            ) from error
        self._places[key] = number
        return number

    def read(self, places: NDArray[np.int64], output: int) -> NDArray[np.generic]:
        """One output of many rows.

        Args:
            places: (n,) numbers of rows.
            output: which of the layout.

        Returns:
            (n, ...) of its shape and dtype.
        """
        shape, kind = self.layout[output]
        size, offset = self._sizes[output], self._offsets[output]
        data = np.empty((len(places), size), np.uint8)
        for i, place in enumerate(places.tolist()):
            if _read(self._rows, data[i].data, place * self.row_bytes + offset) != size:
                raise UsageError(f"{self.folder} was cut short while it was used: run again")
        return data.view(np.dtype(kind)).reshape(len(places), *shape)

    def _opened(self) -> dict[tuple[bytes, int], int]:
        """What is there whole; what follows it is cut off."""
        records = bytearray(os.fstat(self._index).st_size)
        _read(self._index, memoryview(records), 0)
        count = min(len(records) // _RECORD.size, os.fstat(self._rows).st_size // self.row_bytes)
        entries = list(_RECORD.iter_unpack(records[: count * _RECORD.size]))
        row = bytearray(self.row_bytes)
        for number in range(max(0, count - _CHECKED), count):
            _read(self._rows, memoryview(row), number * self.row_bytes)
            if zlib.crc32(row) != entries[number][2]:
                count = number
                break
        os.ftruncate(self._rows, count * self.row_bytes)
        os.ftruncate(self._index, count * _RECORD.size)
        return {(content, view): number for number, (content, view, _) in enumerate(entries[:count])}


def delete_unused(folder: Path) -> None:
    """Delete a folder of rows, unless another process, or another object, has it open."""
    try:
        descriptor = os.open(folder / _INDEX, _MODE & ~os.O_CREAT)
    except OSError:  # nothing was kept there, or it was deleted meanwhile
        shutil.rmtree(folder, ignore_errors=True)
        return
    try:
        _lock(descriptor)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Keep other processes out until the file is closed, however that comes about.

    Some network file systems have no such lock: there two processes must not share a cache.

    Raises:
        BlockingIOError: another one has it.
    """
    try:
        is_ours = lock_file(descriptor)
    except OSError:
        return
    if not is_ours:
        raise BlockingIOError


def _read(descriptor: int, into: memoryview, offset: int) -> int:
    """Read as much as there is, up to all of it; how many bytes."""
    if hasattr(os, "preadv"):
        return os.preadv(descriptor, [into], offset)
    os.lseek(descriptor, offset, os.SEEK_SET)  # Windows; one thread at a time has a folder
    data = os.read(descriptor, len(into))
    into[: len(data)] = data
    return len(data)


def _write(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of it: the system may take only a part at once."""
    view = memoryview(data)
    while view:
        if hasattr(os, "pwrite"):
            written = os.pwrite(descriptor, view, offset)
        else:  # Windows
            os.lseek(descriptor, offset, os.SEEK_SET)
            written = os.write(descriptor, view)
        view, offset = view[written:], offset + written
