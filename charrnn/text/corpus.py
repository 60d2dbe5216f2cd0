"""Reading a text that may be larger than memory: check UTF-8, normalise line ends, count.

A `Corpus` is a list of sources (`sources.py`) that can be read again and again, chunk by chunk. Where it is split
(`split.py`) and what it turns into (`dataset.py`) is decided elsewhere.
"""

import codecs
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from charrnn.errors import CorpusError
from charrnn.text.encodings import advice, utf16
from charrnn.text.sources import DAMAGED, called, find, listed, unpacked

CHUNK_BYTES = 1 << 22
CHECKED_LINES = 200_000
MANY_DUPLICATES = 0.3

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
    hashes: tuple[str, ...] = ()
    """Of each source."""
    notes: list[str] = field(default_factory=list)


class Corpus:
    """One text from files, folders and patterns of them, bundled corpora or stdin ('-'), in the order given, in chunks.

    `names` are what messages call the sources. With `any_bytes`, what is no UTF-8 is read too, a lone surrogate for
    each such byte ("surrogateescape"), and zero bytes. Without `corpora`, a bundled corpus's name is none.
    Raises CorpusError when a source is missing, undecodable (with the byte offset of the first fault) or binary.
    What can be read once, as stdin, is to be kept where it is needed twice (see `keep`).
    """

    def __init__(
        self,
        sources: list[str],
        *,
        names: Sequence[str] | None = None,
        any_bytes: bool = False,
        corpora: bool = True,
    ) -> None:
        self.sources = listed(sources) if corpora else sources
        self.names = [called(source) for source in names or self.sources]
        self.any_bytes = any_bytes
        self.statistics = TextStatistics()
        self._paths = [find(source, corpora=corpora) for source in self.sources]

    @property
    def title(self) -> str:
        """What messages call all of it."""
        return " ".join(self.names)

    def chunks(self, border: str = "") -> Iterator[str]:
        """The text in chunks of some megabytes, line ends as \\n; `statistics` are complete once it is exhausted.

        A `border` stands between two sources, and counts in no statistics.
        """
        statistics, digest = TextStatistics(), hashlib.sha256()
        # Counting takes longer than reading: once is enough.
        survey = None if self.statistics.sha256 else _Survey(statistics)
        for number, (name, path) in enumerate(zip(self.names, self._paths, strict=True)):
            if number and border:
                yield border
            with unpacked(path, name, statistics.notes.append) as raw:
                own = hashlib.sha256()
                decoded = _decode(raw, name, [digest, own], statistics, self.any_bytes)
                yield from _normalise(decoded, name, statistics, survey)
                statistics.hashes += (own.hexdigest(),)
        statistics.sha256 = digest.hexdigest()
        if survey is not None:
            survey.finish()
            self.statistics = statistics

    def survey(self) -> TextStatistics:
        """Read it all once for its statistics. Raises CorpusError when there is no text in it."""
        for _ in self.chunks():
            pass
        if not self.statistics.chars:
            raise CorpusError(f"{self.title} holds no text")
        return self.statistics

    def read(self) -> str:
        """The whole text at once, and its statistics."""
        return "".join(self.chunks())


def _decode(
    raw: BinaryIO, source: str, digests: Sequence["hashlib._Hash"], statistics: TextStatistics, any_bytes: bool
) -> Iterator[str]:
    """UTF-8, strict unless `any_bytes`, a leading BOM dropped."""
    utf8 = codecs.getincrementaldecoder("utf-8")("surrogateescape" if any_bytes else "strict")
    offset = 0
    while True:
        try:
            block = raw.read(CHUNK_BYTES)
        except DAMAGED as error:
            raise CorpusError(f"{source} cannot be read to its end: {error}") from None
        for digest in digests:
            digest.update(block)
        if b"\0" in block and not any_bytes:
            raise CorpusError(f"{source} {zeros_told(block)}")
        if offset == 0 and block.startswith(codecs.BOM_UTF8):
            statistics.notes.append(f"{source}: byte order mark dropped")
            block, offset = block[3:], 3
        pending = len(utf8.getstate()[0])
        try:
            text = utf8.decode(block, final=not block)
        except UnicodeDecodeError as error:
            raise CorpusError(
                f"{source} is not UTF-8: byte {offset - pending + error.start} is 0x{error.object[error.start]:02X} "
                f"({error.reason}); {advice(error.object, error.start)}"
            ) from None
        offset += len(block)
        statistics.bytes += len(block)
        if text:
            yield text
        if not block:
            return


def zeros_told(block: bytes) -> str:
    """What is said of zero bytes, which no text holds."""
    if name := utf16(block):
        return f"is {name}, not UTF-8: convert it first, for example with iconv -f {name} -t UTF-8"
    return "holds zero bytes, as binary data do and no text: a model with `tokenizer='byte'` takes any bytes"


class _Survey:
    """Counts and suspicions over a text that comes in chunks."""

    def __init__(self, statistics: TextStatistics) -> None:
        self.statistics = statistics
        self._in_word = False
        self._controls = 0
        self._lines = 0
        self._seen: set[int] = set()
        self._duplicates = 0

    def see(self, text: str) -> None:
        statistics = self.statistics
        statistics.chars += len(text)
        statistics.words += len(text.split()) - (self._in_word and not text[0].isspace())
        self._in_word = not text[-1].isspace()
        self._controls += sum(text.count(control) for control in _CONTROLS)

    def see_lines(self, text: str) -> None:
        if self._lines < CHECKED_LINES:
            lines = [line for line in text.split("\n") if len(line) > 20]
            self._lines += len(lines)
            hashes = {hash(line) for line in lines}
            self._duplicates += len(lines) - len(hashes - self._seen)
            self._seen |= hashes

    def finish(self) -> None:
        if self._controls:
            characters = "character" if self._controls == 1 else "characters"
            self.statistics.notes.append(f"the text holds {self._controls} control {characters}")
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
            survey.see(chunk)
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
    statistics = TextStatistics(bytes=len(utf8(text)))
    survey = _Survey(statistics)
    normalised = "".join(_normalise(iter([text] if text else []), "the text", statistics, survey))
    survey.finish()
    return normalised, statistics


def utf8(text: str) -> bytes:
    """UTF-8; one byte for each that was read as a lone surrogate, three for any other half of a pair."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
