"""A pattern that the whole text must match: what cannot become such a text any more is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Self

from charrnn.config import Range, require
from charrnn.config.fields import several
from charrnn.generation.lazy import LazyModule
from charrnn.generation.processors.base import Processor, pattern, without
from charrnn.generation.processors.characters import NO_CHARACTER, Allow, Ban

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from charrnn.generation.config import SampleConfig
    from charrnn.generation.constraints.automaton import Automaton
    from charrnn.generation.processors.base import Logits
    from charrnn.generation.sequence import TextSequence
    from charrnn.text.tokenizers import Tokenizer
else:
    np = LazyModule("numpy")

SAMPLERS = ("masked", "exact", "smc")
FEW = Range(at_least=1, at_most=10_000)
# Of what follows the states of an automaton, so many numbers are kept.
MOST_KEPT = 4_000_000


class Place(NamedTuple):
    """Where a text stands: behind this prompt, in this state of its automaton; so many characters may still come."""

    prompt: str
    state: int
    left: int


class Match(Processor):
    """Keep the symbols behind which a text can still be ended, in the characters left, so that it matches as a whole.

    The whole is the prompt and what is written; an end comes in an accepting state alone. Bytes of other than ASCII are
    characters only together, and do not come.
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
                 default="masked", choices=SAMPLERS)),
    )  # fmt: skip
    ends = True

    @classmethod
    def build(cls, config: SampleConfig, tokenizer: Tokenizer) -> Self | None:
        if not (config.match or config.lines or config.min_length):
            return None
        require(not config.stop, "`stop` means nothing beside a pattern, which says where a text ends: leave it out")
        texts = [tokenizer.decode([token]) for token in range(tokenizer.size)]
        for mask in (Allow.build(config, tokenizer), Ban.build(config, tokenizer)):
            texts = [text if mask is None or mask.kept[token] else "" for token, text in enumerate(texts)]
        return cls(config, tokenizer, texts)

    def __init__(self, config: SampleConfig, tokenizer: Tokenizer, texts: Sequence[str]) -> None:
        """`texts` are what the V symbols write; those without any never come."""
        self.config, self.end, self._decode = config, len(texts), tokenizer.decode
        # Where every character is a symbol too, what can be written letter by letter can be written.
        letters = {text for text in texts if len(text) == 1 and text != NO_CHARACTER}
        self._alphabet = "".join(sorted(letters))
        self._texts = [text if letters.issuperset(text) else "" for text in texts]
        self._walks: dict[str, Walk] = {}
        # By prompt and state: what each symbol needs (V + 1,), what the most of them do, those that never can.
        self._known: dict[tuple[str, int], tuple[npt.NDArray[np.int64], int, npt.NDArray[np.bool_]]] = {}

    def start(self, prompt: Sequence[int]) -> Place:
        """Raises ConfigError when no text within the length can follow the prompt."""
        from charrnn.generation.constraints.start import begun

        text = self._decode(prompt)
        if text not in self._walks:
            self._walks[text] = Walk(begun(self.config, self._alphabet, text), self._texts)
        return Place(text, 0, self.config.length)

    def advance(self, state: Place, token: int, logprob: float | None) -> Place:
        if token == self.end:
            return state
        prompt, place, left = state
        walk = self._walks[prompt]
        return Place(prompt, walk.follows(place).item(token), left - walk.lengths[token])

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        dropped = [self._dropped(*sequence.states[self]) for sequence in sequences]
        together = dropped[0][None] if len(dropped) == 1 else np.array(dropped)
        return without(together[:, : logits.shape[1]], logits)

    def _dropped(self, prompt: str, state: int, left: int) -> npt.NDArray[np.bool_]:
        """Which of the V symbols, and whether the end, may not come (V + 1,): the same wherever enough is left."""
        known = self._known.get((prompt, state))
        if known is None:
            walk = self._walks[prompt]
            needed = np.append(walk.needed(state), 0 if walk.accepting[state] else self.config.length + 1)
            never = needed > self.config.length
            if len(self._known) * len(needed) > MOST_KEPT:
                self._known.clear()
            known = self._known[prompt, state] = needed, int(needed.max(initial=0, where=~never)), never
        needed, enough, never = known
        return never if left >= enough else needed > left

    def may_end(self, sequence: TextSequence) -> bool:
        place: Place = sequence.states[self]
        return self._walks[place.prompt].accepting[place.state]


class Walk:
    """An automaton over symbols of several characters: V of them."""

    def __init__(self, automaton: Automaton, texts: Sequence[str]) -> None:
        self.accepting: list[bool] = automaton.accepting.tolist()
        self.lengths = [*map(len, texts)]
        self._sizes = np.array(self.lengths)
        dead, stays = automaton.dead, automaton.table.shape[1]
        # Behind its last character a symbol leaves the state as it is.
        here = np.arange(dead + 1, dtype=np.int32)[:, None]
        self._table = np.concatenate([automaton.table, here], axis=1)
        self._distance = automaton.distance
        self._steps = np.full((max(self.lengths), len(texts)), stays)
        for token, text in enumerate(texts):
            self._steps[: len(text), token] = [automaton.classes[character] for character in text]
        self._silent = self._sizes == 0
        self._dead = dead
        self._known: dict[int, tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]] = {}

    def follows(self, state: int) -> npt.NDArray[np.int32]:
        """(V,): the state behind each symbol."""
        return self._of(state)[0]

    def needed(self, state: int) -> npt.NDArray[np.int64]:
        """(V,): the characters that it takes, by way of each symbol, to where the text may end."""
        return self._of(state)[1]

    def _of(self, state: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        if state not in self._known:
            if len(self._known) * len(self.lengths) > MOST_KEPT:
                self._known.clear()
            reached = np.full(len(self.lengths), state, np.int32)
            for step in self._steps:
                reached = self._table[reached, step]
            reached[self._silent] = self._dead
            self._known[state] = reached, self._sizes + self._distance[reached]
        return self._known[state]
