"""Wrong usage that the parser finds or overlooks: told in our words, in one line.

Every command is a `Command` or a `Group` of these: an option that takes one value is refused when it is given twice.
"""

from collections import Counter
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from charrnn.config.fields import KINDS
from charrnn.errors import ConfigError

# What the parser calls the kinds of values: the first word of its errors' types ("int_parsing", "float_parsing").
WANTED = {kind.__name__: words for kind, words in KINDS.items()}


class _Once:
    """Of an option given twice the parser takes the last without a word."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse as ever. Raises ConfigError when an option is given more often than it is taken."""
        command: Any = super()
        if not ctx.resilient_parsing:  # as in shell completion
            _, _, given = command.make_parser(ctx).parse_args(args=[*args])
            for option, times in Counter(given).items():
                if times > 1 and _takes_one(option):
                    raise ConfigError(f"{option.opts[0]} is given {times} times: give it once")
        parsed: list[str] = command.parse_args(ctx, args)
        return parsed


def _takes_one(parameter: Any) -> bool:
    """Whether two of it could contradict each other: not a list, nor a switch that can only be on."""
    if parameter.param_type_name != "option" or parameter.multiple:
        return False
    return not parameter.is_flag or bool(parameter.secondary_opts)


class Command(_Once, TyperCommand):
    """A command of the application."""


class Group(_Once, TyperGroup):
    """A command that has commands below it."""


def complaint(problem: typer.TyperException) -> str:
    """What the parser complains of in one line, and where to read on; nothing where it only shows help."""
    if told := _wrong_kind(problem):
        return told
    message = problem.format_message() if hasattr(problem, "format_message") else str(problem)
    if not message:
        return ""
    context = getattr(problem, "ctx", None)
    return f"{' '.join(message.split()).rstrip('.')}; see {context.command_path if context else 'charrnn'} --help"


def _wrong_kind(problem: typer.TyperException) -> str:
    """'--length must be a whole number, not 'abc'', for a value that cannot be read; nothing for all else."""
    parameter, cause = getattr(problem, "param", None), problem.__cause__
    errors: list[dict[str, Any]] = getattr(cause, "errors", list)()
    wanted = WANTED.get(errors[0]["type"].split("_")[0]) if errors else None
    if wanted is None or parameter is None:
        return ""
    return f"{parameter.opts[0]} must be {wanted}, not {errors[0]['input']!r}"
