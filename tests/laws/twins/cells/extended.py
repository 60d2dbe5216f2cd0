"""LSTMs that add products of their own."""

import numpy as np

from tests.laws.twins.cells.common import Array, Memory, Weights, fresh, lstm_from, net, parts, sigmoid


@fresh(forget=1)
def mlstm(x: Array, state: Memory, w: Weights) -> Memory:
    """Krause et al. 2016, equations 8 to 13: m = (W_mx x) * (W_mh h) stands where h stood."""
    h, c = state
    w_x, w_mx = w["weight_ih_l0"][: 4 * len(h)], w["weight_ih_l0"][4 * len(h) :]
    m = (w_mx @ x) * (w["weight_hh_l0"] @ h)
    return lstm_from(w_x @ x + w["weight_mh"] @ m + w["bias_ih_l0"], c)


@fresh(forget=1)
def lstm_mogrifier(x: Array, state: Memory, w: Weights) -> Memory:
    """Melis et al. 2020, equations 1 and 2, five rounds, then an LSTM."""
    h, c = state
    x1 = 2 * sigmoid(w["weight_q1"] @ h) * x
    h2 = 2 * sigmoid(w["weight_r2"] @ x1) * h
    x3 = 2 * sigmoid(w["weight_q3"] @ h2) * x1
    h4 = 2 * sigmoid(w["weight_r4"] @ x3) * h2
    x5 = 2 * sigmoid(w["weight_q5"] @ h4) * x3
    return lstm_from(w["weight_ih_l0"] @ x5 + w["bias_ih_l0"] + w["weight_hh_l0"] @ h4, c)


@fresh(forget=1)
def lstm_nested(x: Array, state: Memory, w: Weights) -> Memory:
    """Moniz & Krueger 2017: the inner LSTM's input is i g, its last output f c."""
    h, c, inner = state
    a_i, a_f, a_g, a_o = parts(net(x, h, w), 4)
    inner_x, inner_h = sigmoid(a_i) * np.tanh(a_g), sigmoid(a_f) * c
    c, inner = lstm_from(w["inner_ih"] @ inner_x + w["inner_hh"] @ inner_h + w["inner_bias"], inner)
    return sigmoid(a_o) * np.tanh(c), c, inner


@fresh(forget=1)
def slstm(x: Array, state: Memory, w: Weights) -> Memory:
    """Beck et al. 2024, equations 8 to 17 with f = sigmoid, without the stabiliser: its m is undone first."""
    h, c, n, m = state
    a_i, a_f, a_g, a_o = parts(net(x, h, w), 4)
    i, f = np.exp(a_i), sigmoid(a_f)
    real_c = f * (c * np.exp(m)) + i * np.tanh(a_g)
    real_n = f * (n * np.exp(m)) + i
    h = sigmoid(a_o) * real_c / real_n
    m = np.maximum(np.log(f) + m, a_i)
    return h, real_c * np.exp(-m), real_n * np.exp(-m), m
