"""A pattern that the whole text must match: what cannot become such a text any more is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

from charrnn.config import Range, require
from charrnn.config.fields import several
from charrnn.generation.lazy import LazyModule
from charrnn.generation.processors.base import Processor, pattern, without
from charrnn.generation.processors.characters import kept_pieces

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from charrnn.generation.config import SampleConfig
    from charrnn.generation.constraints.walk import Walk
    from charrnn.generation.processors.base import Logits
    from charrnn.generation.sequence import TextSequence
    from charrnn.text.tokenizers import Tokenizer
else:
    np = LazyModule("numpy")

SAMPLERS = ("masked", "exact", "smc")
FEW = Range(at_least=1, at_most=10_000)
# Of what the places need, so many numbers are kept.
MOST_KEPT = 4_000_000


class Standing(NamedTuple):
    """Where a text stands: behind this prompt, here in its walk; so many characters may still come."""

    prompt: str
    place: int
    left: int


class Match(Processor):
    """Keep the symbols behind which a text can still be ended, in the characters left, so that it matches as a whole.

    The whole is the prompt and what is written; an end comes in an accepting state alone. Bytes come as
    parts of characters, which become whole.
    """

    options = (
        ("match", tuple[str, ...] | None,
         pattern("What the whole text matches, the prompt with it, in Python's syntax; repeatable.",
                 says="any text", default=(), flags=("--match", "--regex"), metavar="<regex>", parse=several)),
        ("lines", int | None,
         pattern("The text has so many lines, the prompt's with them, the last one not empty.",
                 says="any number", range=FEW)),
        ("min_length", int | None,
         pattern("Least length in characters, the prompt not counted.", says="none", range=FEW)),
        ("sampler", str | None,
         pattern("Keeps to it by a mask (fast), by trying until one matches (exact), or by particles.",
                 says="masked; exact for a grammar", choices=SAMPLERS)),
    )  # fmt: skip
    ends = True

    @classmethod
    def build(cls, config: SampleConfig, tokenizer: Tokenizer) -> Self | None:
        if not (config.match or config.lines or config.min_length):
            return None
        require(not config.stop, "`stop` means nothing beside a pattern, which says where a text ends: leave it out")
        return cls(config, tokenizer, kept_pieces(config, tokenizer))

    def __init__(self, config: SampleConfig, tokenizer: Tokenizer, pieces: Sequence[bytes]) -> None:
        """`pieces` are the bytes of the V symbols; those without any never come."""
        self.config, self.end, self._decode, self._pieces = config, len(pieces), tokenizer.decode, pieces
        self._walks: dict[str, Walk] = {}
        # By prompt and place: what each symbol needs (V + 1,), what the most of them do, those that never can.
        self._known: dict[tuple[str, int], tuple[npt.NDArray[np.int64], int, npt.NDArray[np.bool_]]] = {}

    def start(self, prompt: Sequence[int]) -> Standing:
        """Half a character at its end is U+FFFD, as decoding has it. Raises ConfigError when no text can follow."""
        from charrnn.generation.constraints.start import begun
        from charrnn.generation.constraints.utf8 import alphabet_of
        from charrnn.generation.constraints.walk import Walk

        text = self._decode(prompt)
        if text not in self._walks:
            self._walks[text] = Walk(begun(self.config, alphabet_of(self._pieces), text), self._pieces)
        return Standing(text, 0, self.config.length)

    def advance(self, state: Standing, token: int, logprob: float | None) -> Standing:
        if token == self.end:
            return state
        prompt, place, left = state
        walk = self._walks[prompt]
        return Standing(prompt, walk.follows(place).item(token), left - walk.lengths[token])

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        dropped = [self._dropped(*sequence.states[self]) for sequence in sequences]
        together = dropped[0][None] if len(dropped) == 1 else np.array(dropped)
        return without(together[:, : logits.shape[1]], logits)

    def _dropped(self, prompt: str, place: int, left: int) -> npt.NDArray[np.bool_]:
        """Which of the V symbols, and whether the end, may not come (V + 1,): the same wherever enough is left."""
        known = self._known.get((prompt, place))
        if known is None:
            walk = self._walks[prompt]
            needed = np.append(walk.needed(place), 0 if walk.may_end(place) else self.config.length + 1)
            never = needed > self.config.length
            if len(self._known) * len(needed) > MOST_KEPT:
                self._known.clear()
            known = self._known[prompt, place] = needed, int(needed.max(initial=0, where=~never)), never
        needed, enough, never = known
        return never if left >= enough else needed > left

    def may_end(self, sequence: TextSequence) -> bool:
        standing: Standing = sequence.states[self]
        return self._walks[standing.prompt].may_end(standing.place)
