"""The command under measurement, run as a user runs it."""

import subprocess
import sys


def charrnn(*arguments: str) -> str:
    """What `charrnn` prints on stdout; its warnings stay on the screen."""
    command = [sys.executable, "-m", "charrnn", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, encoding="utf-8").stdout
