"""Which back end multiplies, NumPy or torch, and on how many threads: decided once, by measuring.

NumPy is here already and writes the first `TIMED` tokens, which are timed. Where torch could multiply what is
multiplied here, the rest would take NumPy clearly longer than torch takes to be had (`LOADING` if it is not loaded
yet, else `PREPARING`), torch is loaded, once, and writes as many tokens. Whoever was faster stays, for good: the
engine remembers it. None of this changes a text (see products.py), so it may come in the middle of one.
"""

import contextlib
import statistics
import sys
import threading
import time
from types import TracebackType
from typing import Self

from threadpoolctl import threadpool_limits

from charrnn.inference.base import Engine, EngineState, Ids
from charrnn.inference.products import WORTH_A_CALL, Floats
from charrnn.models.cells import CELLS

# How many tokens are timed of each.
TIMED = 16
# Seconds that it takes to load torch, and to lay the weights out for it.
LOADING, PREPARING = 1.5, 0.05
# So many times as long is clearly longer.
CLEARLY = 2.0


class Serving:
    """An engine at work on B rows, held (`with`) while they are written: `step` is the engine's own, and timed.

    `steps` is how many are to come, or a bound of it: more cost a little time and nothing else.
    """

    def __init__(self, engine: Engine, rows: int, steps: int) -> None:
        self._engine, self._rows, self._steps = engine, rows, steps
        self._times: list[float] | None = None  # being taken, of whoever multiplies now
        self._by_numpy = 0.0  # seconds of a step, once it is known
        self._held = contextlib.ExitStack()
        # Such products are cheaper than a call of torch, and than two threads that wait for each other.
        self._small = rows == 1 and CELLS[engine.config.cell].gates * engine.config.hidden**2 < WORTH_A_CALL

    def __enter__(self) -> Self:
        decided = self._engine.by_torch.get(self._rows)
        if self._small:
            self._held.enter_context(_one_blas_thread)
        elif decided is None and any(matrix.has_torch for matrix in self._engine.matrices):
            self._times = []
        self._multiply(by_torch=bool(decided))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def step(self, tokens: Ids, state: EngineState) -> tuple[Floats, EngineState]:
        """tokens (B,), state -> logits (B, V) float32, state."""
        if self._times is None:
            return self._engine.step(tokens, state)
        started = time.perf_counter()
        given = self._engine.step(tokens, state)
        self._times.append(time.perf_counter() - started)
        if len(self._times) == TIMED:
            self._decide(statistics.median(self._times))
        return given

    def _decide(self, seconds: float) -> None:
        """After the first tokens, whether torch is tried; after those that it wrote, who stays."""
        if self._by_numpy:
            self._times = None
            self._engine.by_torch[self._rows] = seconds < self._by_numpy
            self._multiply(by_torch=seconds < self._by_numpy)
            return
        left = seconds * (self._steps - TIMED)
        if left > CLEARLY * (PREPARING if "torch" in sys.modules else LOADING):
            self._by_numpy, self._times = seconds, []
            self._prepare()
        else:
            self._times = None

    def _prepare(self) -> None:
        import torch

        for matrix in self._engine.matrices:
            matrix.prepare(torch)
        self._multiply(by_torch=True)

    def _multiply(self, *, by_torch: bool) -> None:
        if not self._small:
            self._held.close()
        if by_torch:
            # NumPy's threads go on spinning for a while after each product, and torch's would wait for their cores.
            self._held.enter_context(_one_blas_thread)
        for matrix in self._engine.matrices:
            matrix.by_torch = by_torch


class _OneBlasThread:
    """NumPy's products on one thread while anyone holds this; texts may overlap, and the last to end restores."""

    def __init__(self) -> None:
        self._holders = 0
        self._lock = threading.Lock()
        self._limit: threadpool_limits | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._holders == 0:
                self._limit = threadpool_limits(1, "blas")
            self._holders += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0 and self._limit is not None:
                self._limit.restore_original_limits()


_one_blas_thread = _OneBlasThread()
