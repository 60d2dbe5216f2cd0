"""The same network on a small corpus and on a large one: what a start costs, what going on costs, what a step costs.

    python benchmarks/scale.py [TEXT] [--megabytes 20 2000]

The paragraphs of TEXT (the bundled book) are shuffled again and again until the corpus has the size wanted. A training
is killed after some steps and goes on from its last checkpoint. Appends a table to RESULTS.md. The files stand in the
folder for temporary ones while it runs, twice the size of the corpus, and seconds are those of a corpus that has just
been written.
"""

import argparse
import dataclasses
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from results import append, table
from texts import CORPORA

STEPS, SAVED_EVERY, SETTLED, ROWS, WINDOW = 40, 20, 10, 64, 128


def write(text: str, size: int, file: Path) -> None:
    """A corpus of so many bytes."""
    draw, paragraphs, left = random.Random(0), text.split("\n\n"), size
    with open(file, "wb") as out:
        while left > 0:
            draw.shuffle(paragraphs)
            left -= out.write(("\n\n".join(paragraphs) + "\n\n").encode()[:left])


def train(text: str, folder: str, goes_on: bool) -> None:
    """What `charrnn train` does, with a line after every step: the most memory so far, in kB."""
    from charrnn.config import TrainOptions
    from charrnn.training.events import Report
    from charrnn.training.resume import resume
    from charrnn.training.run import start

    options = TrainOptions(
        corpus=(text,), layers=2, hidden=256, batch_size=ROWS, bptt=WINDOW, ensemble=1, seed=1, steps=10 * STEPS,
        eval_every=10 * STEPS, save_every=SAVED_EVERY,
    )  # fmt: skip
    session = resume(checkpoints=Path(folder)) if goes_on else start(options, checkpoints=Path(folder))
    session.trainer.config = dataclasses.replace(session.trainer.config, report_every=1)
    for event in session.events():
        if isinstance(event, Report):
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)


def measured(file: Path, folder: Path, goes_on: bool) -> tuple[float, float, int]:
    """Seconds to the end of the first step, milliseconds a step, MB."""
    began, done, peak = time.monotonic(), [], 0
    child = [sys.executable, __file__, "--train", str(file), str(folder), *(["again"] if goes_on else [])]
    with subprocess.Popen(child, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            done.append(time.monotonic() - began)
            peak = int(line) // 1000
            if len(done) == STEPS:
                process.kill()
                break
    if len(done) < STEPS:
        raise SystemExit("the training ended by itself")
    taken = [later - earlier for earlier, later in pairwise(done[SETTLED:])]
    return done[0], 1000 * statistics.median(taken), peak


def main() -> None:
    """Each size: a start, and a second one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("text", type=Path, nargs="?", default=CORPORA / "fables.txt")
    parser.add_argument("--megabytes", type=int, nargs="+", default=[20, 2000])
    parser.add_argument("--train", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        text, folder, *again = arguments.train
        train(text, folder, bool(again))
        return
    text, rows = arguments.text.read_text(encoding="utf-8"), []
    for megabytes in arguments.megabytes:
        with tempfile.TemporaryDirectory() as place:
            file, folder = Path(place, "corpus.txt"), Path(place, "runs")
            write(text, megabytes * 1_000_000, file)
            first, step, peak = measured(file, folder, False)
            again, _, later = measured(file, folder, True)
        rows.append([f"{megabytes:,} MB", f"{first:.1f}", f"{peak:,}", f"{again:.1f}", f"{later:,}", f"{step:.0f}"])
        print(*rows[-1], flush=True)
    head = ["corpus", "first step after, s", "memory, MB", "going on: first step after, s", "memory, MB", "a step, ms"]
    said = f"lstm 2 x 256, {ROWS} rows x {WINDOW}; memory: the most of {STEPS} steps; a step: the median of the last.\n"
    append("Scale in cost", said, table(head, rows))


if __name__ == "__main__":
    main()
