"""A range coder (Martin 1979) for B messages side by side, in 64-bit integers.

A message is a number from 0 to 1, written in words of 16 bits. Each symbol narrows the interval in which it lies to the
symbol's share of it. `low` is the interval's lower end and `width` its size, in units of 2^-48 of what the words so far
leave open; where less than 2^32 is left of the width, a word is written. A word may come out one bit too long: that is
a carry into the words before it, and is settled at the end.
Shapes: B messages, W words, V symbols.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]

WORD, OPEN = 16, 48
LEAST = 1 << OPEN - WORD
# Frequencies of one symbol may add up to this.
LARGEST_TOTAL = 1 << 24


class RangeEncoder:
    """Symbols in, bytes out."""

    def __init__(self, messages: int) -> None:
        self._low = np.zeros(messages, np.int64)
        self._width = np.full(messages, 1 << OPEN, np.int64)
        self._written: list[tuple[Numbers, Numbers]] = []  # messages (N,), a word of each (N,)

    def encode(self, before: Numbers, frequency: Numbers, total: Numbers) -> None:
        """One symbol of each of the first messages (N,): its frequency, that of all in front of it, that of all."""
        low, width = self._low[: len(total)], self._width[: len(total)]
        np.floor_divide(width, total, out=width)
        low += width * before
        width *= frequency
        while (narrow := np.flatnonzero(width < LEAST)).size:
            self._written.append((narrow, low[narrow] >> OPEN - WORD))
            low[narrow] = (low[narrow] & LEAST - 1) << WORD
            width[narrow] <<= WORD

    def finish(self) -> list[bytes]:
        """Each message, without the zeros at its end."""
        messages = np.arange(len(self._low))
        # A number of the interval that has no more than one word to go.
        self._written.append((messages, self._low + (LEAST - 1) >> OPEN - WORD))
        owners, words = (np.concatenate(column) for column in zip(*self._written, strict=True))
        order = np.argsort(owners, kind="stable")
        ends = np.cumsum(np.bincount(owners, minlength=len(messages)))[:-1]
        return [_settled(each) for each in np.split(words[order], ends)]


def _settled(words: Numbers) -> bytes:
    """Words (W,) of 16 bits and a carry as bytes."""
    while (carries := words >> WORD).any():
        words &= (1 << WORD) - 1
        words[:-1] += carries[1:]
    return words.astype(">u2").tobytes().rstrip(b"\0")


class RangeDecoder:
    """Bytes in, symbols out, for whoever knows the frequencies that they were written with."""

    def __init__(self, messages: Sequence[bytes]) -> None:
        # Behind its end, a message goes on with zeros.
        longest = max(map(len, messages), default=0) + 2 * (OPEN // WORD) + 2
        padded = b"".join(message.ljust(longest + longest % 2, b"\0") for message in messages)
        self._words = np.frombuffer(padded, ">u2").reshape(len(messages), -1).astype(np.int64)
        self._at = np.full(len(messages), OPEN // WORD)
        # How far the number lies above the interval's lower end.
        self._above = np.zeros(len(messages), np.int64)
        for column in range(OPEN // WORD):
            self._above = self._above << WORD | self._words[:, column]
        self._width = np.full(len(messages), 1 << OPEN, np.int64)

    def decode(self, cumulative: Numbers) -> Numbers:
        """The next symbol (N,) of each of the first messages; frequencies (N, V) are added up from the first symbol."""
        rows = np.arange(len(cumulative))
        above, width, total = self._above[: len(rows)], self._width[: len(rows)], cumulative[:, -1]
        np.floor_divide(width, total, out=width)
        symbols: Numbers = (cumulative <= (above // width)[:, None]).sum(axis=1).clip(max=cumulative.shape[1] - 1)
        before = np.where(symbols > 0, cumulative[rows, symbols - 1], 0)
        above -= width * before
        width *= cumulative[rows, symbols] - before
        while (narrow := np.flatnonzero(width < LEAST)).size:
            above[narrow] = above[narrow] << WORD | self._words[narrow, self._at[narrow]]
            width[narrow] <<= WORD
            self._at[narrow] = np.minimum(self._at[narrow] + 1, self._words.shape[1] - 1)
        return symbols
