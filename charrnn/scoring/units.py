"""What the units of a text cost: its lines, words, characters and tokens, each a row, all adding up to the same total.

A token belongs to the unit in which it begins: the bytes of a character to the character, a piece of several letters to
the first of them, for with the piece the others are certain.

Words stand between white space. By the letters alone the probabilities of words add up to more than one, for a word is
one only where a boundary follows. So by default a word owns the boundary behind it (Pimentel & Meister 2024; Oh &
Schuler 2024): it costs which boundary stood in front of it, given that some did, its letters, and that some boundary
follows. This is the same for characters, for bytes, and for pieces that begin with white space.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.config import require
from charrnn.scoring.predictions import NATS_ALONE, Asked, Predictions
from charrnn.text.alignment import Alignment
from charrnn.text.tokenizers import Tokenizer

Marks: TypeAlias = npt.NDArray[np.bool_]


class Row(NamedTuple):
    """A unit of a line. Where it stands is counted from the line's beginning."""

    text: str
    start: int
    """In characters."""
    end: int
    byte: int
    """Its start, in bytes of UTF-8."""
    nats: float
    tokens: int
    """How many begin in it."""
    rank: int | None = None
    """Of the token that begins with it, as are the next three: 1 is the likeliest."""
    entropy: float | None = None
    """Nats."""
    top: tuple[int, ...] = ()
    """The likeliest ids."""
    top_nats: tuple[float, ...] = ()


def boundaries(tokenizer: Tokenizer) -> Marks:
    """(V + 1,) the ids that begin with white space, and the end of a document, which bounds words as well."""
    return np.array([tokenizer.decode([token])[:1].isspace() for token in range(tokenizer.size)] + [True])


def symbol(tokenizer: Tokenizer, token: int) -> str:
    """The name of an id among the alternatives."""
    return "<end>" if token == tokenizer.size else tokenizer.symbol(token)


class Units(ABC):
    """The rows of one line after another, each of which comes in one piece or, where it is long, in several."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer, self._align = tokenizer, Alignment(tokenizer)
        self._chars = self._bytes = 0

    def asked(self, top: int = 0) -> Asked:
        """What has to be predicted for these rows; `top` alternatives, and rank and entropy with them.

        Raises ConfigError where rows are of more than a token.
        """
        require(top == 0, "alternatives are those of single tokens: `top` needs `per='char'` or `per='token'`")
        return NATS_ALONE

    @abstractmethod
    def push(self, text: str, predictions: Predictions) -> Iterator[Row]:
        """The rows that a further piece of the line completes."""

    def finish(self) -> Iterator[Row]:
        """The rows that the end of the line completes. What is pushed next is another line."""
        self._chars = self._bytes = 0
        yield from ()

    def lacking(self, predictions: Predictions) -> int:
        """How many of the tokens are characters that the vocabulary lacks."""
        return int((predictions.tokens > self._tokenizer.size).sum())


class Lines(Units):
    """The line as one row, its line end with it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer)
        self._line = _Open(0, 0)

    def push(self, text: str, predictions: Predictions) -> Iterator[Row]:
        self._line.add(text, float(predictions.nll.sum()), len(predictions))
        yield from ()

    def finish(self) -> Iterator[Row]:
        yield self._line.row()
        self._line = _Open(0, 0)


class Tokens(Units):
    """A row a token. Its text is what it completes: of a character's bytes, the last has the character."""

    def asked(self, top: int = 0) -> Asked:
        return Asked(rank=top > 0, entropy=top > 0, top=top)

    def push(self, text: str, predictions: Predictions) -> Iterator[Row]:
        at, start = self._align(text, predictions.tokens), 0
        told = _Told(predictions)
        for token, (end, byte, nats) in enumerate(
            zip(at.done.tolist(), at.byte.tolist(), predictions.nll.tolist(), strict=True)
        ):
            place = (self._chars + start, self._chars + end, self._bytes + byte)
            yield Row(text[start:end], *place, nats, 1, *told.of(token))
            start = end
        self._chars, self._bytes = self._chars + len(text), self._bytes + int(at.bytes[-1])


