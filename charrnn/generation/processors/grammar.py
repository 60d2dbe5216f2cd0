"""A grammar that the whole text keeps to, where no pattern can say it: what nothing could come of is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

from charrnn.config import require
from charrnn.generation.lazy import LazyModule
from charrnn.generation.processors.base import Processor, pattern, without
from charrnn.generation.processors.characters import kept_pieces

if TYPE_CHECKING:
    import numpy as np

    from charrnn.generation.config import SampleConfig
    from charrnn.generation.grammars.smiles import Smiles
    from charrnn.generation.processors.base import Logits
    from charrnn.generation.sequence import TextSequence
    from charrnn.text.tokenizers import Tokenizer
else:
    np = LazyModule("numpy")

GRAMMARS = ("smiles",)


class Written(NamedTuple):
    """What is written, and the characters left."""

    beginning: Smiles
    left: int


class Grammar(Processor):
    """Keep the symbols behind which a text can still be ended, in the characters left, so that the grammar holds it.

    The whole is the prompt and what is written; an end comes where it is whole alone.
    """

    options = (
        ("grammar", str | None,
         pattern("Grammar of the whole text: smiles, whose rings, valences and aromatic bonds come out.",
                 says="none", choices=GRAMMARS)),
    )  # fmt: skip
    ends = True

    @classmethod
    def build(cls, config: SampleConfig, tokenizer: Tokenizer) -> Self | None:
        if config.grammar is None:
            return None
        require(not config.stop, "`stop` means nothing beside a grammar, which says where a text ends: leave it out")
        require(
            not (config.match or config.lines or config.min_length), "`grammar` and `match` are two masks: take one"
        )
        texts = [piece.decode("ascii", "replace") for piece in kept_pieces(config, tokenizer)]
        return cls(config, tokenizer, texts)

    def __init__(self, config: SampleConfig, tokenizer: Tokenizer, texts: Sequence[str]) -> None:
        """`texts` are those of the V symbols; what has none never comes."""
        from charrnn.generation.grammars.atoms import Spelling
        from charrnn.generation.grammars.smiles import SIMPLE, Smiles

        self.end, self._length, self._decode = len(texts), config.length, tokenizer.decode
        self._texts = {token: text for token, text in enumerate(texts) if text}
        alone = {text for text in texts if len(text) == 1}
        lacking = "".join(sorted(SIMPLE - alone))
        require(
            not lacking, f"`grammar` ends molecules by {''.join(sorted(SIMPLE))}: no single symbol writes {lacking}"
        )
        self._empty = Smiles(Spelling(alone))

    def start(self, prompt: Sequence[int]) -> Written:
        """Raises ConfigError when no text can follow."""
        text, beginning = self._decode(prompt), self._empty
        for place, character in enumerate(text):
            after = beginning.follow(character)
            require(after is not None, f"no molecule begins with {text[: place + 1]!r}")
            assert after is not None
            beginning = after
        require(
            beginning.ends_within(self._length), f"`length` {self._length} is too short to end {text or 'a molecule'!r}"
        )
        return Written(beginning, self._length)

    def advance(self, state: Written, token: int, logprob: float | None) -> Written:
        if token == self.end:
            return state
        text = self._texts[token]
        after = self._behind(state.beginning, text)
        assert after is not None, "a symbol was drawn that the mask had dropped"
        return Written(after, state.left - len(text))

    @staticmethod
    def _behind(beginning: Smiles, text: str) -> Smiles | None:
        after: Smiles | None = beginning
        for character in text:
            after = None if after is None else after.follow(character)
        return after

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        dropped = np.ones((len(sequences), self.end + 1), bool)
        for row, sequence in enumerate(sequences):
            dropped[row, self._kept(sequence.states[self])] = False
        return without(dropped[:, : logits.shape[1]], logits)

    def _kept(self, state: Written) -> list[int]:
        """The symbols that may come, and the end where it may."""
        beginning, left = state
        kept = [self.end] if beginning.whole else []
        for token, text in self._texts.items():
            after = self._behind(beginning, text)
            if after is not None and after.ends_within(left - len(text)):
                kept.append(token)
        return kept

    def may_end(self, sequence: TextSequence) -> bool:
        state: Written = sequence.states[self]
        return state.beginning.whole
