"""What several commands ask in the same words."""

from __future__ import annotations

import click

__all__ = ["NUMBER", "as_json_option"]

NUMBER = click.IntRange(min=1)
as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
