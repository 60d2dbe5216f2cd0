"""Bytes to a compressed file and back, by one model."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial

from charrnn.compression.coding import decode, encode
from charrnn.compression.container import Container, Manner, content_check, model_mark, read_container
from charrnn.compression.symbols import Alphabet, Message, packed, unpacked
from charrnn.config import ModelConfig
from charrnn.errors import CorpusError
from charrnn.inference.base import Engine
from charrnn.inference.counted import beside_counts
from charrnn.inference.counting import Counting
from charrnn.inference.engine import open_engine
from charrnn.inference.formats import INT8, WIDE
from charrnn.inference.products import Floats
from charrnn.models.counts.kept import KeptCounts
from charrnn.models.weights import bounded
from charrnn.storage.digest import digest
from charrnn.text.tokenizers import Tokenizer

# A block costs its cold start, about 40 nats, and the coder's end: so many symbols make little of that.
SYMBOLS_FOR_A_BLOCK, MOST_BLOCKS = 1 << 13, 64
BYTES_OF_A_CUT = 9


@dataclass(frozen=True)
class Compressed:
    """A compressed file, and how it came about."""

    data: bytes
    length: int  # of the content, in bytes
    symbols: int
    blocks: int  # 0: stored, for the model would have made it longer
    bits: float  # what the symbols cost by the model
    escaped: int  # runs of bytes for which the vocabulary has no symbols


@dataclass(frozen=True, eq=False)
class Compressor:
    """What compresses with a model, whose weights stand under the names of its file."""

    config: ModelConfig
    weights: Mapping[str, Floats]
    tokenizer: Tokenizer
    documents: str = "stream"
    counts: KeptCounts | None = None

    @cached_property
    def _engine(self) -> Engine:
        engine = open_engine(self.config, self.weights, INT8 if bounded(self.config) else WIDE)
        return beside_counts(engine, None if self.counts is None else Counting(self.counts.mixture))

    @cached_property
    def _alphabet(self) -> Alphabet:
        return Alphabet(self.config, self.tokenizer, self.documents)

    @cached_property
    def _mark(self) -> bytes:
        return model_mark(digest(self.config, self.tokenizer, dict(self.weights), self.counts))

    def compress(self, content: bytes, blocks: int | None = None) -> Compressed:
        """Any bytes as a file; `blocks` of them are coded side by side, by default one for each 8,192 symbols, to 64.

        What the model would make longer is stored as it is.
        """
        manner, text = Manner(0), content
        if b"\r\n" in content and (mended := content.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n") == content:
            manner, text = Manner.CARRIAGE_RETURNS, mended
        message = self._alphabet.message(text)
        count = message.symbols.size
        blocks = min(blocks or max(1, min(MOST_BLOCKS, count // SYMBOLS_FOR_A_BLOCK)), count)
        container = partial(Container, model=self._mark, content=content_check(content), length=len(content))
        stored = container(manner=Manner.STORED, stored=content).to_bytes()
        if not count or self._alphabet.content(message) != text:
            return Compressed(stored, len(content), count, 0, 0.0, 0)
        coded = encode(self._engine, self._alphabet, message.symbols, blocks)
        escaped = packed(message.escaped)
        data = container(manner=manner, symbols=count, blocks=coded.blocks, escaped=escaped).to_bytes()
        if len(data) > len(stored):
            return Compressed(stored, len(content), count, 0, coded.bits, 0)
        return Compressed(data, len(content), count, blocks, coded.bits, len(message.escaped))

    def decompress(self, data: bytes) -> bytes:
        """The bytes that a file was made of. Raises CorpusError when it is damaged, or another model wrote it."""
        file = read_container(data)
        if file.model != self._mark:
            raise CorpusError(
                f"the file was compressed with another model, whose digest begins with {file.model.hex()[:12]}, not "
                f"{self._mark.hex()[:12]}: name that model"
            )
        content = file.stored if file.manner & Manner.STORED else self._decoded(file)
        if len(content) != file.length or content_check(content) != file.content:
            raise CorpusError("the compressed file does not give what was compressed: it is damaged")
        return content

    def _decoded(self, file: Container) -> bytes:
        symbols = decode(self._engine, self._alphabet, file.blocks, file.symbols)
        try:
            content = self._alphabet.content(Message(symbols, unpacked(file.escaped)))
        except (ValueError, zlib.error):
            raise CorpusError("the compressed file is damaged: what was escaped does not fit the rest") from None
        return content.replace(b"\n", b"\r\n") if file.manner & Manner.CARRIAGE_RETURNS else content
