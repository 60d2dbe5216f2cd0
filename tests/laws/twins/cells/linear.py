"""Cells whose gates do not look at the state."""

import math

import numpy as np

from tests.laws.twins.cells.common import Array, Memory, Weights, fresh, parts, sigmoid


def g(x: Array) -> Array:
    """Feng et al. 2024, appendix: x + 0.5 where x >= 0, else sigmoid(x)."""
    return np.array([value + 0.5 if value >= 0 else 1 / (1 + math.exp(-value)) for value in x])


def mingru(x: Array, state: Memory, w: Weights) -> Memory:
    """Feng et al. 2024, section 3.1."""
    a_z, a_n = parts(w["weight_ih_l0"] @ x + w["bias_ih_l0"], 2)
    z = sigmoid(a_z)
    return ((1 - z) * state[0] + z * g(a_n),)


@fresh(forget=0)
def minlstm(x: Array, state: Memory, w: Weights) -> Memory:
    """Feng et al. 2024, section 3.2: the gates are divided by their sum."""
    a_f, a_i, a_n = parts(w["weight_ih_l0"] @ x + w["bias_ih_l0"], 3)
    f, i = sigmoid(a_f), sigmoid(a_i)
    return (f / (f + i) * state[0] + i / (f + i) * g(a_n),)
