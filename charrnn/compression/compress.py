"""Bytes to a compressed file and back, by one model."""

import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial

from charrnn.compression.coding import decode, encode
from charrnn.compression.container import Container, Manner, content_check, model_mark, read_container
from charrnn.compression.learning import Learning
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
    training_text: Callable[[], str] = str  # what it has learned from, for counts that begin with it

    @cached_property
    def _network(self) -> Engine:
        return open_engine(self.config, self.weights, INT8 if bounded(self.config) else WIDE)

    @cached_property
    def _engine(self) -> Engine:
        return beside_counts(self._network, None if self.counts is None else Counting(self.counts.mixture))

    @cached_property
    def _alphabet(self) -> Alphabet:
        return Alphabet(self.config, self.tokenizer, self.documents)

    @cached_property
    def _mark(self) -> bytes:
        return model_mark(digest(self.config, self.tokenizer, dict(self.weights), self.counts))

    @cached_property
    def _learning(self) -> Learning:
        text = self.training_text().encode("utf-8", "surrogateescape")
        return Learning(self._network, self._alphabet, self._alphabet.message(text).symbols)

    @cached_property
    def _mark_of_learning(self) -> bytes:
        begun_with = self._learning.begins_with.astype("<u4").tobytes()
        return model_mark(hashlib.sha256(self._mark + begun_with).hexdigest())

    def compress(self, content: bytes, blocks: int | None = None, *, learning: bool = False) -> Compressed:
        """Any bytes as a file; `blocks` of them are coded side by side, by default one for each 8,192 symbols, to 64.

        What the model would make longer is stored as it is. With `learning` it is one block: counts that begin with
        the training text are mixed with the network and learn from each symbol.
        """
        manner, text = Manner(0), content
        if b"\r\n" in content and (mended := content.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n") == content:
            manner, text = Manner.CARRIAGE_RETURNS, mended
        message = self._alphabet.message(text)
        count = message.symbols.size
        blocks = min(blocks or max(1, min(MOST_BLOCKS, count // SYMBOLS_FOR_A_BLOCK)), count)
        container = partial(Container, content=content_check(content), length=len(content))
        stored = container(model=self._mark, manner=Manner.STORED, stored=content).to_bytes()
        if not count or self._alphabet.content(message) != text:
            return Compressed(stored, len(content), count, 0, 0.0, 0)
        if learning:
            manner, blocks, mark = manner | Manner.LEARNING, 1, self._mark_of_learning
            coded = self._learning.encode(message.symbols)
        else:
            mark, coded = self._mark, encode(self._engine, self._alphabet, message.symbols, blocks)
        escaped = packed(message.escaped)
        data = container(model=mark, manner=manner, symbols=count, blocks=coded.blocks, escaped=escaped).to_bytes()
        if len(data) > len(stored):
            return Compressed(stored, len(content), count, 0, coded.bits, 0)
        return Compressed(data, len(content), count, blocks, coded.bits, len(message.escaped))

    def decompress(self, data: bytes) -> bytes:
        """The bytes that a file was made of. Raises CorpusError when it is damaged, or another model wrote it."""
        file = read_container(data)
        learning = bool(file.manner & Manner.LEARNING)
        mark = self._mark_of_learning if learning else self._mark
        if file.model != mark:
            raise CorpusError(
                f"the file was compressed with another model{', or after another text' * learning}, whose digest "
                f"begins with {file.model.hex()[:12]}, not {mark.hex()[:12]}: name that model"
            )
        content = file.stored if file.manner & Manner.STORED else self._decoded(file)
        if len(content) != file.length or content_check(content) != file.content:
            raise CorpusError("the compressed file does not give what was compressed: it is damaged")
        return content

    def _decoded(self, file: Container) -> bytes:
        if file.manner & Manner.LEARNING:
            symbols = self._learning.decode(file.blocks[0], file.symbols)
        else:
            symbols = decode(self._engine, self._alphabet, file.blocks, file.symbols)
        try:
            content = self._alphabet.content(Message(symbols, unpacked(file.escaped)))
        except (ValueError, zlib.error):
            raise CorpusError("the compressed file is damaged: what was escaped does not fit the rest") from None
        return content.replace(b"\n", b"\r\n") if file.manner & Manner.CARRIAGE_RETURNS else content
