"""Files that appear complete or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

__all__ = ["lock_file", "umask", "write_whole"]


def lock_file(descriptor: int) -> bool:
    """Lock an open file until it is closed or the process ends; False where it is locked already."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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
