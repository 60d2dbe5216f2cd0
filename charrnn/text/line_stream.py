"""A text as lines while it comes: from a file or a pipe, compressed or not, in bounded memory.

A pipe that pauses says so (None between two lines), so that whoever reads lines many at a time knows when to go on
with those that have come. A line that is longer than `LONGEST` characters comes in parts.
"""

import select
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from charrnn.text.corpus import TextStatistics, decode, normalise
from charrnn.text.sources import called, find, read_once, unpacked

LONGEST = 1 << 16


class Unfinished(str):
    """A part of a line that goes on in the next string."""

    __slots__ = ()


@dataclass
class LineStream:
    """The lines of a source: a file, a bundled corpus, or '-' for standard input; read once.

    With `any_bytes`, what is no UTF-8 is read too (see `Corpus`). `notes` tell, at the end, what was normalised.
    Raises CorpusError when the source is missing, undecodable or binary.
    """

    source: str
    any_bytes: bool = False
    notes: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[str | None]:
        """Each line with its line end, which the last may lack; `Unfinished` parts of long ones; None in a pause."""
        return cut_lines(self._chunks())

    def _chunks(self) -> Iterator[str | None]:
        name, path, statistics = called(self.source), find(self.source), TextStatistics(notes=self.notes)
        with unpacked(path, name, self.notes.append) as raw:
            come = _AsItComes(raw)
            chunks = normalise(decode(come, name, lambda block: None, statistics, self.any_bytes), name, statistics)
            pauses = read_once(self.source)
            for chunk in chunks:
                yield chunk
                if pauses and not come.waiting():
                    yield None


class _AsItComes:
    """What is there of a file is read, be it less than was asked for."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw

    def read(self, size: int) -> bytes:
        """Some bytes, at most `size`, as soon as there are any; none at the end."""
        return cast(bytes, self._raw.read1(size))  # type: ignore[attr-defined]

    def waiting(self) -> bool:
        """Whether there is more, or the end, to be read at once."""
        try:
            return bool(select.select([self._raw.fileno()], [], [], 0)[0])
        except (OSError, ValueError):  # where nobody can tell, as of pipes on Windows
            return False


def cut_lines(chunks: Iterable[str | None]) -> Iterator[str | None]:
    """The lines of a text that comes in chunks; None is handed on."""
    held = ""
    for chunk in chunks:
        if chunk is None:
            yield None
            continue
        *whole, held = (held + chunk).split("\n")
        for line in whole:
            yield from cut(line + "\n")
        if len(held) > LONGEST:
            *begun, held = cut(held)
            yield from begun
    if held:
        yield held


def cut(line: str) -> Iterator[str]:
    """A line as it is, or a long one in parts of at most `LONGEST` characters, all but the last `Unfinished`.

    Parts begin with a space where there is one: no piece of a subword tokenizer crosses it, so that the parts have
    the tokens of the whole.
    """
    begin = 0
    while len(line) - begin > LONGEST:
        space = line.rfind(" ", begin + 1, begin + LONGEST)
        end = space if space > begin + LONGEST // 2 else begin + LONGEST
        yield Unfinished(line[begin:end])
        begin = end
    rest = line[begin:] if begin else line
    yield Unfinished(rest) if begin and isinstance(line, Unfinished) else rest
