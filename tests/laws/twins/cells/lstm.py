"""LSTMs that keep its two products."""

import numpy as np

from tests.laws.twins.cells.common import Array, Memory, Weights, fresh, layer_norm, lstm_from, net, parts, sigmoid


@fresh(forget=1)
def lstm(x: Array, state: Memory, w: Weights) -> Memory:
    """Hochreiter & Schmidhuber 1997, Gers et al. 2000."""
    h, c = state
    return lstm_from(net(x, h, w), c)


@fresh(forget=1, peephole=0.0)
def lstm_peephole(x: Array, state: Memory, w: Weights) -> Memory:
    """Gers & Schmidhuber 2000: the input and the forget gate see the old cell, the output gate the new one."""
    h, c = state
    p_i, p_f, p_o = parts(w["peephole"], 3)
    a_i, a_f, a_g, a_o = parts(net(x, h, w), 4)
    c = sigmoid(a_f + p_f * c) * c + sigmoid(a_i + p_i * c) * np.tanh(a_g)
    return sigmoid(a_o + p_o * c) * np.tanh(c), c


@fresh(forget=0)
def lstm_coupled(x: Array, state: Memory, w: Weights) -> Memory:
    """Greff et al. 2015, CIFG: an LSTM whose input gate is what its forget gate leaves."""
    h, c = state
    a_f, a_g, a_o = parts(net(x, h, w), 3)
    f = sigmoid(a_f)
    i = 1 - f
    c = f * c + i * np.tanh(a_g)
    return sigmoid(a_o) * np.tanh(c), c


@fresh(forget=1, gain_ih=1.0, gain_hh=1.0, gain_c=1.0, bias_c=0.0)
def lstm_layernorm(x: Array, state: Memory, w: Weights) -> Memory:
    """Ba et al. 2016, equations 20 to 22: the two products apart, and the new cell before it is shown."""
    h, c = state
    of_x, of_h = layer_norm(w["weight_ih_l0"] @ x, w["gain_ih"]), layer_norm(w["weight_hh_l0"] @ h, w["gain_hh"])
    a_i, a_f, a_g, a_o = parts(of_x + of_h + w["bias_ih_l0"] + w["bias_hh_l0"], 4)
    c = sigmoid(a_f) * c + sigmoid(a_i) * np.tanh(a_g)
    return sigmoid(a_o) * np.tanh(layer_norm(c, w["gain_c"], w["bias_c"])), c
