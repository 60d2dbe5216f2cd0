"""Functions on a grid, computed with whole numbers, so that they are the same to the bit on every machine.

A library's exp or tanh may differ in its last place from one processor to the next. Here e^-1/1024 is summed up once with
96 fractional bits, its powers are products of integers, and each entry is rounded once, to 24 fractional bits, which
float32 holds exactly. A grid has 2^15 + 1 points; between two of them the nearer counts.
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
# Digits of the logarithms, each rounded correctly.
DIGITS = 20


class Table(NamedTuple):
    """The values (POINTS + 1,) of a function at `first`, `first` + 1 / `steps` and so on."""

    values: Floats
    first: float
    steps: int

    def __call__(self, x: Floats) -> Floats:
        """The nearest entry to each x; beyond an end, the last. One multiplication, one sum, a rounding down."""
        place = np.multiply(x, np.float32(self.steps))
        place += np.float32(0.5 - self.first * self.steps)
        np.clip(place, np.float32(0), np.float32(POINTS), out=place)
        found: Floats = self.values.take(place.astype(np.int64))
        return found


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
    return Table(_rounded([*rising, *(ONE - number for number in rising[-2::-1])]), -16, STEPS)


@cache
def tanh() -> Table:
    """(1 - e^-2x) / (1 + e^-2x) from -8 to 8."""
    half = exponentials()[: POINTS // 2 + 1]
    positive = _rounded([(ONE - power << BITS) // (ONE + power) for power in half])
    return Table(np.concatenate([-positive[:0:-1], positive]), -8, 2 * STEPS)


@cache
def exp() -> Table:
    """e^x from -32 to 0."""
    return Table(_rounded(list(reversed(exponentials()))), -32, STEPS)


@cache
def log_one_plus_exp() -> Table:
    """log(1 + e^x) from -32 to 0."""
    with localcontext(Context(prec=DIGITS)):
        powers = (Decimal(ONE + power) / ONE for power in reversed(exponentials()))
        return Table(_rounded([int(power.ln() * ONE) for power in powers]), -32, STEPS)


@cache
def log_of_half_to_one() -> Table:
    """log x from 1/2 to 1."""
    with localcontext(Context(prec=DIGITS)):
        logarithms = [int((Decimal(POINTS + i) / (2 * POINTS)).ln() * ONE) for i in range(POINTS + 1)]
    return Table(_rounded(logarithms), 0.5, 2 * POINTS)
