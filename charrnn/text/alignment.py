"""Which characters and bytes of a text its tokens stand for. Shapes: N tokens, C characters."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from charrnn.text.tokenizers import Tokenizer
from charrnn.text.tokenizers.byte import BytePieces
from charrnn.text.tokenizers.char import code_points

Positions = npt.NDArray[np.int64]

# UTF-8 writes code points from here on in one byte more.
LONGER_FROM = np.array([0x80, 0x800, 0x10000])
# A byte that is no UTF-8 is read as one of these (PEP 383), and is one byte again.
LONE_BYTES = (0xDC80, 0xDCFF)


class Aligned(NamedTuple):
    """Where the tokens of a text stand in it."""

    begins: Positions
    """(N,) the character in which each token begins; C for the end of a document that has no line end."""
    done: Positions
    """(N,) how many characters are complete behind it."""
    reached: Positions
    """(N,) how many are complete or begun."""
    byte: Positions
    """(N,) the byte with which it begins."""
    bytes: Positions
    """(C + 1,) the byte with which each character begins, and where the text ends."""


class Alignment:
    """Aligns texts with the tokens that one tokenizer makes of them.

    Behind its tokens a text may have the end of a document, which stands for all that the text has left.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._end = tokenizer.size
        # None: a token is a character.
        self._lengths = np.array([*map(len, tokenizer.pieces), 0]) if isinstance(tokenizer, BytePieces) else None

    def __call__(self, text: str, tokens: npt.NDArray[np.integer]) -> Aligned:
        """A text (C,) and its tokens (N,)."""
        bytes = np.concatenate([[0], np.cumsum(_utf8_widths(text))])
        if self._lengths is None:
            begins, done = (np.minimum(np.arange(first, first + tokens.size), len(text)) for first in (0, 1))
            byte, reached = bytes[begins], done.copy()
        else:
            lengths = self._lengths[tokens]
            ends = np.cumsum(lengths)
            byte = ends - lengths
            begins, done = (np.searchsorted(bytes[1:], places, "right") for places in (byte, ends))
            reached = np.searchsorted(bytes, ends, "left")
        if tokens.size and tokens[-1] == self._end:
            done[-1] = reached[-1] = len(text)
        return Aligned(begins, done, reached, byte, bytes)


def _utf8_widths(text: str) -> Positions:
    """The bytes of each character (C,); 3 of half a surrogate pair, which is none."""
    if text.isascii():
        return np.ones(len(text), np.int64)
    points = code_points(text).astype(np.int64)
    widths: Positions = 1 + np.searchsorted(LONGER_FROM, points, "right")
    widths[(points >= LONE_BYTES[0]) & (points <= LONE_BYTES[1])] = 1
    return widths
