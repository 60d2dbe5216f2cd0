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


# All in one process: the libraries are loaded once.
PRINT = """
import sys
from charrnn.cli.app import run
for name in sys.argv[1:]:
    run([*name.split(), "--help"])
    print(end="\\0")
"""


def helps(names: list[str]) -> list[str]:
    """The help of these commands, 100 columns wide and without colour."""
    plain = {"TERMINAL_WIDTH": "100", "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    environment = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "CHARRNN_CHECKPOINTS")}
    line = [sys.executable, "-c", PRINT, *names]
    done = subprocess.run(line, capture_output=True, check=True, env={**environment, **plain})
    pages = done.stdout.decode("utf-8").split("\0")
    return ["\n".join(text.rstrip() for text in page.strip("\n").splitlines()) for page in pages[:-1]]


def render() -> str:
    """The whole page, a part for each command that the application has."""
    names = [name for name, _ in commands(app)]
    parts = [
        f"## charrnn {name}".rstrip() + f"\n\n```text\n{page}\n```\n"
        for name, page in zip(names, helps(names), strict=True)
    ]
    return "\n".join([HEAD, *parts])


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
