"""The operations of the formulas in NumPy, of float32."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from charrnn.inference.products import Floats, Matrix

# Arrays of no dimension: NumPy takes twice as long to multiply by a scalar of its own.
ZERO, HALF, EPSILON = (np.array(number, np.float32) for number in (0, 0.5, 1e-5))


class NumpyOperations:
    """What a formula asks for. A weight is a matrix, or, of an input already multiplied, the place of its products."""

    def __init__(self, read: Callable[[Floats], Floats]) -> None:
        """`read` makes of an input what a matrix takes."""
        self._read = read

    def linear(self, x: Floats, weight: Matrix | slice, bias: Floats | None) -> Floats:
        """The product, and the bias."""
        y = x[:, weight] if isinstance(weight, slice) else weight(self._read(x))
        return y if bias is None else y + bias

    @staticmethod
    def sigmoid(x: Floats) -> Floats:
        """By the hyperbolic tangent, which cannot overflow."""
        y: Floats = np.multiply(x, HALF)
        np.tanh(y, y)
        y *= HALF
        y += HALF
        return y

    tanh: Any = staticmethod(np.tanh)
    exp: Any = staticmethod(np.exp)

    @staticmethod
    def log_sigmoid(x: Floats) -> Floats:
        """By the logarithm of a sum of exponentials, which cannot overflow."""
        y: Floats = np.logaddexp(ZERO, -x)
        return np.negative(y, y)

    @staticmethod
    def relu(x: Floats) -> Floats:
        """What is positive of it."""
        y: Floats = np.maximum(x, ZERO)
        return y

    @staticmethod
    def normalise(x: Floats, gain: Floats, bias: Floats | None = None) -> Floats:
        """Layer normalisation over the last axis."""
        y: Floats = x - x.mean(axis=-1, keepdims=True)
        y /= np.sqrt(np.square(y).mean(axis=-1, keepdims=True) + EPSILON)
        y *= gain
        if bias is not None:
            y += bias
        return y

    @staticmethod
    def split(x: Floats, parts: int) -> Sequence[Floats]:
        """The last axis in equal parts."""
        return tuple(x.reshape(len(x), parts, -1).swapaxes(0, 1))


def side_by_side(logits: Sequence[Floats]) -> Floats:
    """Logits (B, V) of M networks -> (B, M V)."""
    return np.concatenate(logits, axis=1)


def ensemble_logits(logits: Sequence[Floats]) -> Floats:
    """log of the mean of the probabilities that each of some logits (B, V) stands for."""
    log_p = np.stack(logits)
    log_p -= np.maximum.reduce(log_p, 2, keepdims=True)
    log_p -= np.log(np.add.reduce(np.exp(log_p), 2, keepdims=True))
    likeliest = np.maximum.reduce(log_p, 0)
    mixture: Floats = likeliest + np.log(np.add.reduce(np.exp(log_p - likeliest), 0) / np.float32(len(log_p)))
    return mixture
