"""Gates for scripts: a figure has to hold, or the exit code is 3. One place, one wording, whatever the command.

    --fail-above X, --fail-below X        the figure is beyond a limit
    --baseline FILE [--tolerance T]       the figure is worse than in FILE, which `--json` wrote earlier, by more than T

A command takes the options below, makes a `Gate` of them before it does anything that takes time, hands it the records
that it prints and closes it at its end. A figure that is not defined is an error (exit code 1), and so is a baseline
that is of something else: neither passes a gate.
"""

import json
import math
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

import typer

from charrnn.cli.exit_codes import GATE
from charrnn.cli.fields import option
from charrnn.config import require
from charrnn.console import error
from charrnn.errors import CharrnnError

# As much as figures differ between machines, which add up in another order.
ROUNDING = "0.0001%"
# Two records that differ in one of these are not of one text, or not of one way to read it.
CONDITIONS = ("chars", "bytes", "words", "state")


def _limit(parameter: typer.CallbackParam, value: float | None) -> float | None:
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is no limit", param_hint=parameter.opts[0])
    return value


FailAbove = Annotated[
    float | None,
    option("Gates", "Exit with 3 when the figure is greater.", "--fail-above", default="off", check=_limit),
]
FailBelow = Annotated[
    float | None, option("Gates", "Exit with 3 when the figure is less.", "--fail-below", default="off", check=_limit)
]
Baseline = Annotated[
    Path | None,
    option("Gates", "What --json wrote earlier: exit with 3 when the figure is worse.", "--baseline", default="off"),
]
ToleranceText = Annotated[
    str | None,
    option("Gates", "How much worse it may be: 0.01, or 1% of it.", "--tolerance", metavar="T", default=ROUNDING),
]


@dataclass(frozen=True)
class Tolerance:
    """How much worse than a baseline a figure may be: an amount, or a share of the baseline."""

    text: str
    amount: float
    relative: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """'0.01' or '1%'. Raises ConfigError on anything else."""
        number = re.fullmatch(r"(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*(%?)", text.strip(), re.IGNORECASE)
        require(
            number is not None and math.isfinite(float(text.strip(" %"))),
            f"`tolerance` must be an amount as 0.01, or a share as 1%, not {text!r}",
        )
        relative = text.strip().endswith("%")
        return cls(text.strip(), float(text.strip(" %")) / (100 if relative else 1), relative)

    def of(self, baseline: float) -> float:
        """The amount, beside this baseline."""
        return self.amount * abs(baseline) if self.relative else self.amount


@dataclass
class Gate:
    """What the figure `metric` has to hold, and what was found not to.

    Raises ConfigError on a tolerance that is none, CharrnnError on a baseline that cannot be read.
    """

    metric: str
    above: float | None = None
    below: float | None = None
    baseline: Path | None = None
    tolerance: str | None = None
    higher_is_better: bool = False
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._tolerance = Tolerance.parse(ROUNDING if self.tolerance is None else self.tolerance)
        self._earlier = [] if self.baseline is None else read_records(self.baseline)

    def __bool__(self) -> bool:
        """Whether there is anything to hold."""
        return not (self.above is None and self.below is None and self.baseline is None)

    def judge(self, records: Iterable[dict[str, Any]]) -> None:
        """Look at these records, as `--json` writes them. Raises CharrnnError where one lacks the figure."""
        if not self:
            return
        for record in records:
            value = _figure(record, self.metric, "this text")
            self.broken += [f"{self._title(record)} is {complaint}" for complaint in self._complaints(record, value)]

    def close(self) -> None:
        """Say what does not hold, and leave with 3; nothing where all does."""
        leave(self.broken)

    def _complaints(self, record: dict[str, Any], value: float) -> Iterable[str]:
        """What is wrong with the figure, each as 'so much, above so much'."""
        if self.above is not None and not value <= self.above:
            yield _beside(value, "above", self.above)
        if self.below is not None and not value >= self.below:
            yield _beside(value, "below", self.below)
        if self.baseline is not None:
            earlier = self._before(record)
            worse = earlier - value if self.higher_is_better else value - earlier
            if not worse <= self._tolerance.of(earlier):
                words = "below the baseline" if self.higher_is_better else "above the baseline"
                yield f"{_beside(value, words, earlier)} by more than {self._tolerance.text}"

    def _before(self, record: dict[str, Any]) -> float:
        """The figure in the baseline: of the same text; where several models are there, of the same model."""
        text, model = record.get("text"), record.get("model")
        of_text = [each for each in self._earlier if each.get("text") == text]
        found = of_text if len(of_text) == 1 else [each for each in of_text if each.get("model") == model]
        if len(found) != 1:
            there = f"{len(found) or 'no'} figures of {model} on {text}" if of_text else f"no figures of {text}"
            raise CharrnnError(f"{self.baseline} holds {there}: write it with --json from this very command")
        for name in CONDITIONS:
            if name in found[0] and name in record and found[0][name] != record[name]:
                there, here = found[0][name], record[name]
                raise CharrnnError(
                    f"{self.baseline} was not written in this way of this text: {name} {there} there, {here} here"
                )
        earlier = _figure(found[0], self.metric, str(self.baseline))
        if not abs(earlier) <= sys.float_info.max:  # everything would be better; whole numbers may be of any length
            raise CharrnnError(f"{self.metric} is not finite in {self.baseline}: give what --json wrote")
        return earlier

    def _title(self, record: dict[str, Any]) -> str:
        of = ", ".join(str(record[name]) for name in ("text", "model") if record.get(name) is not None)
        return f"{self.metric} of {of}" if of else self.metric


def leave(broken: Sequence[str]) -> None:
    """Say what does not hold, a line each, and exit with 3; nothing where all does."""
    for each in broken:
        error(f"the gate does not hold: {each}")  # also with -q: whoever reads a log wants to know why
    if broken:
        raise typer.Exit(GATE)


def read_records(file: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON Lines. Raises CharrnnError when it is none, or empty."""
    records: list[dict[str, Any]] = []
    lines = file.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            found = json.loads(line) if line.strip(b"\xef\xbb\xbf \t\r") else None
        except (ValueError, RecursionError):  # of what is no JSON, of what is no UTF-8, of what is nested too deep
            found = line
        if isinstance(found, dict):
            records.append(found)
        elif found is not None:
            raise CharrnnError(f"{file}, line {number}, is no JSON object: give what --json wrote")
    if not records:
        raise CharrnnError(f"{file} holds no figures: give what --json wrote")
    return records


def _figure(record: dict[str, Any], name: str, where: str) -> float:
    """A figure that is a number. Raises CharrnnError where it is not defined."""
    value = record.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or value != value:  # NaN alone is not itself
        raise CharrnnError(f"{name} is not defined for {where}: choose another --metric")
    return value


def _beside(value: float, words: str, limit: float) -> str:
    """'2.31, above 2.1': with as many digits as tell them apart."""
    shown, least = f"{value:.6g}", f"{limit:.6g}"
    return f"{shown}, {words} {least}" if shown != least else f"{value!r}, {words} {limit!r}"
