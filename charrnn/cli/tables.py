"""Tables on stdout: columns for a person; tabs and every digit for a program that reads a pipe."""

import sys
from collections.abc import Sequence
from typing import Any

from charrnn.console import visible, write
from charrnn.schema import finite, to_json_text
from charrnn.scoring.figures import flat

DIGITS_TO_READ = 6
ESCAPES = str.maketrans({"\t": r"\t", "\n": r"\n", "\r": r"\r"})


def print_figures(records: Sequence[dict[str, Any]], metric: str, *, as_json: bool, quiet: bool) -> None:
    """The same figures of one or several: an object a line, the bare `metric` a line, or a table with a column each."""
    if as_json:
        write("".join(to_json_text(finite(record)) + "\n" for record in records))
    elif quiet:
        write("".join(f"{record[metric]!r}\n" for record in records))
    else:
        columns = [dict(flat(record)) for record in records]
        names = dict.fromkeys(name for column in columns for name in column)
        print_table([[name, *(column.get(name) for column in columns)] for name in names])


def print_table(rows: Sequence[Sequence[Any]], sides: str = "") -> None:
    """Rows of cells, the headings first where there are any; a cell that is None, or not defined, is a dash.

    `sides` says of each column on which one its cells stand for a person, by < and >; left is where the string ends.
    """
    read_by_people = sys.stdout.isatty()
    cells = [[_cell(value, read_by_people) for value in row] for row in rows]
    if not read_by_people:
        write("".join("\t".join(row) + "\n" for row in cells))
        return
    columns = [max(map(len, column)) for column in zip(*cells, strict=True)]
    forms = [f"{side}{width}" for side, width in zip(sides.ljust(len(columns), "<"), columns, strict=True)]
    write("".join("  ".join(map(format, row, forms)).rstrip() + "\n" for row in cells))


def shortened(name: str, width: int) -> str:
    """A name in its place: what tells it from its like stands at either end."""
    half = (width - 1) // 2
    return name if len(name) <= width else f"{name[: width - 1 - half]}…{name[len(name) - half :]}"


def _cell(value: Any, read_by_people: bool) -> str:
    if value is None:
        return "-"
    if read_by_people and isinstance(value, float):
        return f"{value:.{DIGITS_TO_READ}g}"
    # A name may hold anything, and has to stay one cell of one line.
    return visible(str(value)) if read_by_people else str(value).translate(ESCAPES)
