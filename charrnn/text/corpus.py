"""Reading a text that may be larger than memory: decompress, check UTF-8, normalise line ends, count.

A `Corpus` is a list of sources that can be read again and again, chunk by chunk. Where it is split (`split.py`) and
what it turns into (`dataset.py`) is decided elsewhere.
"""

import bz2
import codecs
import gzip
import hashlib
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from charrnn.errors import CorpusError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHUNK_BYTES = 1 << 22
CHECKED_LINES = 200_000
MANY_DUPLICATES = 0.3
BINARY_SHARE = 0.02

# What a compressed file begins with, and how it is opened.
_COMPRESSED: dict[bytes, Callable[[BinaryIO], object]] = {
    b"\x1f\x8b": lambda raw: gzip.GzipFile(fileobj=raw),
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"BZh": bz2.BZ2File,
    b"\x28\xb5\x2f\xfd": zstd.ZstdFile,
}
_CONTROLS = {chr(code) for code in range(32)} - set("\t\n\r\f\x1b") | {"\x7f"}


@dataclass
class TextStatistics:
    """What reading a text found: counts of the original text, and what was normalised or looks wrong.

    `chars` are Unicode code points, `bytes` those of UTF-8, `words` are separated by white space; `kept` are the code
    points that are left once line ends are normalised.
    """

    chars: int = 0
    bytes: int = 0
    words: int = 0
    kept: int = 0
    sha256: str = ""
    notes: list[str] = field(default_factory=list)


