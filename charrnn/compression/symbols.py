"""Any bytes as symbols that a model predicts, and back.

Beside the ids of the vocabulary there are two: the end of a document, where the model knows such, which stands for what
separates documents; and an escape, which stands for a run of bytes that the vocabulary has no symbols for. What was
escaped is kept beside the symbols. Shapes: N symbols, V vocabulary.
"""

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn.compression.numbers import read_number, written_number
from charrnn.config import ModelConfig
from charrnn.text.documents import SEPARATORS
from charrnn.text.letters import Spelling
from charrnn.text.tokenizers import Tokenizer
from charrnn.text.tokenizers.byte import BytePieces

Ids = npt.NDArray[np.int64]

# Bytes that are no UTF-8, as they are read: a lone surrogate for each.
_NO_UTF8 = re.compile("([\udc80-\udcff]+)")


@dataclass(frozen=True)
class Message:
    """Bytes as symbols (N,), and what the escapes among them stand for, in order."""

    symbols: Ids
    escaped: list[bytes]


class Alphabet:
    """The symbols of a model."""

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer, documents: str) -> None:
        """`documents`: how the model's training text was told apart."""
        self._tokenizer, self._start = tokenizer, config.start_id
        self._separator = SEPARATORS[documents] if config.documents else None
        self.end = config.start_id if config.documents else None
        self.escape = None if tokenizer.any_bytes else config.vocab_size
        self.size = config.vocab_size + (self.escape is not None)

    @cached_property
    def spelling(self) -> Spelling:
        """How the ids of the vocabulary make words."""
        return Spelling.of(self._tokenizer)

    def message(self, content: bytes) -> Message:
        """The symbols of any bytes."""
        symbols: list[npt.NDArray[Any]] = [np.empty(0, np.int64)]
        escaped: list[bytes] = []
        text = content.decode("utf-8", "surrogateescape")
        for number, document in enumerate(text.split(self._separator) if self._separator else [text]):
            if number:
                symbols.append(np.array([self.end]))
            for ids, left_out in self._encoded(document):
                symbols.append(ids)
                escaped += left_out
        return Message(np.concatenate(symbols).astype(np.int64), escaped)

    def _encoded(self, text: str) -> Iterator[tuple[npt.NDArray[Any], list[bytes]]]:
        """Symbols of a text, with what the escapes among them stand for, part by part."""
        if self.escape is None:
            yield self._tokenizer.encode(text), []
            return
        escape = np.array([self.escape])
        for number, part in enumerate(_NO_UTF8.split(text)):
            if number % 2:
                yield escape, [_bytes(part)]
            elif part:
                yield self._escaping(part, self._tokenizer.encode(part, unknown=True), escape)

    def _escaping(
        self, text: str, ids: npt.NDArray[Any], escape: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[Any], list[bytes]]:
        """The ids with one escape for each run of those that stand for an unknown character, and these characters."""
        unknown = ids > self._start
        if not unknown.any():
            return ids, []
        edges = np.flatnonzero(np.diff(unknown, prepend=False, append=False)).reshape(-1, 2)
        kept = ~unknown
        kept[edges[:, 0]] = True
        return np.where(unknown, escape, ids)[kept], [_bytes(text[first:end]) for first, end in edges.tolist()]

    def content(self, message: Message) -> bytes:
        """The bytes of a message."""
        meant = self._meanings()
        parts = [meant[symbol] for symbol in message.symbols.tolist()]
        if self.escape is not None:
            for place, escaped in zip(np.flatnonzero(message.symbols == self.escape), message.escaped, strict=True):
                parts[place] = escaped
        return b"".join(parts)

    def _meanings(self) -> list[bytes]:
        """What each symbol stands for; an escape, for nothing."""
        tokenizer = self._tokenizer
        if isinstance(tokenizer, BytePieces):
            meant = list(tokenizer.pieces)
        else:
            meant = [tokenizer.symbol(token).encode("utf-8", "surrogatepass") for token in range(tokenizer.size)]
        return [*meant, *([self._separator.encode()] if self._separator else []), b""]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def packed(escaped: list[bytes]) -> bytes:
    """What was escaped in one piece, squeezed."""
    return zlib.compress(b"".join(written_number(len(each)) + each for each in escaped), 9) if escaped else b""


def unpacked(data: bytes) -> list[bytes]:
    """The same back. Raises zlib.error or ValueError on anything else."""
    rest, escaped = memoryview(zlib.decompress(data) if data else b""), []
    while rest:
        length, rest = read_number(rest)
        escaped.append(bytes(rest[:length]))
        rest = rest[length:]
    return escaped
