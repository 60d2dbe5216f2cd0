"""Texts and a model become vectors: what `Model.embed` and `charrnn embed` do."""

from collections.abc import Iterable, Iterator
from os import PathLike, fspath
from typing import TYPE_CHECKING

import numpy as np

from charrnn.config import require
from charrnn.config.fields import shown
from charrnn.errors import VocabularyError
from charrnn.storage.vectors import Rows
from charrnn.text.alignment import Alignment
from charrnn.text.corpus import Corpus
from charrnn.text.spans import spans
from charrnn.text.tokenizers.char import CharTokenizer

if TYPE_CHECKING:
    from charrnn.api.opened import Opened
    from charrnn.text.tokenizers import Ids

# What has a mean; a character or token gives the state with which it has been read.
POOLED = ("line", "word")
# Texts are read so many characters and so many numbers at a time.
CHARS_AT_ONCE = 1 << 17
FLOATS_AT_ONCE = 1 << 25


def embeddings(
    model: "Opened",
    texts: "str | PathLike[str] | Corpus | Iterable[str]",
    *,
    per: str = "line",
    layer: int | str | None = None,
    pool: str = "mean",
    unknown: bool = False,
    batch_size: int | None = None,
) -> Iterator[Rows]:
    """The vectors of the lines of a text, or of its words, characters or tokens, some thousand at a time.

    A text is given as such, as the Path of a file or as a corpus; several texts are each taken whole, as one line.
    Memory grows with the longest line, not with the text. Raises VocabularyError on a character that the vocabulary
    lacks, unless `unknown` is set; ConfigError on a layer that the network does not have.
    """
    from charrnn.analysis.embeddings import BATCH, embed, features

    dimension = features(model.config, layer)
    pool = pool if per in POOLED else "last"
    align, number = Alignment(model.tokenizer), 0
    for some in _chunks(_lines(model, texts), min(CHARS_AT_ONCE, FLOATS_AT_ONCE // dimension)):
        numbers = range(number + 1, number + 1 + len(some))
        ids = [_encoded(model, line, at, unknown) for at, line in zip(numbers, some, strict=True)]
        pieces = [spans(align, line, own, per) for line, own in zip(some, ids, strict=True)]
        begins = np.concatenate([piece.begins for piece in pieces])
        ends = np.concatenate([piece.ends for piece in pieces])
        at = np.repeat(np.arange(len(some)), [piece.begins.size for piece in pieces])
        found = [some[line][begin:end] for line, begin, end in zip(at, begins, ends, strict=True)]
        vectors = embed(model.network, ids, pieces, layer=layer, pool=pool, batch_size=batch_size or BATCH)
        yield Rows(vectors, number + 1 + at, begins, ends, found)
        number += len(some)


def _lines(model: "Opened", texts: "str | PathLike[str] | Corpus | Iterable[str]") -> Iterator[str]:
    """The lines of a text without their ends; several texts as they are."""
    if isinstance(texts, PathLike):
        texts = Corpus([fspath(texts)], any_bytes=model.tokenizer.any_bytes)
    if isinstance(texts, Corpus):
        chunks: Iterable[str] = texts.chunks()
    elif isinstance(texts, str):
        chunks = [texts]
    else:
        for text in texts:
            require(isinstance(text, str), f"`texts` must hold strings, not {shown(text)}")
            yield text
        return
    held = ""
    for chunk in chunks:
        *whole, held = (held + chunk).split("\n")
        yield from whole
    if held:
        yield held


def _chunks(lines: Iterable[str], chars: int) -> Iterator[list[str]]:
    """Lines in order, so many characters at a time, an end of line counting as one."""
    some: list[str] = []
    size = 0
    for line in lines:
        some.append(line)
        size += len(line) + 1
        if size >= chars:
            yield some
            some, size = [], 0
    if some:
        yield some


def _encoded(model: "Opened", line: str, number: int, unknown: bool) -> "Ids":
    ids = model.tokenizer.encode(line, unknown=True)
    missing = np.flatnonzero(ids > model.tokenizer.size)
    if missing.size and not unknown:
        # The complaint counts line ends to say where they are.
        raise VocabularyError(CharTokenizer.complaint("\n" * (number - 1) + line, missing + number - 1))
    return ids
