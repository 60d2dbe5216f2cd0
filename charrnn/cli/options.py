"""Options that several commands share, and how their words are read."""

import math
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from charrnn.config import SEEDS
from charrnn.console import Talk

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
# What `Cell.spectral_radius` says; a test holds the two together.
OWN_RADIUS = "1; rnn-relu: 0.25"


def seconds(text: str) -> float:
    """'90s', '10m', '1h30m' -> seconds. Raises typer.BadParameter on anything else."""
    if re.fullmatch(r"(\d+(\.\d+)?[smh])+", text):
        total = sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+)([smh])", text))
        if total > 0:
            return total
    raise typer.BadParameter(f"{text!r} is no time: write it as 90s, 10m or 1h30m")


def share_or_file(text: str) -> float | str:
    """'0.1' -> 0.1, anything else is a file's name."""
    try:
        share = float(text)
    except ValueError:
        return text
    if not 0 < share < 1:
        raise typer.BadParameter(f"{text} is no share of a text: give a number between 0 and 1, or a file")
    return share


def number(name: str, least: float, most: float, *, open_at_least: bool = False) -> Callable[[Any], Any]:
    """A check that a number lies in a range, which NaN never does."""
    bracket = "above" if open_at_least else "from"

    def check(value: Any) -> Any:
        for one in value if isinstance(value, list) else [value]:
            if one is None:
                continue
            low = one > least if open_at_least else one >= least
            if not (low and one <= most):
                top = f" to {most:.12g}" if math.isfinite(most) else " upwards"
                if open_at_least and not math.isfinite(most):
                    top = ""
                raise typer.BadParameter(f"{one} is out of range: {name} goes {bracket} {least:g}{top}")
        return value

    return check


def utf8(text: Any) -> Any:
    """Text from the command line as UTF-8, whatever the locale took it for."""
    if isinstance(text, list):
        return [utf8(one) for one in text]
    return os.fsencode(text).decode("utf-8", "surrogateescape") if isinstance(text, str) else text


def option(
    panel: str,
    words: str,
    *names: str,
    default: str | bool = True,
    check: Callable[[Any], Any] | None = None,
    **more: Any,
) -> Any:
    """An option under the heading `panel`: what it is for, and what the help says of its default."""
    return typer.Option(*names, help=words, show_default=default, callback=check, rich_help_panel=panel, **more)


def typed(context: typer.Context, name: str) -> bool:
    """Whether the user wrote this option or argument, rather than leaving it at its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _set_quiet(value: bool) -> bool:
    Talk.quiet = value
    return value


Model = Annotated[
    str | None,
    option("Model", "A run's name, its folder, or a model file.", "--model", "-m", default="the run trained last"),
]
Checkpoints = Annotated[
    Path | None,
    option(
        "Model", "The folder that holds the runs.", "--checkpoints", default="checkpoints", envvar="CHARRNN_CHECKPOINTS"
    ),
]
Texts = Annotated[
    list[str] | None, typer.Argument(metavar="[TEXT]...", help="Text to read.", show_default="the held-out part")
]
Svg = Annotated[Path | None, option("Output", "Draw a picture into this file.", "--svg", default="none")]
Json = Annotated[bool, option("Output", "JSON on stdout, floats unrounded.", "--json")]
Quiet = Annotated[bool, option("Output", "The bare result alone.", "--quiet", "-q", check=_set_quiet)]
Seed = Annotated[
    int | None,
    option(
        "Machine", "Same seed, same result.", "--seed", default="drawn and said", check=number("a seed", 0, SEEDS - 1)
    ),
]
Device = Annotated[str | None, option("Machine", "cpu, cuda or mps.", "--device", default="a GPU if there is one")]
Threads = Annotated[
    int | None, option("Machine", "CPU threads.", "--threads", default="all cores", check=number("threads", 1, 1024))
]
BatchSize = Annotated[
    int | None, option("Machine", "Rows side by side.", "--batch-size", default="32", check=number("a batch", 1, 65536))
]


def utf8_streams() -> None:
    """UTF-8 in and out whatever the locale says; text as it is, with no line ends changed."""
    for stream in (sys.stdout, sys.stderr, sys.stdin):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace" if stream is sys.stderr else "strict")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(newline="")
