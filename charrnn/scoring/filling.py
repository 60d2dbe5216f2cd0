"""What fits into a gap: candidates scored exactly, by the whole text from both of its ends.

What reads forwards gives log p(left, candidate, right), what reads backwards the same of the reversed text. Each is the
exact log-probability of the whole text; their mean ranks the candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn.config import require
from charrnn.models.ensemble import Network, Predictor, backwards_of
from charrnn.scoring.token_nll import token_nll
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
    forward = log_probabilities(model, texts)
    backward = log_probabilities(backwards_of(model), [text[::-1] for text in texts])
    found = [Filled(*one) for one in zip(wanted, forward, backward, strict=True)]
    return sorted(found, key=lambda one: -one.both)


def log_probabilities(reader: Predictor, texts: "Sequence[npt.NDArray[np.int32]]") -> list[float]:
    """log p of each text in nats, each begun from no memory."""
    starts = np.cumsum([0, *(text.size for text in texts[:-1])])
    tokens = np.concatenate(texts).astype(np.uint32)
    return [-float(part.sum()) for part in np.split(token_nll(reader, tokens, starts), starts[1:])]
