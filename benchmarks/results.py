"""Where the benchmarks write: RESULTS.md beside this file, one section for each run."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def append(title: str, *paragraphs: str) -> None:
    """Print a section and write it at the end of RESULTS.md, with date, commit and machine."""
    asked = ["git", "-C", str(RESULTS.parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(asked, capture_output=True, text=True).stdout.strip() or "unknown"
    where = f"{datetime.now(UTC):%Y-%m-%d}, commit {commit}, {processor()}, {os.cpu_count()} cores"
    section = f"\n## {title}\n\n{where}, Python {platform.python_version()}.\n\n" + "\n".join(paragraphs)
    print(section)
    with open(RESULTS, "a", encoding="utf-8") as results:
        results.write(section)


def processor() -> str:
    """What the machine calls its processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
