"""A corpus split, its tokenizer built on the training part alone, each part as an array of token ids.

Parts are contiguous: training first, then validation, then test. Documents are never cut in two.
"""

import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from charrnn.config import require
from charrnn.errors import CorpusError
from charrnn.schema import Schema
from charrnn.text.corpus import Corpus, Facts
from charrnn.text.tokenizers import Tokenizer, train_tokenizer

IN_MEMORY_BYTES = 64 << 20
LEAST_HELD_OUT = 200
SUBWORD_PIECES = 1000

Tokens = npt.NDArray[np.unsignedinteger[Any]]

# How documents are told apart; None is one stream.
SEPARATORS: dict[str, str | None] = {"stream": None, "lines": "\n", "paragraphs": "\n\n"}


@dataclass(frozen=True, kw_only=True)
class Split(Schema):
    """Where the parts of a corpus begin and end, in code points, and what the corpus is.

    `valid` and `test` are None or (first, end); a part that is a file of its own is named instead.
    """

    sources: tuple[str, ...]
    sha256: str
    documents: str
    chars: int
    train_end: int
    valid_end: int
    valid_file: str | None = None
    test_file: str | None = None

    def __post_init__(self) -> None:
        require(self.documents in SEPARATORS, f"documents must be one of {', '.join(SEPARATORS)}")
        require(0 <= self.train_end <= self.valid_end <= self.chars, "the parts of the corpus overlap")

    def part(self, name: str, corpus: Corpus) -> Iterator[str]:
        """The text of 'train', 'valid' or 'test' in pieces; empty where there is none."""
        file = {"valid": self.valid_file, "test": self.test_file}.get(name)
        if file is not None:
            return Corpus([file]).chunks()
        first, end = {
            "train": (0, self.train_end),
            "valid": (self.train_end, self.valid_end),
            "test": (self.valid_end, self.chars),
        }[name]
        return _cut(corpus.chunks(), first, end) if end > first else iter(())


@dataclass(frozen=True)
class Part:
    """Token ids (N,) of one part. `starts` (D,) are the first ids of its documents, None for one stream."""

    tokens: Tokens
    chars: int
    starts: npt.NDArray[np.int64] | None = None
    unknown: int = 0

    def beginning(self, tokens: int) -> "Part":
        """The first `tokens` tokens, or the documents that begin among them."""
        if self.tokens.size <= tokens:
            return self
        if self.starts is None:
            return replace(self, tokens=self.tokens[:tokens])
        kept = int(np.searchsorted(self.starts, tokens))
        end = int(self.starts[kept]) if kept < self.starts.size else self.tokens.size
        return replace(self, tokens=self.tokens[:end], starts=self.starts[:kept])

    def turned(self, start_id: int) -> "Part":
        """The same read from its end: the whole stream, or each document, whose end id stays at its end."""
        if self.starts is None:
            return replace(self, tokens=self.tokens[::-1])
        ends = np.append(self.starts[1:], self.tokens.size)
        # Where each place of a document finds its token: from the last one back, the end id last.
        places = np.arange(self.tokens.size)
        inner = ends - (self.tokens[ends - 1] == start_id)
        document = np.searchsorted(self.starts, places, side="right") - 1
        mirrored = self.starts[document] + inner[document] - 1 - places
        return replace(self, tokens=self.tokens[np.where(places < inner[document], mirrored, places)])


@dataclass(frozen=True)
class Dataset:
    """What training needs of a text."""

    split: Split
    facts: Facts
    tokenizer: Tokenizer
    train: Part
    valid: Part | None
    notes: list[str]


def split_corpus(
    corpus: Corpus, facts: Facts, *, documents: str = "stream", valid: float | str | None, test: float | str | None
) -> Split:
    """Decide the parts. `valid` and `test` are shares of the corpus, files, or None.

    Raises ConfigError when the shares leave nothing to train on.
    """
    shares = [part if isinstance(part, float) else 0.0 for part in (valid, test)]
    require(all(0 <= s < 1 for s in shares) and sum(shares) < 1, f"the held-out shares {shares} leave nothing to train")
    # Rounding keeps 1 - 0.05 - 0.05 from falling short of 0.9.
    ends = [int(round(facts.kept * (1 - sum(shares)), 6)), int(round(facts.kept * (1 - shares[1]), 6))]
    separator = SEPARATORS[documents]
    if separator is not None:
        ends = [_after_separator(corpus.chunks(), end, separator) if end < facts.kept else end for end in ends]
    return Split(
        sources=tuple(corpus.sources),
        sha256=facts.sha256,
        documents=documents,
        chars=facts.kept,
        train_end=ends[0],
        valid_end=ends[1],
        valid_file=valid if isinstance(valid, str) else None,
        test_file=test if isinstance(test, str) else None,
    )


