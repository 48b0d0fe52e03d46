"""A file inside an archive, on a disk or in object storage: where it lies, and its bytes.

Addresses in object storage, such as `s3://bucket/folder`, are read by Arrow, which knows S3 and Google's storage. Keys
and the address of another store come from the environment, as for AWS's own tools (`AWS_ACCESS_KEY_ID`,
`AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirada.errors import DataError, ImageError
from mirada.image.decode import MAX_FILE_BYTES

if TYPE_CHECKING:
    from pyarrow import NativeFile
    from pyarrow.fs import FileSystem

__all__ = ["OPEN_AT_ONCE", "Member", "file_system", "is_far"]

OPEN_AT_ONCE: Final = 256
"""Archives in object storage that are held open."""


def is_far(address: str) -> bool:
    """Whether this is an address in object storage, such as s3://bucket/folder, and not a path."""
    return "://" in address


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
            ImageError: the archive is gone, cut short, or cannot be read.
        """
        if self.size > MAX_FILE_BYTES:
            raise ImageError(name, f"is {self.size:,} bytes, more than the limit of {MAX_FILE_BYTES:,}")
        try:
            if self.is_far:
                found = bytes(_opened(self.archive).read_at(self.size, self.offset))
            else:
                with Path(self.archive).open("rb") as file:
                    file.seek(self.offset)
                    found = file.read(self.size)
        except OSError as error:
            raise ImageError(name, f"the archive cannot be read ({error.strerror or error})") from error
        if len(found) < self.size:
            raise ImageError(name, f"the archive ends after {len(found):,} of its {self.size:,} bytes")
        return found


def file_system(address: str) -> tuple[FileSystem, str]:
    """What reads an address in object storage, and how it calls what lies there.

    Raises:
        DataError: there is no such kind of store, or it cannot be reached.
    """
    from pyarrow import ArrowException, fs

    elsewhere = os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT")
    try:
        if address.startswith("s3://") and elsewhere:
            return fs.S3FileSystem(endpoint_override=elsewhere), address.removeprefix("s3://")
        system, path = fs.FileSystem.from_uri(address)
    except (ArrowException, OSError, ValueError) as error:
        raise DataError(f"{address}: this address cannot be opened ({error}).") from error
    return system, path


@lru_cache(maxsize=OPEN_AT_ONCE)
def _opened(address: str) -> NativeFile:
    try:
        system, path = file_system(address)
    except DataError as error:
        raise OSError(str(error)) from error
    return system.open_input_file(path)
