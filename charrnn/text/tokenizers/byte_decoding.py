"""Decoding for tokenizers whose ids each stand for some bytes of UTF-8, whole or as a stream."""

import codecs
from collections.abc import Iterable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from charrnn.errors import VocabularyError

Ids = npt.NDArray[np.int32]


class Detokenizer(Protocol):
    """Ids in, text out, as soon as it is certain; never half a character."""

    def push(self, token: int) -> str:
        """The text that this id completes, often one character, sometimes none."""
        ...

    def finish(self) -> str:
        """What is left; an unfinished character comes out as U+FFFD."""
        ...

    def copy(self) -> "Detokenizer":
        """One that goes on from here by itself."""
        ...


class ByteDecoding:
    """Decoding for tokenizers whose ids each stand for some bytes of UTF-8."""

    pieces: list[bytes]

    def decode(self, tokens: Iterable[int]) -> str:
        return b"".join(self.pieces[token] for token in tokens).decode("utf-8", "replace")

    def detokenizer(self) -> Detokenizer:
        return _ByteDetokenizer(self.pieces)

    def symbol(self, token: int) -> str:
        piece = self.pieces[token]
        try:
            return piece.decode("utf-8")
        except UnicodeDecodeError:
            return "".join(f"<{byte:02X}>" for byte in piece)


class _ByteDetokenizer:
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        return self._utf8.decode(self._pieces[token])

    def finish(self) -> str:
        return self._utf8.decode(b"", True)

    def copy(self) -> "_ByteDetokenizer":
        twin = _ByteDetokenizer(self._pieces)
        twin._utf8.setstate(self._utf8.getstate())
        return twin


def utf8(text: str) -> bytes:
    """The bytes of a text. Raises VocabularyError on half of a surrogate pair, which UTF-8 cannot write."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise VocabularyError(
            f"character {error.start} is {text[error.start]!r}, half of a surrogate pair and no character of its own: "
            "mend the text"
        ) from None
