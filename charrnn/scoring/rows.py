"""A row of scored text, and what makes rows of it: pieces of a line go in, rows come out as they are complete."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from charrnn.config import require
from charrnn.scoring.predictions import NATS_ALONE, Asked, Predictions
from charrnn.text.alignment import Alignment
from charrnn.text.tokenizers import Tokenizer


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


@dataclass
class OpenRow:
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
