"""Runs what a Markdown page shows.

| on the page | what is done with it |
|---|---|
| a block with the language `python` | executed; all blocks of a page share their names and one folder |
| a block with the language `console` | each `$ mirada ...` is run; the lines below it must be what it says, in order |
| `...` in such a line | stands for any text |
| `<!-- not run: reason -->` above a block | it is not run, and the reason is given back |
| `<!-- exit status 1 -->` above a console block | its last command ends so |
| `<!-- setup` ... `-->` | Python that is run but not shown |

A command must end with exit status 0, or with 2 where the first line shown is a refusal, `mirada: ...`. Other commands
than mirada, and blocks of another language or of none, are not run.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mirada.cli import main

NOT_RUN = re.compile(r"<!-- not run:(.*)-->")
EXIT_STATUS = re.compile(r"<!-- exit status (\d+) -->")


class PageError(AssertionError):
    """What a page shows is not what happens."""


@dataclass
class Block:
    """One block: "python", "console" or "setup", the line of its opening, its text, and what stood above it."""

    kind: str
    line: int
    lines: list[str] = field(default_factory=list)
    not_run: str | None = None
    exit_status: int | None = None


def blocks_of(text: str) -> list[Block]:
    """The blocks of a page that are looked at, in order."""
    found: list[Block] = []
    block: Block | None = None
    end, above = "", ""
    for number, line in enumerate(text.splitlines(), 1):
        if block is not None:
            if line.strip() == end:
                found += [block] if block.kind in ("python", "console", "setup") else []
                block = None
            else:
                block.lines.append(line)
        elif line.startswith("```"):
            block, end = Block(line[3:].strip(), number), "```"
            if marked := NOT_RUN.fullmatch(above):
                block.not_run = marked[1].strip()
                if not block.not_run:
                    raise PageError(f"line {number - 1}: say the reason why the block is not run")
            if marked := EXIT_STATUS.fullmatch(above):
                block.exit_status = int(marked[1])
        elif line.strip() == "<!-- setup":
            block, end = Block("setup", number), "-->"
        above = line.strip()
    if block is not None:
        raise PageError(f"line {block.line}: the block has no end")
    return found


def run_page(text: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run every block of a page in a folder; the reasons of those that are not run. Raises PageError."""
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {"__name__": "__page__"}
    not_run = []
    for block in blocks_of(text):
        if block.not_run is not None:
            not_run.append(block.not_run)
        elif block.kind == "console":
            _run_console(block, capsys)
        else:
            _run_python(block, names)
    return not_run


def _run_python(block: Block, names: dict[str, Any]) -> None:
    source = "\n" * block.line + "\n".join(block.lines)  # so that line numbers are those of the page
    try:
        exec(compile(source, "<page>", "exec"), names)
    except Exception as error:
        lines, trace = source.splitlines(), error.__traceback__
        number = getattr(error, "lineno", None) or block.line
        while trace is not None:
            number = trace.tb_lineno if trace.tb_frame.f_code.co_filename == "<page>" else number
            trace = trace.tb_next
        raise PageError(f"line {number}: {lines[number - 1].strip()}: {type(error).__name__}: {error}") from error


@dataclass
class _Command:
    line: int
    words: list[str]
    shown: list[tuple[int, str]] = field(default_factory=list)


def _run_console(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    commands: list[_Command] = []
    for number, line in enumerate(block.lines, block.line + 1):
        if line.startswith("$ "):
            commands.append(_Command(number, shlex.split(line[2:], comments=True)))
        elif commands and line.strip():
            commands[-1].shown.append((number, line.rstrip()))
    for command in commands:
        if command.words[:1] == ["mirada"]:
            _run_command(command, block.exit_status if command is commands[-1] else None, capsys)


def _run_command(command: _Command, exit_status: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    words, target = command.words[1:], None
    if ">" in words:
        words, target = words[: words.index(">")], words[words.index(">") + 1]
    capsys.readouterr()
    status = main(words)
    said = capsys.readouterr()
    if exit_status is None:
        first = command.shown[0][1] if command.shown else ""
        exit_status = 2 if first.startswith("mirada: ") and not first.startswith("mirada: note: ") else 0
    if status != exit_status:
        raise PageError(
            f"line {command.line}: {' '.join(command.words)}: exit status {status}, expected {exit_status}\n{said.err}"
        )
    if target is not None:
        Path(target).write_text(said.out, encoding="utf-8")
    said_lines = (said.err if target is not None else said.err + said.out).splitlines()
    place = 0
    for number, shown in command.shown:
        match = next((i for i in range(place, len(said_lines)) if line_matches(shown, said_lines[i])), None)
        if match is None:
            everything = "\n".join(said_lines)
            raise PageError(f"line {number}: not said, or not after the line above it: {shown}\n{everything}")
        place = match + 1


def line_matches(shown: str, line: str) -> bool:
    """Whether a line of output is what a page shows, where three dots stand for any text, blanks around them too."""
    pieces = [re.escape(piece.strip() if i else piece.rstrip()) for i, piece in enumerate(shown.split("..."))]
    return re.fullmatch(r".*?".join(pieces), line.rstrip()) is not None
