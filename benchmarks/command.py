"""The command under measurement, run as a user runs it, and the files that it is given."""

import subprocess
import sys
from pathlib import Path


def charrnn(*arguments: str) -> str:
    """What `charrnn` prints on stdout; its warnings stay on the screen."""
    command = [sys.executable, "-m", "charrnn", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, encoding="utf-8").stdout


def file(name: str) -> Path:
    """A file or folder that a benchmark was given; ends it with one line where there is none."""
    path = Path(name)
    if not path.exists():
        raise SystemExit(f"there is no {name}: it must be on this machine, nothing is downloaded")
    return path
