"""Who reads a window of texts: NumPy, which is there at once, then torch, which reads twice as fast once it is loaded.

A reader is called with inputs (T, B), the targets in their places (T, B) and the memory before them, NumPy arrays all;
it gives what is predicted, time-major (T x B), and the memory after them, which the other may go on from. Batches are
read beside each other, each on one thread of its reader's `workers`: so none waits for another at every step, in
company least of all, and their number changes no bit.
When torch is loaded and when it takes over follows from how much has been read, not from a clock, so that a file has
the same numbers each time. Shapes: T time, B rows, V vocabulary.
"""

import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from charrnn.config import ModelConfig
from charrnn.inference.backends import one_blas_thread
from charrnn.inference.counted import CountedState
from charrnn.inference.counting import Counting
from charrnn.inference.engine import open_engine
from charrnn.inference.formats import INT8
from charrnn.inference.products import Floats
from charrnn.inference.windows import NetworkWindows
from charrnn.inference.writing import threads
from charrnn.models.states import NetworkState, map_state
from charrnn.scoring.predictions import Asked, Ids, Nats, Predictions, predictions_of

if TYPE_CHECKING:
    from torch import Tensor

    from charrnn.models.ensemble import Predictor

# More batches at a time would take more memory than they are worth.
MOST_WORKERS = 8
# NumPy multiplies and adds some 6e10 times a second, on a core of 2024. Torch takes some two seconds to be had: it is
# loaded beside the reading once NumPy has read for half a second, and waited for when it has read for two.
LOAD_AFTER, TAKE_OVER_AFTER = 3e10, 1.2e11
# Where it is loaded already, only its network has to be made.
TAKE_OVER_IF_LOADED = 5e9
# What a step of a layer costs beside its products, in multiplications.
STEP = 5e5


class Reader(Protocol):
    """Reads windows, on its workers."""

    workers: ThreadPoolExecutor

    def __call__(
        self, inputs: Ids, targets: Ids, states: NetworkState, asked: Asked
    ) -> tuple[Predictions, NetworkState]:
        """Inputs (T, B), targets (T, B), states -> what is predicted (T x B), states."""
        ...


class _LogitsReader(ABC):
    """What gives logits, which counts, where there are such, have a say in."""

    workers: ThreadPoolExecutor

    def __init__(self, start_id: int, counting: Counting | None) -> None:
        self._start_id, self._counting = start_id, counting
        self._apart = counting is not None and counting.apart

    def initial_states(self, rows: int) -> Any:
        """The memory of B rows before any token."""
        network = self._initial(rows)
        return network if self._counting is None else CountedState(network, self._counting.nothing_read(rows))

    def next(self, steps: int, rows: int) -> Reader:
        """Itself reads whatever comes, where nobody takes over."""
        return self

    def __call__(self, inputs: Ids, targets: Ids, states: Any, asked: Asked) -> tuple[Predictions, Any]:
        if self._counting is None:
            logits, states = self._logits(inputs, states)
        else:
            logits, network = self._logits(inputs, states.network)
            logits, counts = self._counting.read(inputs, logits, states.counts)
            states = CountedState(network, counts)
        return predicted(logits, targets.ravel(), self._start_id, asked), states

    @abstractmethod
    def _initial(self, rows: int) -> NetworkState:
        """The network's own memory of B rows before any token."""

    @abstractmethod
    def _logits(self, inputs: Ids, states: NetworkState) -> tuple[Floats, NetworkState]:
        """Inputs (T, B), its memory -> logits (T x B, V), of networks read apart (T x B, M V), memory."""


class NumpyReader(_LogitsReader):
    """The network in NumPy."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, Floats], counting: Counting | None = None) -> None:
        super().__init__(config.start_id, counting)
        self._network = NetworkWindows(config, weights, apart=self._apart)
        # A second thread would get in the first one's way: between two products, the interpreter is theirs in turns.
        self.workers = ThreadPoolExecutor(1)

    def _initial(self, rows: int) -> NetworkState:
        return self._network.initial_states(rows)

    def _logits(self, inputs: Ids, states: NetworkState) -> tuple[Floats, NetworkState]:
        with one_blas_thread:
            return self._network(inputs, states)


class IntegerReader(_LogitsReader):
    """The network in 8 bits, the same to the bit on every machine: by the compiled step, where there is one."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, Floats], counting: Counting | None = None) -> None:
        super().__init__(config.start_id, counting)
        engine = open_engine(config, weights, INT8)
        self._engine = engine.apart() if self._apart else engine
        # NumPy's step does not leave the interpreter to a second thread.
        self.workers = ThreadPoolExecutor(min(threads(), MOST_WORKERS) if self._engine.compiled else 1)

    def _initial(self, rows: int) -> NetworkState:
        states: NetworkState = self._engine.initial_state(rows)
        return states

    def _logits(self, inputs: Ids, states: NetworkState) -> tuple[Floats, NetworkState]:
        logits, after = self._engine.read(inputs, states)
        return logits.reshape(-1, logits.shape[-1]), after


