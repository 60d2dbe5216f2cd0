"""What a symbol may cost: logits become whole numbers that add up to the coder's total, none of them 0.

Shapes: N rows, V vocabulary, A symbols of the coder.
"""

import numpy as np

from charrnn.compression.range_coder import Numbers
from charrnn.inference.integer import integer_shares
from charrnn.inference.products import Floats

# What the frequencies of a small vocabulary add up to, and of a large one, about.
SMALL_VOCABULARY, SMALL_TOTAL, LARGE_TOTAL = 512, 1 << 16, 1 << 23


def cumulative_frequencies(logits: Floats, symbols: int) -> Numbers:
    """Logits (N, V) -> frequencies of A symbols, each added to those before it (N, A).

    Symbols beyond V, which the model does not know, have 1 as the least likely of the others.
    """
    total = SMALL_TOTAL if symbols <= SMALL_VOCABULARY else LARGE_TOTAL
    return np.cumsum(frequencies(logits, symbols, total), axis=1)


def frequencies(logits: Floats, symbols: int, total: int) -> Numbers:
    """The same (N, A), not added up, of such a total or a little less."""
    shares = integer_shares(logits)
    shares *= np.float64(total - symbols) / shares.sum(axis=1, keepdims=True)
    found = np.ones((len(logits), symbols), np.int64)
    found[:, : logits.shape[1]] += shares.astype(np.int64)
    return found
