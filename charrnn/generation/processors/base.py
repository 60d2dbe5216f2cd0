"""What a processor is: one stage between the model's logits and the draw. Shapes: B rows, V vocabulary."""

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
    from charrnn.inference import tables
    from charrnn.inference.base import Drawing
    from charrnn.text.tokenizers import Tokenizer

    Logits = npt.NDArray[np.float64]
else:
    np, tables = LazyModule("numpy"), LazyModule("charrnn.inference.tables")

DROPPED, LEAST_LOGIT = float("-inf"), -1e300

PROBABILITY, COUNT = Range(above=0, at_most=1), Range(at_least=1, at_most=10**12)
# An option of a processor: the panel that it stands in; left out, it is off.
sampling, pattern = partial(option, group="Sampling"), partial(option, group="Pattern")


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
    # Whether it says where a text may end, also one of a model that has no end (see `Chain`).
    ends: ClassVar[bool] = False

    @classmethod
    def build(cls, config: SampleConfig, tokenizer: Tokenizer) -> Self | None:
        """The processor of these settings; None where it is off."""
        values = [getattr(config, name) for name, _, _ in cls.options]
        return None if values[0] in (None, ()) else cls(*values)

    def __init__(self, *values: Any) -> None:
        """The values of the options, in their order."""
        raise NotImplementedError

    def drawing(self, drawing: Drawing) -> Drawing | None:
        """The same as a setting of the compiled draw, behind those that are set; None where it has none."""
        return None

    def start(self, prompt: Sequence[int]) -> Any:
        """The state behind the prompt's ids; None where there is none to keep."""
        return None

    def advance(self, state: Any, token: int, logprob: float | None) -> Any:
        """The state behind one more token; `logprob` in nats, the model's own, where it is used."""
        return state

    def may_end(self, sequence: TextSequence) -> bool:
        """Whether a text may end here."""
        return True

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        """logits (B, V) -> logits (B, V)."""
        raise NotImplementedError


def relative_probabilities(logits: Logits) -> Logits:
    """Probabilities but for a factor, the same on every machine: the likeliest symbol's is 1."""
    return tables.relative(shift(logits))


def shift(logits: Logits) -> Logits:
    """The same, with 0 for the likeliest symbol of each row."""
    shifted: Logits = logits - spread(np.maximum.reduce(logits, 1))
    return shifted


def spread(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """One number for each row (B,), to be used with (B, V): of a single row without a dimension, which costs least."""
    return values.reshape(()) if len(values) == 1 else values[:, None]


def log_sums(logits: Logits) -> npt.NDArray[np.float64]:
    """The natural logarithm of the sum of exp(logits) in each row (B, V) -> (B,); -inf where all are dropped."""
    likeliest = np.maximum(np.maximum.reduce(logits, 1), LEAST_LOGIT)
    with np.errstate(divide="ignore"):
        return np.asarray(likeliest + np.log(np.add.reduce(np.exp(logits - spread(likeliest)), 1)))


def without(dropped: npt.NDArray[np.bool_], logits: Logits) -> Logits:
    """The logits but for what is dropped, (B, V) both."""
    result = logits.copy()
    np.putmask(result, dropped, DROPPED)
    return result


def ranked(keys: Logits) -> npt.NDArray[np.int64]:
    """The symbols of each row, the smallest key (B, V) first, equals by their ids.

    As places among all B x V, which NumPy takes from and puts to much faster than along an axis.
    """
    order = keys.argsort(1, "stable")
    if len(keys) > 1:
        order += np.arange(0, keys.size, keys.shape[1])[:, None]
    return order
