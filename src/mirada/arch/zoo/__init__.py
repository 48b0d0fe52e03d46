"""The published networks, each a listing on one page, with the published sizes as claims in the file."""

from __future__ import annotations

from pathlib import Path

from mirada.errors import ArchitectureError
from mirada.words import known_words

__all__ = ["names", "text"]

_FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """The names of all networks of the zoo, sorted.

    >>> "alexnet" in names()
    True
    """
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.net")))


def text(name: str) -> str:
    """The listing of a network of the zoo.

    Raises:
        ArchitectureError: there is none of that name; with the nearest one.
    """
    if name not in names():
        raise ArchitectureError(f"{name} is not a network of the zoo\n  {known_words(name, names())}")
    return (_FOLDER / f"{name}.net").read_text(encoding="utf-8")
