"""The compiled library: networks of 8-bit weights, written and read by C (network.c), to the bit what NumPy gives.

Beside them counts that learn (mixing.c) and steps of training (window.c).

It is built with the package where there is a C compiler (hatch_build.py), and found here. It runs LSTM, GRU and simple
RNN in plain stacks; everything else, and everything where it was not built, is NumPy's and torch's. CHARRNN_COMPILED
chooses an instruction set by its name, or `no` leaves the work to them.
"""

import ctypes
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from charrnn.errors import ConfigError

VARIABLE, NONE = "CHARRNN_COMPILED", "no"
# The library says with which form of these records it was built.
FORM = 8
SUFFIXES = (".so", ".dylib", ".dll")

Address = ctypes.c_void_p
Count = ctypes.c_int64
Number = ctypes.c_double


class FunctionRecord(ctypes.Structure):
    """A function on a grid, as in network.h."""

    _fields_ = (("values", Address), ("scale", ctypes.c_float), ("shift", ctypes.c_float))


class LayerRecord(ctypes.Structure):
    """A layer, as in network.h."""

    _fields_ = (
        ("outputs", Count), ("weight", Address), ("scales", Address), ("corrections", Address), ("bias", Address),
        ("recurrent_bias", Address), ("h", Count), ("c", Count), ("products", Count),
    )  # fmt: skip


class NetworkRecord(ctypes.Structure):
    """A network, as in network.h."""

    _fields_ = (
        ("cell", Count), ("gates", Count), ("layers", Count), ("hidden", Count), ("symbols", Count), ("tokens", Count),
        ("stride", Count), ("table", Address), ("layer", ctypes.POINTER(LayerRecord)), ("sigmoid", FunctionRecord),
        ("tanh", FunctionRecord),
    )  # fmt: skip


class DrawRecord(ctypes.Structure):
    """How symbols are drawn, as in network.h."""

    _fields_ = (
        ("kept", Address), ("repetition", Number), ("frequency", Number), ("presence", Number), ("window", Count),
        ("temperature", Number), ("top_k", Count), ("top_p", Number), ("min_p", Number), ("typical_p", Number),
        ("eta", Number), ("half_log_eta", Number), ("powers", Address), ("exponential", FunctionRecord),
        ("logarithm", FunctionRecord),
    )  # fmt: skip


class LevelRecord(ctypes.Structure):
    """What follows each of many contexts, as in counts.h."""

    _fields_ = (
        ("contexts", Count), ("firsts", Address), ("symbols", Address), ("shares", Address), ("rests", Address),
    )  # fmt: skip


class WordsRecord(ctypes.Structure):
    """The hashes of contexts of words, as in counts.h."""

    _fields_ = (("contexts", Count), ("hashes", Address), ("buckets", Address), ("shift", Count))


class ExpertRecord(ctypes.Structure):
    """An expert's levels, as in counts.h."""

    _fields_ = (("levels", Count), ("shared", Count), ("contexts", Address), ("level", ctypes.POINTER(LevelRecord)))


class BegunRecord(ctypes.Structure):
    """What all experts begin with behind contexts of one length, as in counts.h."""

    _fields_ = (("contexts", Count), ("p", Address))


class CountsRecord(ctypes.Structure):
    """Counts and their gate, as in counts.h."""

    _fields_ = (
        ("symbols", Count), ("ids", Count), ("lengths", Count), ("words", Count), ("networks", Count),
        ("experts", Count), ("units", Count), ("begun", Count), ("grams", ctypes.POINTER(LevelRecord)),
        ("word", ctypes.POINTER(WordsRecord)), ("letters", Address), ("expert", ctypes.POINTER(ExpertRecord)),
        ("beginnings", ctypes.POINTER(BegunRecord)), ("mean", Address), ("scale", Address), ("inward", Address),
        ("bias", Address), ("outward", Address), ("constants", Address),
    )  # fmt: skip


@dataclass(frozen=True)
class Library:
    """The compiled library, and which of its instruction sets is used; `sets` are those that the processor has."""

    calls: Any
    sets: tuple[str, ...]
    chosen: int = 0

    @property
    def name(self) -> str:
        """The instruction set."""
        return self.sets[self.chosen]

    def using(self, name: str) -> "Library":
        """The same with another instruction set. Raises ConfigError when the processor lacks it."""
        if name not in self.sets:
            raise ConfigError(f"{VARIABLE} is {name!r}: here it may be {', '.join(self.sets)}, or {NONE}")
        return Library(self.calls, self.sets, self.sets.index(name))

    def call(self, function: str, *arguments: Any) -> None:
        """One of its functions. Raises what its answer stands for."""
        status = getattr(self.calls, function)(self.chosen, *arguments)
        if status:
            raise (MemoryError if status == 1 else IndexError)(f"{function}: {REFUSALS[status]}")


REFUSALS = {
    1: "no memory", 2: "a token that the network has no row for", 3: "an instruction set that is not there",
    4: "a network that does not fit together", 5: "counts that do not fit together",
    6: "a window that does not fit together",
}  # fmt: skip


def file() -> Path | None:
    """Where the library is: in CHARRNN_LIBRARY, or here; None where it was not built."""
    named = os.environ.get("CHARRNN_LIBRARY")
    places = [Path(named)] if named else [Path(__file__).with_name(f"network{suffix}") for suffix in SUFFIXES]
    return next((place for place in places if place.exists()), None)


@cache
def load(path: Path) -> Library | None:
    """The library in this file; None when it is of another form, or cannot be loaded here."""
    try:
        calls: Any = ctypes.CDLL(str(path))
        calls.charrnn_set_name.restype = ctypes.c_char_p
        for function in ("charrnn_form", "charrnn_find_sets", *ARGUMENTS):
            getattr(calls, function).restype = Count
    except (OSError, AttributeError):
        return None
    if calls.charrnn_form() != FORM:
        return None
    sets = [calls.charrnn_set_name(Count(number)).decode() for number in range(calls.charrnn_find_sets())]
    for name, kinds in ARGUMENTS.items():
        getattr(calls, name).argtypes = kinds
    return Library(calls, tuple(sets))


ARGUMENTS = {
    "charrnn_has_products": (Count, Count),
    "charrnn_read": (Count, Address, Count, Count, Address, Address, Address),
    "charrnn_count": (Count, Address, Count, Count, *[Address] * 5),
    "charrnn_step": (Count, Address, Count, Count, Count, Address),
    "charrnn_pack": (Count, Address, Count, Count, Address),
    "charrnn_steps": (Count, Address, Count, Count, Count, Count, Address),
    "charrnn_write": (Count, Count, *[Address] * 6, Count, Count, *[Address] * 6),
}


def library() -> Library | None:
    """What is to be used: the library, or None for NumPy. Raises ConfigError where another is asked for in vain."""
    path, wanted = file(), os.environ.get(VARIABLE)
    found = None if path is None or wanted == NONE else load(path)
    return found if found is None or not wanted else found.using(wanted)


def used() -> str:
    """Who computes a step of 8-bit weights, in words."""
    if (found := library()) is not None:
        return f"compiled ({found.name})"
    if os.environ.get(VARIABLE) == NONE:
        return f"in NumPy ({VARIABLE}={NONE})"
    return "in NumPy (not compiled)" if file() is None else "in NumPy (the compiled step cannot be loaded)"
