"""Bytes of UTF-8: one id for each, and what all tokenizers share whose ids each stand for some bytes."""

import codecs
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from charrnn.errors import VocabularyError
from charrnn.text.tokenizers.base import Detokenizer, Ids, Tokenizer


class BytePieces:
    """A vocabulary of byte strings: decoding, whole or as a stream. It holds every text, so that it never grows."""

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

    def extended(self, chunks: Iterable[str]) -> Self:
        return self

    def ids_in(self, larger: Tokenizer) -> npt.NDArray[np.int64]:
        return np.arange(len(self.pieces))


class ByteTokenizer(BytePieces):
    """One id for each of the 256 bytes: of UTF-8, or any others, which are decoded as U+FFFD."""

    kind: ClassVar[str] = "byte"
    unit: ClassVar[str] = "bytes"
    to_size: ClassVar[bool] = False
    any_bytes: ClassVar[bool] = True

    def __init__(self) -> None:
        self.pieces = [bytes([byte]) for byte in range(256)]
        self.size = len(self.pieces)

    @classmethod
    def train(cls, chunks: Iterable[str], vocab_size: int = 0, *, threads: int = 1) -> Self:
        """There is nothing to learn: the text is not read."""
        return cls()

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> Self:
        return cls()

    def spec(self) -> dict[str, Any]:
        return {"kind": self.kind}

    def plain(self) -> list[str | int]:
        return [*range(self.size)]

    def encode(self, text: str, *, unknown: bool = False) -> Ids:
        return np.frombuffer(utf8(text, "surrogateescape"), dtype=np.uint8).astype(np.int32)

    def encode_all(self, texts: Sequence[str], *, unknown: bool = False) -> tuple[Ids, npt.NDArray[np.int64]]:
        sizes = np.array([len(utf8(text, "surrogateescape")) for text in texts], np.int64)
        return self.encode("".join(texts)), sizes


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


def utf8(text: str, errors: str = "strict") -> bytes:
    """The bytes of a text. Raises VocabularyError on half of a surrogate pair, which UTF-8 cannot write."""
    try:
        return text.encode("utf-8", errors)
    except UnicodeEncodeError as error:
        raise VocabularyError(
            f"character {error.start} is {text[error.start]!r}, half of a surrogate pair and no character of its own: "
            "mend the text"
        ) from None
