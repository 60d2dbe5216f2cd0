"""Several processes of one thread against one process of as many threads: the same run, the same rows, side by side.

    python benchmarks/ranks.py CORPUS [--ranks 2] [--steps 60] [--rounds 3] [--dry]

Thousand tokens a second in the middle of a run, medians of the rounds, which go in turns; and the bytes and seconds of
the one sum that a step needs. Appends to RESULTS.md; --dry writes nothing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from results import append, table

HIDDEN = (256, 512)
REPORTED = "tokens_per_second"


def speed(corpus: str, hidden: int, steps: int, ranks: int, threads: int) -> float:
    """Tokens a second: the median of a run's reports but the first, in which all is laid out."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)] if ranks > 1 else []
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, *launcher, "-m", "charrnn", "train", corpus, "--checkpoints", folder, "--seed", "1",
            "--hidden", str(hidden), "--layers", "2", "--batch-size", "64", "--bptt", "128", "--ensemble", "1",
            "--steps", str(steps), "--eval-every", str(10 * steps), "--save-every", str(10 * steps),
            "--threads", str(threads), "--json",
        ]  # fmt: skip
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return statistics.median([float(json.loads(line)[REPORTED]) for line in told.splitlines()][1:])


def seconds_of_a_sum(ranks: int, numbers: int) -> float:
    """Of one sum of so many fp32 numbers over processes on this machine: the median of 20."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    told = subprocess.run(
        [*command, __file__, "--sum", str(numbers)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ).stdout
    return float(told.splitlines()[-1])


def time_sums(numbers: int) -> None:
    """In one of these processes; the first prints."""
    import torch

    from charrnn.training.world import Joined

    world, taken = Joined(torch.device("cpu")), []
    gradients = [torch.zeros(numbers)]
    for _ in range(22):
        began = time.perf_counter()
        world.sum(gradients)
        taken.append(time.perf_counter() - began)
    if world.rank == 0:
        print(statistics.median(taken[2:]))
    world.leave()


def main() -> None:
    """Both in turns, for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("corpus", nargs="?")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dry", action="store_true")
    parser.add_argument("--sum", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.sum:
        time_sums(asked.sum)
        return
    if asked.corpus is None:
        parser.error("name a corpus: a text of a megabyte or more")
    rows = []
    for hidden in HIDDEN:
        found: dict[tuple[int, int], list[float]] = {(1, asked.ranks): [], (asked.ranks, 1): []}
        for _ in range(asked.rounds):
            for setting, rates in found.items():
                rates.append(speed(asked.corpus, hidden, asked.steps, *setting))
                print(f"2x{hidden}, {setting[0]} x {setting[1]} threads: {rates[-1] / 1000:.1f} k", flush=True)
        one, several = (statistics.median(rates) for rates in found.values())
        weights = 4 * hidden * (128 + hidden) + 4 * hidden * 2 * hidden + 65 * hidden
        a_sum = seconds_of_a_sum(asked.ranks, weights)
        rows.append([f"2 x {hidden}", f"{one / 1000:.1f} k", f"{several / 1000:.1f} k", f"{several / one:.2f}",
                     f"{4 * weights / 1e6:.1f} MB", f"{1000 * a_sum:.1f} ms"])  # fmt: skip
    head = ["lstm", f"1 process, {asked.ranks} threads", f"{asked.ranks} processes of 1", "ratio", "gradients", "a sum"]
    shown = table(head, rows)
    if asked.dry:
        print(shown)
    else:
        append("Processes that train together", "64 rows x 128 tokens, tokens a second.\n", shown)


if __name__ == "__main__":
    main()
