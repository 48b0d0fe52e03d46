"""Where a training is kept while it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mirada.learn.checkpoint import Checkpoint
from mirada.learn.journal import Journal

__all__ = ["NOWHERE", "Place"]


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
        return Journal(self.journal if members == 1 else self.journal / str(member))

    def checkpoint(self, member: int, *, is_writer: bool) -> Checkpoint | None:
        """That of a network."""
        if self.folder is None:
            return None
        return Checkpoint(self.folder / f"{member}.safetensors", f"{self.key} {member}", is_writer)


NOWHERE: Final = Place()
