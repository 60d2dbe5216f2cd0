"""Subwords: byte-pair pieces (Sennrich et al. 2016) of sentencepiece (Kudo & Richardson 2018), losing nothing."""

import base64
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from charrnn.errors import CheckpointError, ConfigError, CorpusError
from charrnn.text.tokenizers.base import Ids
from charrnn.text.tokenizers.byte import BytePieces, utf8

SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # how sentencepiece writes a space
SAMPLED_BYTES = 8_000_000
LONGEST_SENTENCE = 4096


class SubwordTokenizer(BytePieces):
    """Sentencepiece byte-pair pieces, set up to lose nothing, with byte fallback: it holds every text.

    Ids are sentencepiece's own less one: its id 0, the unknown piece, cannot occur here. Decoding is done from the
    pieces' bytes, for sentencepiece would turn a literal U+2581 into a space.
    """

    kind: ClassVar[str] = "subword"
    unit: ClassVar[str] = "pieces"
    to_size: ClassVar[bool] = True
    any_bytes: ClassVar[bool] = False

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
    def train(cls, chunks: Iterable[str], vocab_size: int, *, threads: int = 1) -> Self:
        """Learn `vocab_size` pieces from a text, from its first 8 MB where it is longer, and check that none is lost.

        Raises ConfigError, with a size that works, when this one cannot hold the text's own characters, CorpusError
        when there is nothing to learn from.
        """
        sentences = list(_sentences(chunks))
        if not sentences:
            raise CorpusError("there is no text to learn subwords from: the training part is empty, or line ends alone")
        characters = len(set().union(*sentences))
        floor = 256 + 1 + characters + 2
        if vocab_size < floor:
            raise ConfigError(
                f"`vocab_size` {vocab_size} is too small for this text: its {characters} characters, 256 bytes and "
                f"the control pieces need {floor}"
            )
        try:
            model = _learn(sentences, vocab_size, threads)
        except RuntimeError:  # in words of sentencepiece's own, which help nobody
            raise CorpusError(
                f"no subword vocabulary of {vocab_size} pieces can be learned from this text: use `tokenizer='byte'`, "
                "which needs none"
            ) from None
        tokenizer = cls(model)
        for sentence in sentences:
            if (again := tokenizer.decode(tokenizer.encode(sentence))) != sentence:
                at = next((i for i, pair in enumerate(zip(sentence, again, strict=False)) if len(set(pair)) > 1), 0)
                raise CorpusError(
                    f"subwords would change this text: {sentence[at : at + 20]!r} becomes {again[at : at + 20]!r}; "
                    "use `tokenizer` char or byte"
                )
        return tokenizer

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> Self:
        """Raises CheckpointError unless `model` is sentencepiece's, in base64."""
        model = spec.get("model")
        if not isinstance(model, str):
            raise CheckpointError("the subword vocabulary is damaged: it has no model")
        try:
            return cls(base64.b64decode(model, validate=True))
        except ValueError:
            raise CheckpointError("the subword vocabulary is damaged: it is not base64") from None

    def spec(self) -> dict[str, Any]:
        return {"kind": self.kind, "model": base64.b64encode(self._model).decode("ascii")}

    def plain(self) -> list[str | int]:
        are_bytes = (self._processor.IsByte(token) for token in range(1, self.size + 1))
        return [piece[0] if byte else piece.decode() for piece, byte in zip(self.pieces, are_bytes, strict=True)]

    def encode(self, text: str, *, unknown: bool = False) -> Ids:
        utf8(text)
        tokens: list[int] = []
        for number, part in enumerate(text.split(SPACE)):
            if number:
                tokens += self._space_sign
            # A newline is always a piece of its own, so lines are encoded apart, in parallel.
            lines = part.split("\n")
            for ids in self._processor.EncodeAsIds([line + "\n" for line in lines[:-1]] + lines[-1:]):
                tokens += ids
        return np.asarray(tokens, dtype=np.int32) - 1

    def encode_all(self, texts: Sequence[str], *, unknown: bool = False) -> tuple[Ids, npt.NDArray[np.int64]]:
        found = [self.encode(text) for text in texts]
        return np.concatenate([*found, np.empty(0, np.int32)]), np.array([ids.size for ids in found], np.int64)


def _learn(sentences: list[str], vocab_size: int, threads: int) -> bytes:
    """The serialized sentencepiece model. Raises RuntimeError when the text has not so many pieces."""
    import sentencepiece

    written = io.BytesIO()
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
    return written.getvalue()


def _sentences(chunks: Iterable[str]) -> Iterator[str]:
    """Lines of at most LONGEST_SENTENCE characters, until SAMPLED_BYTES are reached."""
    taken = 0
    for chunk in chunks:
        for line in chunk.split("\n"):
            for start in range(0, len(line), LONGEST_SENTENCE):
                sentence = line[start : start + LONGEST_SENTENCE].replace("\0", "")
                if sentence:
                    yield sentence
                    taken += len(sentence.encode("utf-8", "replace"))
        if taken > SAMPLED_BYTES:
            return
