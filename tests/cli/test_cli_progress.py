"""What a person sees on terminals of several widths while they wait, and of a training that was stopped."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from rich.progress import Progress

from mirada.cli.progress import _Bar, _columns
from mirada.cli.write import rung_lines


@pytest.mark.parametrize(("width", "shows_counts"), [(60, False), (80, False), (110, True), (160, True)])
def test_share_and_time_left_are_shown_at_any_width(width: int, shows_counts: bool) -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=width, force_terminal=True, color_system=None)
    with Progress(*_columns(width), console=console, auto_refresh=False) as bars:
        bar = _Bar(bars)
        bar("the last 2 stages: activations of the validation images", 40, 160, "epoch 13/45, val 63.6%")
        bars.refresh()
        shown = re.sub("\x1b\\[[?0-9]*[A-Za-z]", "", screen.getvalue())  # without the terminal's commands
    line = next(line for line in shown.splitlines() if "25%" in line)
    assert len(line.rstrip()) <= width
    assert line.startswith("the last 2 sta")
    assert "━━" in line
    assert "-:--" in line  # the time that is left is not known yet
    assert ("40/160" in line) == shows_counts
    assert "epoch" in line


def test_a_rung_that_was_stopped_is_marked() -> None:
    val = {"accuracy": 0.5, "accuracy_interval": [0.4, 0.6]}
    rung = {"name": "blocks.6", "stages": 1, "parameters": 7, "seconds": 1.0, "val": val, "p_value": 0.3}
    lines = rung_lines([rung | {"is_kept": False, "is_trial": True, "was_stopped": True}])
    assert lines[2].startswith("from blocks.6, tried, stopped (not kept)  ")
    lines = rung_lines([rung | {"is_kept": True, "runs": 2}])
    assert lines[2].startswith("from blocks.6, mean of 2 runs  ")
