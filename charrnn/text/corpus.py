"""Reading a text that may be larger than memory: check UTF-8, normalise line ends, count.

A `Corpus` is a list of sources (`sources.py`) that can be read again and again, chunk by chunk. Where it is split
(`split.py`) and what it turns into (`dataset.py`) is decided elsewhere.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from itertools import chain

from charrnn.errors import CorpusError
from charrnn.text.encodings import utf8
from charrnn.text.sources import called, find, listed
from charrnn.text.stretches import Found, Piece, Stretch, cut, normalised, stretches
from charrnn.text.survey import Repeats, Survey, TextStatistics, looked_at, united
from charrnn.text.workers import Task, side_by_side

# On the disk: what is smaller is read before another process has begun.
LARGE_BYTES = 32 << 20


class Corpus:
    """One text from files, folders and patterns of them, bundled corpora or stdin ('-'), in the order given, in chunks.

    `names` are what messages call the sources. With `any_bytes`, what is no UTF-8 is read too, a lone surrogate for
    each such byte ("surrogateescape"), and zero bytes. Without `corpora`, a bundled corpus's name is none.
    Raises CorpusError when a source is missing, undecodable (with the byte offset of the first fault) or binary.
    A large one is surveyed, and tokenized, by as many `processes`.
    What can be read once, as stdin, is to be kept where it is needed twice (see `keep`).
    """

    def __init__(
        self,
        sources: list[str],
        *,
        names: Sequence[str] | None = None,
        any_bytes: bool = False,
        corpora: bool = True,
        processes: int = 1,
    ) -> None:
        self.sources = listed(sources) if corpora else sources
        self.names = [called(source) for source in names or self.sources]
        self.any_bytes, self.processes = any_bytes, processes
        self.statistics = TextStatistics()
        self._paths = [find(source, corpora=corpora) for source in self.sources]

    @property
    def title(self) -> str:
        """What messages call all of it."""
        return " ".join(self.names)

    @cached_property
    def stretches(self) -> list[list[Stretch]]:
        """Those of each source."""
        pairs = zip(self._paths, self.names, strict=True)
        return [stretches(path, name, self.any_bytes) for path, name in pairs]

    def chunks(self, border: str = "") -> Iterator[str]:
        """The text in chunks of some megabytes, line ends as \n; `statistics` are complete once it is exhausted.

        A `border` stands between two sources, and counts in no statistics.
        """
        # Counting and hashing take longer than reading: once is enough.
        survey = None if self.statistics.sha256 else _FirstPass(self)
        for number, source in enumerate(self.stretches):
            if number and border:
                yield border
            for stretch in source:
                yield from stretch.read(Found()) if survey is None else survey.read(number, stretch)
        if survey is not None:
            self.statistics = survey.finish()

    def once(self) -> Iterator[str]:
        """The same for who reads it but once: nothing is counted."""
        return chain.from_iterable(stretch.read(Found()) for source in self.stretches for stretch in source)

    def cut(self, first: int, end: int) -> Iterator[str]:
        """The code points [first, end) in chunks; a stretch that has none of them is not read where that is known."""
        if not self.statistics.lengths:
            return cut(self.chunks(), first, end)
        return chain.from_iterable(piece.read() for piece in self.pieces(first, end))

    def pieces(self, first: int, end: int) -> list[Piece]:
        """Of a surveyed text, what the code points [first, end) are of each stretch that has any."""
        found, position = [], 0
        flat = [(number, stretch) for number, source in enumerate(self.stretches) for stretch in source]
        told = zip(flat, self.statistics.lengths, self.statistics.alphabets, strict=True)
        for (number, stretch), length, alphabet in told:
            begin, stop = max(0, first - position), min(length, end - position)
            if begin < stop:
                found.append(Piece(number, stretch, begin, stop, alphabet if stop - begin == length else None))
            position += length
        return found

    def characters(self, first: int, end: int) -> Iterator[str]:
        """Texts that together have the characters of [first, end): their alphabets, where those are known."""
        if not self.statistics.lengths:
            yield from self.cut(first, end)
        for piece in self.pieces(first, end):
            yield from piece.read() if piece.alphabet is None else [piece.alphabet]

    @property
    def side_by_side(self) -> int:
        """How many processes it pays to read its stretches by."""
        if sum(map(len, self.stretches)) < 2 or None in self._paths:
            return 1
        size = sum(path.stat().st_size for path in self._paths if path is not None)
        return self.processes if size >= LARGE_BYTES else 1

    def survey(self) -> TextStatistics:
        """Read it all once for its statistics. Raises CorpusError when there is no text in it."""
        if not self.statistics.sha256 and self.side_by_side > 1:
            self.statistics = self._survey_side_by_side()
        else:
            for _ in self.chunks():
                pass
        if not self.statistics.chars:
            raise CorpusError(f"{self.title} holds no text")
        return self.statistics

    def _survey_side_by_side(self) -> TextStatistics:
        # Of several stretches, the hash of all is a task of its own.
        tasks: list[Task] = [("hash", {"stretch": asdict(one[0].source)}) for one in self.stretches if len(one) > 1]
        alone = len(tasks)
        tasks += [
            ("look", {"stretch": asdict(stretch), "hashed": len(source) == 1})
            for source in self.stretches
            for stretch in source
        ]
        with side_by_side(tasks, self.side_by_side) as said:
            repeats = Repeats()
            for chunk in self.chunks():
                repeats.see(chunk)
                if repeats.enough:
                    break
            hashes = iter([next(said) for _ in range(alone)])
            sources = []
            for name, source in zip(self.names, self.stretches, strict=True):
                found = [next(said) for _ in source]
                sha256 = found[0][1] or next(hashes)
                sources.append((name, sha256, [Found(**one) for one, _ in found]))
        return united(sources, repeats)

    def joined_sha256(self) -> str:
        """Of the bytes of all sources, one behind another, as earlier versions told a text of several."""
        digest = hashlib.sha256()
        for source in self.stretches:
            source[0].source.hash(digest)
        return digest.hexdigest()

    def read(self) -> str:
        """The whole text at once, and its statistics."""
        return "".join(self.chunks())


class _FirstPass:
    """Looks at all stretches as they are read."""

    def __init__(self, corpus: Corpus) -> None:
        self._names = corpus.names
        self._found: list[list[Found]] = [[] for _ in self._names]
        self._digests = [hashlib.sha256() for _ in self._names]
        self._repeats = Repeats()

    def read(self, number: int, stretch: Stretch) -> Iterator[str]:
        """The text of a stretch of the source of this number."""
        self._found[number].append(found := Found())
        for chunk in looked_at(stretch, found, self._digests[number]):
            self._repeats.see(chunk)
            yield chunk

    def finish(self) -> TextStatistics:
        """When all are read."""
        hashes = [digest.hexdigest() for digest in self._digests]
        return united(zip(self._names, hashes, self._found, strict=True), self._repeats)


def in_memory(text: str) -> tuple[str, TextStatistics]:
    """The same normalising and counting for a text that is already here."""
    found, repeats = Found(bytes=len(utf8(text))), Repeats()
    if kept := normalised(text, found):
        survey = Survey(found)
        survey.see(kept)
        survey.finish()
        repeats.see(kept)
    return kept, replace(united([("the text", "", [found])], repeats), hashes=(), lengths=(), alphabets=())
