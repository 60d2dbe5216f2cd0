"""What mixing.c takes and gives: its record, its functions, and where they are found."""

import ctypes
from typing import Any

from charrnn import native

# The library says with which form of the record it was built.
FORM = 3
Address, Count = native.Address, native.Count


class SettingsRecord(ctypes.Structure):
    """What a mixer is made of, as in mixing.h."""

    _fields_ = (
        ("symbols", Count), ("newline", Count), ("most", Count), ("blocks", Count), ("singles", Count),
        ("places", Count), ("lately", Count), ("children", Address), ("letters", Address), ("opens", Address),
        ("next", Address), ("certain", Address), ("beginning", Address), ("stretch", Address), ("squash", Address),
        ("logarithms", Address),
    )  # fmt: skip


class CoderRecord(ctypes.Structure):
    """What turns bits to bytes and back, as in coder.h."""

    _fields_ = (
        ("known", Count), ("code", ctypes.c_uint64), ("likely", ctypes.c_double), ("bytes", Address), ("size", Count),
        ("at", Count), ("low", ctypes.c_uint32), ("high", ctypes.c_uint32), ("value", ctypes.c_uint32),
    )  # fmt: skip


ARGUMENTS = {
    "charrnn_mixing_new": (ctypes.POINTER(SettingsRecord),),
    "charrnn_mixing_free": (Address,),
    "charrnn_mixing_read": (Address, Count, Address, Address, Address, Address),
    "charrnn_mixing_code": (Address, ctypes.POINTER(CoderRecord), Count, Count, Address),
    "charrnn_mixing_finish": (ctypes.POINTER(CoderRecord),),
}


def calls() -> Any:
    """The library's functions; None where it was not built, or in another form."""
    library = native.library()
    if library is None or not hasattr(library.calls, "charrnn_mixing_form"):
        return None
    found = library.calls
    found.charrnn_mixing_form.restype = found.charrnn_mixing_read.restype = found.charrnn_mixing_code.restype = Count
    if found.charrnn_mixing_form() != FORM:
        return None
    found.charrnn_mixing_new.restype = Address
    found.charrnn_mixing_free.restype = found.charrnn_mixing_finish.restype = None
    for name, kinds in ARGUMENTS.items():
        getattr(found, name).argtypes = kinds
    return found
