"""Write docs/cli.md from what `--help` prints; a test holds the two together."""

import os
import subprocess
import sys
from pathlib import Path

from charrnn.cli.app import app
from charrnn.cli.flags import commands

PAGE = Path(__file__).with_name("cli.md")
HEAD = """# Command reference

Made from `--help` by `make docs`.

Exit codes: 0 done; 1 a failure, told in one line; 2 wrong usage; 3 a gate that did not hold (`--fail-above`); 130
interrupted, with everything saved. A reader that goes away (`charrnn sample | head`) is no failure.
"""


def help_of(command: str) -> str:
    """The help of one command, 100 columns wide and without colour."""
    line = [sys.executable, "-m", "charrnn", *command.split(), "--help"]
    plain = {"TERMINAL_WIDTH": "100", "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    environment = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "CHARRNN_CHECKPOINTS")}
    done = subprocess.run(line, capture_output=True, check=True, env={**environment, **plain})
    return "\n".join(text.rstrip() for text in done.stdout.decode("utf-8").strip("\n").splitlines())


def render() -> str:
    """The whole page, a part for each command that the application has."""
    names = [name for name, _ in commands(app)]
    parts = [f"## charrnn {name}".rstrip() + f"\n\n```text\n{help_of(name)}\n```\n" for name in names]
    return "\n".join([HEAD, *parts])


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
