"""One line after another, each scored alone, as `eval --lines` does it, or as one running text.

Lines come in and pieces go out in the same order, from a list, a file or a pipe that never ends. Inside, as many lines
as are there are put in order of length and read side by side. A long line goes through in pieces, its memory carried,
so that what is held never grows with a line or with the text. Shapes: T time, B rows, V vocabulary.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from charrnn.config import ModelConfig, require
from charrnn.errors import VocabularyError
from charrnn.inference.counting import Counting
from charrnn.inference.formats import FP32, INT8
from charrnn.inference.products import Floats
from charrnn.models.weights import require_bounded
from charrnn.scoring.learning import Learning
from charrnn.scoring.predictions import NATS_ALONE, Asked, Ids, Predictions
from charrnn.scoring.readers import IntegerReader, Readers
from charrnn.scoring.side_by_side import Memory, SideBySide
from charrnn.text.characters import named_all
from charrnn.text.tokenizers import Tokenizer

if TYPE_CHECKING:
    from charrnn.models.ensemble import Network

# How much is read ahead, in tokens: little at first, so that something is seen at once; then about two seconds' work
# in multiplications, within these bounds. And so many lines at most, however short.
FIRST_AHEAD, LEAST_AHEAD, MOST_AHEAD, WORK_AHEAD = 1 << 11, 1 << 15, 1 << 18, 2e11
MOST_LINES = 1 << 14
# Probabilities of whole alphabets that are kept, where counts mix them.
MOST_SHARES = 1 << 23
# A longer line is read in parts of so many characters.
LONGEST = 1 << 16


class ScoredModel(Protocol):
    """What a reader of lines has to know of a model; `charrnn.Model` is one."""

    @property
    def config(self) -> ModelConfig: ...
    @property
    def weights(self) -> Mapping[str, Floats]: ...
    @property
    def tokenizer(self) -> Tokenizer: ...
    @property
    def network(self) -> "Network": ...
    @property
    def device(self) -> str: ...
    @property
    def counting(self) -> Counting | None: ...


class Piece(NamedTuple):
    """A line, or, of one that is longer than 65,536 characters, a part; and what was predicted in it."""

    line: int
    """Its number, counted from 0."""
    text: str
    """As it came, the line end with it where it has one."""
    predictions: Predictions
    """Of its tokens; in a model of documents the end of one is the last, and a line of white space has none."""
    ends_line: bool
    """Whether it is the line's last."""


class _Part(NamedTuple):
    """The same before it is scored."""

    line: int
    text: str
    tokens: Ids
    ends_line: bool


