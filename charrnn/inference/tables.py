"""Functions on a grid, computed with whole numbers, so that they are the same to the bit on every machine.

A library's exp or tanh may differ in its last place from one processor to the next. Here e^-1/1024 is summed up once
with 96 fractional bits, its powers are products of integers, and each entry is rounded once, to 24 fractional bits,
which float32 holds exactly. A grid has 2^15 + 1 points; between two of them the nearer counts.
"""

from decimal import Context, Decimal, localcontext
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

POINTS = 1 << 15
BITS, KEPT = 96, 24
ONE = 1 << BITS
# Exponentials of -x stand 1024 to the unit, up to 32.
STEPS = 1024
# Arrays of no dimension: NumPy takes twice as long to add a scalar of its own.
NOTHING, LAST = np.array(0, np.float32), np.array(POINTS, np.float32)
# So many are looked up at a time.
PIECE = 1 << 15
# Digits of the logarithms, each rounded correctly.
DIGITS = 20


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


def _table(values: Floats, first: float, steps: int) -> Table:
    return Table(values, np.array(steps, np.float32), np.array(0.5 - first * steps, np.float32))


@cache
def exponentials() -> tuple[int, ...]:
    """e^(-i / 1024) for i = 0 … 2^15, as integers of 96 fractional bits."""
    ratio, term, number = 0, ONE, 0
    while term:  # the series of e^-1/1024
        ratio += -term if number % 2 else term
        number += 1
        term //= STEPS * number
    found = [ONE]
    for _ in range(POINTS):
        found.append(found[-1] * ratio >> BITS)
    return tuple(found)


def _rounded(numbers: list[int]) -> Floats:
    """Integers of 96 fractional bits, none above 1, as float32 of 24."""
    return np.array([number + (1 << BITS - KEPT - 1) >> BITS - KEPT for number in numbers], np.float32) / np.float32(
        1 << KEPT
    )


@cache
def sigmoid() -> Table:
    """1 / (1 + e^-x) from -16 to 16."""
    half = exponentials()[: POINTS // 2 + 1]
    rising = [(power << BITS) // (ONE + power) for power in reversed(half)]
    return _table(_rounded([*rising, *(ONE - number for number in rising[-2::-1])]), -16, STEPS)


@cache
def tanh() -> Table:
    """(1 - e^-2x) / (1 + e^-2x) from -8 to 8."""
    half = exponentials()[: POINTS // 2 + 1]
    positive = _rounded([(ONE - power << BITS) // (ONE + power) for power in half])
    return _table(np.concatenate([-positive[:0:-1], positive]), -8, 2 * STEPS)


@cache
def exp() -> Table:
    """e^x from -32 to 0."""
    return _table(_rounded(list(reversed(exponentials()))), -32, STEPS)


@cache
def log_one_plus_exp() -> Table:
    """log(1 + e^x) from -32 to 0."""
    with localcontext(Context(prec=DIGITS)):
        powers = (Decimal(ONE + power) / ONE for power in reversed(exponentials()))
        return _table(_rounded([int(power.ln() * ONE) for power in powers]), -32, STEPS)


@cache
def log_of_half_to_one() -> Table:
    """log x from 1/2 to 1."""
    with localcontext(Context(prec=DIGITS)):
        logarithms = [int((Decimal(POINTS + i) / (2 * POINTS)).ln() * ONE) for i in range(POINTS + 1)]
    return _table(_rounded(logarithms), 0.5, 2 * POINTS)
