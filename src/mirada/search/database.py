"""Where the tables of an index are: LanceDB, in a folder or in object storage."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from types import ModuleType
from typing import Any, Final

from mirada.engine.process import begin_import
from mirada.errors import UsageError
from mirada.stores import is_far, remedy, sentence

__all__ = ["connect_soon", "connected", "explained", "opened"]

_IMPORTING: Final = Lock()
"""One thread at a time: modules are put in the place of others meanwhile."""


def connect_soon() -> None:
    """Import LanceDB, which takes a second, in a thread, while something else is done."""
    begin_import(_lancedb)


def connected(place: str) -> Any:
    """The database of LanceDB at a place; a folder is made where there is none."""
    with explained(place):
        return _lancedb().connect(place)


def opened(database: Any, name: str) -> Any:
    """A table; None where there is none, or one that was never whole."""
    try:
        return database.open_table(name)
    except ValueError as error:
        if "not found" in str(error).lower():
            return None
        raise


def _lancedb() -> ModuleType:
    """LanceDB, imported without its client of catalogue servers, which takes as long as all the rest."""
    with _IMPORTING:
        return _imported()


def _imported() -> ModuleType:
    os.environ.setdefault("LANCEDB_LOG", "error")  # it would tell on standard error of each new table
    os.environ.setdefault("LANCE_DEFAULT_FRAGMENT_READAHEAD", "1")  # it would read all pieces of a table at once
    client = "lance_namespace_urllib3_client"
    spec = None if {client, "lancedb"} & set(sys.modules) else importlib.util.find_spec(client)
    if spec is not None:
        bare = ModuleType(client)  # its modules can be imported, what it imports itself is not
        bare.__path__ = list(spec.submodule_search_locations or [])
        sys.modules[client] = bare
    try:
        import lancedb
    except ImportError:  # another version of it needs more
        if spec is None:
            raise
        del sys.modules[client]
        import lancedb
    finally:
        if spec is not None:
            sys.modules.pop(client, None)
    return lancedb


@contextmanager
def explained(place: str) -> Iterator[None]:
    """What goes wrong below, as an error of mirada's that names the index."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        anew = "Try again; if that does not help, remove the index and make it anew: the images are not touched."
        advice = remedy(place) if is_far(place) else anew
        raise UsageError(f"{place}: the index cannot be read or written: {sentence(error)}\n  {advice}") from error