def build(
    corpus: Corpus,
    split: Split,
    *,
    tokenizer: Tokenizer | None = None,
    kind: str = "char",
    vocab_size: int = SUBWORD_PIECES,
    folder: Path | None = None,
    threads: int = 1,
) -> Dataset:
    """Tokenize the training and validation parts. A tokenizer that is given is used as it is (resume).

    Large parts go to a nameless file in `folder`. Raises CorpusError when there is nothing to learn from.
    """
    notes = list(corpus.facts.notes)
    if tokenizer is None:
        learned = documents_to_learn(split, corpus) if kind == "char" else split.part("train", corpus)
        tokenizer = train_tokenizer(kind, learned, vocab_size, threads=threads)
        if kind == "subword" and tokenizer.size != vocab_size:
            notes.append(f"the text gives {tokenizer.size} subword pieces, not {vocab_size}")
    train = encode_part(tokenizer, split.part("train", corpus), split.documents, folder=folder)
    if train.tokens.size < 2:
        raise CorpusError(f"{' '.join(split.sources)} holds one character to train on: a model needs at least two")
    valid = encode_part(tokenizer, split.part("valid", corpus), split.documents, folder=folder)
    if valid.unknown:
        notes.append(
            f"{valid.unknown} characters of the validation part do not occur in the training part; each counts as one "
            "in the vocabulary's size"
        )
    return Dataset(split, corpus.facts, tokenizer, train, valid if valid.tokens.size else None, notes)


def documents_to_learn(split: Split, corpus: Corpus) -> Iterable[str]:
    """The training part without what only stands between its documents: a line end there is no symbol of any text."""
    return _texts(split.part("train", corpus), split.documents)


def encode_part(
    tokenizer: Tokenizer, pieces: Iterable[str], documents: str, *, unknown: bool = True, folder: Path | None = None
) -> Part:
    """Token ids of a text; in document modes each document is followed by its end, id `tokenizer.size`."""
    writer = _TokenWriter(tokenizer.size + 2, folder)
    chars = lacking = 0
    starts: list[int] = []
    separator = SEPARATORS[documents]
    for text in _texts(pieces, documents):
        ids = tokenizer.encode(text, unknown=unknown)
        lacking += int((ids > tokenizer.size).sum())
        chars += len(text)
        if separator is not None:
            starts.append(writer.size)
            ids = np.append(ids, np.int32(tokenizer.size))
            chars += len(separator)
        writer.write(ids)
    return Part(writer.finish(), chars, np.array(starts, np.int64) if separator is not None else None, lacking)


def encode_lines(tokenizer: Tokenizer, text: str, *, unknown: bool = False) -> Part:
    """Token ids of a text whose lines, each with its line end, a model of one stream is to score alone."""
    writer = _TokenWriter(tokenizer.size + 2, None)
    starts = []
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        starts.append(writer.size)
        writer.write(tokenizer.encode(line, unknown=unknown))
    return Part(writer.finish(), len(text), np.array(starts, np.int64))


def _texts(pieces: Iterable[str], documents: str) -> Iterable[str]:
    """The documents of a text, or its pieces as they are where it is one stream."""
    separator = SEPARATORS[documents]
    return pieces if separator is None else split_documents(pieces, separator)


def split_documents(pieces: Iterable[str], separator: str) -> Iterator[str]:
    """Documents without the line ends around them; empty ones are no documents."""
    held = ""
    for piece in pieces:
        *whole, held = (held + piece).split(separator)
        yield from filter(None, (document.strip("\n") for document in whole))
    if held := held.strip("\n"):
        yield held


def smallest_dtype(ids: int) -> np.dtype[np.unsignedinteger[Any]]:
    """The smallest unsigned type that holds the ids 0 … ids - 1."""
    return np.min_scalar_type(ids - 1)


def _cut(pieces: Iterator[str], first: int, end: int) -> Iterator[str]:
    position = 0
    for piece in pieces:
        if part := piece[max(0, first - position) : max(0, end - position)]:
            yield part
        position += len(piece)
        if position >= end:
            return


def _after_separator(pieces: Iterator[str], at: int, separator: str) -> int:
    """The place behind the first separator that ends at `at` or later; the text's end where there is none."""
    position, held = 0, ""
    for piece in pieces:
        text = held + piece
        found = text.find(separator, max(0, at - len(separator) - position))
        if found >= 0:
            return position + found + len(separator)
        held = text[-(len(separator) - 1) :] if len(separator) > 1 else ""
        position += len(text) - len(held)
    return position + len(held)


class _TokenWriter:
    """Collects ids in their smallest type: in memory while they are few, in a nameless file beyond that."""

    def __init__(self, ids: int, folder: Path | None) -> None:
        self.size = 0
        self._dtype = smallest_dtype(ids)
        self._folder = folder
        self._blocks: list[Tokens] = []
        self._file: BinaryIO | None = None

    def write(self, ids: npt.NDArray[np.int32]) -> None:
        self._blocks.append(ids.astype(self._dtype))
        self.size += ids.size
        if self.size * self._dtype.itemsize > IN_MEMORY_BYTES:
            if self._file is None:
                self._file = cast(BinaryIO, tempfile.TemporaryFile(dir=self._folder))  # noqa: SIM115
            for block in self._blocks:
                self._file.write(block.tobytes())
            self._blocks.clear()

    def finish(self) -> Tokens:
        if self._file is None:
            return np.concatenate([*self._blocks, np.empty(0, self._dtype)])
        self._file.flush()
        # The map keeps the file alive after it is closed; nothing is left behind when the process ends.
        tokens: Tokens = np.memmap(self._file, dtype=self._dtype, mode="r", shape=(self.size,))
        self._file.close()
        return tokens
