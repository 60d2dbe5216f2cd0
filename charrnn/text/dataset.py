"""The parts of a corpus as arrays of token ids, by a tokenizer built on the training part alone.

Shapes: N tokens, D documents.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from charrnn.errors import CorpusError
from charrnn.text.corpus import Corpus
from charrnn.text.documents import SEPARATORS, batches, split_documents
from charrnn.text.kept_tokens import KeptTokens
from charrnn.text.part import Part
from charrnn.text.split import Split
from charrnn.text.stretches import Piece
from charrnn.text.survey import TextStatistics
from charrnn.text.token_files import Tokens, TokenWriter
from charrnn.text.tokenizers import Tokenizer, tokenizer_class, train_tokenizer
from charrnn.text.workers import side_by_side

# Lines, each with its end.
LINES = re.compile(r"[^\n]*\n|[^\n]+")
# Of a tokenizer that learns pieces, unless told.
VOCAB_SIZE = 1000
# In fewer tokens, which model is the better one is little more than chance.
LEAST_TO_JUDGE = 200


@dataclass(frozen=True)
class Dataset:
    """What training needs of a text."""

    split: Split
    statistics: TextStatistics
    tokenizer: Tokenizer
    train: Part
    valid: Part | None
    notes: list[str]
    folder: Path | None = None
    """Where tokens are kept, where they are many."""
    coming: Iterator[Tokens] | None = None
    """What is trained on instead of `train` where a text is read once; that is then its beginning."""


def build(
    corpus: Corpus,
    split: Split,
    *,
    tokenizer: Tokenizer | None = None,
    kind: str = "char",
    vocab_size: int = VOCAB_SIZE,
    folder: Path | None = None,
) -> Dataset:
    """Tokenize the training and validation parts. A tokenizer that is given is used as it is (resume).

    Those of a large text are kept in `folder`, and taken from there. Raises CorpusError when there is nothing to learn
    from.
    """
    notes = list(corpus.statistics.notes)
    if tokenizer is None:
        to_size = tokenizer_class(kind).to_size
        # What learns to a size reads the text as it is: the same chunks give the same vocabulary.
        learned = split.part("train", corpus) if to_size else documents_to_learn(split, corpus)
        tokenizer = train_tokenizer(kind, learned, vocab_size, threads=corpus.processes)
        if to_size and tokenizer.size != vocab_size:
            notes.append(f"the text gives {tokenizer.size} {kind} {tokenizer.unit}, not {vocab_size}")
    kept, encoder = KeptTokens(folder, split, tokenizer), tokenizer

    def part(name: str) -> Part:
        def encoded(writer: TokenWriter) -> Part:
            own = split.file(name)[0] is None and corpus.statistics.lengths
            if own and SEPARATORS[split.documents] is None:
                return encode_pieces(encoder, corpus.pieces(*split.span(name)), writer, corpus.side_by_side)
            return encode_part(encoder, split.part(name, corpus), split.documents, writer=writer)

        return kept.part(name, encoded)

    train = part("train")
    if train.tokens.size < 2:
        raise CorpusError(f"{corpus.title} holds one character to train on: a model needs at least two")
    valid = part("valid")
    if kept.large:
        size = (train.tokens.nbytes + valid.tokens.nbytes) / 1e6
        notes.append(f"its tokens are kept in {folder}, {size:,.0f} MB: who goes on need not read the text again")
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
    return Dataset(split, corpus.statistics, tokenizer, train, valid if valid.tokens.size else None, notes, folder)


def documents_to_learn(split: Split, corpus: Corpus) -> Iterable[str]:
    """Texts with the characters of the training part.

    What only stands between its documents is left out: a line end there is no symbol of any text.
    """
    if SEPARATORS[split.documents] is None:
        return corpus.characters(*split.span("train"))
    return map("".join, batches(split_documents(split.part("train", corpus), split.documents)))


def encode_part(
    tokenizer: Tokenizer,
    chunks: Iterable[str],
    documents: str,
    *,
    unknown: bool = True,
    writer: TokenWriter | None = None,
) -> Part:
    """Token ids of a text; in document modes each document is followed by its end, id `tokenizer.size`."""
    writer = writer or TokenWriter(tokenizer.size + 2)
    separator = SEPARATORS[documents]
    if separator is not None:
        return _encode_documents(tokenizer, split_documents(chunks, documents), len(separator), unknown, writer)
    chars = lacking = 0
    for text in chunks:
        ids = tokenizer.encode(text, unknown=unknown)
        lacking += int((ids > tokenizer.size).sum())
        chars += len(text)
        writer.write(ids)
    return Part(writer.finish(), chars, None, lacking)


def _encode_documents(
    tokenizer: Tokenizer, documents: Iterable[str], separator_chars: int, unknown: bool, writer: TokenWriter
) -> Part:
    """Each with its end behind it. Some are encoded at once: a call takes longer than a short document."""
    chars = lacking = 0
    starts: list[npt.NDArray[np.int64]] = [np.empty(0, np.int64)]
    for some in batches(documents):
        ids, lengths = tokenizer.encode_all(some, unknown=unknown)
        lacking += int((ids > tokenizer.size).sum())
        chars += sum(map(len, some)) + separator_chars * len(some)
        ends = np.cumsum(lengths + 1) - 1
        starts.append(writer.size + ends - lengths)
        written = np.full(ids.size + len(some), tokenizer.size, np.int32)
        inner = np.ones(written.size, bool)
        inner[ends] = False
        written[inner] = ids
        writer.write(written)
    return Part(writer.finish(), chars, np.concatenate(starts), lacking)


def encode_pieces(tokenizer: Tokenizer, pieces: Sequence[Piece], writer: TokenWriter, processes: int) -> Part:
    """Token ids of one stream in pieces, by so many processes where they are kept: each writes files of its own."""
    begins: dict[int, int] = {}  # of the source of each number

    def texts() -> Iterator[str]:
        for piece in pieces:
            begins.setdefault(piece.number, writer.size)
            yield from piece.read()

    if min(processes, len(pieces)) == 1 or not writer.keeps:
        part = encode_part(tokenizer, texts(), "stream", writer=writer)
        return replace(part, files=tuple(begins.values()))
    chars = lacking = 0
    spec, files = tokenizer.spec(), [writer.file_of(number) for number in range(len(pieces))]
    tasks = [
        ("encode", {"piece": asdict(piece), "tokenizer": spec, "file": str(file)})
        for piece, file in zip(pieces, files, strict=True)
    ]
    with side_by_side(tasks, processes) as said:
        for piece, file, (written, unknown) in zip(pieces, files, said, strict=True):
            begins.setdefault(piece.number, writer.size)
            writer.append(file)
            chars, lacking = chars + written, lacking + unknown
    return Part(writer.finish(), chars, None, lacking, tuple(begins.values()))


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
