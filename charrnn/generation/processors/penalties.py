"""Penalties: what was used becomes less likely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from charrnn.config import Range
from charrnn.generation.lazy import LazyModule
from charrnn.generation.processors.base import COUNT, Processor, sampling

if TYPE_CHECKING:
    import numpy as np

    from charrnn.generation.config import SampleConfig
    from charrnn.generation.processors.base import Logits
    from charrnn.generation.sequence import TextSequence
    from charrnn.inference.base import Drawing
    from charrnn.text.tokenizers import Tokenizer
else:
    np = LazyModule("numpy")

# Symbols that penalties look back, unless told.
WINDOW = 64
PENALTY = Range(at_least=-100, at_most=100)


class RepetitionPenalty(Processor):
    """Make symbols that were used less likely: l / penalty where l > 0, else l penalty (Keskar et al. 2019).

    Used is what stands among the last `window` ids, the prompt's with them; without a window, anywhere.
    """

    options = (
        ("repetition_penalty", float | None,
         sampling("Repetition penalty: makes symbols that were used less likely.",
                  says="off", range=Range(at_least=1))),
        ("repetition_window", int | None,
         sampling("How many symbols back the penalties look.", default=WINDOW, range=COUNT)),
    )  # fmt: skip

    def __init__(self, penalty: float, window: int | None = WINDOW) -> None:
        self.penalty, self.window = penalty, window

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        result = logits.copy()
        # Of the two, what is less is l / penalty where l > 0: a penalty is at least 1.
        less = np.minimum(logits / self.penalty, logits * self.penalty)
        np.putmask(result, counts(logits, sequences, self.window) > 0, less)
        return result

    def drawing(self, drawing: Drawing) -> Drawing | None:
        return drawing._replace(repetition_penalty=self.penalty, window=self.window)


class CountedPenalty(Processor):
    """Less for what was used, by how often within the window of `repetition_window`; a negative penalty makes it more.

    As text-completion servers have it (OpenAI).
    """

    def __init__(self, penalty: float, window: int | None = WINDOW) -> None:
        self.penalty, self.window = penalty, window

    @classmethod
    def build(cls, config: SampleConfig, tokenizer: Tokenizer) -> Self | None:
        penalty = getattr(config, cls.options[0][0])
        return None if penalty is None else cls(penalty, config.repetition_window)


class FrequencyPenalty(CountedPenalty):
    """Take so much from a logit for each time that its symbol was used."""

    options = (
        ("frequency_penalty", float | None,
         sampling("Frequency penalty: so much less for each time that a symbol was used.", says="off", range=PENALTY)),
    )  # fmt: skip

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        return logits - self.penalty * counts(logits, sequences, self.window)

    def drawing(self, drawing: Drawing) -> Drawing | None:
        return drawing._replace(frequency_penalty=self.penalty, window=self.window)


class PresencePenalty(CountedPenalty):
    """Take so much from a logit whose symbol was used."""

    options = (
        ("presence_penalty", float | None,
         sampling("Presence penalty: so much less for what was used at all.", says="off", range=PENALTY)),
    )  # fmt: skip

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        return logits - self.penalty * (counts(logits, sequences, self.window) > 0)

    def drawing(self, drawing: Drawing) -> Drawing | None:
        return drawing._replace(presence_penalty=self.penalty, window=self.window)


def counts(logits: Logits, sequences: Sequence[TextSequence], window: int | None) -> Logits:
    """How often each symbol was used (B, V)."""
    symbols = logits.shape[1]
    if len(sequences) == 1:
        return sequences[0].counts(window)[None, :symbols]
    return np.array([sequence.counts(window) for sequence in sequences])[:, :symbols]
