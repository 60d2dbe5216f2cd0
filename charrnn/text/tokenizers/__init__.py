"""Text to token ids and back, losing nothing. A tokenizer is one class and one line of the table below.

Nothing here loads numpy, so that the command line can name the tokenizers. This room does not read files and does not
decide where a text is split.
"""

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import cast

from charrnn.errors import CheckpointError, ConfigError
from charrnn.text.tokenizers.base import Detokenizer, Ids, Tokenizer

__all__ = ["TOKENIZERS", "Detokenizer", "Ids", "Tokenizer", "from_spec", "tokenizer_class", "train_tokenizer", "united"]

# The kinds of tokenizer, and where the class of each is found: module:class.
TOKENIZERS: dict[str, str] = {
    "char": "charrnn.text.tokenizers.char:CharTokenizer",
    "byte": "charrnn.text.tokenizers.byte:ByteTokenizer",
    "subword": "charrnn.text.tokenizers.subword:SubwordTokenizer",
}


def tokenizer_class(kind: str) -> type[Tokenizer]:
    """The class of this kind. Raises ConfigError on an unknown one."""
    if kind not in TOKENIZERS:
        raise ConfigError(f"`tokenizer` must be one of {', '.join(TOKENIZERS)}, not {kind!r}")
    module, name = TOKENIZERS[kind].split(":")
    return cast("type[Tokenizer]", getattr(import_module(module), name))


def train_tokenizer(kind: str, chunks: Iterable[str], vocab_size: int, *, threads: int = 1) -> Tokenizer:
    """A tokenizer of this kind for a text. Raises ConfigError on an unknown kind, and what its `train` raises."""
    return tokenizer_class(kind).train(chunks, vocab_size, threads=threads)


def from_spec(spec: object) -> Tokenizer:
    """The tokenizer that wrote this spec. Raises CheckpointError on anything else."""
    kind = spec.get("kind") if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not isinstance(kind, str) or kind not in TOKENIZERS:
        raise CheckpointError("the checkpoint names no tokenizer that this version knows")
    return tokenizer_class(kind).from_spec(spec)


def united(tokenizers: Sequence[Tokenizer]) -> Tokenizer:
    """One that holds the symbols of all; their `ids_in` it are those that they have there.

    Raises ConfigError where what they predict is not the same kind of thing: characters and bytes, other subwords.
    """
    first, *others = tokenizers
    for other in others:
        if other.kind != first.kind:
            raise ConfigError(
                f"models of {first.unit} and of {other.unit} predict different things: read models of one `tokenizer`"
            )
        if first.to_size and other.spec() != first.spec():
            raise ConfigError(
                f"models whose {first.unit} differ cut a text in different places: read models of one vocabulary, or "
                "of characters or bytes"
            )
        first = first.extended([other.decode(range(other.size))])
    return first
