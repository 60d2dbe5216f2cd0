"""What a large corpus costs: peak memory and time to the first step, beside the same command on 1 MB.

    python benchmarks/large_corpus.py TEXT [--megabytes 300] [--for 1m]

The text is repeated until it has the size wanted. Appends one table to benchmarks/RESULTS.md.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


@dataclass
class Cost:
    """Peak resident memory in MB, seconds from the command to the first report, steps at the end."""

    megabytes: int
    peak: float
    first: float
    total: float
    steps: int


def grow(text: bytes, megabytes: int, file: Path) -> None:
    """Write the text again and again until the file has this size."""
    wanted = megabytes * 1_000_000
    with open(file, "wb") as out:
        while out.tell() < wanted:
            out.write(text[: wanted - out.tell()])


def peak_memory(process: "subprocess.Popen[str]", peak: list[float]) -> None:
    """Follow VmHWM, the kernel's own high-water mark, until the process ends."""
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                peak[0] = max(peak[0], int(line.split()[1]) / 1000)
        time.sleep(0.1)


def measure(file: Path, megabytes: int, budget: str, folder: Path) -> Cost:
    """Train on this file and watch."""
    line = [sys.executable, "-m", "charrnn", "train", str(file), "--for", budget, "--json", "--seed", "1"]
    started = time.monotonic()
    process = subprocess.Popen(
        [*line, "--checkpoints", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    peak = [0.0]
    watcher = threading.Thread(target=peak_memory, args=(process, peak))
    watcher.start()
    first, steps = 0.0, 0
    assert process.stdout is not None
    for event in map(json.loads, process.stdout):
        first = first or time.monotonic() - started
        steps = event["step"]
    watcher.join()
    if process.returncode:
        raise SystemExit(f"charrnn train failed with {process.returncode}")
    return Cost(megabytes, peak[0], first, time.monotonic() - started, steps)


def report(costs: list[Cost], budget: str) -> str:
    """A Markdown table under a heading that says when, what and where."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    where = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    rows = [f"| {c.megabytes} MB | {c.peak:.0f} MB | {c.first:.1f} s | {c.total:.1f} s | {c.steps:,} |" for c in costs]
    return "\n".join(
        [
            f"\n## Large corpus, --for {budget}: {datetime.now(UTC):%Y-%m-%d}, commit {commit}, {where}\n",
            "| corpus | peak memory | first report after | whole command | steps |",
            "|---|---|---|---|---|",
            *rows,
            f"\nMemory above the smallest: {costs[-1].peak - costs[0].peak:.0f} MB.\n",
        ]
    )


def main() -> None:
    """Measure the small corpus, then the large one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("text", type=Path)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--for", dest="budget", default="1m")
    arguments = parser.parse_args()
    costs = []
    with tempfile.TemporaryDirectory() as folder:
        for megabytes in (1, arguments.megabytes):
            file = Path(folder) / f"{megabytes}mb.txt"
            grow(arguments.text.read_bytes(), megabytes, file)
            costs.append(measure(file, megabytes, arguments.budget, Path(folder) / "checkpoints"))
    table = report(costs, arguments.budget)
    print(table)
    with open(RESULTS, "a", encoding="utf-8") as results:
        results.write(table)


if __name__ == "__main__":
    main()
