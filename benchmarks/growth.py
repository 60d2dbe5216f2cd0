"""Cost grows as it should: training against the size of the corpus, generation against the length of the text.

    python benchmarks/growth.py TEXT [--megabytes 1 10 100 300] [--characters 1000 10000 100000 1000000]

The text is repeated until it has the size wanted. Prints a table of each, draws growth.svg, appends to RESULTS.md.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from results import append, table

from charrnn.plotting.style import COLOURS, picture

PLOT = Path(__file__).with_name("growth.svg")
STEPS = 300


@dataclass
class Cost:
    """Peak resident memory in MB; seconds to the first output, from there to the end, and in all; units made."""

    size: int
    peak: float
    first: float
    total: float
    rate: float


def grow(text: bytes, megabytes: int, file: Path) -> None:
    """Write the text again and again until the file has this size."""
    wanted = megabytes * 1_000_000
    with open(file, "wb") as out:
        while out.tell() < wanted:
            out.write(text[: wanted - out.tell()])


def watch(process: "subprocess.Popen[bytes]", peak: list[float]) -> None:
    """Follow VmHWM, the kernel's own high-water mark, until the process ends."""
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM"):
                peak[0] = max(peak[0], int(line.split()[1]) / 1000)
        time.sleep(0.05)


def start(*arguments: str) -> "tuple[subprocess.Popen[bytes], threading.Thread, list[float]]":
    """A charrnn command, its memory watched."""
    line = [sys.executable, "-m", "charrnn", *arguments]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    peak = [0.0]
    watcher = threading.Thread(target=watch, args=(process, peak))
    watcher.start()
    return process, watcher, peak


def train(file: Path, megabytes: int, folder: Path) -> Cost:
    """A few hundred steps on this corpus; the rate is the median of the reports, in characters a second."""
    begun = time.monotonic()
    options = ["--steps", str(STEPS), "--hidden", "256", "--seed", "1", "--name", f"{megabytes}mb"]
    process, watcher, peak = start("train", str(file), *options, "--json", "--checkpoints", str(folder))
    assert process.stdout is not None
    first, rates = 0.0, []
    for event in map(json.loads, process.stdout):
        first = first or time.monotonic() - begun
        rates.append(event["tokens_per_second"])
    watcher.join()
    if process.returncode:
        raise SystemExit(f"charrnn train failed with {process.returncode}")
    return Cost(megabytes, peak[0], first, time.monotonic() - begun, sorted(rates)[len(rates) // 2])


def sample(characters: int, folder: Path, name: str) -> Cost:
    """One text of this length; the rate counts from the first character on."""
    begun = time.monotonic()
    options = ["-m", name, "--length", str(characters), "--seed", "1", "--checkpoints", str(folder)]
    process, watcher, peak = start("sample", *options)
    assert process.stdout is not None
    process.stdout.read(1)
    first = time.monotonic() - begun
    while process.stdout.read(1 << 16):
        pass
    total = time.monotonic() - begun
    watcher.join()
    if process.returncode:
        raise SystemExit(f"charrnn sample failed with {process.returncode}")
    return Cost(characters, peak[0], first, total, characters / (total - first))


def draw(trained: list[Cost], sampled: list[Cost]) -> None:
    """Speed and memory against size, both axes logarithmic: flat lines are good."""
    with picture(columns=2, size=(11, 4)) as (axes, drawn):
        for axis, costs, size in ((axes[0], trained, "MB of corpus"), (axes[1], sampled, "characters written")):
            sizes = [cost.size for cost in costs]
            axis.plot(sizes, [cost.rate for cost in costs], "o-", color=COLOURS[0], label="characters a second")
            axis.plot(sizes, [cost.peak for cost in costs], "s--", color=COLOURS[1], label="peak memory, MB")
            axis.set_xscale("log")
            axis.set_yscale("log")
            axis.set_ylim(10, 10 ** (len(str(int(max(cost.rate for cost in costs))))))
            axis.set_xlabel(size)
            axis.legend(frameon=False)
        axes[0].set_title("training")
        axes[1].set_title("generation")
    PLOT.write_bytes(drawn.getvalue())


def rows(costs: list[Cost]) -> list[list[str]]:
    """As a table has them."""
    return [[f"{c.size:,}", f"{c.rate:,.0f}", f"{c.peak:.0f}", f"{c.first:.1f}", f"{c.total:.1f}"] for c in costs]


def main() -> None:
    """Measure every size, small to large."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("text", type=Path)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[1, 10, 100, 300])
    parser.add_argument("--characters", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    arguments = parser.parse_args()
    trained, sampled = [], []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "checkpoints"
        for megabytes in arguments.megabytes:
            file = Path(place) / f"{megabytes}mb.txt"
            grow(arguments.text.read_bytes(), megabytes, file)
            trained.append(train(file, megabytes, folder))
            file.unlink()
            print("train", *rows(trained)[-1], flush=True)
        for characters in arguments.characters:
            sampled.append(sample(characters, folder, f"{arguments.megabytes[0]}mb"))
            print("sample", *rows(sampled)[-1], flush=True)
    draw(trained, sampled)
    rest = ["characters a second", "peak memory, MB", "first output after, s", "whole command, s"]
    append(
        "Growth",
        f"Training 2 x 256, {STEPS} steps of 32 x 64 characters:\n",
        table(["corpus, MB", *rest], rows(trained)),
        "Generation, one stream:\n",
        table(["characters", *rest], rows(sampled)),
    )


if __name__ == "__main__":
    main()
