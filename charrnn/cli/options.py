"""Options that several commands share, and what commands ask of them."""

import contextlib
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from charrnn.cli.completion import complete_model
from charrnn.cli.fields import choice, from_field, option, utf8, with_fields
from charrnn.config import TrainOptions
from charrnn.config.verbs import VerbArguments
from charrnn.console import Talk
from charrnn.errors import CharrnnError

__all__ = [
    "Checkpoints", "Counts", "Html", "Json", "Model", "Models", "Named", "Precision", "Quiet", "Seed", "Svg", "Texts",
    "Threads", "choice", "from_field", "in_a_folder", "option", "typed", "utf8", "utf8_streams", "with_fields",
]  # fmt: skip


def _set_quiet(value: bool) -> bool:
    Talk.quiet = value
    return value


def in_a_folder(file: Path | None) -> Path | None:
    """A file to be written at the end; that its folder lacks is said at the beginning. Raises CharrnnError."""
    if file is not None and not file.parent.is_dir():
        raise CharrnnError(f"there is no folder {file.parent} to write {file.name} into: make it first")
    if file is not None and file.is_dir():
        raise CharrnnError(f"{file} is a folder: name a file in it")
    return file


Model = Annotated[
    str | None,
    option(
        "Model",
        "A run's name, its folder, or a model file.",
        "--model",
        "-m",
        default="the run trained last",
        autocompletion=complete_model,
    ),
]
Models = Annotated[
    list[str] | None,
    option(
        "Model",
        "A run's name, its folder, or a model file; repeatable.",
        "--model",
        "-m",
        default="the run trained last",
        autocompletion=complete_model,
    ),
]
Named = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODEL]",
        help="A run's name, its folder, or a model file.",
        show_default="the run trained last",
        autocompletion=complete_model,
    ),
]
Counts = Annotated[
    bool,
    option("Model", "Counts of its training text beside the network, where it has them.", "--counts/--no-counts"),
]
Precision = Annotated[
    str | None,
    from_field(
        VerbArguments,
        "precision",
        help="Weights quantized to 8 bits, or 32-bit floats; either gives its own text.",
        default="int8 where it costs less than 0.003 bits per character",
    ),
]
Checkpoints = Annotated[
    Path | None,
    option(
        "Model", "The folder that holds the runs.", "--checkpoints", default="checkpoints", envvar="CHARRNN_CHECKPOINTS"
    ),
]
Texts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TEXT]...",
        help="Text to read, or - for stdin.",
        show_default="what is piped in; else the held-out part",
    ),
]
Svg = Annotated[
    Path | None, option("Output", "Draw a picture into this file.", "--svg", default="none", check=in_a_folder)
]
Html = Annotated[
    Path | None,
    option(
        "Output",
        "A page: the text coloured by surprisal, passages, charts.",
        "--html",
        default="none",
        check=in_a_folder,
    ),
]
Json = Annotated[bool, option("Output", "JSON on stdout, floats unrounded.", "--json")]
Quiet = Annotated[bool, option("Output", "The bare result alone.", "--quiet", "-q", check=_set_quiet)]
Seed = Annotated[int | None, from_field(TrainOptions, "seed")]
Threads = Annotated[int | None, from_field(TrainOptions, "threads")]


def typed(context: typer.Context, name: str) -> bool:
    """Whether the user wrote this option or argument, rather than leaving it at its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def utf8_streams() -> None:
    """UTF-8 in and out whatever the locale says; text as it is, with no line ends changed."""
    _take_the_place_of_closed_ones()
    # A file's name that is no UTF-8 goes out as the bytes that it is; people see them escaped.
    for stream, errors in ((sys.stdout, "surrogateescape"), (sys.stderr, "backslashreplace"), (sys.stdin, "strict")):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors=errors)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(newline="")


def _take_the_place_of_closed_ones() -> None:
    """What is written to a stream that was closed (`>&-`) is nobody's; no file may come to stand in its place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with contextlib.suppress(OSError):
                os.fstat(number)
                continue
            os.open(os.devnull, os.O_RDWR)
    # Standard input stays None: who reads it is told that it is closed.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
