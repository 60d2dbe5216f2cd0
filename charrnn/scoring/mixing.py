"""A text by context mixing, with a network as one of those that are mixed: counters learn as the text is read.

Every token is scored before anything learns from it. It is no figure of the model as its file has it: report it beside
the plain one, never instead. Shapes: N tokens scored, n of them at a time, V predicted symbols.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

from charrnn.inference.mixing import Mixer
from charrnn.models.ensemble import Predictor
from charrnn.scoring.figures import Score
from charrnn.scoring.predictions import shares_of
from charrnn.scoring.token_nll import Inside, Positions, read
from charrnn.text.part import Part

# Numbers (n x V) of documents that are read side by side.
AT_ONCE = 1 << 24


class Mixing:
    """Mixes what a network predicts of a part's tokens, which it is handed in their order; `nats` (N,) is the answer.

    A token that is no predicted symbol keeps the nats that it has in the plain score.
    """

    def __init__(self, mixer: Mixer, part: Part, plain: Score) -> None:
        self.mixer, self.tokens = mixer, part.tokens
        self.begins = begins(part)
        self.nats = plain.token_nll.copy()

    def take(self, positions: Positions, inside: Inside, logits: torch.Tensor, targets: torch.Tensor) -> None:
        """A window of one row."""
        self.mix(int(positions[0, 0]), shares_of_logits(logits)[inside])

    def mix(self, first: int, shares: npt.NDArray[np.uint32]) -> None:
        """Shares (n, V) of the tokens from `first` on."""
        here = slice(first, first + len(shares))
        likely = self.mixer.read(self.tokens[here], self.begins[here], shares)
        known = self.tokens[here] < self.mixer.symbols
        self.nats[here][known] = -np.log(likely[known]) + 0.0

    def score(self, plain: Score, learned: str) -> Score:
        """The mixed score of the text that was scored plainly; what has learned is said in its state."""
        return replace(plain, token_nll=self.nats, state=f"{plain.state}, {learned} adapted")


def prime(mixer: Mixer, training: Part) -> None:
    """Read the training text: counters begin with it. No network takes part, which knows that text by heart."""
    mixer.read(training.tokens, begins(training))


def read_plainly(model: Predictor, part: Part, mixing: Mixing, batch_size: int) -> None:
    """Read a text by the network as it is, once."""
    if part.starts is None:
        read(model, part.tokens, None, mixing.take)
        return
    ends = np.append(part.starts[1:], part.tokens.size)
    for some in _side_by_side(ends - part.starts, AT_ONCE // model.config.vocab_size):
        if some.stop - some.start == 1:
            read(model, part.tokens, part.starts, mixing.take, own=some)
        else:
            first = int(part.starts[some.start])
            mixing.mix(first, _shares(model, part, some, first, int(ends[some.stop - 1]), batch_size))


def _shares(
    model: Predictor, part: Part, documents: slice, first: int, end: int, batch_size: int
) -> npt.NDArray[np.uint32]:
    """Of the tokens [first, end) of these documents, read side by side: shares (n, V)."""
    found = np.empty((end - first, model.config.vocab_size), np.uint32)

    def keep(positions: Positions, inside: Inside, logits: torch.Tensor, targets: torch.Tensor) -> None:
        found[positions[inside] - first] = shares_of_logits(logits)[inside]

    read(model, part.tokens, part.starts, keep, batch_size=batch_size, own=documents)
    return found


def _side_by_side(lengths: Positions, most: int) -> Iterator[slice]:
    """Documents in order, so many at a time that they have at most so many tokens; or one that has more."""
    totals = np.cumsum(lengths)
    borders = [0]
    while borders[-1] < len(lengths):
        before = int(totals[borders[-1] - 1]) if borders[-1] else 0
        borders.append(max(borders[-1] + 1, int(np.searchsorted(totals, before + most, side="right"))))
    return (slice(*border) for border in pairwise(borders))


def shares_of_logits(logits: torch.Tensor) -> npt.NDArray[np.uint32]:
    """What logits (..., V) hold likely, as whole numbers."""
    return shares_of(torch.softmax(logits.float(), dim=-1).cpu().numpy())


def begins(part: Part) -> npt.NDArray[np.bool_]:
    """Whether a document, or the text, begins with each token (N,)."""
    found = np.zeros(part.tokens.size, bool)
    found[0 if part.starts is None else part.starts] = True
    return found