class LineReader:
    """What a model makes of lines: each a text of its own, or a document where the model knows such.

    `context` is read before each line. With `carry`, all lines are one running text. With `unknown`, a character that
    the vocabulary lacks costs ln V and is read as the start id. `learning` makes the price of a token that of context
    mixing, which learns from it. In int8, whose numbers are the same on every machine,
    the network must be one that 8 bits can hold.
    Raises ConfigError on `carry` beside a model of documents, VocabularyError on a character of the context.
    """

    def __init__(
        self,
        model: ScoredModel,
        *,
        asked: Asked = NATS_ALONE,
        context: str = "",
        carry: bool = False,
        unknown: bool = False,
        precision: str = FP32,
        learning: Learning | None = None,
    ) -> None:
        config, weights = model.config, sum(weight.size for weight in model.weights.values())
        require(
            not (carry and config.documents),
            "a model of documents begins each line from a fresh state: leave out `carry`",
        )
        self._tokenizer, self._config = model.tokenizer, config
        self._carry, self._unknown, self._learning = carry, unknown, learning
        self._ahead = int(min(max(WORK_AHEAD / weights, LEAST_AHEAD), LEAST_AHEAD if carry else MOST_AHEAD))
        counting = model.counting if learning is None else None
        readers: Readers | IntegerReader
        if precision == INT8:
            require_bounded(config)
            readers = IntegerReader(config, model.weights, counting)
        else:
            readers = Readers(config, model.weights, lambda: model.network, model.device, counting)
        if learning is not None:
            asked = replace(asked, shares=True)
            self._ahead = min(self._ahead, max(1, MOST_SHARES // config.vocab_size))
        self._reader = SideBySide(config, readers, asked)
        self._fresh = Memory(readers.initial_states(1), config.start_id)
        _, self._fresh = self._reader.go_on(self._encode(context, "the context"), self._fresh)

    def read(self, lines: Iterable[str | None], *, unbuffered: bool = False) -> Iterator[Piece]:
        """The pieces of all lines in order, as soon as they are known.

        A line is a string with its line end or without. None says that nothing more is there yet: what has come is
        then given out. `unbuffered`: so is each line as it comes. Raises VocabularyError, once the lines before it are
        out, on a character that the vocabulary lacks, with the number of its line.
        """
        pieces = self._pieces(lines, unbuffered)
        return pieces if self._learning is None else self._learned(pieces, self._learning)

    def _pieces(self, lines: Iterable[str | None], unbuffered: bool) -> Iterator[Piece]:
        """What the network makes of them."""
        memory = self._fresh if self._carry else None
        waiting: list[_Part] = []
        tokens, ahead = 0, min(FIRST_AHEAD, self._ahead)
        for part in self._parts(lines):
            if isinstance(part, _Part):
                waiting.append(part)
                tokens += part.tokens.size
            full = tokens >= ahead or len(waiting) >= MOST_LINES
            if full or unbuffered or not isinstance(part, _Part):
                pieces, memory = self._scored(waiting, memory)
                yield from pieces
                waiting, tokens = [], 0
                ahead = min(4 * ahead, self._ahead) if full else ahead
            if isinstance(part, VocabularyError):
                raise part
        yield from self._scored(waiting, memory)[0]

    def _learned(self, pieces: Iterator[Piece], learning: Learning) -> Iterator[Piece]:
        """The same pieces at the price of what learns from each; a text begins with the first, or with each line."""
        begins = True
        for piece in pieces:
            yield piece._replace(predictions=learning.learned(piece.predictions, begins=begins))
            begins = piece.ends_line and not self._carry

    def _scored(self, parts: list[_Part], memory: Memory | None) -> tuple[list[Piece], Memory | None]:
        """The pieces of these parts. `memory` is that behind an unfinished text, which the first part goes on with."""
        if not parts:
            return [], memory
        starts = [n for n in range(len(parts)) if n == 0 or (parts[n - 1].ends_line and not self._carry)]
        spans = list(pairwise([*starts, len(parts)]))
        texts = [np.concatenate([part.tokens for part in parts[first:end]]) for first, end in spans]
        # One text may have begun before, and one may go on after: these alone need a memory of their own.
        found: list[Predictions] = []
        if memory is not None:
            predictions, memory = self._reader.go_on(texts.pop(0), memory)
            found.append(predictions)
        goes_on = self._carry or not parts[-1].ends_line
        last = texts.pop() if goes_on and texts else None
        found += self._reader.each(texts, self._fresh)
        if last is not None:
            predictions, memory = self._reader.go_on(last, self._fresh)
            found.append(predictions)
        pieces = []
        for (first, end), predictions in zip(spans, found, strict=True):
            at = 0
            for part in parts[first:end]:
                own = predictions[at : at + part.tokens.size] if end - first > 1 else predictions
                pieces.append(Piece(part.line, part.text, own, part.ends_line))
                at += part.tokens.size
        return pieces, memory if goes_on else None

    def _parts(self, lines: Iterable[str | None]) -> Iterator[_Part | VocabularyError | None]:
        """Lines and parts of long ones as token ids; None where what has come is to be given out; the error last."""
        line = 0
        for given in lines:
            if given is None:
                yield None
                continue
            begin = 0
            # To a model of documents, a line of white space is an empty one.
            blank = self._config.documents and (not given or given.isspace())
            for text in cut(given):
                ends = begin + len(text) == len(given)
                try:
                    tokens = np.empty(0, np.int64) if blank else self._tokens(text, line, begin, ends)
                except VocabularyError as problem:
                    yield problem
                    return
                yield _Part(line, text, tokens, ends)
                begin += len(text)
            line += 1

    def _tokens(self, text: str, line: int, char: int, ends: bool) -> Ids:
        """Token ids of a line, or of a part that begins at its character `char`."""
        where = f"line {line + 1}"
        if not self._config.documents:
            return self._encode(text, where, char)
        document = text.removesuffix("\n") if ends else text
        ids = self._encode(document, where, char)
        return np.append(ids, self._config.start_id) if ends else ids

    def _encode(self, text: str, where: str, char: int = 0) -> Ids:
        """Token ids of a text; where it stands, for complaints."""
        try:
            ids = self._tokenizer.encode(text, unknown=True).astype(np.int64)
        except VocabularyError as problem:
            raise VocabularyError(f"{where}: {problem}") from None
        if not self._unknown and ids.max(initial=0) > self._config.start_id:
            # Only characters can be unknown, each of which is one token.
            lacking = np.flatnonzero(ids > self._config.start_id)
            names = named_all(text[position] for position in lacking)
            raise VocabularyError(
                f"{where}: the model's vocabulary has no {names} (column {char + int(lacking[0]) + 1}): it was not in "
                "the training text"
            )
        return ids


def cut(line: str) -> Iterator[str]:
    """A line as it is, or a long one in parts of at most `LONGEST` characters.

    Parts begin with a space where there is one: no piece of a subword tokenizer crosses it, so that the parts have
    the tokens of the whole.
    """
    begin = 0
    while len(line) - begin > LONGEST:
        space = line.rfind(" ", begin + LONGEST // 2, begin + LONGEST)
        end = begin + LONGEST if space < 0 else space
        yield line[begin:end]
        begin = end
    yield line[begin:] if begin else line
