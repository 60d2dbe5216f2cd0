"""The command under measurement, run as a user runs it, and the files that it is given."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


def charrnn(*arguments: str) -> str:
    """What `charrnn` prints on stdout; its warnings stay on the screen."""
    command = [sys.executable, "-m", "charrnn", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, encoding="utf-8").stdout


@dataclass(frozen=True)
class Spent:
    """What a program took: seconds by the clock, and seconds that processors worked for it, of all its threads."""

    seconds: float
    processor: float


def spent(command: Sequence[str], folder: Path | None = None, output: Path | None = None) -> Spent:
    """Run a program to its end, in a folder, with what it prints in a file; Linux and macOS."""
    began = time.monotonic()
    with open(output or os.devnull, "wb") as told:
        process = subprocess.Popen(command, cwd=folder, stdout=told)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Spent(time.monotonic() - began, used.ru_utime + used.ru_stime)


def train(*arguments: str) -> Spent:
    """`charrnn train` and what it took."""
    return spent([sys.executable, "-m", "charrnn", "train", *arguments, "-q"])


def file(name: str) -> Path:
    """A file or folder that a benchmark was given; ends it with one line where there is none."""
    path = Path(name)
    if not path.exists():
        raise SystemExit(f"there is no {name}: it must be on this machine, nothing is downloaded")
    return path
