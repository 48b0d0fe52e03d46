"""Where a training is kept while it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mirada.files import locked
from mirada.learn.checkpoint import Checkpoint
from mirada.learn.journal import Journal
from mirada.machine.ranks import is_first_rank

__all__ = ["NOWHERE", "Place"]

LOCK: Final = "lock"
"""The file that is locked while somebody trains."""


@dataclass(frozen=True, slots=True)
class Place:
    """Folders, and whose they are.

    Attributes:
        folder: of its checkpoints.
        key: what makes two trainings the same.
        journal: the folder of its tables, or None.
    """

    folder: Path | None = None
    key: str = ""
    journal: Path | None = None

    def tables(self, member: int, members: int) -> Journal | None:
        """The journal of a network; of several each has a folder of its own."""
        if self.journal is None:
            return None
        return Journal(self.journal if members == 1 else self.journal / str(member), self.key)

    def checkpoint(self, member: int, *, is_writer: bool) -> Checkpoint | None:
        """That of a network."""
        if self.folder is None:
            return None
        return Checkpoint(self.folder / f"{member}.safetensors", self.key, is_writer)

    @property
    def is_begun(self) -> bool:
        """Whether an interrupted run has left something."""
        return self.folder is not None and any(self.folder.glob("*.safetensors"))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let nobody else train here as long as the block lasts, but those whom `torchrun` started with this process.

        Raises:
            UsageError: another one does, or nothing can be written here.
        """
        if self.folder is None or not is_first_rank():
            yield
            return
        lock = self.folder / LOCK
        with locked(lock, "another process is training here: wait until it is done, or give another name with -o"):
            try:
                yield
            finally:
                with suppress(OSError):  # it is in nobody's way
                    lock.unlink(missing_ok=True)
                    self.folder.rmdir()  # where nothing else is in it


NOWHERE: Final = Place()
