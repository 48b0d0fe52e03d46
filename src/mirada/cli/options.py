"""What several commands ask in the same words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["NUMBER", "SHARE", "as_json_option", "page_option"]

NUMBER = click.IntRange(min=1)


class _Share(click.ParamType[float]):
    """A number such as 0.9, or a share such as 90%."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        text = str(value).strip()
        try:
            return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            self.fail(f"{value!r} is no share: give one such as 0.9 or 90%", param, ctx)


SHARE = _Share()
Function = TypeVar("Function", bound=Callable[..., Any])


def as_json_option(function: Function) -> Function:
    """Give a command the option --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(function)


def page_option(function: Function) -> Function:
    """Give a command the option --html."""
    kind = click.Path(path_type=Path)
    return click.option("--html", "page", metavar="FILE", type=kind, help="Write a page of thumbnails too.")(function)
