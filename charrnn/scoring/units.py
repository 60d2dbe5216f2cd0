"""What the units of a text cost: its lines, words, characters and tokens, each a row, all adding up to the same total.

A token belongs to the unit in which it begins: the bytes of a character to the character, a piece of several letters to
the first of them, for with the piece the others are certain.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from charrnn.scoring.predictions import Asked, Predictions
from charrnn.scoring.rows import OpenRow, Row, Units
from charrnn.scoring.words import Words
from charrnn.text.tokenizers import Tokenizer


def symbol(tokenizer: Tokenizer, token: int) -> str:
    """The name of an id among the alternatives."""
    return "<end>" if token == tokenizer.size else tokenizer.symbol(token)


class Lines(Units):
    """The line as one row, its line end with it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer)
        self._line = OpenRow(0, 0)

    def push(self, text: str, predictions: Predictions) -> Iterator[Row]:
        self._line.add(text, float(predictions.nll.sum()), len(predictions))
        yield from ()

    def finish(self) -> Iterator[Row]:
        yield self._line.row()
        self._line = OpenRow(0, 0)


class _EachOfAToken(Units):
    """Rows that each tell of the token that begins with it: where alternatives are asked for, of all about it."""

    def asked(self, top: int = 0) -> Asked:
        return Asked(rank=top > 0, entropy=top > 0, top=top)


class Tokens(_EachOfAToken):
    """A row a token. Its text is what it completes: of a character's bytes, the last has the character."""

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


class Characters(_EachOfAToken):
    """A row a character, and one without text for the end of a document that has no line end."""

    def push(self, text: str, predictions: Predictions) -> Iterator[Row]:
        at = self._align(text, predictions.tokens)
        if len(predictions):
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
        self._chars, self._bytes = self._chars + len(text), self._bytes + int(at.bytes[-1])


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


# What a row may be, by the names of `config/verbs.py`.
UNITS: dict[str, Callable[..., Units]] = {"line": Lines, "word": Words, "char": Characters, "token": Tokens}


def units(per: str, tokenizer: Tokenizer, space: str = "after") -> Units:
    """The units of this name; `space` says whose the white space between words is."""
    return Words(tokenizer, space) if per == "word" else UNITS[per](tokenizer)
