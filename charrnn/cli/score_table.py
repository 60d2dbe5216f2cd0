"""What `score` writes: a row a line, word, character or token; as TSV, as JSON Lines, or the bare surprisal."""

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from charrnn.cli.columns import Columns, escaped
from charrnn.cli.tables import DIGITS_TO_READ
from charrnn.schema import to_json_text
from charrnn.scoring.figures import exp
from charrnn.text.documents import line_chars

if TYPE_CHECKING:
    from charrnn.scoring.rows import Row
    from charrnn.text.lines import Line
    from charrnn.text.tokenizers import Tokenizer

# Columns of a terminal for a cell: which is the widest is not known while lines come.
COLUMN = 9
# How many nats a unit of surprisal is, by the base of the logarithm.
BASES = {"2": math.log(2), "e": 1.0, "10": math.log(10)}


class Table(ABC):
    """Output of one kind; `form` is tsv, json or bare."""

    def __init__(self, form: str, log_base: str, prefix: str, columns: Columns) -> None:
        self.columns = columns
        self._form, self._unit, self._prefix = form, BASES[log_base], prefix
        self._digits = DIGITS_TO_READ if sys.stdout.isatty() else None

    @abstractmethod
    def header(self) -> str:
        """The line that names the columns; nothing where there is none."""

    def rows(self, line: "Line", number: int, rows: "Iterable[Row]") -> str:
        """What is written of some rows of a line."""
        if self._form == "bare":
            return "".join(f"{row.nats / self._unit!r}\n" for row in rows)
        return "".join(self._row(line, number, row) for row in rows)

    @abstractmethod
    def _row(self, line: "Line", number: int, row: "Row") -> str:
        """One of them with all its columns."""

    def _line(self, cells: Sequence[str]) -> str:
        """A line of TSV, for a person in columns as wide as most cells need; of no cells none."""
        if not cells or self._form != "tsv":
            return ""
        if self._digits is None:
            return "\t".join(cells) + "\n"
        return "  ".join(cell.ljust(COLUMN) for cell in cells).rstrip() + "\n"

    def _named(self, figures: dict[str, Any]) -> dict[str, Any]:
        return {self._prefix + name: value for name, value in figures.items()} if self._prefix else figures

    def _cells(self, values: Sequence[Any]) -> list[str]:
        return [self._cell(value) for value in values]

    def _cell(self, value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, float):
            return repr(value) if self._digits is None else f"{value:.{self._digits}g}"
        return escaped(value) if isinstance(value, str) else str(value)


class LineTable(Table):
    """A row a line: its total, the mean of its characters, the perplexity of its tokens."""

    def __init__(self, form: str, log_base: str, prefix: str, columns: Columns, *, documents: str) -> None:
        super().__init__(form, log_base, prefix, columns)
        self._documents = documents

    def header(self) -> str:
        figures = self._named(dict.fromkeys(("surprisal", "per_char", "ppl")))
        return "" if self.columns.always_json else self._line(self.columns.names(list(map(escaped, figures))))

    def _row(self, line: "Line", number: int, row: "Row") -> str:
        surprisal = row.nats / self._unit
        chars = line_chars(row.text, self._documents)
        figures = self._named(
            {
                "surprisal": surprisal,
                "per_char": surprisal / chars if row.tokens else None,
                "ppl": exp(row.nats / row.tokens) if row.tokens else None,
            }
        )
        if self._form == "json" or self.columns.always_json:
            return self.columns.json(line, number, figures) + "\n"
        return self._line(self.columns.cells(line, self._cells(list(figures.values()))))


class UnitTable(Table):
    """A row a word, character or token: where it stands, what it costs, and what was likelier."""

    def __init__(
        self, form: str, log_base: str, prefix: str, columns: Columns, *, tokenizer: "Tokenizer", top: int
    ) -> None:
        super().__init__(form, log_base, prefix, columns)
        self._tokenizer, self._top = tokenizer, top

    def header(self) -> str:
        names = ["surprisal", *(["rank", "entropy"] if self._top else [])]
        for place in range(1, self._top + 1):
            names += [f"top{place}", f"top{place}_surprisal"]
        return self._line(["line", "text", "start", "end", "byte", *map(escaped, self._named(dict.fromkeys(names)))])

    def _row(self, line: "Line", number: int, row: "Row") -> str:
        from charrnn.scoring.units import symbol

        surprisal = row.nats / self._unit
        text, first, byte = row.text, 0, 0
        if self.columns.whole:  # else a field, which is told by the places in it
            text, first, byte = line.written(row.start, row.end), line.start, line.byte
        start = first + row.start
        place = {"line": number, "text": text, "start": start, "end": start + len(text), "byte": byte + row.byte}
        figures: dict[str, Any] = {"surprisal": surprisal}
        likeliest = [
            (symbol(self._tokenizer, token), nats / self._unit)
            for token, nats in zip(row.top[: self._top], row.top_nats[: self._top], strict=True)
        ]
        if self._top:
            figures |= {"rank": row.rank or None, "entropy": None if row.entropy is None else row.entropy / self._unit}
        if self._form == "json":
            if self._top:
                figures["top"] = [{"text": text, "surprisal": value} for text, value in likeliest]
            return to_json_text({**place, **self._named(figures)}) + "\n"
        flat = [cell for pair in likeliest for cell in pair]
        cells = self._cells([*place.values(), *figures.values(), *flat])
        return self._line(cells + [""] * (2 * self._top - len(flat)))