class Characters(Units):
    """A row a character, and one without text for the end of a document that has no line end."""

    def asked(self, top: int = 0) -> Asked:
        return Asked(rank=top > 0, entropy=top > 0, top=top)

    def push(self, text: str, predictions: Predictions) -> Iterator[Row]:
        if len(predictions):
            at = self._align(text, predictions.tokens)
            places = np.arange(max(at.done[-1], at.begins[-1] + 1))
            first = np.searchsorted(at.begins, places)
            tokens = np.searchsorted(at.begins, places, "right") - first
            nats = np.bincount(at.begins, predictions.nll, places.size)
            told = _Told(predictions)
            for start, token, count, own in zip(
                places.tolist(), first.tolist(), tokens.tolist(), nats.tolist(), strict=True
            ):
                character = text[start : start + 1]
                place = (self._chars + start, self._chars + start + len(character), self._bytes + int(at.bytes[start]))
                yield Row(character, *place, own, count, *told.of(token if count else None))
        self._chars, self._bytes = self._chars + len(text), self._bytes + len(text.encode("utf-8", "surrogateescape"))


class Words(Units):
    """A row a word.

    White space behind the last word, and the end of a document, are a last row without a word; `none` gives all white
    space rows of its own. At the beginning of a text no boundary is owed; where it ends in a letter, none is added.
    """

    def __init__(self, tokenizer: Tokenizer, space: str = "after") -> None:
        super().__init__(tokenizer)
        self._marks, self._share = boundaries(tokenizer), SPACES[space]
        self._word: _Open | None = None
        self._white: _Open | None = None
        self._owed = 0.0

    def asked(self, top: int = 0) -> Asked:
        """The nats of some boundary as well."""
        super().asked(top)
        return Asked(self._marks)

    def push(self, text: str, predictions: Predictions) -> Iterator[Row]:
        at = self._align(text, predictions.tokens)
        for run in _runs(text, at.begins, at.done, predictions, self._marks):
            part, place = text[run.start : run.end], (self._chars + run.start, self._bytes + int(at.bytes[run.start]))
            if run.white:
                before, own, after = self._share(run, self._word is not None)
                yield from self._close_word(before)
                self._white = self._white or _Open(*place)
                self._white.add(part, own, run.tokens)
                self._owed += after
            else:
                yield from self._close_white()
                self._word = self._word or _Open(*place)
                self._word.add(part, run.nats + self._owed, run.tokens)
                self._owed = 0.0
        self._chars, self._bytes = self._chars + len(text), self._bytes + int(at.bytes[-1])

    def finish(self) -> Iterator[Row]:
        yield from self._close_word(0.0)
        if self._white is not None and self._share is not _none and self._white.tokens:
            yield Row("", self._white.start, self._white.start, self._white.byte, self._owed, self._white.tokens)
            self._white = None
        yield from self._close_white()
        self._owed = 0.0
        yield from super().finish()

    def _close_word(self, boundary: float) -> Iterator[Row]:
        if self._word is not None:
            self._word.add("", boundary, 0)
            yield self._word.row()
        self._word = None

    def _close_white(self) -> Iterator[Row]:
        if self._white is not None and self._share is _none:
            yield self._white.row()
        self._white = None


@dataclass
class _Open:
    """A row that may go on: where it began, and what it has so far."""

    start: int
    byte: int
    nats: float = 0.0
    tokens: int = 0
    texts: list[str] = field(default_factory=list)

    def add(self, text: str, nats: float, tokens: int) -> None:
        self.texts.append(text)
        self.nats, self.tokens = self.nats + nats, self.tokens + tokens

    def row(self) -> Row:
        text = "".join(self.texts)
        return Row(text, self.start, self.start + len(text), self.byte, self.nats, self.tokens)


