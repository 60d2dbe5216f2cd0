"""Text to token ids and back, losing nothing: characters, UTF-8 bytes, sentencepiece pieces.

Ids run from 0 to `size` - 1. Two ids beyond them belong to no symbol: `size` is the start of a text or document
(and its end), `size` + 1 stands for a character that the vocabulary does not hold.

This file does not read files and does not decide where a text is split.
"""

import base64
import codecs
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from charrnn.errors import CheckpointError, ConfigError, CorpusError, VocabularyError

Ids = npt.NDArray[np.int32]

CODE_POINTS = 0x110000


class Decoder(Protocol):
    """Ids in, text out, as soon as it is certain; never half a character."""

    def push(self, token: int) -> str:
        """The text that this id completes, often one character, sometimes none."""
        ...

    def finish(self) -> str:
        """What is left; an unfinished character comes out as U+FFFD."""
        ...


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

    def decoder(self) -> Decoder:
        """A fresh streaming decoder."""
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
        """The vocabulary of a text that comes in pieces."""
        seen = np.zeros(CODE_POINTS, dtype=bool)
        for piece in pieces:
            seen[code_points(piece)] = True
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

    def decoder(self) -> Decoder:
        return _CharDecoder(self.symbols)

    def symbol(self, token: int) -> str:
        return self.symbols[token]

    def spec(self) -> dict[str, Any]:
        return {"kind": self.kind, "symbols": self.symbols}


class _CharDecoder:
    def __init__(self, symbols: str) -> None:
        self._symbols = symbols

    def push(self, token: int) -> str:
        return self._symbols[token]

    def finish(self) -> str:
        return ""


class _BytePieces:
    """Decoding for tokenizers whose ids each stand for some bytes of UTF-8."""

    pieces: list[bytes]

    def decode(self, tokens: Iterable[int]) -> str:
        return b"".join(self.pieces[token] for token in tokens).decode("utf-8", "replace")

    def decoder(self) -> Decoder:
        return _ByteDecoder(self.pieces)

    def symbol(self, token: int) -> str:
        piece = self.pieces[token]
        try:
            return piece.decode("utf-8")
        except UnicodeDecodeError:
            return "".join(f"<{byte:02X}>" for byte in piece)


class _ByteDecoder:
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        return self._utf8.decode(self._pieces[token])

    def finish(self) -> str:
        return self._utf8.decode(b"", True)


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise VocabularyError(
            f"character {error.start} is {text[error.start]!r}, half of a surrogate pair and no character of its own: "
            "mend the text"
        ) from None


class ByteTokenizer(_BytePieces):
    """One id for each of the 256 bytes of UTF-8; it holds every text."""

    kind = "byte"
    size = 256

    def __init__(self) -> None:
        self.pieces = [bytes([byte]) for byte in range(256)]

    def encode(self, text: str, *, unknown: bool = False) -> Ids:
        return np.frombuffer(_utf8(text), dtype=np.uint8).astype(np.int32)

    def spec(self) -> dict[str, Any]:
        return {"kind": self.kind}


SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # how sentencepiece writes a space
SAMPLED_BYTES = 8_000_000
LONGEST_SENTENCE = 4096


class SubwordTokenizer(_BytePieces):
    """Sentencepiece byte-pair pieces, set up to lose nothing, with byte fallback: it holds every text.

    Ids are sentencepiece's own less one: its id 0, the unknown piece, cannot occur here. Decoding is done from the
    pieces' bytes, for sentencepiece would turn a literal U+2581 into a space.
    """

    kind = "subword"

    def __init__(self, model: bytes) -> None:
        """`model` is a serialized sentencepiece model. Raises CheckpointError when it is none of ours."""
        import sentencepiece

        self._model = model
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
        except RuntimeError as error:
            raise CheckpointError(f"the subword vocabulary is damaged: {error}") from None
        self.size = self._processor.GetPieceSize() - 1
        self.pieces = [self._bytes_of(token) for token in range(1, self.size + 1)]
        byte_ids = {self._processor.IdToPiece(i): i for i in range(1, self.size + 1) if self._processor.IsByte(i)}
        if len(byte_ids) != 256:
            raise CheckpointError("the subword vocabulary has no byte fallback: it was not made by charrnn")
        self._space_sign = [byte_ids[f"<0x{byte:02X}>"] for byte in SPACE.encode()]

    def _bytes_of(self, token: int) -> bytes:
        piece: str = self._processor.IdToPiece(token)
        if self._processor.IsByte(token):
            return bytes([int(piece[3:5], 16)])
        return piece.replace(SPACE, " ").encode("utf-8")

    @classmethod
    def train(cls, pieces: Iterable[str], vocab_size: int, *, threads: int = 1) -> "SubwordTokenizer":
        """Learn `vocab_size` pieces from a text, from its first 8 MB where it is longer.

        Raises ConfigError when the size cannot hold the text's own characters, CorpusError when the text is too
        small to learn so many pieces; each says a size that works.
        """
        import io

        import sentencepiece

        sentences = list(_sentences(pieces))
        characters = len(set().union(*sentences)) if sentences else 0
        floor = 256 + 1 + characters + 2
        if vocab_size < floor:
            raise ConfigError(
                f"--vocab-size {vocab_size} is too small for this text: its {characters} characters, 256 bytes and "
                f"the control pieces need {floor}"
            )
        written = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.Train(
                sentence_iterator=iter(sentences),
                model_writer=written,
                model_type="bpe",
                vocab_size=vocab_size + 1,
                hard_vocab_limit=False,
                normalization_rule_name="identity",
                add_dummy_prefix=False,
                remove_extra_whitespaces=False,
                user_defined_symbols=["\n"],
                byte_fallback=True,
                character_coverage=1.0,
                max_sentence_length=8 * LONGEST_SENTENCE,
                num_threads=threads,
                unk_id=0,
                bos_id=-1,
                eos_id=-1,
                pad_id=-1,
                minloglevel=2,
            )
        except RuntimeError as error:
            raise CorpusError(
                f"no subword vocabulary of {vocab_size} pieces can be learned from this text ({error}): use a smaller "
                "--vocab-size, or --tokenizer char"
            ) from None
        return cls(written.getvalue())

    def encode(self, text: str, *, unknown: bool = False) -> Ids:
        _utf8(text)
        tokens: list[int] = []
        for number, part in enumerate(text.split(SPACE)):
            if number:
                tokens += self._space_sign
            # A newline is always a piece of its own, so lines are encoded apart, in parallel.
            lines = part.split("\n")
            for ids in self._processor.EncodeAsIds([line + "\n" for line in lines[:-1]] + lines[-1:]):
                tokens += ids
        return np.asarray(tokens, dtype=np.int32) - 1

    def spec(self) -> dict[str, Any]:
        return {"kind": self.kind, "model": base64.b64encode(self._model).decode("ascii")}


def _sentences(pieces: Iterable[str]) -> Iterator[str]:
    """Lines of at most LONGEST_SENTENCE characters, until SAMPLED_BYTES are reached."""
    taken = 0
    for piece in pieces:
        for line in piece.split("\n"):
            for start in range(0, len(line), LONGEST_SENTENCE):
                sentence = line[start : start + LONGEST_SENTENCE].replace("\0", "")
                if sentence:
                    yield sentence
                    taken += len(sentence.encode("utf-8", "replace"))
        if taken > SAMPLED_BYTES:
            return


def from_spec(spec: object) -> Tokenizer:
    """The tokenizer that wrote this spec. Raises CheckpointError on anything else."""
    match spec:
        case {"kind": "char", "symbols": str(symbols)}:
            return CharTokenizer(symbols)
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
