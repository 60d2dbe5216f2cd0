"""Draw a recorded run (docs/run.txt) as a terminal shows it: docs/run.svg, the picture of the README.

    python docs/make_picture.py

A line that begins with `$ ` was typed. What came for it stands as it was printed, wrapped at the width of the picture.
"""

import io
import re
from pathlib import Path

from rich.console import Console
from rich.text import Text

FOLDER = Path(__file__).parent
WIDTH = 100
TITLE = "charrnn"


def drawn(transcript: str) -> str:
    """The SVG. Its fonts are the reader's own: nothing is fetched."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in transcript.splitlines():
        typed = line.startswith("$ ")
        console.print(Text(line, style="bold green" if typed else ""))
    svg = console.export_svg(title=TITLE, unique_id="run")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return re.sub(r"font-family: Fira Code, monospace", "font-family: ui-monospace, Menlo, Consolas, monospace", svg)


if __name__ == "__main__":
    (FOLDER / "run.svg").write_text(drawn((FOLDER / "run.txt").read_text("utf-8")), encoding="utf-8")
