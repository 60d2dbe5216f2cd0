"""How many threads text is written and scored with."""

import os
import sys

from threadpoolctl import threadpool_limits


def use_threads(threads: int | None) -> None:
    """From here on compute with so many, in NumPy and in torch, though it may be loaded later; None changes nothing."""
    if threads is None:
        return
    os.environ["OMP_NUM_THREADS"] = str(threads)
    threadpool_limits(threads)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)
