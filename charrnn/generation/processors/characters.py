"""Masks of characters: what a text may be written in, and what may not come in it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from charrnn.config import require
from charrnn.config.fields import several
from charrnn.generation.lazy import LazyModule
from charrnn.generation.processors.base import DROPPED, Processor, sampling

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from charrnn.generation.config import SampleConfig
    from charrnn.generation.processors.base import Logits
    from charrnn.generation.sequence import TextSequence
    from charrnn.inference.base import Drawing
    from charrnn.text.tokenizers import Tokenizer
else:
    np = LazyModule("numpy")

# What a byte that is no character by itself is read as.
NO_CHARACTER = "\N{REPLACEMENT CHARACTER}"


class CharacterMask(Processor):
    """Keep some symbols of the vocabulary. The end of a document is no character, and may always come."""

    def __init__(self, kept: npt.NDArray[np.bool_]) -> None:
        self.kept = kept

    @classmethod
    def build(cls, config: SampleConfig, tokenizer: Tokenizer) -> Self | None:
        ((name, _, _),) = cls.options
        named = set("".join(getattr(config, name) or ()))
        if not named:
            return None
        texts = [set(tokenizer.decode([token])) for token in range(tokenizer.size)]
        if lacking := sorted(named - set().union(*texts)):
            cls.refuse(name, lacking[0])
        kept = np.array([*(cls.keeps(text, named) for text in texts), True])
        require(bool(kept[:-1].any()), f"`{name}` leaves nothing to write: no symbol of the vocabulary stays")
        return cls(kept)

    @staticmethod
    def refuse(name: str, character: str) -> None:
        """What to say of a character that no symbol stands for."""

    @staticmethod
    @abstractmethod
    def keeps(text: set[str], named: set[str]) -> bool:
        """Whether a symbol of these characters stays."""

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        return np.where(self.kept[: logits.shape[1]], logits, DROPPED)

    def drawing(self, drawing: Drawing) -> Drawing | None:
        return drawing._replace(kept=self.kept if drawing.kept is None else drawing.kept & self.kept)


class Allow(CharacterMask):
    """Nothing but these characters. Bytes of other than ASCII are characters only together, and do not come."""

    options = (
        ("allow", tuple[str, ...] | None,
         sampling("Characters to write in: no others come; repeatable.", says="all",
                  default=(), metavar="<text>", parse=several)),
    )  # fmt: skip

    @staticmethod
    def refuse(name: str, character: str) -> None:
        require(False, f"`{name}` names {character!r}, which no single symbol of the vocabulary writes: leave it out")

    @staticmethod
    def keeps(text: set[str], named: set[str]) -> bool:
        return text <= named


class Ban(CharacterMask):
    """None of these characters; where one is not ASCII, no byte that it may be made of either."""

    options = (
        ("ban", tuple[str, ...] | None,
         sampling("Characters that do not come; repeatable.", says="none",
                  default=(), metavar="<text>", parse=several)),
    )  # fmt: skip

    @staticmethod
    def keeps(text: set[str], named: set[str]) -> bool:
        return not text & named and (NO_CHARACTER not in text or all(map(str.isascii, named)))


def kept_pieces(config: SampleConfig, tokenizer: Tokenizer) -> list[bytes]:
    """The bytes of the V symbols; none of those that masks of characters drop."""
    pieces = list(tokenizer.pieces)
    for mask in (Allow.build(config, tokenizer), Ban.build(config, tokenizer)):
        if mask is not None:
            pieces = [piece if kept else b"" for piece, kept in zip(pieces, mask.kept, strict=False)]
    return pieces


def refuse_what_leaves_nothing(chain: Sequence[Processor]) -> None:
    """Raise ConfigError where masks that each leave something leave nothing together."""
    masks = [each.kept[:-1] for each in chain if isinstance(each, CharacterMask)]
    if len(masks) > 1:
        require(
            bool(np.logical_and.reduce(masks).any()), "`ban` leaves nothing of `allow` to write: leave out one of them"
        )