class TorchReader(_LogitsReader):
    """The network in torch, on whichever device it is."""

    def __init__(self, network: "Predictor", counting: Counting | None = None) -> None:
        super().__init__(network.config.start_id, counting)
        self._network = network
        if self._apart:
            from charrnn.models.ensemble import apart

            self._network = apart(network)
        network.eval()
        self._device = next(iter(network.parameters())).device
        self.workers = _torch_workers(threads())

    def __call__(self, inputs: Ids, targets: Ids, states: Any, asked: Asked) -> tuple[Predictions, Any]:
        if self._counting is not None or not asked.nothing:
            return super().__call__(inputs, targets, states, asked)
        import torch

        from charrnn.scoring.token_nll import target_nll

        with torch.inference_mode():
            logits, after = self._read(inputs, states)
            given = torch.from_numpy(targets).to(self._device).t()
            return Predictions(targets.ravel(), target_nll(logits, given, self._start_id).T.ravel()), after

    def _initial(self, rows: int) -> NetworkState:
        states: NetworkState = map_state(lambda part: part.cpu().numpy(), self._network.initial_states(rows))
        return states

    def _logits(self, inputs: Ids, states: NetworkState) -> tuple[Floats, NetworkState]:
        import torch

        with torch.inference_mode():
            logits, after = self._read(inputs, states)
            return logits.transpose(0, 1).flatten(0, 1).float().cpu().numpy(), after

    def _read(self, inputs: Ids, states: NetworkState) -> "tuple[Tensor, NetworkState]":
        """Inputs (T, B), its memory -> logits (B, T, V), memory."""
        import torch

        def tensor(array: Any) -> Any:
            return torch.from_numpy(array).to(self._device)

        given: Any = map_state(tensor, states)
        logits, after = self._network(tensor(inputs).t(), given)
        return logits, map_state(lambda part: part.cpu().numpy(), after)


class Readers:
    """NumPy's reader, then torch's; `network` makes the network in torch, and is called once, if at all."""

    def __init__(
        self,
        config: ModelConfig,
        weights: Mapping[str, Floats],
        network: "Callable[[], Predictor]",
        device: str,
        counting: Counting | None = None,
    ) -> None:
        self._network, self._weights = network, sum(weight.size for weight in weights.values())
        self._step, self._counting = STEP * config.layers * config.ensemble, counting
        self._numpy = NumpyReader(config, weights, counting)
        self.initial_states = self._numpy.initial_states
        self._torch: TorchReader | None = None
        self._loading: threading.Thread | None = None
        self._read = 0.0  # multiplications so far
        if device != "cpu":
            self._torch = TorchReader(network(), counting)

    def next(self, steps: int, rows: int) -> Reader:
        """Who reads the next batch, of so many steps and rows."""
        if self._torch is None:
            self._read += steps * (rows * self._weights + self._step)
            self._see_to_torch()
        return self._torch or self._numpy

    def _see_to_torch(self) -> None:
        if self._loading is None and self._read > LOAD_AFTER and "torch" not in sys.modules:
            self._loading = threading.Thread(target=_load_beside, daemon=True)
            self._loading.start()
        if self._read > (TAKE_OVER_IF_LOADED if self._loading is None else TAKE_OVER_AFTER):
            if self._loading is not None:
                self._loading.join()
            elif "torch" not in sys.modules:
                return
            self._torch = TorchReader(self._network(), self._counting)


def load_torch() -> None:
    """Torch and what reads with it, set up to read fast."""
    from charrnn.machine import keep_freed_memory, products_by_onednn

    import_module("charrnn.scoring.token_nll")
    keep_freed_memory()
    products_by_onednn()


def _load_beside() -> None:
    """The same in a thread of its own: what goes wrong goes wrong again, and is told, where torch is used.

    At the program's end it may be in the middle of this, which is no failure.
    """
    with suppress(Exception):
        load_torch()


@cache
def _torch_workers(most: int) -> ThreadPoolExecutor:
    """Threads of which each computes by itself, whatever torch does in others."""
    import torch

    before = torch.get_num_threads()
    count = min(most, MOST_WORKERS)
    together = threading.Barrier(count)

    def begin() -> None:
        torch.get_num_threads()  # which sets what is set by default, for this thread, the first time
        torch.set_num_threads(most // count)
        together.wait()

    workers = ThreadPoolExecutor(count)
    # All are there before torch is told what holds for threads to come.
    for done in [workers.submit(begin) for _ in range(count)]:
        done.result()
    torch.set_num_threads(before)
    return workers


def predicted(logits: Floats, tokens: Ids, start_id: int, asked: Asked) -> Predictions:
    """What logits (N, V), which are used up, say of tokens (N,)."""
    if asked.nothing:
        return Predictions(tokens, nats(logits, tokens, start_id))
    # The same nats, whatever else is asked for.
    nll = nats(logits.copy(), tokens, start_id)
    return predictions_of(logits, tokens, start_id, asked, nll)


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
