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
        used = np.zeros(logits.shape, np.bool_)
        for row, sequence in zip(used, sequences, strict=True):
            row[last(sequence, self.window)] = True
        return np.where(used, np.where(logits > 0, logits / self.penalty, logits * self.penalty), logits)


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

    def counts(self, shape: tuple[int, ...], sequences: Sequence[TextSequence]) -> Logits:
        """How often each symbol was used (B, V)."""
        used = [np.bincount(last(sequence, self.window), minlength=shape[1])[: shape[1]] for sequence in sequences]
        return np.array(used, np.float64)


class FrequencyPenalty(CountedPenalty):
    """Take so much from a logit for each time that its symbol was used."""

    options = (
        ("frequency_penalty", float | None,
         sampling("Frequency penalty: so much less for each time that a symbol was used.", says="off", range=PENALTY)),
    )  # fmt: skip

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        return logits - self.penalty * self.counts(logits.shape, sequences)


class PresencePenalty(CountedPenalty):
    """Take so much from a logit whose symbol was used."""

    options = (
        ("presence_penalty", float | None,
         sampling("Presence penalty: so much less for what was used at all.", says="off", range=PENALTY)),
    )  # fmt: skip

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        return logits - self.penalty * (self.counts(logits.shape, sequences) > 0)


def last(sequence: TextSequence, window: int | None) -> list[int]:
    """The ids that a penalty looks at: so many of the last, or all."""
    return sequence.ids if window is None else sequence.ids[-window:]
