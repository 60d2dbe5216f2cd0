"""Who reads a window of texts: NumPy, which is there at once, then torch, which reads twice as fast once it is loaded.

A reader is called with inputs (T, B), the targets in their places (T, B) and the memory before them, NumPy arrays all;
it gives what is predicted, time-major (T x B), and the memory after them, which the other may go on from.
When torch is loaded and when it takes over follows from how much has been read, not from a clock, so that a file has
the same numbers each time. Shapes: T time, B rows, V vocabulary.
"""

import sys
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.config import ModelConfig
from charrnn.inference.backends import one_blas_thread
from charrnn.inference.products import Floats
from charrnn.inference.windows import NetworkWindows
from charrnn.models.states import NetworkState, map_state
from charrnn.scoring.predictions import Asked, Ids, Nats, Predictions, predictions_of

if TYPE_CHECKING:
    from charrnn.models.ensemble import Predictor

Reader = Callable[[Ids, Ids, NetworkState, Asked], tuple[Predictions, NetworkState]]

# NumPy multiplies and adds some 6e10 times a second, on a core of 2024. Torch takes some two seconds to be had: it is
# loaded beside the reading once NumPy has read for half a second, and waited for when it has read for two.
LOAD_AFTER, TAKE_OVER_AFTER = 3e10, 1.2e11
# Where it is loaded already, only its network has to be made.
TAKE_OVER_IF_LOADED = 5e9
# A step costs as much as so many rows beside what its rows cost.
STEP = 5


class NumpyReader:
    """The network in NumPy."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, Floats]) -> None:
        self._start_id = config.start_id
        self._network = NetworkWindows(config, weights)
        self.initial_states = self._network.initial_states

    def __call__(
        self, inputs: Ids, targets: Ids, states: NetworkState, asked: Asked
    ) -> tuple[Predictions, NetworkState]:
        # Threads bring little to products so small, and next to nothing beside another program's.
        with one_blas_thread:
            logits, states = self._network(inputs, states)
        tokens = targets.ravel()
        if asked.nothing:
            return Predictions(tokens, nats(logits, tokens, self._start_id)), states
        # The same nats, whatever else is asked for.
        nll = nats(logits.copy(), tokens, self._start_id)
        return predictions_of(logits, tokens, self._start_id, asked, nll), states


class TorchReader:
    """The network in torch, on whichever device it is."""

    def __init__(self, network: "Predictor") -> None:
        self._network = network.eval()
        self._device = next(network.parameters()).device

    def __call__(
        self, inputs: Ids, targets: Ids, states: NetworkState, asked: Asked
    ) -> tuple[Predictions, NetworkState]:
        import torch

        from charrnn.scoring.token_nll import target_nll

        start_id, tokens = self._network.config.start_id, targets.ravel()

        def tensor(array: Any) -> Any:
            return torch.from_numpy(array).to(self._device)

        with torch.inference_mode():
            given: Any = map_state(tensor, states)
            logits, after = self._network(tensor(inputs).t(), given)
            nll = target_nll(logits, tensor(targets).t(), start_id).T.ravel()
            states = map_state(lambda part: part.cpu().numpy(), after)
            if asked.nothing:
                return Predictions(tokens, nll), states
            rows = logits.transpose(0, 1).flatten(0, 1).float().cpu().numpy()
        return predictions_of(rows, tokens, start_id, asked, nll), states


class Readers:
    """NumPy's reader, then torch's; `network` makes the network in torch, and is called once, if at all."""

    def __init__(
        self, config: ModelConfig, weights: Mapping[str, Floats], network: "Callable[[], Predictor]", device: str
    ) -> None:
        self._network, self._weights = network, sum(weight.size for weight in weights.values())
        self._numpy = NumpyReader(config, weights)
        self.initial_states = self._numpy.initial_states
        self._torch: TorchReader | None = None
        self._loading: threading.Thread | None = None
        self._read = 0.0  # multiplications so far
        if device != "cpu":
            self._torch = TorchReader(network())

    def __call__(
        self, inputs: Ids, targets: Ids, states: NetworkState, asked: Asked
    ) -> tuple[Predictions, NetworkState]:
        """Read a window; see above."""
        if self._torch is None:
            steps, rows = inputs.shape
            self._read += float(self._weights) * steps * (rows + STEP)
            self._see_to_torch()
        return (self._torch or self._numpy)(inputs, targets, states, asked)

    def _see_to_torch(self) -> None:
        if self._loading is None and self._read > LOAD_AFTER and "torch" not in sys.modules:
            self._loading = threading.Thread(target=_load_torch, daemon=True)
            self._loading.start()
        if self._read > (TAKE_OVER_IF_LOADED if self._loading is None else TAKE_OVER_AFTER):
            if self._loading is not None:
                self._loading.join()
            elif "torch" not in sys.modules:
                return
            self._torch = TorchReader(self._network())


def _load_torch() -> None:
    """Torch and what reads with it, set up to read fast."""
    import torch

    from charrnn.machine import cores, keep_freed_memory, products_by_onednn

    import_module("charrnn.scoring.token_nll")
    keep_freed_memory()
    products_by_onednn()
    torch.set_num_threads(min(torch.get_num_threads(), cores()))


def nats(logits: Floats, tokens: Ids, start_id: int) -> Nats:
    """-ln p of tokens (N,) under logits (N, V), which are used up, in float32 as in training; otherwise as
    `predictions_of`: what the vocabulary lacks costs ln V, an end that the network does not know infinity.
    """
    known = logits.shape[1]
    logits -= logits.max(axis=1, keepdims=True)
    own = logits[np.arange(len(tokens)), np.minimum(tokens, known - 1)]
    total = np.exp(logits, out=logits).sum(axis=1)
    nll: Nats = (np.log(total) - own).astype(np.float64) + 0.0
    if tokens.max(initial=0) >= known:
        nll[tokens >= known] = np.inf
        nll[tokens > start_id] = np.log(known)
    return nll
