"""A progress bar on a terminal, and nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mirada.machine.ranks import is_first_rank
from mirada.progress import Progress, silent

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import ProgressColumn, TaskID

__all__ = ["progress_bar"]

WIDE = 110
"""Columns of a terminal from which there is room for everything."""


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """What to hand to long work: a bar with rate and time left on standard error, where that is a terminal."""
    if not sys.stderr.isatty() or not is_first_rank():
        yield silent
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    with Bars(*_columns(console.width), console=console, transient=False) as bars:
        yield _Bar(bars)


def _columns(width: int) -> list[ProgressColumn]:
    """What is shown: where the terminal is narrow, words are cut short, never the bar, the share or the time left."""
    from rich.progress import BarColumn, MofNCompleteColumn, Task, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column
    from rich.text import Text

    class Words(TextColumn):
        """A text that ends with an ellipsis where there is no room."""

        def __init__(self, text: str) -> None:
            super().__init__(text, table_column=Column(no_wrap=False))

        def render(self, task: Task) -> Text:
            """The text, on one line."""
            text = super().render(task)
            text.no_wrap, text.overflow = True, "ellipsis"
            return text

    is_wide = width >= WIDE
    counts = [MofNCompleteColumn(), TextColumn("{task.fields[rate]}")] if is_wide else []
    return [
        Words("{task.description}"),
        BarColumn(bar_width=24 if is_wide else 10),
        TaskProgressColumn(),
        *counts,
        TimeRemainingColumn(compact=not is_wide),
        Words("{task.fields[note]}"),
    ]


class _Bar:
    """One line a stage."""

    def __init__(self, bars: Bars) -> None:
        self.bars = bars
        self.stage: str | None = None
        self.task: TaskID | None = None

    def __call__(self, stage: str, done: int, total: int | None, note: str = "") -> None:
        if stage != self.stage:
            self._finish()
            self.stage = stage
            self.task = self.bars.add_task(stage, total=total, rate="", note=note)
        assert self.task is not None
        speed = next(task.speed for task in self.bars.tasks if task.id == self.task)
        rate = f"{speed:,.0f}/s" if speed else ""
        self.bars.update(self.task, completed=done, total=total, rate=rate, note=note)

    def _finish(self) -> None:
        """A stage without a total is done when the next one begins."""
        if self.task is not None:
            task = next(task for task in self.bars.tasks if task.id == self.task)
            if task.total is None:
                self.bars.update(self.task, completed=1, total=1)
