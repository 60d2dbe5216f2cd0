"""A picture or a page that was asked for, made when the figures are out: whatever becomes of it, they are not lost."""

from collections.abc import Callable
from pathlib import Path

from charrnn.console import say, working
from charrnn.errors import CharrnnError


def draw_into(file: Path | None, picture: Callable[[], bytes]) -> None:
    """Draw into this file, if there is one. Raises CharrnnError when that cannot be done."""
    if file is None:
        return
    working(f"drawing {file}")
    try:
        file.write_bytes(picture())
    except OSError:
        raise
    except Exception as problem:
        raise CharrnnError(f"{file} could not be drawn: {problem!r}") from problem
    say(f"drawn: {file}")


def write_page(file: Path, page: str) -> None:
    """Write a page of HTML into this file. Raises OSError when that cannot be done."""
    file.write_text(page, encoding="utf-8")
    say(f"written: {file}")
