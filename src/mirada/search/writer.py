"""One process at a time changes an index.

In a folder a lock of the operating system says so, which ends with the process that holds it, however that ends. In
object storage there is no such lock: a row names the process that writes and until when. It is renewed by a thread as
long as the process lives, and looked at before every change. Where that process was killed, another may write when the
time is over.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from mirada.data.walk import is_system
from mirada.errors import UsageError
from mirada.files import locked
from mirada.search.database import connected, explained, opened
from mirada.stores import is_far

__all__ = ["check_free", "writing"]

OLD: Final = timedelta(hours=1)
"""How long what was replaced is kept, for those who read it meanwhile."""
LEASE: Final = 120.0
"""Seconds for which a process may write in object storage without renewing."""
_LOCK: Final = ".writing"
_OURS: Final = frozenset({_LOCK, "images.lance", "unread.lance", "about.lance"})
"""What is there before an index is whole."""
_TABLE: Final = "writer"


@contextmanager
def writing(place: str) -> Iterator[Callable[[], None]]:
    """Be the only one who changes the index, as long as the block lasts.

    Yields:
        What is to be called before each change.

    Raises:
        UsageError: another process is writing, or has taken over meanwhile.
    """
    if is_far(place):
        with _leased(place) as renew:
            yield renew
    else:
        with locked(Path(place) / _LOCK, "another process is writing to this index: wait until it is done"):
            yield lambda: None


def check_free(place: str) -> None:
    """Refuse a place that holds something else than an index.

    Raises:
        UsageError: it is a file, or a folder with other things in it.
    """
    folder = Path(place)
    if is_far(place):
        return
    with explained(place):
        if not folder.exists() or (folder / "about.lance").is_dir():
            return
        if not folder.is_dir():
            raise UsageError(f"{folder} is a file: name a new folder for the index with -o")
        strange = [entry.name for entry in folder.iterdir() if entry.name not in _OURS and not is_system(entry.name)]
    if strange:
        raise UsageError(
            f"{folder} holds other things, such as '{min(strange)}': name a new folder for the index with -o"
        )


@contextmanager
def _leased(place: str) -> Iterator[Callable[[], None]]:
    table = _lease_table(place)
    own = uuid.uuid4().hex

    def take(where: str) -> bool:
        until = time.time() + LEASE
        with explained(place):
            table.checkout_latest()
            try:
                return int(table.update(where=where, values={"holder": own, "until": until}).rows_updated) == 1
            except (OSError, RuntimeError, ValueError) as error:
                if "conflict" in str(error).lower():  # another process was faster
                    return False
                raise

    def renew() -> None:
        if not take(f"holder = '{own}'"):
            raise UsageError(f"{place}: another process has begun to write to this index: this one stops")

    if not take(f"until < {time.time()!r}"):
        left = max(0.0, float(table.to_arrow()["until"][0].as_py()) - time.time())
        raise UsageError(
            f"{place}: another process is writing to this index: wait until it is done\n"
            f"  or, if it was killed, {left:.0f} s"
        )
    ended = threading.Event()
    pulse = threading.Thread(target=_keep, args=(place, own, ended), name="mirada-writer", daemon=True)
    pulse.start()
    try:
        yield renew
    finally:
        ended.set()
        pulse.join()
        with explained(place):
            table.checkout_latest()
            table.update(where=f"holder = '{own}'", values={"until": 0.0})
            table.optimize(cleanup_older_than=OLD)


def _keep(place: str, own: str, ended: threading.Event) -> None:
    """Renew from time to time, for what takes long between two changes."""
    while not ended.wait(LEASE / 4):
        with suppress(UsageError), explained(place):  # whether it was lost is looked at before the next change
            _lease_table(place).update(where=f"holder = '{own}'", values={"until": time.time() + LEASE})


def _lease_table(place: str) -> Any:
    """The table of the row, made where it is missing; only the first who makes it makes it."""
    database = connected(place)
    with explained(place):
        there = opened(database, _TABLE)
        if there is not None:
            return there
        try:
            return database.create_table(_TABLE, data=[{"holder": "", "until": 0.0}])
        except (ValueError, RuntimeError, OSError):  # another process made it meanwhile
            return database.open_table(_TABLE)