class _Run(NamedTuple):
    """Letters, or white space, between two borders."""

    white: bool
    start: int
    end: int
    nats: float
    tokens: int
    boundary: float
    """Of white space: nats of "some boundary comes", in front of it; 0 where it begins inside a token."""
    letters: float
    """Of white space: nats that its last token costs beyond its boundary, where that token holds letters as well."""


def _runs(
    text: str, begins: npt.NDArray[np.int64], done: npt.NDArray[np.int64], predictions: Predictions, marks: Marks
) -> Iterator[_Run]:
    """The letters and white spaces of a piece, with the tokens that begin in each."""
    if not len(predictions):
        return
    spans = [match.span() for match in re.finditer(r"\s+|\S+", text)]
    if begins[-1] == len(text):  # the end of a document that has no line end
        spans.append((len(text), len(text)))
    starts = np.array(spans)[:, 0]
    of = np.searchsorted(starts, begins, "right") - 1
    nats = np.bincount(of, predictions.nll, len(spans))
    first = np.searchsorted(of, np.arange(len(spans)))
    last = np.searchsorted(of, np.arange(len(spans)), "right") - 1
    boundary = np.zeros(len(predictions))
    if predictions.boundary is not None:
        # A character that the vocabulary lacks has an id beyond all marks.
        marked = np.append(marks, False)[predictions.tokens]
        # It is part of the token's: rounding must not make what is left negative.
        boundary[marked] = np.minimum(predictions.boundary, predictions.nll)[marked]
    for number, (start, end) in enumerate(spans):
        white, left, right = start == end or text[start].isspace(), first[number], last[number]
        opens = white and left <= right and begins[left] == start
        holds_letters = white and left <= right and done[right] > end
        yield _Run(
            white,
            start,
            end,
            float(nats[number]),
            int(right - left + 1),
            float(boundary[left]) if opens else 0.0,
            float(predictions.nll[right] - boundary[right]) if holds_letters else 0.0,
        )


# (white space, whether it is right behind a word) -> nats for the word before, for itself, for the word after it.
Share: TypeAlias = Callable[[_Run, bool], tuple[float, float, float]]


def _after(run: _Run, behind_word: bool) -> tuple[float, float, float]:
    boundary = run.boundary if behind_word else 0.0
    return boundary, 0.0, run.nats - boundary


def _before(run: _Run, behind_word: bool) -> tuple[float, float, float]:
    return 0.0, 0.0, run.nats


def _none(run: _Run, behind_word: bool) -> tuple[float, float, float]:
    return 0.0, run.nats - run.letters, run.letters


# Who owns the white space, by the names of `config/verbs.py`.
SPACES: dict[str, Share] = {"after": _after, "before": _before, "none": _none}

# What a row may be, by the names of `config/verbs.py`.
UNITS: dict[str, Callable[..., Units]] = {"line": Lines, "word": Words, "char": Characters, "token": Tokens}


def units(per: str, tokenizer: Tokenizer, space: str = "after") -> Units:
    """The units of this name; `space` says whose the white space between words is."""
    return Words(tokenizer, space) if per == "word" else UNITS[per](tokenizer)


class _Told:
    """What is told of single tokens beside their nats: the last columns of a row."""

    def __init__(self, predictions: Predictions) -> None:
        self._columns: list[list[Any]] = []
        if predictions.rank is not None and predictions.entropy is not None:
            self._columns += [predictions.rank.tolist(), predictions.entropy.tolist()]
        if predictions.top is not None and predictions.top_nll is not None:
            self._columns += [list(map(tuple, column.tolist())) for column in (predictions.top, predictions.top_nll)]

    def of(self, token: int | None) -> list[Any]:
        """Of one token; nothing of none."""
        return [] if token is None else [column[token] for column in self._columns]
