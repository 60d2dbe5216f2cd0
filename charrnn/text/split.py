"""Where a corpus is cut into its parts: training first, then validation, then test, each in one stretch.

Documents are never cut in two. Positions are counted in code points of the normalised text.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from charrnn.config import require
from charrnn.errors import CorpusError
from charrnn.schema import Schema
from charrnn.text.corpus import Corpus, TextStatistics
from charrnn.text.documents import SEPARATORS, after_separator


@dataclass(frozen=True, kw_only=True)
class Split(Schema):
    """Where the parts of a corpus begin and end, in code points, and what the corpus is.

    `valid` and `test` are None or (first, end); a part that is a file of its own is named instead, with the SHA-256 of
    its bytes, which runs of older versions lack.
    """

    sources: tuple[str, ...]
    sha256: str
    documents: str
    chars: int
    train_end: int
    valid_end: int
    valid_file: str | None = None
    test_file: str | None = None
    valid_sha256: str | None = None
    test_sha256: str | None = None

    def __post_init__(self) -> None:
        require(
            self.documents in SEPARATORS, f"`documents` must be one of {', '.join(SEPARATORS)}, not {self.documents!r}"
        )
        require(0 <= self.train_end <= self.valid_end <= self.chars, "the parts of the corpus overlap")

    def part(self, name: str, corpus: Corpus) -> Iterator[str]:
        """The text of 'train', 'valid' or 'test' in chunks; empty where there is none.

        Raises CorpusError, at its end, when the part is a file that has changed.
        """
        file, sha256 = self.file(name)
        if file is not None:
            return _unchanged(Corpus([file]), sha256)
        first, end = {
            "train": (0, self.train_end),
            "valid": (self.train_end, self.valid_end),
            "test": (self.valid_end, self.chars),
        }[name]
        return _cut(corpus.chunks(), first, end) if end > first else iter(())

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
) -> Split:
    """Decide the parts. `valid` and `test` are shares of the corpus, files, or None.

    Raises ConfigError when the shares leave nothing to train on, CorpusError when a file holds no text.
    """
    shares = [part if isinstance(part, float) else 0.0 for part in (valid, test)]
    require(all(0 <= s < 1 for s in shares) and sum(shares) < 1, f"the held-out shares {shares} leave nothing to train")
    # Rounding keeps 1 - 0.05 - 0.05 from falling short of 0.9.
    ends = [int(round(statistics.kept * (1 - sum(shares)), 6)), int(round(statistics.kept * (1 - shares[1]), 6))]
    separator = SEPARATORS[documents]
    if separator is not None:
        ends = [after_separator(corpus.chunks(), end, separator) if end < statistics.kept else end for end in ends]
    return Split(
        sources=tuple(corpus.sources),
        sha256=statistics.sha256,
        documents=documents,
        chars=statistics.kept,
        train_end=ends[0],
        valid_end=ends[1],
        valid_file=valid if isinstance(valid, str) else None,
        test_file=test if isinstance(test, str) else None,
        valid_sha256=Corpus([valid]).survey().sha256 if isinstance(valid, str) else None,
        test_sha256=Corpus([test]).survey().sha256 if isinstance(test, str) else None,
    )


def _unchanged(corpus: Corpus, sha256: str | None) -> Iterator[str]:
    yield from corpus.chunks()
    if sha256 not in (None, corpus.statistics.sha256):
        raise CorpusError(f"{corpus.sources[0]} has changed since the run began: it is not the text that was held out")


def _cut(chunks: Iterator[str], first: int, end: int) -> Iterator[str]:
    position = 0
    for chunk in chunks:
        if part := chunk[max(0, first - position) : max(0, end - position)]:
            yield part
        position += len(chunk)
        if position >= end:
            return
