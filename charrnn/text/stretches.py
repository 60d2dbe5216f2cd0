"""A text in stretches that can each be read alone: a source, or, of a large plain file, so many bytes of it.

Whether a text is read in one go or stretch by stretch, wherever that is, its chunks are the same: UTF-8 checked, line
ends as \\n.
"""

import codecs
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from charrnn.errors import CorpusError
from charrnn.text.encodings import advice, zeros_told
from charrnn.text.sources import DAMAGED, compressed, unpacked

if TYPE_CHECKING:
    import hashlib

CHUNK_BYTES = 1 << 22
# Of a stretch of a plain file.
STRETCH_CHUNKS = 8
# The bytes of a character, which a border may cut, are no more than one and these.
LOOK_BACK = 3


@dataclass
class Found:
    """What one stretch of a source holds. `edges` are whether a word begins and ends it."""

    chars: int = 0
    bytes: int = 0
    words: int = 0
    kept: int = 0
    controls: int = 0
    windows: int = 0
    old_mac: int = 0
    edges: tuple[bool, bool] = (False, False)
    alphabet: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Stretch:
    """Bytes of a source from `first` on: so many `chunks` of `chunk_bytes`; None: to its end."""

    path: str | None
    name: str
    any_bytes: bool
    chunk_bytes: int
    first: int = 0
    chunks: int | None = None

    def read(self, found: Found, digest: "hashlib._Hash | None" = None) -> Iterator[str]:
        """Its text; `found` hears of its size, its line ends and what is to be noted, `digest` of its bytes.

        What belongs together, a character or a line end, and is cut by its end, is the next one's.
        """
        with unpacked(self._path, self.name, found.notes.append) as raw:
            utf8 = codecs.getincrementaldecoder("utf-8")("surrogateescape" if self.any_bytes else "strict")
            held = ""
            if self.first:
                raw.seek(self.first - LOOK_BACK - 1)
                held = _before(raw.read(LOOK_BACK + 1), utf8)
            yield from _normalise(self._decode(raw, utf8, found, digest), held, self.chunks is None, found)

    @property
    def _path(self) -> Path | None:
        return None if self.path is None else Path(self.path)

    @property
    def source(self) -> "Stretch":
        """All of what it is of."""
        return replace(self, first=0, chunks=None)

    def hash(self, digest: "hashlib._Hash") -> None:
        """Tell it of the bytes of a whole source."""
        with unpacked(self._path, self.name, lambda _: None) as raw:
            for block in self._blocks(raw):
                digest.update(block)

    def _blocks(self, raw: BinaryIO) -> Iterator[bytes]:
        """Its bytes; an empty block where the source is at its end."""
        left = self.chunks
        while left is None or left > 0:
            try:
                block = raw.read(self.chunk_bytes)
            except DAMAGED as error:
                raise CorpusError(f"{self.name} cannot be read to its end: {error}") from None
            yield block
            if not block:
                return
            left = None if left is None else left - 1

    def _decode(
        self, raw: BinaryIO, utf8: codecs.IncrementalDecoder, found: Found, digest: "hashlib._Hash | None"
    ) -> Iterator[str]:
        """UTF-8, a leading BOM dropped."""
        offset = self.first
        for block in self._blocks(raw):
            if digest is not None:
                digest.update(block)
            if b"\0" in block and not self.any_bytes:
                raise CorpusError(f"{self.name} {zeros_told(block)}")
            if offset == 0 and block.startswith(codecs.BOM_UTF8):
                found.notes.append(f"{self.name}: byte order mark dropped")
                block, offset = block[3:], 3
            pending = len(utf8.getstate()[0])
            try:
                text = utf8.decode(block, final=not block)
            except UnicodeDecodeError as error:
                raise CorpusError(
                    f"{self.name} is not UTF-8: byte {offset - pending + error.start} is "
                    f"0x{error.object[error.start]:02X} ({error.reason}); {advice(error.object, error.start)}"
                ) from None
            offset += len(block)
            found.bytes += len(block)
            found.chars += len(text)
            if text:
                yield text


@dataclass(frozen=True)
class Piece:
    """The code points [first, end) of a stretch of the source of this number; its `alphabet`, where it is known."""

    number: int
    stretch: Stretch
    first: int
    end: int
    alphabet: str | None = None

    def read(self) -> Iterator[str]:
        """Its text in chunks."""
        return cut(self.stretch.read(Found()), self.first, self.end)


def cut(chunks: Iterator[str], first: int, end: int) -> Iterator[str]:
    """The code points [first, end) of a text."""
    position = 0
    for chunk in chunks:
        if part := chunk[max(0, first - position) : max(0, end - position)]:
            yield part
        position += len(chunk)
        if position >= end:
            return


def stretches(path: Path | None, name: str, any_bytes: bool) -> list[Stretch]:
    """Those of one source: one, unless it is a plain file that is long."""
    firsts = range(0, _size(path), STRETCH_CHUNKS * CHUNK_BYTES)
    whole = Stretch(None if path is None else str(path), name, any_bytes, CHUNK_BYTES)
    if len(firsts) < 2 or compressed(path, name):
        return [whole]
    chunks = [*[STRETCH_CHUNKS] * (len(firsts) - 1), None]  # it may have grown
    return [replace(whole, first=first, chunks=some) for first, some in zip(firsts, chunks, strict=True)]


def _size(path: Path | None) -> int:
    """Of a file; 0 for what is none, or is told of where it is opened."""
    try:
        told = None if path is None else path.stat()
    except OSError:
        return 0
    return told.st_size if told is not None and stat.S_ISREG(told.st_mode) else 0


def _before(block: bytes, utf8: codecs.IncrementalDecoder) -> str:
    """The decoder knows the bytes that a character began with before a border; a CR that waits there for its LF."""
    begun = codecs.getincrementaldecoder("utf-8")("ignore")
    begun.decode(block)
    utf8.decode(pending := begun.getstate()[0])
    return "\r" if block.removesuffix(pending).endswith(b"\r") else ""


def _normalise(chunks: Iterator[str], held: str, last: bool, found: Found) -> Iterator[str]:
    """Line ends as \\n. A CR at the end of a chunk waits for the next, which may begin with its LF."""
    for chunk in chunks:
        text = held + chunk
        held = "\r" if text.endswith("\r") else ""
        text = text.removesuffix("\r")
        if "\r" in text:
            windows = text.count("\r\n")
            text = text.replace("\r\n", "\n")
            found.windows += windows
            found.old_mac += text.count("\r")
            text = text.replace("\r", "\n")
        found.kept += len(text)
        if text:
            yield text
    if held and last:
        found.old_mac += 1
        found.kept += 1
        yield "\n"


def normalised(text: str, found: Found) -> str:
    """The same for a text that is already here."""
    found.chars += len(text)
    return "".join(_normalise(iter([text] if text else []), "", True, found))
