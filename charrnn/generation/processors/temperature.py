"""Temperature: how much of the model's own caution is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from charrnn.config import Range, require
from charrnn.generation.lazy import LazyModule
from charrnn.generation.processors.base import DROPPED, Processor, sampling

if TYPE_CHECKING:
    import numpy as np

    from charrnn.generation.config import SampleConfig
    from charrnn.generation.processors.base import Logits
    from charrnn.generation.sequence import TextSequence
    from charrnn.inference.base import Drawing
    from charrnn.text.tokenizers import Tokenizer
else:
    np = LazyModule("numpy")

LEAST_TEMPERATURE = 1e-300
RANGE = Range(at_least=0)


class Ramp(NamedTuple):
    """From a temperature at the first character to one at the last."""

    first: float
    last: float

    def __str__(self) -> str:
        return f"{self.first:g}:{self.last:g}"


def temperature(value: Any) -> Any:
    """What people write: 0.7, or '0.5:1.2' (a pair too) for a ramp. Raises ConfigError when it is neither."""
    given = value
    try:
        if isinstance(value, str):
            value = tuple(map(float, value.split(":"))) if ":" in value else float(value)
        if not isinstance(value, tuple | list):
            return value
        first, last = map(float, value)
    except (TypeError, ValueError):
        require(False, f"`temperature` must be a number, or two as in 0.5:1.2, not {given!r}")
    require(first in RANGE and last in RANGE, f"`temperature` must be {RANGE}, not {given!r}")
    return Ramp(first, last)


class Temperature(Processor):
    """Divide by t. At 0, the greedy choice: only the likeliest symbol stays, the first of equals.

    So it is for a t that no logit can be divided by without leaving the range of numbers. A ramp goes from one t to
    another over the text's length.
    """

    options = (
        ("temperature", float | Ramp | None,
         sampling("Temperature: low is safe, high surprising and wrong; 0 is greedy; 0.5:1.2 is a ramp.",
                  default=0.8, flags=("--temp", "--temperature"), metavar="<t or t:t>",
                  range=RANGE, parse=temperature)),
    )  # fmt: skip

    def __init__(self, t: float | Ramp, length: int = 1) -> None:
        self.t, self.length = t, length

    @classmethod
    def build(cls, config: SampleConfig, tokenizer: Tokenizer) -> Self | None:
        return None if config.temperature is None else cls(config.temperature, config.length)

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        if isinstance(self.t, Ramp):
            return _divided(logits, np.array([[self._now(self.t, sequence)] for sequence in sequences]))
        return logits / self.t if self.t > LEAST_TEMPERATURE else _greedy(logits)

    def drawing(self, drawing: Drawing) -> Drawing | None:
        return None if isinstance(self.t, Ramp) else drawing._replace(temperature=self.t)

    def _now(self, ramp: Ramp, sequence: TextSequence) -> float:
        share = min(1.0, sequence.written / max(1, self.length - 1))
        return ramp.first + share * (ramp.last - ramp.first)


def _divided(logits: Logits, t: Logits) -> Logits:
    """Each row by its own t (B, 1)."""
    warm = t > LEAST_TEMPERATURE
    if warm.all():
        return logits / t
    return np.where(warm, logits / np.where(warm, t, 1), _greedy(logits))


def _greedy(logits: Logits) -> Logits:
    result = np.full_like(logits, DROPPED)
    result[np.arange(len(logits)), logits.argmax(1)] = 0.0
    return result
