"""Functions on a grid, the same to the bit on every machine.

A library's exp or tanh may differ in its last place from one processor to the next. So each entry is rounded once, to
24 fractional bits, which float32 holds exactly: no entry lies so near to where it would be rounded the other way that
such a difference could matter. A grid has 2^15 + 1 points; between two of them the nearer counts.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

POINTS = 1 << 15
KEPT = 24
# Exponentials stand 1024 to the unit, down to -32.
STEPS = 1024
# Arrays of no dimension: NumPy takes twice as long to add a scalar of its own.
NOTHING, LAST = np.array(0, np.float32), np.array(POINTS, np.float32)
# So many are looked up at a time.
PIECE = 1 << 15
# Powers of two stand 1024 to the octave, over so many octaves downwards; fractional bits of what they are made of.
OCTAVE, OCTAVES, BITS = 1024, 64, 128

# e^x is 2^-(step / 1024) for whole steps, and e^-rest.
TO_STEPS, LAST_STEP = -1477.3197218702985, 65535.0  # -1024 / ln 2
# ln 2 / 1024, half its square, a sixth of its cube
FIRST_ORDER, SECOND_ORDER, THIRD_ORDER = 0.0006769015435155716, 2.290978498068816e-07, 5.169222938345892e-11


class Table(NamedTuple):
    """The values (POINTS + 1,) of a function; that of x stands at x `scale` + `shift`, rounded down."""

    values: Floats
    scale: Floats
    shift: Floats

    def __call__(self, x: Floats) -> Floats:
        """The nearest entry to each x; beyond an end, the last. One multiplication, one sum, a rounding down.

        A piece at a time, which stays in the processor's own memory: a large array is looked up faster.
        """
        x = np.ascontiguousarray(x)
        found = np.empty_like(x)
        source, target = x.reshape(-1), found.reshape(-1)
        scratch, indices = np.empty(min(x.size, PIECE), np.float32), np.empty(min(x.size, PIECE), np.int64)
        for at in range(0, x.size, PIECE):
            piece = source[at : at + PIECE]
            place, index = scratch[: piece.size], indices[: piece.size]
            np.multiply(piece, self.scale, out=place)
            np.add(place, self.shift, out=place)
            np.clip(place, NOTHING, LAST, out=place)
            np.copyto(index, place, casting="unsafe")
            self.values.take(index, out=target[at : at + PIECE], mode="wrap")
        return found


def _table(function: Callable[[Doubles], Doubles], first: float, steps: int) -> Table:
    """That of a function with values in [-1, 1], from `first` on, so many steps to the unit."""
    exact = function(first + np.arange(POINTS + 1) / steps)
    values = (np.rint(exact * (1 << KEPT)) / (1 << KEPT)).astype(np.float32)
    return Table(values, np.array(steps, np.float32), np.array(0.5 - first * steps, np.float32))


@cache
def sigmoid() -> Table:
    """1 / (1 + e^-x) from -16 to 16."""
    return _table(lambda x: 1 / (1 + np.exp(-x)), -16, STEPS)


@cache
def tanh() -> Table:
    """(1 - e^-2x) / (1 + e^-2x) from -8 to 8."""
    return _table(np.tanh, -8, 2 * STEPS)


@cache
def exp() -> Table:
    """e^x from -32 to 0."""
    return _table(np.exp, -32, STEPS)


@cache
def log_one_plus_exp() -> Table:
    """log(1 + e^x) from -32 to 0."""
    return _table(lambda x: np.log1p(np.exp(x)), -32, STEPS)


@cache
def log_of_half_to_one() -> Table:
    """log x from 1/2 to 1."""
    return _table(np.log, 0.5, 2 * POINTS)


@cache
def powers() -> Doubles:
    """2^(-i / 1024) for i = 0 … 1023, each rounded once to float64, from whole numbers.

    The 1024th root of 2 by ten square roots of integers, its powers by products of them.
    """
    one = 1 << BITS
    root = 2 * one
    for _ in range(10):
        root = math.isqrt(root << BITS)
    found, power = [1.0], one
    for _ in range(OCTAVE - 1):
        power = (power << BITS) // root
        found.append(power / one)
    return np.array(found)


@cache
def all_powers() -> Doubles:
    """2^(-i / 1024) down to i = 2^16 - 1, which counts as 0."""
    found = np.outer(0.5 ** np.arange(OCTAVES), powers()).ravel()
    found[-1] = 0.0
    return found


def relative(x: Doubles) -> Doubles:
    """e^x of what is not above 0, to about 1e-14 of it; below 5e-20, 0. The same on every machine.

    By powers of two and what is left of x in a series of three terms, one operation at a time, as draw.h has them.
    """
    place = x * TO_STEPS
    np.minimum(place, LAST_STEP, out=place)
    step = place.astype(np.int64)
    place -= step
    factor = SECOND_ORDER - place * THIRD_ORDER
    factor *= place
    factor -= FIRST_ORDER
    factor *= place
    factor += 1.0
    factor *= all_powers().take(step, mode="clip")  # of what is no number, any: it stays none
    return factor
