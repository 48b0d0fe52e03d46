"""How long work tells how far it is: one callable, so that a terminal, a test or a page can listen."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "silent"]


class Progress(Protocol):
    """Called now and then while work goes on, and once when a stage is done."""

    def __call__(self, stage: str, done: int, total: int | None, note: str = "") -> None:
        """Tell the state of a stage.

        Args:
            stage: what is being done, in a few words; a new text begins a new stage.
            done: how many of its units are done.
            total: how many there are, or None where it is not known.
            note: figures worth showing beside it.
        """


def silent(stage: str, done: int, total: int | None, note: str = "") -> None:
    """Tell nobody."""
