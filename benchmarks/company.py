"""Training while other programs are at work: alone, two trainings at once, beside busy programs, on one processor.

    python benchmarks/company.py [--quick]

Characters a second of a training at its default and with each fixed number of threads, on random text: the median of
seconds in the middle of a run, and of two rounds. Takes some six minutes of an otherwise idle machine and appends to
RESULTS.md; --quick goes round once and writes nothing.
"""

import argparse
import dataclasses
import os
import random
import signal
import statistics
import string
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

from results import append, table

from charrnn.machine import cores

SYMBOLS = string.ascii_letters + string.digits + " .\n"
# Seconds after the first step in which threads may settle, and those that are measured.
SETTLING, MEASURED = 3, 5
ROUNDS = 2
HOG = [sys.executable, "-c", "while True: pass"]


def train(text: str, folder: str, threads: str | None = None) -> None:
    """What `charrnn train` does, with a report after every step: the characters so far, a line each."""
    from charrnn.config import TrainOptions
    from charrnn.training.events import Report
    from charrnn.training.run import start

    given = None if threads is None else int(threads)
    never = 1_000_000
    options = TrainOptions(
        corpus=(text,), layers=2, hidden=256, batch_size=64, bptt=128, ensemble=1, seed=1,
        steps=never, eval_every=never, save_every=never, threads=given,
    )  # fmt: skip
    session = start(options, checkpoints=Path(folder))
    session.trainer.config = dataclasses.replace(session.trainer.config, report_every=1)
    for event in session.events():
        if isinstance(event, Report):
            print(event.tokens, flush=True)


class Follower:
    """One training in a process of its own; `reports` are (seconds, characters) as its reports come."""

    def __init__(self, text: Path, threads: int | None, processors: set[int] | None) -> None:
        self._folder = tempfile.TemporaryDirectory()
        given = [] if threads is None else [str(threads)]
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--train", str(text), self._folder.name, *given],
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=_bound_to(processors),
        )
        self.reports: list[tuple[float, int]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.reports.append((time.monotonic(), int(line)))

    def await_first(self) -> None:
        """Until the first step is done."""
        while not self.reports:
            if self._process.poll() is not None:
                raise SystemExit(f"the training ended with exit code {self._process.returncode}")
            time.sleep(0.02)

    def rate(self, begin: float, end: float) -> float:
        """Characters a second: the median over the seconds between two times."""
        marks = [begin + second for second in range(round(end - begin) + 1)]
        done = [self._characters_by(mark) for mark in marks]
        return statistics.median(later - earlier for earlier, later in pairwise(done))

    def _characters_by(self, when: float) -> float:
        """Within a step, as if its characters came evenly."""
        reports = list(self.reports)
        for (since, before), (until, after) in pairwise(reports):
            if since <= when < until:
                return before + (after - before) * (when - since) / (until - since)
        return reports[-1][1] if when >= reports[-1][0] else 0.0

    def close(self) -> None:
        """End it, whatever it does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        self._folder.cleanup()


def _bound_to(processors: set[int] | None) -> Callable[[], None] | None:
    return None if processors is None else lambda: os.sched_setaffinity(0, processors)


@contextmanager
def hogs(count: int) -> Iterator[None]:
    """Programs that do nothing but compute."""
    running = [subprocess.Popen(HOG) for _ in range(count)]
    try:
        yield
    finally:
        for each in running:
            each.kill()
            each.wait()


def measure(
    text: Path, threads: int | None, *, trainings: int = 1, busy: int = 0, processors: set[int] | None = None
) -> list[float]:
    """Characters a second of each training."""
    with ExitStack() as stack:
        stack.enter_context(hogs(busy))
        followers = [Follower(text, threads, processors) for _ in range(trainings)]
        for each in followers:
            stack.callback(each.close)
        for each in followers:
            each.await_first()
        begin = time.monotonic() + SETTLING
        time.sleep(SETTLING + MEASURED + 0.5)
        return [each.rate(begin, begin + MEASURED) for each in followers]


def main() -> None:
    """Each situation with each setting, in turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--train", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        train(*arguments.train)
        return
    quick = arguments.quick
    count = cores()
    one = {min(os.sched_getaffinity(0))}
    settings: list[int | None] = [None, *sorted({1, max(1, count // 2), count})]
    situations: dict[str, Callable[[Path, int | None], list[float]]] = {
        "alone": measure,
        "two trainings": partial(measure, trainings=2),
        "beside one busy program": partial(measure, busy=1),
        "beside two": partial(measure, busy=2),
        "on one processor": partial(measure, processors=one),
    }
    rates: dict[tuple[str, int | None], list[list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "random.txt"
        text.write_text("".join(random.Random(0).choices(SYMBOLS, k=1 << 20)), encoding="utf-8")
        for _ in range(1 if quick else ROUNDS):
            for name, situation in situations.items():
                for threads in settings:
                    found = situation(text, threads)
                    rates.setdefault((name, threads), []).append(found)
                    print(f"{name}, {_named(threads)}:", *(f"{rate / 1000:.1f} k" for rate in found), flush=True)
    _report(rates, list(situations), settings, quick)


def _report(
    rates: dict[tuple[str, int | None], list[list[float]]],
    situations: list[str],
    settings: list[int | None],
    quick: bool,
) -> None:
    """Situations down, settings across: characters a second, and their share of the default alone."""

    def total(name: str, threads: int | None) -> float:
        return statistics.median(sum(found) for found in rates[name, threads])

    alone = total("alone", None)
    rows = []
    for name in situations:
        cells = []
        for threads in settings:
            each = [statistics.median(column) for column in zip(*rates[name, threads], strict=True)]
            shares = " + ".join(f"{rate / 1000:.1f}" for rate in each)
            cells.append(f"{shares} k, {total(name, threads) / alone:.2f}")
        rows.append([name, *cells])
    best = max(total("alone", threads) for threads in settings if threads is not None)
    said = (
        f"2 x 256, 64 rows x 128: thousand characters a second, and all together as a share of the default alone, "
        f"which has {alone / best:.2f} of the best fixed setting. Medians of {MEASURED} seconds, "
        f"{SETTLING} after the first step{'' if quick else f', and of {ROUNDS} rounds'}.\n"
    )
    shown = table(["", *map(_named, settings)], rows)
    if quick:
        print(f"\n{said}\n{shown}")
    else:
        append("Company on the machine", said, shown)


def _named(threads: int | None) -> str:
    return "default" if threads is None else f"`--threads {threads}`"


if __name__ == "__main__":
    main()
