"""The number format in which a model gives the same probabilities on every machine: whole numbers wherever it matters.

Three kinds of arithmetic are the same everywhere: integers; single float32 or float64 operations (+ - x / sqrt, each
rounded once, as IEEE 754 has it) on one element at a time; and the largest of several numbers. Sums of floats are
not, for libraries add up in different orders, and neither are their exp and tanh. So weights and outputs are multiplied
in 8 bits as in `Exact8`, what else is added up is made whole numbers first, and functions are tables (see tables.py).
Shapes: B rows, K inputs, N outputs, V vocabulary, E embedding.
"""

from collections.abc import Sequence

import numpy as np

from charrnn.inference import tables
from charrnn.inference.operations import EPSILON, ZERO, NumpyOperations
from charrnn.inference.products import LEVELS, Doubles, Exact8, Floats, whole

# Levels of the second digit of what is not bounded: half a level of the first, finely.
HALVES = np.float32(2 * LEVELS)
# Of a probability, in the mean of several.
SHARE = np.float64(1 << 40)
LOG_2 = np.float64(0.6931471805599453)


class Wide8(Exact8):
    """8-bit weights for inputs without bounds: two digits of 8 bits each, as shares of the row's largest."""

    @staticmethod
    def read(h: Floats) -> Floats:
        return h

    def __call__(self, x: Floats) -> Floats:
        largest = np.abs(x).max(axis=1, keepdims=True, initial=0)
        largest[largest == 0] = 1
        share = x / largest * np.float32(LEVELS)
        first = np.rint(share)
        product = super().__call__(np.rint((share - first) * HALVES))
        product /= HALVES
        product += super().__call__(first)
        product *= largest
        return product


class IntegerOperations(NumpyOperations):
    """What a formula asks for, its functions from tables and its sums of whole numbers."""

    @staticmethod
    def sigmoid(x: Floats) -> Floats:
        return tables.sigmoid()(x)

    @staticmethod
    def tanh(x: Floats) -> Floats:
        return tables.tanh()(x)

    @staticmethod
    def exp(x: Floats) -> Floats:
        """Of what is not above 0, as formulas ask for it."""
        return tables.exp()(x)

    @staticmethod
    def log_sigmoid(x: Floats) -> Floats:
        y: Floats = np.minimum(x, ZERO) - tables.log_one_plus_exp()(-np.abs(x))
        return y

    @staticmethod
    def normalise(x: Floats, gain: Floats, bias: Floats | None = None) -> Floats:
        levels, worth = whole(x)
        count = np.float64(x.shape[-1])
        mean = np.rint(levels.sum(axis=-1, keepdims=True) / count)
        levels -= mean
        variance = np.square(levels).sum(axis=-1, keepdims=True) / count
        y: Floats = (levels * worth / np.sqrt(variance * worth * worth + np.float64(EPSILON))).astype(np.float32)
        y *= gain
        if bias is not None:
            y += bias
        return y


def integer_shares(logits: Floats) -> Doubles:
    """Logits (B, V) -> e^(logit - largest) as whole numbers up to 2^24, in float64, which adds them up exactly."""
    below = logits - np.maximum.reduce(logits, 1, keepdims=True)
    shares: Doubles = tables.exp()(below).astype(np.float64)
    shares *= np.float64(1 << tables.KEPT)
    return shares


def integer_mixture(logits: Sequence[Floats]) -> Floats:
    """log of the mean of the probabilities that each of some logits (B, V) stands for."""
    mean = np.zeros(logits[0].shape)
    for each in logits:
        shares = integer_shares(each)
        mean += np.rint(shares * (SHARE / shares.sum(axis=1, keepdims=True)))
    mantissa, exponent = np.frexp(np.maximum(mean, 1) / (SHARE * len(logits)))
    logarithm = tables.log_of_half_to_one()(mantissa.astype(np.float32)).astype(np.float64)
    return (exponent * LOG_2 + logarithm).astype(np.float32)
