"""Files that appear complete or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["lock_file", "locked", "umask", "write_whole"]


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


@contextmanager
def locked(file: Path) -> Iterator[bool]:
    """Lock a file, which is made where there is none, as long as the block lasts.

    Yields:
        Whether it is locked; not where another process has locked it.

    Raises:
        OSError: it cannot be made or locked.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield lock_file(descriptor)
    finally:
        os.close(descriptor)  # and with it the lock


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
