"""Write the reference of the command line from the commands themselves: `python docs/generate_cli.py [FILE]`.

By default docs/cli.md. Built from the names, defaults and helps of the parameters, not from what `--help` prints, so
that it does not change with the terminal or with click.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

from mirada.cli.commands import app

HEAD = """\
# The command line

This page is made from the commands by `python docs/generate_cli.py`. Every command has a public function of its name:
`mirada.train` does what `mirada train` does. What is asked of an index is a method of `mirada.Index`.

Results go to standard output, notes and errors to standard error, and a progress bar appears on a terminal only. Exit
status: 0 done, also a training that Ctrl-C ended with its best so far, which a note says; 1 done in part (`predict` and
`index`: an image could not be read; it is named); 2 refused with the reason; 130 stopped by Ctrl-C with no result.
"""


def reference() -> str:
    """The whole page as Markdown."""
    root: Any = app
    sections = [HEAD]
    sections += [_options(root.params)] if _options(root.params) else []
    sections += [_command(name, command) for name, command in root.commands.items()]
    return "\n".join(sections)


def _command(name: str, command: Any) -> str:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    usage = " ".join(["mirada", name, *map(_argument_in_usage, arguments), "[OPTIONS]"])
    parts = [f"## mirada {name}", "", inspect.cleandoc(command.help), "", "```", usage, "```", ""]
    parts += ["| argument | |", "|---|---|"]
    parts += [f"| `{_argument_name(argument)}` | {_cell(argument.help)} |" for argument in arguments]
    return "\n".join([*parts, "", _options(command.params)])


def _options(parameters: list[Any]) -> str:
    options = [parameter for parameter in parameters if parameter.param_type_name == "option"]
    rows = [
        f"| {', '.join(f'`{written}`' for written in _written(option))} | {_cell(option.help)} | {_default(option)} |"
        for option in options
    ]
    return "\n".join(["| option | | default |", "|---|---|---|", *rows, ""]) if rows else ""


def _argument_name(argument: Any) -> str:
    name = (argument.metavar or argument.name).upper().strip("[]{}.")
    return f"{name}..." if argument.nargs == -1 or argument.multiple else name


def _argument_in_usage(argument: Any) -> str:
    name = _argument_name(argument)
    return name if argument.required else f"[{name}]"


def _written(option: Any) -> list[str]:
    """How an option is written, the last spelling with the name of its value."""
    if option.is_flag:
        return [*option.opts, *option.secondary_opts]
    value = option.metavar or "VALUE"
    return [*option.opts[:-1], f"{option.opts[-1]} {value}".replace("|", "\\|")]


def _default(option: Any) -> str:
    default = option.to_info_dict()["default"]
    return "" if option.is_flag or default is None else f"`{default}`"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|")


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "cli.md"
    target.write_text(reference(), encoding="utf-8")
