"""What several commands ask in the same words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["NUMBER", "as_json_option", "page_option"]

NUMBER = click.IntRange(min=1)
Function = TypeVar("Function", bound=Callable[..., Any])


def as_json_option(function: Function) -> Function:
    """Give a command the option --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(function)


def page_option(function: Function) -> Function:
    """Give a command the option --html."""
    kind = click.Path(path_type=Path)
    return click.option("--html", "page", metavar="FILE", type=kind, help="Write a page of thumbnails too.")(function)