def bundled(name: str) -> Path | None:
    """The file of a bundled corpus, in a source tree or in an installed wheel; None when there is no such corpus."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "bundled", package.parent / "corpora"):
        file = folder / f"{name}.txt"
        if name == Path(name).name and file.is_file():
            return file
    return None


class Corpus:
    """One text from files, bundled corpora or stdin ('-'), in the order given, read chunk by chunk.

    Raises CorpusError when a source is missing, undecodable (with the byte offset of the first fault) or binary.
    Stdin can be read once: keep a copy and read that, where a text is needed twice (see `keep_stdin`).
    """

    def __init__(self, sources: list[str]) -> None:
        self.sources = sources
        self.statistics = TextStatistics()
        self._paths = [self._resolve(source) for source in sources]

    @staticmethod
    def _resolve(source: str) -> Path | None:
        if source == "-":
            return None
        path = Path(source)
        try:
            if path.is_dir():
                raise CorpusError(f"{source} is a folder: name the text files in it, for example {source}/*.txt")
            if path.exists():
                return path
        except (OSError, ValueError) as error:
            raise CorpusError(f"{source[:80]} cannot be the name of a file: {error}") from None
        if (file := bundled(source)) is not None:
            return file
        raise CorpusError(f"there is no file and no bundled corpus {source}")

    def chunks(self, border: str = "") -> Iterator[str]:
        """The text in chunks of some megabytes, line ends as \\n; `statistics` are complete once it is exhausted.

        A `border` stands between two sources, and counts in no statistics.
        """
        statistics, digest = TextStatistics(), hashlib.sha256()
        # Counting takes longer than reading: once is enough.
        survey = None if self.statistics.sha256 else _Survey(statistics)
        for number, (source, path) in enumerate(zip(self.sources, self._paths, strict=True)):
            if number and border:
                yield border
            with _open(path, source) as raw:
                yield from _normalise(_decode(raw, source, digest.update, statistics), source, statistics, survey)
        statistics.sha256 = digest.hexdigest()
        if survey is not None:
            survey.finish()
            self.statistics = statistics

    def survey(self) -> TextStatistics:
        """Read it all once for its statistics. Raises CorpusError when there is no text in it."""
        for _ in self.chunks():
            pass
        if not self.statistics.chars:
            raise CorpusError(f"{' '.join(self.sources)} holds no text")
        return self.statistics

    def read(self) -> str:
        """The whole text at once, and its statistics."""
        return "".join(self.chunks())


def keep_stdin(file: Path) -> None:
    """Copy standard input into a file, whole."""
    with open(file, "wb") as out:
        while block := sys.stdin.buffer.read(CHUNK_BYTES):
            out.write(block)


@contextmanager
def _open(path: Path | None, source: str) -> Iterator[BinaryIO]:
    try:
        # A duplicate, so that closing the text does not close standard input.
        raw = open(os.dup(sys.stdin.fileno()), "rb") if path is None else open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise CorpusError(f"{source} cannot be read: {error.strerror}") from None
    with raw:
        head = raw.peek(8)
        opener = next((opener for magic, opener in _COMPRESSED.items() if head.startswith(magic)), None)
        if opener is None:
            yield cast(BinaryIO, raw)
        else:
            with cast(BinaryIO, opener(cast(BinaryIO, raw))) as unpacked:
                yield unpacked


def _decode(raw: BinaryIO, source: str, digest: Callable[[bytes], None], statistics: TextStatistics) -> Iterator[str]:
    """Strict UTF-8, a leading BOM dropped."""
    utf8 = codecs.getincrementaldecoder("utf-8")("strict")
    offset = 0
    while True:
        try:
            block = raw.read(CHUNK_BYTES)
        except (OSError, EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError) as error:
            raise CorpusError(f"{source} cannot be read to its end: {error}") from None
        digest(block)
        if b"\0" in block:
            raise CorpusError(f"{source} looks like binary data or UTF-16, not like UTF-8 text: it holds zero bytes")
        if offset == 0 and block.startswith(codecs.BOM_UTF8):
            statistics.notes.append(f"{source}: byte order mark dropped")
            block, offset = block[3:], 3
        pending = len(utf8.getstate()[0])
        try:
            text = utf8.decode(block, final=not block)
        except UnicodeDecodeError as error:
            raise CorpusError(
                f"{source} is not UTF-8: byte {offset - pending + error.start} is 0x{error.object[error.start]:02X} "
                f"({error.reason}); convert it first, for example with iconv -f WINDOWS-1252 -t UTF-8"
            ) from None
        offset += len(block)
        statistics.bytes += len(block)
        if text:
            yield text
        if not block:
            return


class _Survey:
    """Counts and suspicions over a text that comes in chunks."""

    def __init__(self, statistics: TextStatistics) -> None:
        self.statistics = statistics
        self._in_word = False
        self._controls = 0
        self._lines = 0
        self._seen: set[int] = set()
        self._duplicates = 0

    def see(self, text: str, source: str) -> None:
        statistics = self.statistics
        statistics.chars += len(text)
        statistics.words += len(text.split()) - (self._in_word and not text[0].isspace())
        self._in_word = not text[-1].isspace()
        controls = sum(text.count(control) for control in _CONTROLS)
        self._controls += controls
        if controls > BINARY_SHARE * len(text):
            raise CorpusError(f"{source} looks like binary data, not text ({controls} control characters)")

    def see_lines(self, text: str) -> None:
        if self._lines < CHECKED_LINES:
            lines = [line for line in text.split("\n") if len(line) > 20]
            self._lines += len(lines)
            hashes = {hash(line) for line in lines}
            self._duplicates += len(lines) - len(hashes - self._seen)
            self._seen |= hashes

    def finish(self) -> None:
        if self._controls:
            self.statistics.notes.append(f"the text holds {self._controls} control characters")
        if self._lines >= 10 and self._duplicates > MANY_DUPLICATES * self._lines:
            share = self._duplicates / self._lines
            self.statistics.notes.append(
                f"{share:.0%} of its lines occur more than once: a model will learn them by heart"
            )


def _normalise(chunks: Iterator[str], source: str, statistics: TextStatistics, survey: _Survey | None) -> Iterator[str]:
    """Line ends as \\n. A CR at the end of a chunk waits for the next, which may begin with its LF."""
    held = ""
    windows = old_mac = 0
    for chunk in chunks:
        if survey is not None:
            survey.see(chunk, source)
        text = held + chunk
        held = "\r" if text.endswith("\r") else ""
        text = text.removesuffix("\r")
        if "\r" in text:
            windows += text.count("\r\n")
            text = text.replace("\r\n", "\n")
            old_mac += text.count("\r")
            text = text.replace("\r", "\n")
        if survey is not None:
            survey.see_lines(text)
        statistics.kept += len(text)
        if text:
            yield text
    if held:
        old_mac += 1
        statistics.kept += 1
        yield "\n"
    if windows + old_mac:
        statistics.notes.append(f"{source}: {windows} CR LF and {old_mac} CR line ends read as LF")


def in_memory(text: str) -> tuple[str, TextStatistics]:
    """The same normalising and counting for a text that is already here."""
    statistics = TextStatistics(bytes=len(text.encode("utf-8", "surrogatepass")))
    survey = _Survey(statistics)
    normalised = "".join(_normalise(iter([text] if text else []), "the text", statistics, survey))
    survey.finish()
    return normalised, statistics
