"""What the machine does for a text under way: torch's integer products where they pay, and threads that do not collide.

None of it changes a text (see products.py), so it may come at any moment.
"""

import contextlib
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from threadpoolctl import threadpool_limits

from charrnn.inference.products import Matrix

# Loading torch takes more than a second of computing: it must save more than that.
WORTH_LOADING_TORCH = 3.0


class Acceleration:
    """Held while a text is written; `use_what_came`, called now and then, goes over to torch once it is loaded."""

    def __init__(self, matrices: Sequence[Matrix], *, small: bool, seconds: float) -> None:
        """`small` products are cheaper than a call of torch; `seconds` is what NumPy would take for the whole text."""
        self._matrices = [matrix for matrix in matrices if matrix.accelerates]
        self._small, self._seconds = small, seconds
        self._waiting = False
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if self._small:
            self._held.enter_context(_one_blas_thread)  # two would wait for each other longer than they compute
        elif self._matrices:
            self._waiting = True
            if "torch" in sys.modules:
                self.use_what_came()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def use_what_came(self) -> None:
        """Go over to torch, if it is here and pays; send for it, if it is not and will pay."""
        if not self._waiting or _torch.on_its_way():
            return
        if "torch" not in sys.modules:
            if self._seconds > WORTH_LOADING_TORCH:
                _torch.send_for()
            return
        self._waiting = False
        import torch

        for matrix in self._matrices:
            matrix.accelerate(torch)
        # NumPy's threads go on spinning for a while after each product, and torch's would wait for their cores.
        self._held.enter_context(_one_blas_thread)


class _Torch:
    """Torch, loaded in the background, once."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def send_for(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._load)
            self._thread.start()

    def on_its_way(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @staticmethod
    def _load() -> None:
        # Where it cannot be loaded, or the program ends meanwhile, NumPy's text is the same.
        with contextlib.suppress(Exception):
            import torch  # noqa: F401


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


_torch = _Torch()
_one_blas_thread = _OneBlasThread()
