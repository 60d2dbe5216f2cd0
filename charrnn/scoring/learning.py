"""Lines by context mixing: what each token costs by counters that learn from it, the network as one of those mixed."""

from dataclasses import replace

import numpy as np

from charrnn.inference.mixing import Mixer
from charrnn.scoring.predictions import Predictions


class Learning:
    """What has learned from all that it was handed, in its order."""

    def __init__(self, mixer: Mixer) -> None:
        self._mixer = mixer

    def learned(self, found: Predictions, *, begins: bool) -> Predictions:
        """The same tokens (N,) at the price of the mixture; a text may begin with the first.

        What is no symbol of the vocabulary keeps its price, and nothing learns from it.
        """
        assert found.shares is not None
        tokens = found.tokens.astype(np.uint32)
        likely = self._mixer.read(tokens, np.arange(tokens.size) < begins, found.shares)
        known = tokens < self._mixer.symbols
        return replace(found, nll=np.where(known, -np.log(likely), found.nll) + 0.0, shares=None)
