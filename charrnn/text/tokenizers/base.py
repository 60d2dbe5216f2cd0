"""What every tokenizer does. Shapes: T tokens, V symbols of the vocabulary.

Ids run from 0 to V - 1 (`size` is V). Two ids beyond them belong to no symbol: V is the start of a text or document
(and its end), V + 1 stands for a character that the vocabulary does not hold (out of vocabulary).
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Ids: TypeAlias = "npt.NDArray[np.int32]"


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


class Tokenizer(Protocol):
    """Text to token ids and back; `decode(encode(text)) == text` for every text that the vocabulary holds."""

    kind: ClassVar[str]
    """Its name in `TOKENIZERS`."""
    unit: ClassVar[str]
    """What its ids stand for, in the plural."""
    to_size: ClassVar[bool]
    """Whether it learns a vocabulary of a size that is asked for, `vocab_size`."""
    any_bytes: ClassVar[bool]
    """Whether it takes any bytes, those that are no UTF-8 too, as `Corpus(any_bytes=True)` reads them."""
    size: int
    pieces: list[bytes]
    """The UTF-8 of each id's text, which may be part of a character."""

    @classmethod
    def train(cls, chunks: Iterable[str], vocab_size: int, *, threads: int = 1) -> Self:
        """The tokenizer of a text that comes in chunks; `vocab_size` and `threads` are for what learns `to_size`.

        Raises CorpusError when the text does not do, ConfigError on a size that cannot be.
        """
        ...

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> Self:
        """The tokenizer that wrote this spec. Raises CheckpointError when it is damaged."""
        ...

    def spec(self) -> dict[str, Any]:
        """All that `from_spec` needs, as JSON, its `kind` with it."""
        ...

    def encode(self, text: str, *, unknown: bool = False) -> Ids:
        """Ids (T,) of a text.

        Raises VocabularyError naming the characters that the vocabulary lacks, unless `unknown` is set, which
        gives them the id `size` + 1.
        """
        ...

    def encode_all(self, texts: "Sequence[str]", *, unknown: bool = False) -> "tuple[Ids, npt.NDArray[np.int64]]":
        """The ids of some texts, one behind another, each as `encode` gives them, and how many each has."""
        ...

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of these ids."""
        ...

    def detokenizer(self) -> Detokenizer:
        """A fresh streaming detokenizer."""
        ...

    def symbol(self, token: int) -> str:
        """A printable name of one id."""
        ...

    def plain(self) -> "list[str | int]":
        """What each id stands for, for readers that are not ours: its text, or the byte that it is."""
        ...

    def extended(self, chunks: Iterable[str]) -> Self:
        """A tokenizer that holds a further text as well: itself where it holds every text. Ids may move: `ids_in`."""
        ...

    def ids_in(self, larger: "Tokenizer") -> "npt.NDArray[np.int64]":
        """(V,): the id that each of its symbols has in a tokenizer that extends it."""
        ...
