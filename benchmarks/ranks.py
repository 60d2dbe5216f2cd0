"""Several processes of one thread against one process of as many threads: the same run, the same rows, side by side.

    python benchmarks/ranks.py CORPUS [--ranks 2] [--steps 60] [--rounds 3] [--dry]

Thousand tokens a second in the middle of a run, medians of the rounds, which go in turns, of one network and of an
ensemble with one for each process; the bytes and seconds of the one sum that a step of one network needs, and what the
model of cost in docs/scale.md says of several processes. Appends to RESULTS.md; --dry writes nothing.
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

HIDDEN, ROWS, BPTT = (256, 512), 64, 128
REPORTED = "tokens_per_second"


def speed(corpus: str, hidden: int, networks: int, steps: int, ranks: int, threads: int) -> float:
    """Tokens a second: the median of a run's reports but the first, in which all is laid out."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)] if ranks > 1 else []
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, *launcher, "-m", "charrnn", "train", corpus, "--checkpoints", folder, "--seed", "1",
            "--hidden", str(hidden), "--layers", "2", "--batch-size", str(ROWS), "--bptt", str(BPTT),
            "--steps", str(steps), "--eval-every", str(10 * steps), "--save-every", str(10 * steps),
            "--threads", str(threads), "--ensemble", str(networks), "--json",
        ]  # fmt: skip
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return statistics.median([float(json.loads(line)[REPORTED]) for line in told.splitlines()][1:])


def seconds_of_a_sum(ranks: int, numbers: int, kind: str) -> float:
    """Of one sum of so many numbers over processes on this machine: the median of 20."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    told = subprocess.run(
        [*command, __file__, "--sum", str(numbers), "--format", kind],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ).stdout
    return float(told.splitlines()[-1])


def time_sums(numbers: int, kind: str) -> None:
    """In one of these processes; the first prints."""
    import torch

    from charrnn.machine import PRECISIONS
    from charrnn.training.world import Joined

    world, taken = Joined(torch.device("cpu")), []
    gradients = [torch.zeros(numbers, dtype=PRECISIONS[kind])]
    for _ in range(22):
        began = time.perf_counter()
        world.sum(gradients)
        taken.append(time.perf_counter() - began)
    if world.rank == 0:
        print(statistics.median(taken[2:]))
    world.leave()


def main() -> None:
    """All in turns, for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("corpus", nargs="?")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dry", action="store_true")
    parser.add_argument("--sum", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--format", default="fp32", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.sum:
        time_sums(asked.sum, asked.format)
        return
    if asked.corpus is None:
        parser.error("name a corpus: a text of a megabyte or more")
    speeds, costs = [], []
    for hidden in HIDDEN:
        rates = {(networks, ranks, threads): list[float]() for networks in (1, asked.ranks) for ranks, threads in
                 ((1, asked.ranks), (asked.ranks, 1))} | {(1, 1, 1): []}  # fmt: skip
        for _ in range(asked.rounds):
            for (networks, ranks, threads), found in rates.items():
                found.append(speed(asked.corpus, hidden, networks, asked.steps, ranks, threads))
                print(f"{networks} of 2x{hidden}, {ranks} x {threads} threads: {found[-1] / 1000:.1f} k", flush=True)
        medians = {setting: statistics.median(found) for setting, found in rates.items()}
        for networks in (1, asked.ranks):
            one, several = medians[networks, 1, asked.ranks], medians[networks, asked.ranks, 1]
            speeds.append([f"{networks} of 2 x {hidden}", f"{one / 1000:.1f} k", f"{several / 1000:.1f} k",
                           f"{several / one:.2f}"])  # fmt: skip
        weights = 4 * hidden * (128 + hidden) + 4 * hidden * 2 * hidden + 65 * hidden
        sums = {kind: seconds_of_a_sum(asked.ranks, weights, kind) for kind in ("fp32", "bf16")}
        step, measured = (ROWS * BPTT / medians[1, ranks, 1] for ranks in (1, asked.ranks))
        said = step / asked.ranks + sums["bf16"]
        costs.append([f"2 x {hidden}", f"{4 * weights / 1e6:.1f} MB, {1000 * sums['fp32']:.1f} ms",
                      f"{2 * weights / 1e6:.1f} MB, {1000 * sums['bf16']:.1f} ms",
                      *(f"{1000 * seconds:.0f} ms" for seconds in (step, said, measured))])  # fmt: skip
    all_ = f"{asked.ranks} processes of 1 thread"
    shown = table(["lstm", f"1 process of {asked.ranks} threads", all_, "ratio"], speeds) + "\n"
    shown += table(
        ["lstm", "a sum in fp32", "in bf16", "a step of 1 thread", f"of {all_}, reckoned", "measured"], costs
    )
    if asked.dry:
        print(shown)
    else:
        append("Processes that train together", "64 rows x 128 tokens, tokens a second.\n", shown)


if __name__ == "__main__":
    main()
