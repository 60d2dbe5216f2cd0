"""The lines of a text as they come: what is there comes at once, and nothing waits for what may never come.

Lines end in LF or CR LF, which is read as LF; so is a CR elsewhere, as `corpus.py` reads it, but it ends no line here:
there are as many lines as `wc -l` counts, and a last one that lacks its end.
"""

import codecs
import io
import re
import select
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from charrnn.errors import CorpusError
from charrnn.text.encodings import advice, utf8, zeros_told
from charrnn.text.sources import DAMAGED, called, find, read_once, unpacked

CHUNK = 1 << 16


class Line(NamedTuple):
    """A line, and where it begins in all that was read."""

    text: str
    """With LF where it has an end."""
    raw: str
    """As it was written."""
    start: int
    """In characters, those of CR LF and of all sources before it included."""
    byte: int
    opens: bool = False
    """Whether it is the first of its source."""

    def written(self, start: int, end: int) -> str:
        """Characters of `text` as they were written: the line's end may be CR LF, which is one more."""
        return self.raw[start : len(self.raw) if start < end == len(self.text) else end]


def lines(
    sources: Sequence[str], *, any_bytes: bool = False, note: Callable[[str], None] = lambda _: None
) -> Iterator[list[Line]]:
    """The lines of files, compressed or not, and of stdin ('-'), one after another: all that came together at a time.

    An empty list is a pause: nothing more is there yet.
    With `any_bytes`, bytes that are no UTF-8 are lone surrogates (PEP 383). `note` hears of what is left out.
    Raises CorpusError at once when a source is missing; when one is undecodable or binary, once the lines before have
    come.
    """
    return _as_they_come(sources, [find(source) for source in sources], any_bytes, note)


def _as_they_come(
    sources: Sequence[str], paths: Sequence[Path | None], any_bytes: bool, note: Callable[[str], None]
) -> Iterator[list[Line]]:
    start = byte = 0
    for source, path in zip(sources, paths, strict=True):
        name = called(source)
        with unpacked(path, name, note) as raw:
            fresh, number = True, 0
            for written in _whole_lines(cast(io.BufferedReader, raw), name):
                if fresh and written[0].startswith(codecs.BOM_UTF8):
                    note(f"{name}: byte order mark dropped")
                    byte += len(codecs.BOM_UTF8)
                    written[0] = written[0].removeprefix(codecs.BOM_UTF8)
                fresh = False
                found: list[Line] = []
                for one in filter(None, written):
                    number += 1
                    try:
                        text = _decoded(one, f"{name}, line {number},", any_bytes)
                    except CorpusError:
                        yield found
                        raise
                    found.append(Line(normalised(text), text, start, byte, number == 1))
                    start, byte = start + len(text), byte + len(one)
                yield found
                if found and read_once(source) and not _waiting(raw):
                    yield []


def lines_of(text: str) -> Iterator[Line]:
    """The lines of a text that is at hand, as `corpus.py` sees them: a CR alone ends one as well."""
    start = byte = 0
    for one in re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text):
        yield Line(normalised(one), one, start, byte)
        start, byte = start + len(one), byte + len(utf8(one))


def _whole_lines(raw: io.BufferedReader, name: str) -> Iterator[list[bytes]]:
    """Lines with their ends, as many as each read completes; a last one without."""
    begun: list[bytes] = []
    while True:
        try:
            block = raw.read1(CHUNK)
        except DAMAGED as error:
            raise CorpusError(f"{name} cannot be read to its end: {error}") from None
        if not block:
            break
        ended, end, rest = block.rpartition(b"\n")
        if end:
            first, *others = ended.split(end)
            # A line may be long: it is put together once.
            whole = [b"".join([*begun, first, end]), *(line + end for line in others)]
            begun = []
            yield whole
        if rest:
            begun.append(rest)
    if begun:
        yield [b"".join(begun)]


def _waiting(raw: BinaryIO) -> bool:
    """Whether there is more, or the end, to be read at once."""
    try:
        return bool(select.select([raw.fileno()], [], [], 0)[0])
    except (OSError, ValueError):  # where nobody can tell, as of what is unpacked
        return False


def _decoded(line: bytes, name: str, any_bytes: bool) -> str:
    if b"\0" in line and not any_bytes:
        raise CorpusError(f"{name} {zeros_told(line)}")
    try:
        return line.decode("utf-8", "surrogateescape" if any_bytes else "strict")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{name} is not UTF-8: its byte {error.start} is 0x{line[error.start]:02X} ({error.reason}); "
            f"{advice(line, error.start)}"
        ) from None


def normalised(text: str) -> str:
    """A text with LF for each CR LF and each CR, as a corpus is read."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
