"""Everything that is shown to a person, on stderr, through one rich console; stdout carries the product alone.

This folder alone imports rich.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.cells import set_cell_size
from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.table import Table
from rich.text import Text

from charrnn.errors import one_line

console = Console(stderr=True, highlight=False, soft_wrap=True)

BARS = "▁▂▃▄▅▆▇█"
# What would move a terminal's cursor, set its title or turn the direction of its letters round.
MOVES = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class ReaderGone(Exception):
    """Whoever read our stdout has left, which is its right."""


class Talk:
    """What is said beside the product; nothing when quiet, errors always."""

    quiet = False
    working = False
    # What the library calls `batch_size`, its caller may know by another name.
    reworded: Callable[[str], str] = str


def visible(text: str) -> str:
    """Text with what a terminal would act upon written out: an escape is \\x1b."""
    return MOVES.sub(lambda match: ascii(match[0])[1:-1], text)


def say(text: str, command: str = "") -> None:
    """One line of talk, never read as markup; a command to copy is never broken, and stands alone if it has to."""
    if not Talk.quiet:
        _print(text, "dim", command)


def answer(text: str) -> None:
    """One line that was asked for: also when quiet."""
    _print(text, "dim")


def warn(text: str, command: str = "") -> None:
    """One line that should not be overlooked."""
    if not Talk.quiet:
        _print(f"charrnn: {text}", "yellow", command)


def error(text: str) -> None:
    """The one line that a failure ends with."""
    _print(one_line(f"charrnn: {text}"), "red")


def _print(text: str, style: str, command: str = "") -> None:
    """A line, on a terminal wrapped at words; in a file it stays one."""
    forget_working()
    line = Text(visible(Talk.reworded(text) if "`" in text else text), style=style)
    if not console.is_terminal:
        console.print(line.append(f" {command}" if command else ""))
        return
    last = Text(command, style=style)
    if command and line.cell_len + 1 + last.cell_len <= console.width:
        console.print(line.append(" ").append_text(last))
        return
    console.print(line, soft_wrap=False)
    if command:
        console.print(last)


def working(text: str) -> None:
    """On a terminal, what is being done while there is nothing to show yet; gone with the next line of anything."""
    if Talk.quiet or not console.is_terminal or console.is_dumb_terminal:  # which erases nothing
        return
    forget_working()
    line = Text(set_cell_size(visible(text), min(Text(visible(text)).cell_len, console.width - 1)), style="dim")
    console.print(line, end="")
    Talk.working = True


def forget_working() -> None:
    """The line of `working` away."""
    if Talk.working:
        Talk.working = False
        console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))


def write(text: str) -> None:
    """The product: raw text to stdout, at once. Raises ReaderGone on a closed pipe."""
    with _reader_may_go():
        sys.stdout.write(text)


def write_bytes(data: bytes) -> None:
    """The product, where it is no text. Raises ReaderGone on a closed pipe."""
    with _reader_may_go():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)


@contextmanager
def _reader_may_go() -> Iterator[None]:
    """What is written to stdout within is out at the end. Raises ReaderGone on a closed pipe."""
    forget_working()
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at exit: let it have somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ReaderGone from None


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """Values as bars from the least to the largest, thinned to so many."""
    thinned = [values[place * len(values) // min(width, len(values))] for place in range(min(width, len(values)))]
    low, high = min(thinned), max(thinned)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in thinned)


def clock(seconds: float) -> str:
    """75 -> '1:15'"""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def megabytes(size: int) -> str:
    """1_100_000 -> '1.1 MB'; less than a tenth in kB, and less than a thousand bytes in these."""
    if size < 1000:
        return f"{size} byte{'s'[: size != 1]}"
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"


def somebody_watches() -> bool:
    """Whether progress is shown unless it is asked for: in a terminal and in a notebook."""
    return console.is_terminal or console.is_jupyter


def show_record(title: str, record: dict[str, Any]) -> None:
    """A titled block of names and values on stdout, for a person."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in record.items():
        table.add_row(Text(name), Text("\n".join(map(visible, str(value).split("\n")))))
    forget_working()
    out = Console(highlight=False)
    out.print(Text(visible(title), style="bold"))
    out.print(table)
