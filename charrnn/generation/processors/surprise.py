"""A text about as surprising as is asked for: mirostat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from charrnn.config import Range
from charrnn.generation.lazy import LazyModule
from charrnn.generation.processors.base import Processor, sampling, shift, spread, without

if TYPE_CHECKING:
    import numpy as np

    from charrnn.generation.processors.base import Logits
    from charrnn.generation.sequence import TextSequence
else:
    np = LazyModule("numpy")

RATE, LN2 = 0.1, math.log(2)
# Where the model can give no more surprise than it has, the bound does not run away.
MOST = 60.0


class Surprise(Processor):
    """Drop what would surprise by more than mu bits; mu follows what was drawn, so that its mean comes to the target.

    mu begins at twice the target, and mu -= rate (surprisal - target) after each symbol (mirostat 2.0, Basu et al.
    2021). The surprisal that is fed back is the model's own, before temperature and filters.
    """

    options = (
        ("surprise", float | None,
         sampling("Target surprisal in bits a symbol (mirostat): filters so that the text comes to it.",
                  says="off", range=Range(above=0, at_most=30))),
    )  # fmt: skip
    uses_logprob = True

    def __init__(self, target: float) -> None:
        self.target = target

    def start(self, prompt: Sequence[int]) -> float:
        return 2 * self.target

    def advance(self, state: float, token: int, logprob: float | None) -> float:
        assert logprob is not None
        return min(max(0.0, state - RATE * (-logprob / LN2 - self.target)), MOST)

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        most = np.array([sequence.states[self] * LN2 for sequence in sequences])
        shifted = shift(logits)
        dropped = spread(np.log(np.add.reduce(np.exp(shifted), 1))) - shifted > spread(most)
        dropped &= shifted < 0  # the likeliest always stays
        return without(dropped, logits)
