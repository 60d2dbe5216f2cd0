"""From logits to tokens, and what the model itself gave them. Shapes: B rows, V vocabulary."""

import numpy as np
import numpy.typing as npt

from charrnn.generation.processors import relative_probabilities, shift
from charrnn.inference.tables import relative

Doubles = npt.NDArray[np.float64]


def draw(logits: Doubles, uniforms: Doubles) -> npt.NDArray[np.int64]:
    """One symbol for each row by inverting its cumulative distribution.

    logits (B, V), uniforms (B,) in [0, 1) -> (B,). A symbol of probability 0 is never drawn.
    """
    reached = np.add.accumulate(relative_probabilities(logits), 1)
    # Scaled by the last sum, whatever its rounding, a place lies inside the support.
    places = uniforms * reached[:, -1]
    if len(places) == 1:  # a search costs less than a comparison with all
        return np.asarray(reached[0].searchsorted(places, "right"))
    return np.asarray(np.add.reduce(reached <= places[:, None], 1))


def log_probabilities(logits: Doubles, tokens: npt.NDArray[np.int64]) -> Doubles:
    """The natural logarithm of the probability of one token in each row: logits (B, V), tokens (B,) -> (B,)."""
    shifted = shift(logits)
    own = shifted[np.arange(len(tokens)), tokens]
    return np.asarray(own - np.log(np.add.accumulate(relative(shifted), 1)[:, -1]))
