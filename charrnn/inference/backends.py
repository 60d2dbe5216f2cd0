"""Which back end multiplies, NumPy or torch, and on how many threads: decided by measuring, now and then.

The compiled step, where there is one for the network, or else NumPy, which is here already, writes the first `TIMED`
tokens on one thread, which is fastest where the products are small or the processor is busy. Where the rest would take
clearly longer than torch takes to be had (`LOADING` seconds if it is not loaded yet, else `PREPARING`), torch is
loaded, once, and writes as many; NumPy on its own threads does so last, for they spin on for a while behind their work,
in everybody's way, and not where there is a compiled step. Whoever was fastest writes on, and the engine remembers it;
after a while all are timed again, for another program may have come or gone. None of this changes a text (see
products.py), so it may come in the middle of one. What is not exact, fp32, is left to NumPy and its threads.
"""

import contextlib
import math
import os
import statistics
import sys
import threading
import time
from types import TracebackType
from typing import Any, Self

from threadpoolctl import ThreadpoolController

from charrnn.inference.base import BackEnd, Chosen, Engine, EngineState, Ids
from charrnn.inference.products import WORTH_A_CALL, Floats
from charrnn.models.cells import CELLS

# How many tokens are timed of each; fewer where they take this many seconds together.
TIMED, LEAST_TIMED, ENOUGH = 16, 3, 0.005
# The fastest writes for this many seconds, or this many times as long as the timing took, until all are timed again.
HELD, HELD_FOR_TIMING = 2.0, 40
# Seconds that it takes to load torch, and to lay the weights out for it.
LOADING, PREPARING = 1.5, 0.05
# So many times as long is clearly longer.
CLEARLY = 2.0

CORES = os.cpu_count() or 1

NUMPY, ONE_THREAD, TORCH = BackEnd("numpy", None), BackEnd("numpy", 1), BackEnd("torch", 1)
COMPILED = BackEnd("compiled", 1)


class Serving:
    """An engine at work on B rows, held (`with`) while they are written: `step` is the engine's own, and timed.

    `steps` is how many are to come, or a bound of it.
    """

    def __init__(self, engine: Engine, rows: int, steps: int) -> None:
        self._engine, self._rows, self._steps = engine, rows, steps
        self._seconds: dict[BackEnd, float] = {}  # of a step, for those that have been timed
        self._times: list[float] | None = None  # of the one that is being timed
        self._began, self._until = 0.0, math.inf  # the last timing of all, and the next
        self._used = NUMPY
        self._first = COMPILED if engine.compiled else ONE_THREAD
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        config = self._engine.config
        if self._rows == 1 and CELLS[config.cell].gates * config.hidden**2 < WORTH_A_CALL:
            self._use(self._first)  # the products are cheaper than a call of torch, and than threads' waiting
        elif not any(matrix.exact for matrix in self._engine.matrices):
            self._use(NUMPY)
        elif self._rows in self._engine.chosen:
            back_end, self._until = self._engine.chosen[self._rows]
            self._use(back_end)
        else:
            self._time_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def step(self, tokens: Ids, state: EngineState) -> tuple[Floats, EngineState]:
        """tokens (B,), state -> logits (B, V) float32, state."""
        self._steps -= 1
        started = time.perf_counter()
        if self._times is None and started < self._until:
            return self._engine.step(tokens, state)
        if self._times is None:
            self._time_all()
        assert self._times is not None
        given = self._engine.step(tokens, state)
        self._times.append(time.perf_counter() - started)
        if len(self._times) == TIMED or (len(self._times) >= LEAST_TIMED and sum(self._times) >= ENOUGH):
            self._seconds[self._used] = statistics.median(self._times)
            self._decide()
        return given

    def _time_all(self) -> None:
        self._began = time.perf_counter()
        self._seconds.clear()
        self._time(self._first)

    def _decide(self) -> None:
        """Who is timed next, or who writes on."""
        fastest = min(self._seconds, key=self._seconds.__getitem__)
        left, one_thread = self._seconds[fastest] * self._steps, self._seconds[self._first]
        if TORCH not in self._seconds and left > CLEARLY * (PREPARING if "torch" in sys.modules else LOADING):
            self._time(TORCH)
        elif self._first != COMPILED and NUMPY not in self._seconds and self._seconds[fastest] > one_thread / CORES:
            self._time(NUMPY)  # which cannot be faster than so many threads make it
        else:
            now = time.perf_counter()
            self._until = now + max(HELD, HELD_FOR_TIMING * (now - self._began))
            self._engine.chosen[self._rows] = Chosen(fastest, self._until)
            self._use(fastest)
            self._times = None

    def _time(self, back_end: BackEnd) -> None:
        self._use(back_end)
        self._times = []

    def _use(self, back_end: BackEnd) -> None:
        self._used = back_end
        self._held.close()
        if back_end.numpy_threads is not None:
            self._held.enter_context(one_blas_thread)
        self._engine.use(back_end)


class _OneBlasThread:
    """NumPy's products on one thread while anyone holds this; texts may overlap, and the last to end restores."""

    def __init__(self) -> None:
        self._holders = 0
        self._lock = threading.Lock()
        # Looking for the libraries takes longer than a step: they are NumPy's, which is loaded.
        self._found: ThreadpoolController | None = None
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._holders == 0:
                self._found = self._found or ThreadpoolController()
                self._limit = self._found.limit(limits=1, user_api="blas")
            self._holders += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0 and self._limit is not None:
                self._limit.restore_original_limits()


one_blas_thread = _OneBlasThread()
