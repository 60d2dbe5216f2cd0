"""The progress of a training: a live line and a bar on a terminal, plain lines elsewhere."""

import sys
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from charrnn import console
from charrnn.console import Talk, clock, say, visible, warn

if TYPE_CHECKING:
    from charrnn.training.events import Event, Report

PLAIN_SECONDS = 10.0
BAR = 16
BEST = "  best"
FIRST = "the first steps …"


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
        moves = console.console.is_terminal or (console.console.is_jupyter and find_spec("ipywidgets") is not None)
        self._live = moves and not Talk.quiet
        self._said_at = float("-inf")
        self._length = BarColumn(bar_width=BAR)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            self._length,
            TextColumn("{task.fields[left]}"),
            console=console.console,
            transient=True,
            disable=not self._live,
            # What is printed to the same screen stands above the bar; a file or a pipe gets what it is sent.
            redirect_stdout=sys.stdout.isatty() or console.console.is_jupyter,
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
            self._length.bar_width = max(1, min(BAR, console.console.width - len(left) - 3))
            room = console.console.width - BAR - len(left) - 2
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
        line = Text(validation_line(report, console.console.width - len(BEST) if self._live else sys.maxsize))
        if report.best:
            line.append(BEST, style="green")
        console.console.print(line)

    def _say_sample(self, sample: str) -> None:
        if not Talk.quiet:
            first = visible(" ".join(sample.split()))
            console.console.print(
                Text(f"    {first}", style="dim italic"), no_wrap=True, overflow="ellipsis", soft_wrap=False
            )
