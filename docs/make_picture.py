"""Draw the README's first run and what it writes as a terminal shows them: docs/run.svg.

    python docs/make_picture.py

A line that begins with `$ ` was typed. What came for it stands as it was printed, wrapped at the width of the picture.
"""

import io
import re

from rich.console import Console
from rich.text import Text
from shown import ROOT, blocks

WIDTH = 100
TITLE = "charrnn"
COMMANDS = ("$ charrnn train", "$ charrnn sample")


def transcript(page: str) -> str:
    """The first block of a page for each command, as it is shown there."""
    shown = [block.text for block in blocks(page) if block.kind == "console"]
    return "".join(next(text for text in shown if text.startswith(command)) for command in COMMANDS)


def drawn(lines: str) -> str:
    """The SVG. Its fonts are the reader's own: nothing is fetched."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines.splitlines():
        console.print(Text(line, style="bold green" if line.startswith("$ ") else ""))
    svg = console.export_svg(title=TITLE, unique_id="run")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return re.sub(r"font-family: Fira Code, monospace", "font-family: ui-monospace, Menlo, Consolas, monospace", svg)


if __name__ == "__main__":
    page = (ROOT / "README.md").read_text("utf-8")
    (ROOT / "docs" / "run.svg").write_text(drawn(transcript(page)), encoding="utf-8")
