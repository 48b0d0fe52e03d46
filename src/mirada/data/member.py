"""A file inside an archive, on a disk or in object storage: where it lies, and its bytes.

Addresses in object storage (see `mirada.stores`) are read by Arrow; in a name with a space, a `#`, `?` or `%` these
are written as in any address (`%20`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from mirada.errors import DataError, ImageError
from mirada.image.decode import MAX_FILE_BYTES
from mirada.stores import is_far, remedy, sentence

if TYPE_CHECKING:
    from pyarrow import NativeFile
    from pyarrow.fs import FileSystem

__all__ = ["Member", "explained", "file_system"]

OPEN_AT_ONCE: Final = 4_096
"""Archives in object storage that are held open: each has asked for its size, and holds no connection."""
RETRY_SECONDS: Final = 10
"""For which Google's storage is asked again where it does not answer: Arrow would go on for a quarter of an hour."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside an archive that is not compressed.

    Attributes:
        archive: the path of the archive, or its address.
        offset: bytes before it.
        size: its bytes.
    """

    archive: str
    offset: int
    size: int

    @property
    def is_far(self) -> bool:
        """Whether it lies in object storage, where waiting for it takes longer than reading it."""
        return is_far(self.archive)

    def data(self, name: str) -> bytes:
        """Its bytes.

        Args:
            name: what to call it in an error.

        Raises:
            ImageError: it is larger than `MAX_FILE_BYTES`.
            DataError: the archive is gone, cut short, or cannot be read. Then it is not this image that is wrong.
        """
        if self.size > MAX_FILE_BYTES:
            raise ImageError(name, f"is {self.size:,} bytes, more than the limit of {MAX_FILE_BYTES:,}")
        found = self.read()
        if len(found) < self.size:
            raise DataError(f"{self.archive}: it ends within {name}: it has changed since it was looked through.")
        return found

    def read(self) -> bytes:
        """Its bytes, as many as are there.

        Raises:
            DataError: the archive cannot be read.
        """
        with explained(self.archive):
            if self.is_far:
                return bytes(_opened(self.archive).read_at(self.size, self.offset))
            with Path(self.archive).open("rb") as file:
                file.seek(self.offset)
                return file.read(self.size)


def file_system(address: str) -> tuple[FileSystem, str]:
    """What reads an address in object storage, and how it calls what lies there.

    Raises:
        DataError: there is no such kind of store, or it cannot be reached.
    """
    parts = urlsplit(address)
    with explained(address):
        system, base = _store(urlunsplit((parts.scheme, parts.netloc, "", parts.query, "")))
    return system, "/".join(name for name in (base.rstrip("/"), *unquote(parts.path).split("/")) if name)


@contextmanager
def explained(address: str) -> Iterator[None]:
    """What the disk or the store says, as an error that names the address.

    Raises:
        DataError: it cannot be read.
    """
    try:
        yield
    except _faults() as error:
        reason = getattr(error, "strerror", None) or sentence(error)
        advice = f" {remedy(address)}" if is_far(address) else ""
        raise DataError(f"{address}: it cannot be read ({reason}).{advice}") from error


def _faults() -> tuple[type[Exception], ...]:
    """What the disk and Arrow raise."""
    from pyarrow import ArrowException

    return OSError, ValueError, ArrowException


@lru_cache(maxsize=64)
def _store(root: str) -> tuple[FileSystem, str]:
    """What reads a bucket, which keeps its connections, and how it calls it."""
    from pyarrow import fs

    elsewhere = os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT")
    if root.startswith("s3://") and elsewhere:
        return fs.S3FileSystem(endpoint_override=elsewhere), urlsplit(root).netloc
    if urlsplit(root).scheme in ("gs", "gcs") and "retry_limit_seconds" not in root:
        root += f"{'&' if '?' in root else '?'}retry_limit_seconds={RETRY_SECONDS}"
    system, base = fs.FileSystem.from_uri(root)
    return system, base


@lru_cache(maxsize=OPEN_AT_ONCE)
def _opened(address: str) -> NativeFile:
    system, path = file_system(address)
    return system.open_input_file(path)
