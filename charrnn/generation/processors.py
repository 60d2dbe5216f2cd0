"""What stands between the model's logits and the draw: penalty, temperature, top-k, top-p, min-p.

A new one is a class here, with its options, and a place in `PROCESSORS`, whose order is that of the chain; everything
else (field, flag, keyword, check, laws) is made of these. Shapes: B rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

from charrnn.config import Range, option
from charrnn.generation.lazy import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from charrnn.generation.config import SampleConfig
    from charrnn.generation.sequence import TextSequence
    from charrnn.text.tokenizers import Tokenizer

    Logits = npt.NDArray[np.float64]
else:
    np = LazyModule("numpy")

DROPPED = float("-inf")
LEAST_TEMPERATURE = 1e-300

PROBABILITY, COUNT = Range(above=0, at_most=1), Range(at_least=1, at_most=10**12)
# An option of a processor: the panel that it stands in; left out, it is off.
sampling = partial(option, group="Sampling")


class Processor:
    """One stage: `processor(logits, sequences)` gives new logits (B, V) float64 for the B sequences' next tokens.

    It leaves what it is given as it is, looks at no row for the sake of another, drops a symbol by -inf, brings none
    back, and leaves at least one in each row: one that would drop all of them is wrong, and says so by an error.

    A processor holds its options and nothing of any row. What it must know of a row is in the row's sequence: `ids`
    (prompt and all that was drawn), and the processor's own state `sequence.states[self]`, which `start` makes of the
    prompt and `advance` of the state before and the token drawn. A state is never changed in place, so that copies of
    a sequence share it. This is meant to be enough for

    - a constraint: `start` gives a state of its automaton, `advance` walks one edge, the call drops what has no edge;
    - no long copies: an index of the corpus is the processor's; the state is the longest match of the last ids in it;
    - mirostat (Basu et al. 2021): `uses_logprob`; the state is its mu, moved by the surprisal of what was drawn;
    - sequential Monte Carlo: a loop of its own, whose weights are the probability that the chain has left, and which
      resamples by `TextSequence.copy` and `Engine.select_rows`.
    """

    # (name, type, field) of each option of its own; the first turns it on. None is off.
    options: ClassVar[tuple[tuple[str, Any, Any], ...]]
    # Whether `advance` is to be told the log-probability of what was drawn.
    uses_logprob: ClassVar[bool] = False

    @classmethod
    def build(cls, config: SampleConfig, tokenizer: Tokenizer) -> Self | None:
        """The processor of these settings; None where it is off."""
        values = [getattr(config, name) for name, _, _ in cls.options]
        return None if values[0] is None else cls(*values)

    def __init__(self, *values: Any) -> None:
        """The values of the options, in their order."""
        raise NotImplementedError

    def start(self, prompt: Sequence[int]) -> Any:
        """The state behind the prompt's ids; None where there is none to keep."""
        return None

    def advance(self, state: Any, token: int, logprob: float | None) -> Any:
        """The state behind one more token; `logprob` in nats, the model's own, where it is used."""
        return state

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        """logits (B, V) -> logits (B, V)."""
        raise NotImplementedError


class RepetitionPenalty(Processor):
    """Make symbols that were used less likely: l / penalty where l > 0, else l penalty (Keskar et al. 2019).

    Used is what stands among the last `window` ids, the prompt's with them; without a window, anywhere.
    """

    options = (
        ("repetition_penalty", float | None,
         sampling("Repetition penalty: makes symbols that were used less likely.",
                  says="off", range=Range(at_least=1))),
        ("repetition_window", int | None,
         sampling("How many symbols back the penalty looks.", default=64, range=COUNT)),
    )  # fmt: skip

    def __init__(self, penalty: float, window: int | None = 64) -> None:
        self.penalty, self.window = penalty, window

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        used = np.zeros(logits.shape, np.bool_)
        for row, sequence in zip(used, sequences, strict=True):
            row[sequence.ids if self.window is None else sequence.ids[-self.window :]] = True
        return np.where(used, np.where(logits > 0, logits / self.penalty, logits * self.penalty), logits)


class Temperature(Processor):
    """Divide by t. At 0, the greedy choice: only the likeliest symbol stays, the first of equals.

    So it is for a t that no logit can be divided by without leaving the range of numbers.
    """

    options = (
        ("temperature", float | None,
         sampling("Temperature: low is safe and repetitive, high surprising and wrong; 0 is greedy.",
                  default=0.8, flags=("--temp", "--temperature"), range=Range(at_least=0))),
    )  # fmt: skip

    def __init__(self, t: float) -> None:
        self.t = t

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        if self.t > LEAST_TEMPERATURE:
            return logits / self.t
        return _only(logits.argmax(axis=-1)[:, None], np.zeros_like(logits))


class TopK(Processor):
    """Keep the k likeliest symbols, exactly k also among equals (the first of them); all when k exceeds V."""

    options = (("top_k", int | None, sampling("Top-k: only the k likeliest symbols.", says="off", range=COUNT)),)

    def __init__(self, k: int) -> None:
        self.k = k

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        return _only(_likeliest_first(logits)[:, : self.k], logits)


class TopP(Processor):
    """Keep the smallest set of likeliest symbols whose probability reaches p (Holtzman et al. 2020)."""

    options = (
        ("top_p", float | None,
         sampling("Top-p (nucleus): only the likeliest symbols that make up this probability.",
                  says="off", range=PROBABILITY)),
    )  # fmt: skip

    def __init__(self, p: float) -> None:
        self.p = p

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        order = _likeliest_first(logits)
        ordered = np.take_along_axis(logits, order, axis=-1)
        share = relative_probabilities(ordered)
        # A symbol stays while those before it have not reached p: the first always does.
        before = share.cumsum(axis=-1) - share
        kept = np.where(before < self.p * share.sum(axis=-1, keepdims=True), ordered, DROPPED)
        result = np.empty_like(logits)
        np.put_along_axis(result, order, kept, axis=-1)
        return result


class MinP(Processor):
    """Keep symbols at least p times as likely as the likeliest (Nguyen et al. 2024)."""

    options = (
        ("min_p", float | None,
         sampling("Min-p: only symbols at least this share as likely as the likeliest.",
                  says="off", range=PROBABILITY)),
    )  # fmt: skip

    def __init__(self, p: float) -> None:
        self.p = p

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        return np.where(relative_probabilities(logits) >= self.p, logits, DROPPED)


# In the order that users of the field know.
PROCESSORS: tuple[type[Processor], ...] = (RepetitionPenalty, Temperature, TopK, TopP, MinP)


def compose(config: SampleConfig, tokenizer: Tokenizer) -> list[Processor]:
    """The chain of this sampling, in order; what is off is left out."""
    chain = (processor.build(config, tokenizer) for processor in PROCESSORS)
    return [processor for processor in chain if processor is not None]


def relative_probabilities(logits: Logits) -> Logits:
    """Probabilities but for a factor: the likeliest symbol's is 1."""
    shifted = logits - np.maximum.reduce(logits, 1, keepdims=True)
    return np.exp(shifted, shifted)


def _likeliest_first(logits: Logits) -> npt.NDArray[np.int64]:
    return np.argsort(-logits, axis=-1, kind="stable")


def _only(kept: npt.NDArray[np.int64], logits: Logits) -> Logits:
    """The logits of these symbols (B, k); the others are dropped."""
    result = np.full_like(logits, DROPPED)
    np.put_along_axis(result, kept, np.take_along_axis(logits, kept, axis=-1), axis=-1)
    return result
