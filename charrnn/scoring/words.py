"""Words between white space, and who owns the white space.

By the letters alone the probabilities of words add up to more than one, for a word is one only where a boundary
follows. So by default a word owns the boundary behind it (Pimentel & Meister 2024; Oh & Schuler 2024): it costs which
boundary stood in front of it, given that some did, its letters, and that some boundary follows. This is the same for
characters, for bytes, and for pieces that begin with white space.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.scoring.predictions import Asked, Predictions
from charrnn.scoring.rows import OpenRow, Row, Units
from charrnn.text.alignment import Aligned
from charrnn.text.tokenizers import Tokenizer

Marks: TypeAlias = npt.NDArray[np.bool_]


def boundaries(tokenizer: Tokenizer) -> Marks:
    """(V + 1,) the ids that begin with white space, and the end of a document, which bounds words as well."""
    return np.array([tokenizer.decode([token])[:1].isspace() for token in range(tokenizer.size)] + [True])


class Words(Units):
    """A row a word.

    White space behind the last word, and the end of a document, are a last row without a word; `none` gives all white
    space rows of its own. At the beginning of a text no boundary is owed; where it ends in a letter, none is added.
    """

    def __init__(self, tokenizer: Tokenizer, space: str = "after") -> None:
        super().__init__(tokenizer)
        self._marks, self._space = boundaries(tokenizer), SPACES[space]
        self._word: OpenRow | None = None
        self._white: OpenRow | None = None
        self._owed = 0.0

    def asked(self, top: int = 0) -> Asked:
        """The nats of some boundary as well."""
        super().asked(top)
        return Asked(self._marks)

    def push(self, text: str, predictions: Predictions) -> Iterator[Row]:
        at = self._align(text, predictions.tokens)
        for run in _runs(text, at, predictions, self._marks):
            part, place = text[run.start : run.end], (self._chars + run.start, self._bytes + int(at.bytes[run.start]))
            if run.white:
                before, own, after = self._space.share(run, self._word is not None)
                yield from self._close_word(before)
                self._white = self._white or OpenRow(*place)
                self._white.add(part, own, run.tokens)
                self._owed += after
            else:
                yield from self._close_white()
                self._word = self._word or OpenRow(*place)
                self._word.add(part, run.nats + self._owed, run.tokens)
                self._owed = 0.0
        self._chars, self._bytes = self._chars + len(text), self._bytes + int(at.bytes[-1])

    def finish(self) -> Iterator[Row]:
        yield from self._close_word(0.0)
        if self._white is not None and not self._space.rows and self._white.tokens:
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
        if self._white is not None and self._space.rows:
            yield self._white.row()
        self._white = None


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


def _runs(text: str, at: Aligned, predictions: Predictions, marks: Marks) -> Iterator[_Run]:
    """The letters and white spaces of a piece, with the tokens that begin in each."""
    if not len(predictions):
        return
    spans = [match.span() for match in re.finditer(r"\s+|\S+", text)]
    if at.begins[-1] == len(text):  # the end of a document that has no line end
        spans.append((len(text), len(text)))
    starts = np.array(spans)[:, 0]
    of = np.searchsorted(starts, at.begins, "right") - 1
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
        opens = white and left <= right and at.begins[left] == start
        holds_letters = white and left <= right and at.done[right] > end
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


class Spacing(NamedTuple):
    """Who owns the white space."""

    share: Share
    rows: bool
    """Whether it has rows of its own."""


# By the names of `config/verbs.py`.
SPACES = {"after": Spacing(_after, False), "before": Spacing(_before, False), "none": Spacing(_none, True)}
