"""What several commands ask in the same words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["MINUTES", "NUMBER", "SHARE", "as_json_option", "page_option"]

NUMBER = click.IntRange(min=1)


class _Number(click.ParamType[float]):
    """A number, refused with examples.

    Args:
        name: what it is.
        examples: what could be given.
        read: raises ValueError where the text is none.
    """

    def __init__(self, name: str, examples: str, read: Callable[[str], float]) -> None:
        self.name, self._examples, self._read = name, examples, read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        try:
            return self._read(str(value).strip())
        except ValueError:
            self.fail(f"{value!r} is no {self.name}: give one such as {self._examples}", param, ctx)


def _share(text: str) -> float:
    """Of 0.9 or 90%."""
    return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)


SHARE = _Number("share", "0.9 or 90%", _share)
MINUTES = _Number("number of minutes", "1.5", float)
Function = TypeVar("Function", bound=Callable[..., Any])


def as_json_option(function: Function) -> Function:
    """Give a command the option --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(function)


def page_option(function: Function) -> Function:
    """Give a command the option --html."""
    kind = click.Path(path_type=Path)
    return click.option("--html", "page", metavar="FILE", type=kind, help="Write a page of thumbnails too.")(function)
