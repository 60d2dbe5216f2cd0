"""What each of several experts knows of a text, and where: by the place of a character in its word.

Shapes: K experts, the network first, the mean of several that are mixed apart; N tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn.inference.counting import Counting
from charrnn.models.counts.mixture import mixed
from charrnn.models.ensemble import Predictor
from charrnn.scoring.counts import examples_of, mean_of, middle
from charrnn.scoring.figures import Nats
from charrnn.text.part import Part

NETWORK, TOGETHER = "network", "together"
ROWS = 1 << 13


@dataclass(frozen=True, eq=False)
class Contributions:
    """Nats of every token that was looked at, by each alone and by all together, and the weight that each had there."""

    names: tuple[str, ...]
    """(K,)"""
    alone: npt.NDArray[np.float64]
    """(K, N)"""
    weights: npt.NDArray[np.float64]
    """(K, N)"""
    together: Nats
    """(N,)"""
    places: npt.NDArray[np.int64]
    """(N,): of each token in the part."""


def contributions(model: Predictor, mixtures: Sequence[Counting], part: Part) -> Contributions:
    """Those in a part; of two mixtures, each half of it has its own (see `counted_nll`)."""
    halves = part.parted(middle(part)) if len(mixtures) > 1 else [part]
    experts, networks = mixtures[0].mixture.experts, mixtures[0].mixture.networks
    alone, weights, together, places, first = [], [], [], [], 0
    for half, counting in zip(halves, mixtures, strict=True):
        examples = examples_of(model, experts, half, networks)
        own = examples.own
        alone.append(-np.vstack([mean_of(own[:, :networks])[None], own[:, networks:].T]))
        for begin in range(0, examples.tokens.size, ROWS):
            log_p, tokens = examples.log_p[:, begin : begin + ROWS], examples.tokens[begin : begin + ROWS]
            opened = counting.mixture.gate.weights(log_p)
            weights.append(np.vstack([opened[:, :networks].sum(axis=1)[None], opened[:, networks:].T]))
            together.append(-mixed(log_p, opened)[np.arange(tokens.size), tokens])
        places.append(first + examples.places)
        first += half.tokens.size
    return Contributions(
        (NETWORK, *experts.names),
        np.concatenate(alone, axis=1).astype(np.float64),
        np.concatenate(weights, axis=1).astype(np.float64),
        np.concatenate(together).astype(np.float64),
        np.concatenate(places),
    )
