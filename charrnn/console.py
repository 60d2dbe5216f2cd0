"""Everything that is shown to a person, on stderr, through one rich console; stdout carries the product alone.

This is the only file that imports rich.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.cells import set_cell_size
from rich.console import Console
from rich.control import Control
from rich.progress import BarColumn, Progress, TextColumn
from rich.segment import ControlType
from rich.table import Table
from rich.text import Text

from charrnn.errors import one_line

if TYPE_CHECKING:
    from charrnn.training.events import Event, Report

console = Console(stderr=True, highlight=False, soft_wrap=True)

PLAIN_SECONDS = 10.0
BAR = 16
BEST = "  best"
FIRST = "the first steps …"
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
    if Talk.quiet or not console.is_terminal:
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


def fit(parts: dict[str, int], width: int) -> str:
    """Words side by side; in less room without those that matter least, by the numbers they are given."""
    kept = dict(parts)
    while len(line := "  ".join(kept)) > max(0, width):
        del kept[min(kept, key=lambda part: kept[part])]
    return line


def progress_line(report: "Report", width: int) -> str:
    """The means since the last report, in so many columns."""
    parts = {
        f"step {report.step:,}": 3,
        f"loss {report.loss:.3f}": 1,
        f"{report.bpc:.3f} bpc": 4,
        f"{report.tokens_per_second / 1000:.1f}k tok/s": 2,
        f"grad {report.grad_norm:.2f}, {report.clipped:.0%} clipped": 0,
    }
    return fit(parts, width)


def validation_line(report: "Report", width: int) -> str:
    """A validation, in so many columns."""
    parts = {
        f"step {report.step:>6,}": 3,
        f"{clock(report.seconds):>5}": 1,
        f"train {report.loss:.3f}": 0,
        f"valid {report.valid_loss:.3f}": 2,
        f"{report.valid_bpc:.3f} bpc": 4,
    }
    return fit(parts, width)


class TrainingDisplay:
    """A live line and bar on a terminal and in a notebook; plain lines at intervals elsewhere; nothing when quiet."""

    def __init__(self) -> None:
        # rich draws what moves in a notebook through ipywidgets, and without them not at all.
        moves = console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)
        self._live = moves and not Talk.quiet
        self._said_at = float("-inf")
        self._length = BarColumn(bar_width=BAR)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            self._length,
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
            disable=not self._live,
            # What is printed to the same screen stands above the bar; a file or a pipe gets what it is sent.
            redirect_stdout=sys.stdout.isatty() or console.is_jupyter,
        )
        # Until the first report the bar has no length: it moves to and fro.
        self._task = self._bar.add_task(FIRST, total=None, left="")

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, value, trace)

    def show(self, event: "Event") -> None:
        """One event: at a report the live line moves; a validation and a note are printed for good."""
        from charrnn.training.events import Note, Report

        match event:
            case Report():
                self._show_report(event)
            case Note(text, warning):
                (warn if warning else say)(text)

    def _show_report(self, report: "Report") -> None:
        left = f"{report.progress:4.0%}  {clock(report.seconds_left)} left"
        if self._live:
            # The bar and the time left stay, a column between all three, and the text takes what they leave; where
            # they leave nothing, the bar is shorter.
            self._length.bar_width = max(1, min(BAR, console.width - len(left) - 3))
            room = console.width - BAR - len(left) - 2
            line = progress_line(report, room)
            self._bar.update(self._task, total=1.0, completed=report.progress, description=line, left=left)
        if report.valid_loss is not None:
            self._say_validation(report)
        elif not self._live and report.seconds - self._said_at >= PLAIN_SECONDS:
            self._said_at = report.seconds
            say(f"{progress_line(report, sys.maxsize)}  {left.strip()}")
        if report.sample:
            self._say_sample(report.sample)

    def _say_validation(self, report: "Report") -> None:
        if Talk.quiet:
            return
        line = Text(validation_line(report, console.width - len(BEST) if self._live else sys.maxsize))
        if report.best:
            line.append(BEST, style="green")
        console.print(line)

    def _say_sample(self, sample: str) -> None:
        if not Talk.quiet:
            first = visible(" ".join(sample.split()))
            console.print(Text(f"    {first}", style="dim italic"), no_wrap=True, overflow="ellipsis", soft_wrap=False)


def show_heat(symbols: list[str], heat: list[float]) -> None:
    """Text on stdout, each symbol on a ground that is the redder the more heat it has, the largest being full red."""
    most = max((abs(value) for value in heat), default=0.0) or 1.0
    text = Text()
    for symbol, value in zip(symbols, heat, strict=True):
        share = max(0.0, value / most)
        red, other = round(255 - 65 * share), round(255 - 195 * share)
        shown = "↵\n" if symbol == "\n" else visible(symbol)
        text.append(shown, style=f"black on rgb({red},{other},{other})")
    forget_working()
    Console(highlight=False).print(text, soft_wrap=True)


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
