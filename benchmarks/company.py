"""Training and writing while other programs are at work: alone, two at once, beside busy programs, on one processor.

    python benchmarks/company.py [--quick] [--only training writing]

Characters a second of a training at its default and with each fixed number of threads, on random text, and of writing
one stream and 64: the median of seconds in the middle of a run, of training also of two rounds. Takes some seven
minutes of an otherwise idle machine, one of them for writing, and appends to RESULTS.md; --quick goes round once,
and appends nothing.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path

from results import append, table

from charrnn.machine import cores

SYMBOLS = string.ascii_letters + string.digits + " .\n"
# Seconds after the first report in which threads may settle, and those that are measured.
SETTLING, MEASURED = {"--train": 3, "--write": 1}, {"--train": 5, "--write": 3}
ROUNDS = 2
DEFAULT = "default"
HOG = [sys.executable, "-c", "while True: pass"]


def train(text: str, threads: str, folder: str) -> None:
    """What `charrnn train` does, with a report after every step: the characters so far, a line each."""
    from charrnn.config import TrainOptions
    from charrnn.training.events import Report
    from charrnn.training.run import start

    given = None if threads == DEFAULT else int(threads)
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


def write(rows: int) -> None:
    """What `charrnn sample` does, in 8 bits: the characters so far, a line now and then."""
    from speed import Shape, our_generation

    # Some tenths of a second each, so that a text's beginning costs little.
    write_some, done, characters = our_generation(Shape("lstm", 2, 256), rows), 0, 20_000 if rows == 1 else 2_000
    while True:
        write_some(characters)
        done += rows * characters
        print(done, flush=True)


class Follower:
    """One job in a process of its own; `reports` are (seconds, characters) as its reports come."""

    def __init__(self, job: Sequence[str], processors: set[int] | None) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [sys.executable, __file__, *job, *([self._folder.name] if "--train" in job else [])],
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
                raise SystemExit(f"the job ended with exit code {self._process.returncode}")
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


def measure(job: Sequence[str], *, times: int = 1, busy: int = 0, processors: set[int] | None = None) -> list[float]:
    """Characters a second of a job, of each where it is there several times."""
    with ExitStack() as stack:
        stack.enter_context(hogs(busy))
        followers = [Follower(job, processors) for _ in range(times)]
        for each in followers:
            stack.callback(each.close)
        for each in followers:
            each.await_first()
        settling, seconds = SETTLING[job[0]], MEASURED[job[0]]
        begin = time.monotonic() + settling
        time.sleep(settling + seconds + 0.5)
        return [each.rate(begin, begin + seconds) for each in followers]


def situations() -> dict[str, Callable[[Sequence[str]], list[float]]]:
    """What a job may find itself in."""
    return {
        "alone": measure,
        "two at once": partial(measure, times=2),
        "beside one busy program": partial(measure, busy=1),
        "beside two": partial(measure, busy=2),
        "on one processor": partial(measure, processors={min(os.sched_getaffinity(0))}),
    }


def measured(jobs: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[list[float]]]:
    """Of each situation and each job in turns: characters a second of all that are there, medians of the rounds."""
    found: dict[tuple[str, str], list[list[float]]] = {}
    for _ in range(rounds):
        for name, situation in situations().items():
            for told, job in jobs.items():
                found.setdefault((name, told), []).append(situation(job))
                print(f"{name}, {told}:", *(f"{rate / 1000:.1f} k" for rate in found[name, told][-1]), flush=True)
    return {
        name: [[statistics.median(each) for each in zip(*found[name, told], strict=True)] for told in jobs]
        for name in situations()
    }


def rows_of(rates: Mapping[str, list[list[float]]], alone: Sequence[float]) -> list[list[str]]:
    """Situations down, jobs across: characters a second, and all together as a share of those alone."""
    return [
        [name, *(f"{' + '.join(f'{rate / 1000:.1f}' for rate in each)} k, {sum(each) / one:.2f}"
                 for each, one in zip(found, alone, strict=True))]
        for name, found in rates.items()
    ]  # fmt: skip


def training(rounds: int) -> tuple[str, str]:
    """What is said of training, and its table."""
    count = cores()
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "random.txt"
        text.write_text("".join(random.Random(0).choices(SYMBOLS, k=1 << 20)), encoding="utf-8")
        settings = {DEFAULT: DEFAULT, **{f"`--threads {n}`": str(n) for n in sorted({1, max(1, count // 2), count})}}
        rates = measured({told: ["--train", str(text), given] for told, given in settings.items()}, rounds)
    alone, *fixed = (sum(each) for each in rates["alone"])
    said = (
        f"Training 2 x 256, 64 rows x 128: thousand characters a second, and all together as a share of the default "
        f"alone, which has {alone / max(fixed):.2f} of the best fixed setting. Medians of "
        f"{MEASURED['--train']} seconds, {SETTLING['--train']} after the first step, and of {rounds} rounds.\n"
    )
    return said, table(["", *settings], rows_of(rates, [alone] * len(settings)))


def writing(_: int) -> tuple[str, str]:
    """The same of writing, once: it begins with all its speed."""
    jobs = {"one stream": ["--write", "1"], "64 streams": ["--write", "64"]}
    rates = measured(jobs, 1)
    said = "Writing, 2 x 256 in 8 bits: thousand characters a second, and all together as a share of the same alone.\n"
    return said, table(["", *jobs], rows_of(rates, [sum(each) for each in rates["alone"]]))


def main() -> None:
    """Each situation with each setting, in turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true")
    parts = {"training": training, "writing": writing}
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--train", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--write", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        train(*arguments.train)
    elif arguments.write:
        write(arguments.write)
    else:
        told = [line for name in arguments.only for line in parts[name](1 if arguments.quick else ROUNDS)]
        if arguments.quick:
            print("", *told, sep="\n")
        else:
            append("Company on the machine", *told)


if __name__ == "__main__":
    main()
