"""Wrong usage that the parser finds, told in our words, in one line (see together.py for what it overlooks)."""

from typing import Any

import typer

from charrnn.config.fields import KINDS

# What the parser calls the kinds of values: the first word of its errors' types ("int_parsing", "float_parsing").
WANTED = {kind.__name__: words for kind, words in KINDS.items()}


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
