"""Simple recurrent networks."""

import math

import numpy as np

from tests.laws.twins.cells.common import Array, Memory, Weights, net


def rnn(x: Array, state: Memory, w: Weights) -> Memory:
    """Elman 1990."""
    return (np.tanh(net(x, state[0], w)),)


def rnn_relu(x: Array, state: Memory, w: Weights) -> Memory:
    """Le et al. 2015."""
    return (np.maximum(0, net(x, state[0], w)),)


def rnn_gelu(x: Array, state: Memory, w: Weights) -> Memory:
    """Hendrycks & Gimpel 2016: 0.5 x (1 + tanh[sqrt(2 / pi) (x + 0.044715 x^3)])."""
    a = net(x, state[0], w)
    return (0.5 * a * (1 + np.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a**3))),)


def indrnn(x: Array, state: Memory, w: Weights) -> Memory:
    """Li et al. 2018, equation 2: the recurrent weights are a vector."""
    return (np.maximum(0, w["weight_ih_l0"] @ x + w["memory"] * state[0] + w["bias_ih_l0"]),)
