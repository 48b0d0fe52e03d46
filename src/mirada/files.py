"""Files that appear complete or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mirada.errors import UsageError

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
def locked(file: Path, otherwise: str) -> Iterator[None]:
    """Lock a file, which is made with its folder where there is none, as long as the block lasts.

    Raises:
        UsageError: another process has locked it, which is told in these words, `otherwise`; or it cannot be made.
    """
    with ExitStack() as stack:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
            stack.callback(os.close, descriptor)  # and with it the lock
            is_ours = lock_file(descriptor)
        except OSError as error:
            raise UsageError(f"{file.parent}: nothing can be written or locked there ({error.strerror})") from error
        if not is_ours:
            raise UsageError(f"{file.parent}: {otherwise}")
        yield


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
