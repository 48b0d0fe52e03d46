"""The command line: arguments in, text out. No logic of its own."""

from __future__ import annotations

import errno
import os
import sys
from io import TextIOWrapper

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; its exit status: 0 done, 1 done in part, 2 refused with a reason, 130 stopped by Ctrl-C."""
    from mirada.cli.write import warn
    from mirada.errors import MiradaError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a letter that the terminal lacks is written as its number
            stream.reconfigure(errors="backslashreplace")
    try:
        status = _run(arguments)
        sys.stdout.flush()  # here, where it can still be met that nobody reads on
    except MiradaError as error:
        warn(str(error))
        return 2
    except KeyboardInterrupt:
        warn("stopped")
        return 130
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        _write_no_more()
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _write_no_more()
        warn("the output could not be written: there is no space left")
        return 2
    return status


def _write_no_more() -> None:
    """Lead what is still to be flushed at the end nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: list[str] | None) -> int:
    """The exit status of a command.

    The command is invoked by itself, not through click's `main`, which would turn Ctrl-C and a lost reader into
    statuses of its own.
    """
    import click

    from mirada.cli.commands import app

    try:
        with app.make_context("mirada", sys.argv[1:] if arguments is None else list(arguments)) as context:
            app.invoke(context)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return 0
