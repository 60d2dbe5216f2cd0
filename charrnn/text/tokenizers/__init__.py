"""Text to token ids and back, losing nothing: characters, UTF-8 bytes, sentencepiece pieces.

Ids run from 0 to `size` - 1. Two ids beyond them belong to no symbol: `size` is the start of a text or document
(and its end), `size` + 1 stands for a character that the vocabulary does not hold.

This file does not read files and does not decide where a text is split.
"""

import base64
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from charrnn.errors import CheckpointError, ConfigError, CorpusError, VocabularyError
from charrnn.text.tokenizers.byte_decoding import ByteDecoding, Detokenizer, Ids, utf8
from charrnn.text.tokenizers.subword import SubwordTokenizer

CODE_POINTS = 0x110000


class Tokenizer(Protocol):
    """What every tokenizer does; `decode(encode(text)) == text` for every text that it holds."""

    kind: str
    size: int

    def encode(self, text: str, *, unknown: bool = False) -> Ids:
        """Ids (T,) of a text.

        Raises VocabularyError naming the characters that the vocabulary lacks, unless `unknown` is set, which
        gives them the id `size` + 1.
        """
        ...

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of these ids."""
        ...

    def detokenizer(self) -> Detokenizer:
        """A fresh streaming engine."""
        ...

    def symbol(self, token: int) -> str:
        """A printable name of one id."""
        ...

    def spec(self) -> dict[str, Any]:
        """All that `from_spec` needs, as JSON."""
        ...


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """The code points of a text, (C,)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


class CharTokenizer:
    """One id for each Unicode code point of the training text, in code point order."""

    kind = "char"

    def __init__(self, symbols: str) -> None:
        """`symbols` must be distinct. Raises CheckpointError otherwise."""
        if not symbols or len(set(symbols)) != len(symbols):
            raise CheckpointError("a character vocabulary must hold distinct characters, at least one")
        self.symbols = symbols
        self.size = len(symbols)
        self._ids = np.full(CODE_POINTS, self.size + 1, dtype=np.int32)
        self._ids[code_points(symbols)] = np.arange(self.size, dtype=np.int32)

    @classmethod
    def train(cls, pieces: Iterable[str]) -> "CharTokenizer":
        """The vocabulary of a text that comes in pieces. Raises CorpusError when there is none."""
        seen = np.zeros(CODE_POINTS, dtype=bool)
        for piece in pieces:
            seen[code_points(piece)] = True
        if not seen.any():
            raise CorpusError("there is no text to learn characters from: the training part is empty")
        return cls("".join(map(chr, np.flatnonzero(seen))))

    def encode(self, text: str, *, unknown: bool = False) -> Ids:
        tokens: Ids = self._ids[code_points(text)]
        if not unknown and (tokens > self.size).any():
            raise VocabularyError(self._complaint(text, tokens))
        return tokens

    def _complaint(self, text: str, tokens: Ids) -> str:
        places = np.flatnonzero(tokens > self.size)
        missing = sorted({text[place] for place in places})
        first = int(places[0])
        line = text.count("\n", 0, first) + 1
        column = first - text.rfind("\n", 0, first)
        names = ", ".join(f"{character!r}" for character in missing[:8]) + (", …" if len(missing) > 8 else "")
        return (
            f"the model's vocabulary has no {names} ({len(places)} in the text, the first at line {line}, column "
            f"{column}): it was not in the training text"
        )

    def decode(self, tokens: Iterable[int]) -> str:
        return "".join(self.symbols[token] for token in tokens)

    def detokenizer(self) -> Detokenizer:
        return _CharDetokenizer(self.symbols)

    def symbol(self, token: int) -> str:
        return self.symbols[token]

    def spec(self) -> dict[str, Any]:
        # As numbers: JSON would join two halves of a surrogate pair that happen to be neighbours.
        return {"kind": self.kind, "symbols": [ord(symbol) for symbol in self.symbols]}


class _CharDetokenizer:
    def __init__(self, symbols: str) -> None:
        self._symbols = symbols

    def push(self, token: int) -> str:
        return self._symbols[token]

    def finish(self) -> str:
        return ""

    def copy(self) -> "_CharDetokenizer":
        return self


class ByteTokenizer(ByteDecoding):
    """One id for each of the 256 bytes of UTF-8; it holds every text."""

    kind = "byte"
    size = 256

    def __init__(self) -> None:
        self.pieces = [bytes([byte]) for byte in range(256)]

    def encode(self, text: str, *, unknown: bool = False) -> Ids:
        return np.frombuffer(utf8(text), dtype=np.uint8).astype(np.int32)

    def spec(self) -> dict[str, Any]:
        return {"kind": self.kind}


def from_spec(spec: object) -> Tokenizer:
    """The tokenizer that wrote this spec. Raises CheckpointError on anything else."""
    match spec:
        case {"kind": "char", "symbols": [*points]} if all(type(p) is int and 0 <= p < CODE_POINTS for p in points):
            return CharTokenizer("".join(map(chr, points)))
        case {"kind": "byte"}:
            return ByteTokenizer()
        case {"kind": "subword", "model": str(model)}:
            try:
                return SubwordTokenizer(base64.b64decode(model, validate=True))
            except ValueError:
                raise CheckpointError("the subword vocabulary is damaged: it is not base64") from None
        case _:
            raise CheckpointError("the checkpoint names no tokenizer that this version knows")


def train_tokenizer(kind: str, pieces: Iterable[str], vocab_size: int, *, threads: int = 1) -> Tokenizer:
    """A tokenizer of this kind for a text. Raises ConfigError on an unknown kind."""
    match kind:
        case "char":
            return CharTokenizer.train(pieces)
        case "byte":
            return ByteTokenizer()
        case "subword":
            return SubwordTokenizer.train(pieces, vocab_size, threads=threads)
        case _:
            raise ConfigError(f"tokenizer must be char, byte or subword, not {kind!r}")


def extend(tokenizer: Tokenizer, pieces: Iterable[str]) -> Tokenizer:
    """A tokenizer that holds a further text as well. Bytes and subwords hold every text already.

    Characters are put in code point order again, so that ids move: see `ids_in`.
    """
    if not isinstance(tokenizer, CharTokenizer):
        return tokenizer
    return CharTokenizer("".join(sorted(set(tokenizer.symbols).union(*map(set, pieces)))))


def ids_in(larger: Tokenizer, tokenizer: Tokenizer) -> npt.NDArray[np.int64]:
    """(size,): the id that each symbol of a tokenizer has in one that extends it."""
    if not isinstance(tokenizer, CharTokenizer):
        return np.arange(tokenizer.size)
    return larger.encode(tokenizer.symbols).astype(np.int64)
