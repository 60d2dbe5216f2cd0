"""How a corpus is divided into its parts: training, validation and test.

One stream is cut into three stretches, in this order. Documents are drawn: what comes last in a sorted list is unlike
the rest of it. Nothing of a text has to be kept in memory for either.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from random import Random

from charrnn.config import require
from charrnn.errors import CorpusError
from charrnn.schema import Schema, to_json_text
from charrnn.text.corpus import Corpus
from charrnn.text.documents import SEPARATORS, join_documents, split_documents
from charrnn.text.survey import TextStatistics

# The same for every run: runs on one text are judged by the same documents, and a model that is gone on from has not
# seen what the next one is judged by.
DRAWING_SEED = 0

# What is held out to validate, unless told: of many documents, or of a long stream, a smaller share is enough.
DEFAULT_VALID, DEFAULT_VALID_OF_FEW = 0.05, 0.1
FEW_DOCUMENTS = 2000
LEAST_CHARS, LEAST_DOCUMENTS = 4000, 50


@dataclass(frozen=True, kw_only=True)
class Split(Schema):
    """Which parts of a corpus are which, and what the corpus is.

    `train_end` and `valid_end` cut it into stretches, in code points of the normalised text. Where documents are
    `drawn`, with that seed, `held_out` of all `count` are for validation and for test, and there is one stretch;
    None: they are cut as a stream is, as they were before they were drawn. A part that is a file of its own is named
    instead, with the SHA-256 of its bytes, which runs of older versions lack, as they lack the `hashes` of the sources:
    there `sha256` is of all bytes, one source behind another.
    """

    sources: tuple[str, ...]
    sha256: str
    documents: str
    chars: int
    train_end: int
    valid_end: int
    valid_file: str | None = None
    test_file: str | None = None
    drawn: int | None = None
    count: int = 0
    held_out: tuple[int, ...] = (0, 0)
    valid_sha256: str | None = None
    test_sha256: str | None = None
    hashes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(
            self.documents in SEPARATORS, f"`documents` must be one of {', '.join(SEPARATORS)}, not {self.documents!r}"
        )
        require(0 <= self.train_end <= self.valid_end <= self.chars, "the parts of the corpus overlap")
        parts = self.held_out
        require(len(parts) == 2 and min(parts) >= 0 and sum(parts) <= self.count, "more is held out than there is")

    @property
    def digest(self) -> str:
        """What is learned and judged by, in one number, wherever the files are: SHA-256, in hexadecimal."""
        return sha256(to_json_text({**self.to_json(), "sources": None}).encode()).hexdigest()

    def is_of(self, corpus: Corpus) -> bool:
        """Whether a text that has been surveyed is the one that was split."""
        statistics = corpus.statistics
        if len(self.hashes) > 1:
            return self.hashes == statistics.hashes
        return self.sha256 == (statistics.sha256 if len(statistics.hashes) == 1 else corpus.joined_sha256())

    def part(self, name: str, corpus: Corpus) -> Iterator[str]:
        """The text of 'train', 'valid' or 'test' in chunks; empty where there is none.

        Drawn documents stand in the order of the corpus, with nothing but a separator behind each. Raises CorpusError,
        at its end, when the part is a file that has changed.
        """
        file, sha256 = self.file(name)
        if file is not None:
            return _unchanged(Corpus([file], any_bytes=corpus.any_bytes), sha256)
        separator = SEPARATORS[self.documents]
        if self.drawn is not None and separator is not None:
            documents = zip(_documents(corpus, self.documents), self._parts(self.drawn), strict=False)
            return join_documents((document for document, part in documents if part == name), separator)
        first, end = self.span(name)
        return corpus.cut(first, end) if end > first else iter(())

    def span(self, name: str) -> tuple[int, int]:
        """The stretch of one stream that a part of it is, in code points."""
        ends = {"train": (0, self.train_end), "valid": (self.train_end, self.valid_end)}
        return ends.get(name, (self.valid_end, self.chars))

    def _parts(self, seed: int) -> Iterator[str]:
        """The part of each document in turn, by selection sampling (Fan, Muller & Rezucha 1962)."""
        random, (valid, test) = Random(seed), self.held_out
        for left in range(self.count, 0, -1):
            number = random.random() * left
            if number < valid:
                valid -= 1
                yield "valid"
            elif number < valid + test:
                test -= 1
                yield "test"
            else:
                yield "train"

    def has(self, name: str) -> bool:
        """Whether 'valid' or 'test' was held out."""
        if self.drawn is not None:
            shares = {"valid": self.held_out[0], "test": self.held_out[1]}
        else:
            shares = {"valid": self.valid_end - self.train_end, "test": self.chars - self.valid_end}
        return self.file(name)[0] is not None or shares[name] > 0

    def file(self, name: str) -> tuple[str | None, str | None]:
        """The file that 'valid' or 'test' is and the hash of its bytes; None for what there is not."""
        files = {"valid": (self.valid_file, self.valid_sha256), "test": (self.test_file, self.test_sha256)}
        return files.get(name, (None, None))


def split_corpus(
    corpus: Corpus,
    statistics: TextStatistics,
    *,
    documents: str = "stream",
    valid: float | str | None,
    test: float | str | None,
    choose: bool = False,
) -> Split:
    """Decide the parts. `valid` and `test` are shares of the corpus (of its documents), files, or None.

    With `choose`, a `valid` of None leaves open whether and how much is held out. Raises ConfigError when the shares
    leave nothing to train on, CorpusError when a file holds no text.
    """
    streams = SEPARATORS[documents] is None
    count = 0 if streams else sum(1 for _ in _documents(corpus, documents))
    if choose and valid is None:
        valid = _default_share(statistics.kept, None if streams else count)
    shares = [part if isinstance(part, float) else 0.0 for part in (valid, test)]
    require(all(0 <= s < 1 for s in shares) and sum(shares) < 1, f"the held-out shares {shares} leave nothing to train")
    # Rounding keeps 1 - 0.05 - 0.05 from falling short of 0.9.
    ends = [int(round(statistics.kept * (1 - sum(shares)), 6)), int(round(statistics.kept * (1 - shares[1]), 6))]
    return Split(
        sources=tuple(corpus.sources),
        sha256=statistics.sha256,
        documents=documents,
        chars=statistics.kept,
        train_end=ends[0] if streams else statistics.kept,
        valid_end=ends[1] if streams else statistics.kept,
        valid_file=valid if isinstance(valid, str) else None,
        test_file=test if isinstance(test, str) else None,
        drawn=None if streams else DRAWING_SEED,
        count=count,
        held_out=_whole_documents(count, shares),
        valid_sha256=_sha256(valid, corpus),
        test_sha256=_sha256(test, corpus),
        hashes=statistics.hashes,
    )


def _sha256(part: float | str | None, corpus: Corpus) -> str | None:
    """The hash of a part that is a file, read once. Raises CorpusError when it holds no text."""
    if not isinstance(part, str):
        return None
    file, blank = Corpus([part], any_bytes=corpus.any_bytes), True
    for chunk in file.chunks():
        blank = blank and not chunk.strip()
    if blank:
        raise CorpusError(f"{part} holds no text")
    return file.statistics.sha256


def _default_share(chars: int, documents: int | None) -> float | None:
    """What to hold out of so many documents (None: of one stream) to validate; None where there is too little."""
    if chars < LEAST_CHARS and (documents or 0) < LEAST_DOCUMENTS:
        return None
    return DEFAULT_VALID if documents is None or documents >= FEW_DOCUMENTS else DEFAULT_VALID_OF_FEW


def _whole_documents(count: int, shares: list[float]) -> tuple[int, ...]:
    """How many documents each share is: at least one, while one is left to train on."""
    held, left = [], count - 1
    for share in shares:
        held.append(min(max(0, left), max(1, round(share * count))) if share else 0)
        left -= held[-1]
    return tuple(held)


def _documents(corpus: Corpus, documents: str) -> Iterator[str]:
    """All of them; one ends where its file ends."""
    return iter(split_documents(corpus.chunks(SEPARATORS[documents] or ""), documents))


def _unchanged(corpus: Corpus, sha256: str | None) -> Iterator[str]:
    yield from corpus.chunks()
    if sha256 not in (None, corpus.statistics.sha256):
        raise CorpusError(f"{corpus.sources[0]} has changed since the run began: it is not the text that was held out")
