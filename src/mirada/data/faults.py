"""What cannot be understood in a data set: the first such place ends the reading, or all are named.

To learn from a part of what was meant, in silence, would be wrong, so a reader stops. `mirada.check` names every place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from mirada.errors import DataError

__all__ = ["Fault", "Faults"]

FaultKind = Literal["not understood", "twice"]


@dataclass(frozen=True, slots=True)
class Fault:
    """A place of a data set that was left out.

    Attributes:
        kind: "not understood", or "twice" for an image that is listed again, in another part or with another truth.
        said: the sentence that is the error elsewhere: it names the file, the place, what was expected and found.
        key: that of the sample it is about, or None where there is none.
    """

    kind: FaultKind
    said: str
    key: str | None = None


class Faults:
    """The faults of a data set, as they are met.

    Args:
        are_kept: whether reading goes on behind a fault; else the first is raised.
    """

    def __init__(self, are_kept: bool = False) -> None:
        self.are_kept = are_kept
        self.found: list[Fault] = []

    @contextmanager
    def kept(self, key: str | None = None, kind: FaultKind = "not understood") -> Iterator[None]:
        """What raises DataError inside is left out, and the fault is kept."""
        try:
            yield
        except DataError as error:
            self.add(error, key, kind)

    def add(self, error: DataError, key: str | None = None, kind: FaultKind = "not understood") -> None:
        """Keep a fault, or raise it."""
        if not self.are_kept:
            raise error
        self.found.append(Fault(kind, str(error), key))

    def extend(self, found: Sequence[Fault]) -> None:
        """Keep what was found elsewhere."""
        self.found.extend(found)

    def first_or(self, message: str) -> DataError:
        """Why nothing is left: the first fault, where there is one, else what is said here."""
        if not self.found:
            return DataError(message)
        others = len(self.found) - 1
        more = f" {others:,} more place{'s' * (others > 1)} cannot be understood." if others else ""
        return DataError(f"{self.found[0].said}{more}")
