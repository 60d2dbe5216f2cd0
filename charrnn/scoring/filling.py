"""What fits into a gap: candidates scored exactly, by the whole text from both of its ends.

What reads forwards gives log p(left, candidate, right), what reads backwards the same of the reversed text. Each is the
exact log-probability of the whole text; their mean ranks the candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from charrnn.config import require
from charrnn.models.ensemble import Network, backwards_of
from charrnn.scoring.texts import log_probabilities
from charrnn.text.tokenizers import Tokenizer


@dataclass(frozen=True)
class Filled:
    """A candidate, and the whole text's log-probability with it, in nats, read forwards and backwards."""

    text: str
    forward: float
    backward: float

    @property
    def both(self) -> float:
        """The mean of both, by which candidates are ranked."""
        return (self.forward + self.backward) / 2


def fill(model: Network, tokenizer: Tokenizer, left: str, right: str, candidates: Sequence[str]) -> list[Filled]:
    """Every candidate once, the best first.

    Raises ConfigError without candidates or with a model of one direction, VocabularyError on an unknown character.
    """
    wanted = list(dict.fromkeys(candidates))
    require(bool(wanted), "there is nothing to fill the gap with: name candidates")
    texts = [tokenizer.encode(left + one + right) for one in wanted]
    forward = log_probabilities(model, texts).tolist()
    backward = log_probabilities(backwards_of(model), [text[::-1] for text in texts]).tolist()
    found = [Filled(*one) for one in zip(wanted, forward, backward, strict=True)]
    return sorted(found, key=lambda one: -one.both)
