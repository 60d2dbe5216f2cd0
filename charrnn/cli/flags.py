"""From the names that the library uses to the flags of the command line: `batch_size` -> --batch-size."""

import re
from collections.abc import Iterator
from typing import Any

import typer

# `name` or `name='value'`, as messages of the library write fields.
FIELD = re.compile(r"`([^`=\s]+)(?:=([^`]*))?`")


def commands(app: typer.Typer) -> Iterator[tuple[str, Any]]:
    """Every command with its whole name, the application itself first: ("", …), ("train", …), ("inspect memory", …)."""
    waiting: list[tuple[str, Any]] = [("", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop(0)
        yield name, command
        waiting[:0] = [(f"{name} {each}".strip(), below) for each, below in getattr(command, "commands", {}).items()]


def flags(app: typer.Typer) -> dict[str, str]:
    """The flag of every option of every command, what an argument is called, and the commands themselves."""
    found: dict[str, str] = {}
    arguments: dict[str, str] = {}
    for _, command in commands(app):
        for parameter in command.params:
            if parameter.param_type_name == "option":
                found.setdefault(parameter.name, parameter.opts[0])
            elif parameter.metavar:
                arguments[parameter.name] = parameter.metavar.strip("[].")
    return {name: f"charrnn {name}" for name, _ in commands(app) if name} | arguments | found


def in_flags(message: str, flags: dict[str, str]) -> str:
    """A message of the library with flags where it names fields; other words lose their backticks.

    "leave out `tie` and `skip='dense'`" -> "leave out --tie and --skip dense"
    """

    def flag(match: re.Match[str]) -> str:
        name, value = match.groups()
        if name not in flags:
            return match[0].strip("`")
        if value in ("True", "False"):
            return flags[name] if value == "True" else flags[name].replace("--", "--no-", 1)
        return " ".join(filter(None, [flags[name], (value or "").strip("'\"")]))

    return FIELD.sub(flag, message)
