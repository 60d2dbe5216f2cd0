"""What window.c takes and gives: its record, its functions, and the threads that it may call."""

import ctypes
import sys
from functools import cache

from charrnn import native

Address, Count = native.Address, native.Count

# As in library.h and window.h.
CELLS = {"rnn": 0, "lstm": 1, "gru": 2}
FP32, BF16 = 0, 1
# Units that a whole vector has: steps whose products are the library's want a multiple of them.
LANES = 16


class WindowRecord(ctypes.Structure):
    """A window under way, as in window.h."""

    _fields_ = (
        ("cell", Count), ("number", Count), ("steps", Count), ("rows", Count), ("hidden", Count),
        ("gates", Address), ("bias", Address), ("h", Address), ("memory", Address), ("product", Address),
        ("dy", Address), ("d_projected", Address), ("carried", Address), ("d_bias", Address), ("weight", Address),
    )  # fmt: skip


@cache
def threads_of_openmp() -> int | None:
    """Where GNU OpenMP starts a function on its threads: those that torch has, which brings them into the process.

    None before torch is loaded, and where it has others (macOS, Windows): steps then run on the caller's.
    """
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.cast(ctypes.CDLL(None).GOMP_parallel, Address).value
    except AttributeError:
        return None


def has_products(number: int) -> bool:
    """Whether the library makes steps with their products here, in this format."""
    library = native.library()
    return library is not None and bool(library.calls.charrnn_has_products(library.chosen, number))
