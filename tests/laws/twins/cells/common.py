"""What the twins share. Shapes: E inputs, H hidden."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Memory = tuple[Array, ...]
Weights = dict[str, Array]
# One step: input (E,), state, parts (H,), weights by name -> state.
Twin = Callable[[Array, Memory, Weights], Memory]


class Facts(NamedTuple):
    """Which gate is the forget gate, and the one number that each vector of the cell's own begins with."""

    forget: int | None
    vectors: dict[str, float]


def fresh(forget: int | None = None, **vectors: float) -> Callable[[Twin], Twin]:
    """What a fresh layer of this cell begins with: see `Facts`."""

    def note(twin: Twin) -> Twin:
        twin.__dict__["facts"] = Facts(forget, vectors)
        return twin

    return note


def facts(twin: Twin) -> Facts:
    """What the twin says of fresh layers."""
    found: Facts = twin.__dict__.get("facts", Facts(None, {}))
    return found


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def net(x: Array, h: Array, w: Weights) -> Array:
    """W x + b + U h + d"""
    return w["weight_ih_l0"] @ x + w["bias_ih_l0"] + w["weight_hh_l0"] @ h + w["bias_hh_l0"]


def parts(a: Array, count: int) -> list[Array]:
    size = len(a) // count
    assert size * count == len(a)
    return [a[k * size : (k + 1) * size] for k in range(count)]


def layer_norm(a: Array, gain: Array, bias: Array | float = 0.0) -> Array:
    """Ba et al. 2016, equation 3, and the constant that keeps the root from zero."""
    mu = sum(a) / len(a)
    variance = sum((value - mu) ** 2 for value in a) / len(a)
    return gain * (a - mu) / math.sqrt(variance + 1e-5) + bias


def lstm_from(gates: Array, c: Array) -> tuple[Array, Array]:
    i, f, g, o = parts(gates, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c
