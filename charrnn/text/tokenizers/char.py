"""Characters: one id for each Unicode code point. Shapes: T characters of a text, V characters of the vocabulary."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from charrnn.errors import CheckpointError, CorpusError, VocabularyError
from charrnn.text.characters import named_all
from charrnn.text.tokenizers.base import Detokenizer, Ids, Tokenizer

CODE_POINTS = 0x110000


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """The code points of a text, (T,)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


class CharTokenizer:
    """One id for each Unicode code point of the training text, in code point order."""

    kind: ClassVar[str] = "char"
    unit: ClassVar[str] = "characters"
    to_size: ClassVar[bool] = False
    any_bytes: ClassVar[bool] = False

    def __init__(self, symbols: str) -> None:
        """`symbols` must be distinct. Raises CheckpointError otherwise."""
        if not symbols or len(set(symbols)) != len(symbols):
            raise CheckpointError("a character vocabulary must hold distinct characters, at least one")
        self.symbols = symbols
        self.size = len(symbols)
        self.pieces = [symbol.encode("utf-8", "surrogatepass") for symbol in symbols]
        self._ids = np.full(CODE_POINTS, self.size + 1, dtype=np.int32)
        self._ids[code_points(symbols)] = np.arange(self.size, dtype=np.int32)

    @classmethod
    def train(cls, chunks: Iterable[str], vocab_size: int = 0, *, threads: int = 1) -> Self:
        """Every character of the text. Raises CorpusError when there is none."""
        seen = np.zeros(CODE_POINTS, dtype=bool)
        for chunk in chunks:
            seen[code_points(chunk)] = True
        if not seen.any():
            raise CorpusError("there is no text to learn characters from: the training part is empty")
        return cls("".join(map(chr, np.flatnonzero(seen))))

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> Self:
        """Raises CheckpointError unless `symbols` is a list of distinct code points."""
        points = spec.get("symbols")
        if not isinstance(points, list) or not all(type(p) is int and 0 <= p < CODE_POINTS for p in points):
            raise CheckpointError("the character vocabulary is damaged: it is no list of code points")
        return cls("".join(map(chr, points)))

    def spec(self) -> dict[str, Any]:
        # As numbers: JSON would join two halves of a surrogate pair that happen to be neighbours.
        return {"kind": self.kind, "symbols": [ord(symbol) for symbol in self.symbols]}

    def encode(self, text: str, *, unknown: bool = False) -> Ids:
        tokens: Ids = self._ids.take(code_points(text))
        if not unknown and (tokens > self.size).any():
            raise VocabularyError(self.complaint(text, np.flatnonzero(tokens > self.size)))
        return tokens

    def encode_all(self, texts: Sequence[str], *, unknown: bool = False) -> tuple[Ids, npt.NDArray[np.int64]]:
        return self.encode("".join(texts), unknown=unknown), np.array(list(map(len, texts)), np.int64)

    @staticmethod
    def complaint(text: str, positions: npt.NDArray[np.intp]) -> str:
        """That the characters at these positions (N,) of a text are unknown: which, how many, where the first is."""
        first = int(positions[0])
        line = text.count("\n", 0, first) + 1
        column = first - text.rfind("\n", 0, first)
        names = named_all(text[position] for position in positions)
        return (
            f"the model's vocabulary has no {names} ({len(positions)} in the text, the first at line {line}, column "
            f"{column}): it was not in the training text"
        )

    def decode(self, tokens: Iterable[int]) -> str:
        return "".join(self.symbols[token] for token in tokens)

    def detokenizer(self) -> Detokenizer:
        return _CharDetokenizer(self.symbols)

    def symbol(self, token: int) -> str:
        return self.symbols[token]

    def plain(self) -> list[str | int]:
        return [*self.symbols]

    def extended(self, chunks: Iterable[str]) -> Self:
        """With the characters of a further text, in code point order again, so that ids move."""
        return type(self)("".join(sorted(set(self.symbols).union(*map(set, chunks)))))

    def ids_in(self, larger: Tokenizer) -> npt.NDArray[np.int64]:
        return larger.encode(self.symbols).astype(np.int64)


class _CharDetokenizer:
    def __init__(self, symbols: str) -> None:
        self._symbols = symbols

    def push(self, token: int) -> str:
        return self._symbols[token]

    def finish(self) -> str:
        return ""

    def copy(self) -> "_CharDetokenizer":
        return self
