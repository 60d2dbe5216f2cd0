"""The parts of a corpus as arrays of token ids, by a tokenizer built on the training part alone.

Shapes: N tokens, D documents.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from charrnn.errors import CorpusError
from charrnn.text.corpus import Corpus, TextStatistics
from charrnn.text.documents import SEPARATORS, split_documents
from charrnn.text.split import Split
from charrnn.text.token_files import Tokens, TokenWriter
from charrnn.text.tokenizers import Tokenizer, tokenizer_class, train_tokenizer

# Lines, each with its end.
LINES = re.compile(r"[^\n]*\n|[^\n]+")
# Of a tokenizer that learns pieces, unless told.
VOCAB_SIZE = 1000
# In fewer tokens, which model is the better one is little more than chance.
LEAST_TO_JUDGE = 200


@dataclass(frozen=True, eq=False)
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

    def reversed(self, start_id: int) -> "Part":
        """The same read from its end: the whole stream, or each document, whose end id stays at its end."""
        if self.starts is None:
            return replace(self, tokens=self.tokens[::-1])
        ends = np.append(self.starts[1:], self.tokens.size)
        # Where each position of a document finds its token: from the last one back, the end id last.
        positions = np.arange(self.tokens.size)
        inner = ends - (self.tokens[ends - 1] == start_id)
        document = np.searchsorted(self.starts, positions, side="right") - 1
        mirrored = self.starts[document] + inner[document] - 1 - positions
        return replace(self, tokens=self.tokens[np.where(positions < inner[document], mirrored, positions)])


@dataclass(frozen=True)
class Dataset:
    """What training needs of a text."""

    split: Split
    statistics: TextStatistics
    tokenizer: Tokenizer
    train: Part
    valid: Part | None
    notes: list[str]


def build(
    corpus: Corpus,
    split: Split,
    *,
    tokenizer: Tokenizer | None = None,
    kind: str = "char",
    vocab_size: int = VOCAB_SIZE,
    folder: Path | None = None,
    threads: int = 1,
) -> Dataset:
    """Tokenize the training and validation parts. A tokenizer that is given is used as it is (resume).

    Large parts go to a nameless file in `folder`. Raises CorpusError when there is nothing to learn from.
    """
    notes = list(corpus.statistics.notes)
    if tokenizer is None:
        to_size = tokenizer_class(kind).to_size
        # What learns to a size reads the text as it is: the same chunks give the same vocabulary.
        learned = split.part("train", corpus) if to_size else documents_to_learn(split, corpus)
        tokenizer = train_tokenizer(kind, learned, vocab_size, threads=threads)
        if to_size and tokenizer.size != vocab_size:
            notes.append(f"the text gives {tokenizer.size} {kind} {tokenizer.unit}, not {vocab_size}")
    train = encode_part(tokenizer, split.part("train", corpus), split.documents, folder=folder)
    if train.tokens.size < 2:
        raise CorpusError(f"{corpus.title} holds one character to train on: a model needs at least two")
    valid = encode_part(tokenizer, split.part("valid", corpus), split.documents, folder=folder)
    if 0 < valid.tokens.size < LEAST_TO_JUDGE:
        notes.append(
            f"only {valid.tokens.size} {tokenizer.unit} are held out, too few to judge by: which model is called best "
            "is little more than chance"
        )
    if valid.unknown:
        notes.append(
            f"{valid.unknown} characters of the validation part do not occur in the training part; each counts as one "
            "in the vocabulary's size"
        )
    return Dataset(split, corpus.statistics, tokenizer, train, valid if valid.tokens.size else None, notes)


def documents_to_learn(split: Split, corpus: Corpus) -> Iterable[str]:
    """The training part without what only stands between its documents: a line end there is no symbol of any text."""
    return split_documents(split.part("train", corpus), split.documents)


def encode_part(
    tokenizer: Tokenizer, chunks: Iterable[str], documents: str, *, unknown: bool = True, folder: Path | None = None
) -> Part:
    """Token ids of a text; in document modes each document is followed by its end, id `tokenizer.size`."""
    writer = TokenWriter(tokenizer.size + 2, folder)
    chars = lacking = 0
    starts: list[int] = []
    separator = SEPARATORS[documents]
    for text in split_documents(chunks, documents):
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
    writer = TokenWriter(tokenizer.size + 2)
    starts = []
    for line in LINES.findall(text):
        starts.append(writer.size)
        writer.write(tokenizer.encode(line, unknown=unknown))
    return Part(writer.finish(), len(text), np.array(starts, np.int64))


def encode_scored(tokenizer: Tokenizer, text: str, documents: str, *, lines: bool, unknown: bool) -> Part:
    """Token ids of a text to score as a model of `documents` reads it; with `lines`, one of a stream line by line."""
    if lines and SEPARATORS[documents] is None:
        return encode_lines(tokenizer, text, unknown=unknown)
    return encode_part(tokenizer, [text], documents, unknown=unknown)


def scored_texts(text: str, documents: str, *, lines: bool) -> list[str]:
    """What the tokens of `encode_scored` stand for: one text, or each line or document (D,) with its end."""
    separator = SEPARATORS[documents]
    if separator is None:
        return LINES.findall(text) if lines else [text]
    return [document + separator for document in split_documents([text], documents)]
