"""Files that appear complete or not at all, and addresses that are none."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

__all__ = ["is_far", "umask", "write_whole"]


def is_far(place: str) -> bool:
    """Whether it is an address in object storage, such as s3://bucket/folder, and not a path."""
    return "://" in place


def umask() -> int:
    """The rights that new files of this process do not get."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def write_whole(data: bytes, path: Path) -> None:
    """Write a file aside, and put it in the place of an earlier one when it is safe on the disk.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    aside = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
