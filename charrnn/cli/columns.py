"""What of a line is scored, and what is handed through: the whole line, or one field of TSV or of JSON Lines.

The figures of a field are those that it has in a line of its own: `cut -f 2 | charrnn score` gives the same.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from charrnn.errors import CorpusError
from charrnn.schema import to_json_text
from charrnn.text.lines import Line, normalised

# Halves of surrogate pairs, as JSON can hold them, can stand in no UTF-8; those that are bytes (PEP 383) can.
HALVES = {chr(half): f"\\u{half:04x}" for half in (*range(0xD800, 0xDC80), *range(0xDD00, 0xE000))}
ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r", **HALVES})
SAME = "choose other names for the figures: `prefix`"


def escaped(text: str) -> str:
    """A text that stays one cell of one line."""
    return text.translate(ESCAPES)


def content(line: Line) -> str:
    """A line without its end."""
    return line.raw.removesuffix("\n").removesuffix("\r")


class Columns(Protocol):
    """Takes the text out of lines, numbered from 1, and writes the figures beside what else they hold."""

    whole: bool
    """Whether all of a line is scored."""
    always_json: bool
    """Whether rows of lines are JSON, asked for or not."""

    def pick(self, line: Line, number: int) -> str | None:
        """The text to score, with its line end; None of a header. Raises CorpusError where there is none."""
        ...

    def names(self, figures: Sequence[str]) -> list[str]:
        """The header of a table with these figures; none where the input has none."""
        ...

    def cells(self, line: Line, figures: Sequence[str]) -> list[str]:
        """The cells of a line's row, those of the figures given."""
        ...

    def json(self, line: Line, number: int, figures: Mapping[str, Any]) -> str:
        """The same as a JSON object."""
        ...


class WholeLines:
    """The line itself, which stands behind its figures."""

    whole, always_json = True, False

    def pick(self, line: Line, number: int) -> str | None:
        return line.text

    def names(self, figures: Sequence[str]) -> list[str]:
        return [*figures, "text"]

    def cells(self, line: Line, figures: Sequence[str]) -> list[str]:
        return [*figures, escaped(content(line))]

    def json(self, line: Line, number: int, figures: Mapping[str, Any]) -> str:
        return to_json_text({"line": number, **figures, "text": content(line)})


class NumberedColumn:
    """A column of TSV without a header, by its number from 1."""

    whole, always_json = False, False

    def __init__(self, number: int) -> None:
        self._number = number

    def pick(self, line: Line, number: int) -> str | None:
        return _cell(line, number, self._number)

    def names(self, figures: Sequence[str]) -> list[str]:
        return []

    def cells(self, line: Line, figures: Sequence[str]) -> list[str]:
        return [content(line), *figures]

    def json(self, line: Line, number: int, figures: Mapping[str, Any]) -> str:
        return to_json_text({"line": number, **figures, "fields": content(line).split("\t")})


class NamedColumn:
    """A column of TSV by its name in the header, the first line of each file: the same in all, and in no row longer."""

    whole, always_json = False, False

    def __init__(self, name: str, header: Line) -> None:
        self._header = content(header).split("\t")
        if name not in self._header:
            told = f"the header has no column {name!r} but {', '.join(map(repr, self._header))}"
            if len(self._header) == 1 and "," in self._header[0]:
                raise CorpusError(f"{told}: columns stand between tabs, and CSV has to be made TSV first")
            raise CorpusError(f"{told}: choose one of them, or `column` by its number where there is no header")
        if (count := self._header.count(name)) > 1:
            raise CorpusError(f"the header has {count} columns {name!r}: choose `column` by its number, or rename them")
        self._number = 1 + self._header.index(name)

    def pick(self, line: Line, number: int) -> str | None:
        cells = content(line).split("\t")
        if line.opens:
            if cells != self._header:
                raise CorpusError(f"line {number} is another header than the first: score such files one by one")
            return None
        if len(cells) != len(self._header):
            # The figures behind them would stand under the wrong names.
            told = f"{len(cells)} column{'s'[: len(cells) > 1]}"
            raise CorpusError(f"line {number} has {told}, and the header {len(self._header)}")
        return _cell(line, number, self._number)

    def names(self, figures: Sequence[str]) -> list[str]:
        if same := [name for name in figures if name in self._header]:
            raise CorpusError(f"the header has a column {same[0]!r} already: {SAME}")
        return [*self._header, *figures]

    def cells(self, line: Line, figures: Sequence[str]) -> list[str]:
        return [content(line), *figures]

    def json(self, line: Line, number: int, figures: Mapping[str, Any]) -> str:
        cells = content(line).split("\t")
        return to_json_text({**dict(zip(self._header, cells, strict=False)), **figures})


class JsonField:
    """A field of JSON Lines; the objects come out as they are written, with the figures at their end."""

    whole, always_json = False, True

    def __init__(self, name: str) -> None:
        self._name = name

    def pick(self, line: Line, number: int) -> str | None:
        record = self._record(line, number)
        text = record.get(self._name)
        if not isinstance(text, str):
            told = "has no" if self._name not in record else "has no text in its"
            raise CorpusError(f"line {number} {told} field {self._name!r}")
        return normalised(text) + "\n"

    def names(self, figures: Sequence[str]) -> list[str]:
        return []

    def cells(self, line: Line, figures: Sequence[str]) -> list[str]:
        return [content(line), *figures]

    def json(self, line: Line, number: int, figures: Mapping[str, Any]) -> str:
        record, more = self._record(line, number), to_json_text(dict(figures))[1:]
        if same := [name for name in figures if name in record]:
            raise CorpusError(f"line {number} has a field {same[0]!r} already: {SAME}")
        return content(line).rstrip().removesuffix("}").rstrip() + (", " if record else "") + more

    def _record(self, line: Line, number: int) -> dict[str, Any]:
        try:
            record = json.loads(content(line))
        except json.JSONDecodeError as error:
            raise CorpusError(f"line {number} is no JSON: {error.msg} (column {error.colno})") from None
        except (ValueError, RecursionError):
            raise CorpusError(
                f"line {number} cannot be read: a number in it is too long, or it is nested too deep"
            ) from None
        if not isinstance(record, dict):
            raise CorpusError(f"line {number} is no JSON object, as a line of JSON Lines is: {content(line)[:40]!r}")
        return record


def columns(column: int | None, field: str | None, first: Line | None = None) -> Columns:
    """What is chosen; a field is one of JSON Lines where the first line begins with a brace."""
    if column is not None:
        return NumberedColumn(column)
    if field is None:
        return WholeLines()
    if first is None or first.raw.lstrip().startswith("{"):
        return JsonField(field)
    return NamedColumn(field, first)


def _cell(line: Line, number: int, column: int) -> str:
    """One cell, the line's end behind it."""
    cells = content(line).split("\t")
    if column > len(cells):
        raise CorpusError(f"line {number} has {len(cells)} column{'s'[: len(cells) > 1]}, and no column {column}")
    return cells[column - 1].replace("\r", "\n") + ("\n" if line.text.endswith("\n") else "")
