"""Every cell against its paper's equations, written out in NumPy for one row and one step."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from charrnn.models.cells import CELLS
from tests.laws.test_layers import EXACT, HIDDEN, INPUTS, both_ways, every_layer, normal, some_state, trained

Array = npt.NDArray[np.float64]
# One step: input, state, weights by name -> state.
Step = Callable[[Array, tuple[Array, ...], dict[str, Array]], tuple[Array, ...]]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def net(x: Array, h: Array, w: dict[str, Array]) -> Array:
    """W x + b + U h + d"""
    return w["weight_ih_l0"] @ x + w["bias_ih_l0"] + w["weight_hh_l0"] @ h + w["bias_hh_l0"]


def parts(a: Array, count: int) -> list[Array]:
    size = len(a) // count
    return [a[k * size : (k + 1) * size] for k in range(count)]


def rnn(x: Array, state: tuple[Array, ...], w: dict[str, Array]) -> tuple[Array, ...]:
    """Elman 1990."""
    return (np.tanh(net(x, state[0], w)),)


def rnn_relu(x: Array, state: tuple[Array, ...], w: dict[str, Array]) -> tuple[Array, ...]:
    """Le et al. 2015."""
    return (np.maximum(0, net(x, state[0], w)),)


def rnn_gelu(x: Array, state: tuple[Array, ...], w: dict[str, Array]) -> tuple[Array, ...]:
    """Hendrycks & Gimpel 2016: 0.5 x (1 + tanh[sqrt(2 / pi) (x + 0.044715 x^3)])."""
    a = net(x, state[0], w)
    return (0.5 * a * (1 + np.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a**3))),)


def indrnn(x: Array, state: tuple[Array, ...], w: dict[str, Array]) -> tuple[Array, ...]:
    """Li et al. 2018, equation 2: the recurrent weights are a vector."""
    return (np.maximum(0, w["weight_ih_l0"] @ x + w["memory"] * state[0] + w["bias_ih_l0"]),)


def lstm_from(gates: Array, c: Array) -> tuple[Array, Array]:
    i, f, g, o = parts(gates, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def lstm(x: Array, state: tuple[Array, ...], w: dict[str, Array]) -> tuple[Array, ...]:
    """Hochreiter & Schmidhuber 1997, Gers et al. 2000."""
    h, c = state
    return lstm_from(net(x, h, w), c)


def peephole(x: Array, state: tuple[Array, ...], w: dict[str, Array]) -> tuple[Array, ...]:
    """Gers & Schmidhuber 2000: the input and the forget gate see the old cell, the output gate the new one."""
    h, c = state
    p_i, p_f, p_o = parts(w["peephole"], 3)
    a_i, a_f, a_g, a_o = parts(net(x, h, w), 4)
    c = sigmoid(a_f + p_f * c) * c + sigmoid(a_i + p_i * c) * np.tanh(a_g)
    return sigmoid(a_o + p_o * c) * np.tanh(c), c


def coupled(x: Array, state: tuple[Array, ...], w: dict[str, Array]) -> tuple[Array, ...]:
    """Greff et al. 2015, CIFG: an LSTM whose input gate is what its forget gate leaves."""
    h, c = state
    a_f, a_g, a_o = parts(net(x, h, w), 3)
    f = sigmoid(a_f)
    i = 1 - f
    c = f * c + i * np.tanh(a_g)
    return sigmoid(a_o) * np.tanh(c), c


def layer_norm(a: Array, gain: Array, bias: Array | float = 0.0) -> Array:
    """Ba et al. 2016, equation 3, and the constant that keeps the root from zero."""
    mu = sum(a) / len(a)
    variance = sum((value - mu) ** 2 for value in a) / len(a)
    return gain * (a - mu) / math.sqrt(variance + 1e-5) + bias


def lstm_layernorm(x: Array, state: tuple[Array, ...], w: dict[str, Array]) -> tuple[Array, ...]:
    """Ba et al. 2016, equations 20 to 22: the two products apart, and the new cell before it is shown."""
    h, c = state
    of_x, of_h = layer_norm(w["weight_ih_l0"] @ x, w["gain_ih"]), layer_norm(w["weight_hh_l0"] @ h, w["gain_hh"])
    a_i, a_f, a_g, a_o = parts(of_x + of_h + w["bias_ih_l0"] + w["bias_hh_l0"], 4)
    c = sigmoid(a_f) * c + sigmoid(a_i) * np.tanh(a_g)
    return sigmoid(a_o) * np.tanh(layer_norm(c, w["gain_c"], w["bias_c"])), c


def mogrifier(x: Array, state: tuple[Array, ...], w: dict[str, Array]) -> tuple[Array, ...]:
    """Melis et al. 2020, equations 1 and 2, five rounds, then an LSTM."""
    h, c = state
    x1 = 2 * sigmoid(w["weight_q1"] @ h) * x
    h2 = 2 * sigmoid(w["weight_r2"] @ x1) * h
    x3 = 2 * sigmoid(w["weight_q3"] @ h2) * x1
    h4 = 2 * sigmoid(w["weight_r4"] @ x3) * h2
    x5 = 2 * sigmoid(w["weight_q5"] @ h4) * x3
    return lstm_from(w["weight_ih_l0"] @ x5 + w["bias_ih_l0"] + w["weight_hh_l0"] @ h4, c)


def nested(x: Array, state: tuple[Array, ...], w: dict[str, Array]) -> tuple[Array, ...]:
    """Moniz & Krueger 2017: the inner LSTM's input is i g, its last output f c."""
    h, c, inner = state
    a_i, a_f, a_g, a_o = parts(net(x, h, w), 4)
    inner_x, inner_h = sigmoid(a_i) * np.tanh(a_g), sigmoid(a_f) * c
    c, inner = lstm_from(w["inner_ih"] @ inner_x + w["inner_hh"] @ inner_h + w["inner_bias"], inner)
    return sigmoid(a_o) * np.tanh(c), c, inner


def mlstm(x: Array, state: tuple[Array, ...], w: dict[str, Array]) -> tuple[Array, ...]:
    """Krause et al. 2016, equations 8 to 13: m = (W_mx x) * (W_mh h) stands where h stood."""
    h, c = state
    w_x, w_mx = w["weight_ih_l0"][: 4 * HIDDEN], w["weight_ih_l0"][4 * HIDDEN :]
    m = (w_mx @ x) * (w["weight_hh_l0"] @ h)
    return lstm_from(w_x @ x + w["weight_mh"] @ m + w["bias_ih_l0"], c)


def slstm(x: Array, state: tuple[Array, ...], w: dict[str, Array]) -> tuple[Array, ...]:
    """Beck et al. 2024, equations 8 to 17 with f = sigmoid, without the stabiliser: its m is undone first."""
    h, c, n, m = state
    a_i, a_f, a_g, a_o = parts(net(x, h, w), 4)
    i, f = np.exp(a_i), sigmoid(a_f)
    real_c = f * (c * np.exp(m)) + i * np.tanh(a_g)
    real_n = f * (n * np.exp(m)) + i
    h = sigmoid(a_o) * real_c / real_n
    m = np.maximum(np.log(f) + m, a_i)
    return h, real_c * np.exp(-m), real_n * np.exp(-m), m


def gru(x: Array, state: tuple[Array, ...], w: dict[str, Array]) -> tuple[Array, ...]:
    """Cho et al. 2014, the reset gate behind the product and its bias, as cuDNN has it."""
    (h,) = state
    (x_r, x_z, x_n) = parts(w["weight_ih_l0"] @ x + w["bias_ih_l0"], 3)
    (h_r, h_z, h_n) = parts(w["weight_hh_l0"] @ h + w["bias_hh_l0"], 3)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    return ((1 - z) * np.tanh(x_n + r * h_n) + z * h,)


def gru_update(x: Array, state: tuple[Array, ...], w: dict[str, Array]) -> tuple[Array, ...]:
    """Chung et al. 2014, equation 5: z is the share of the new."""
    (h,) = state
    (x_r, x_z, x_n) = parts(w["weight_ih_l0"] @ x + w["bias_ih_l0"], 3)
    (h_r, h_z, h_n) = parts(w["weight_hh_l0"] @ h + w["bias_hh_l0"], 3)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    return ((1 - z) * h + z * np.tanh(x_n + r * h_n),)


def reset_before(x: Array, h: Array, w: dict[str, Array]) -> tuple[Array, Array]:
    """z, and the candidate of Cho et al. 2014, equation 8: tanh(W x + U (r h))."""
    (x_r, x_z, x_n) = parts(w["weight_ih_l0"] @ x + w["bias_ih_l0"], 3)
    (h_r, h_z) = parts(w["weight_hh_l0"] @ h, 2)
    return sigmoid(x_z + h_z), np.tanh(x_n + w["weight_hn"] @ (sigmoid(x_r + h_r) * h))


def gru_before(x: Array, state: tuple[Array, ...], w: dict[str, Array]) -> tuple[Array, ...]:
    """Cho et al. 2014, equation 7: z is the share of the old."""
    (h,) = state
    z, n = reset_before(x, h, w)
    return (z * h + (1 - z) * n,)


def gru_before_update(x: Array, state: tuple[Array, ...], w: dict[str, Array]) -> tuple[Array, ...]:
    """Chung et al. 2014, equations 5 to 8."""
    (h,) = state
    z, n = reset_before(x, h, w)
    return ((1 - z) * h + z * n,)


def gru_layernorm(x: Array, state: tuple[Array, ...], w: dict[str, Array]) -> tuple[Array, ...]:
    """Ba et al. 2016, the GRU of the supplement: r and z are normalised together, the candidate's products alone."""
    (h,) = state
    both = 2 * HIDDEN
    of_x, of_h = w["weight_ih_l0"] @ x, w["weight_hh_l0"] @ h
    rz = (
        layer_norm(of_x[:both], w["gain_ih"][:both], w["bias_ih_l0"][:both])
        + layer_norm(of_h[:both], w["gain_hh"][:both], w["bias_hh_l0"][:both])
    )  # fmt: skip
    r, z = parts(sigmoid(rz), 2)
    candidate = np.tanh(
        layer_norm(of_x[both:], w["gain_ih"][both:], w["bias_ih_l0"][both:])
        + r * layer_norm(of_h[both:], w["gain_hh"][both:], w["bias_hh_l0"][both:])
    )
    return ((1 - z) * candidate + z * h,)


def g(x: Array) -> Array:
    """Feng et al. 2024, appendix: x + 0.5 where x >= 0, else sigmoid(x)."""
    return np.array([value + 0.5 if value >= 0 else 1 / (1 + math.exp(-value)) for value in x])


def mingru(x: Array, state: tuple[Array, ...], w: dict[str, Array]) -> tuple[Array, ...]:
    """Feng et al. 2024, section 3.1."""
    a_z, a_n = parts(w["weight_ih_l0"] @ x + w["bias_ih_l0"], 2)
    z = sigmoid(a_z)
    return ((1 - z) * state[0] + z * g(a_n),)


def minlstm(x: Array, state: tuple[Array, ...], w: dict[str, Array]) -> tuple[Array, ...]:
    """Feng et al. 2024, section 3.2: the gates are divided by their sum."""
    a_f, a_i, a_n = parts(w["weight_ih_l0"] @ x + w["bias_ih_l0"], 3)
    f, i = sigmoid(a_f), sigmoid(a_i)
    return (f / (f + i) * state[0] + i / (f + i) * g(a_n),)


STEPS: dict[str, Step] = {
    "rnn": rnn,
    "rnn-relu": rnn_relu,
    "rnn-gelu": rnn_gelu,
    "indrnn": indrnn,
    "lstm": lstm,
    "lstm-peephole": peephole,
    "lstm-coupled": coupled,
    "lstm-layernorm": lstm_layernorm,
    "lstm-mogrifier": mogrifier,
    "lstm-nested": nested,
    "mlstm": mlstm,
    "slstm": slstm,
    "gru": gru,
    "gru-update": gru_update,
    "gru-before": gru_before,
    "gru-before-update": gru_before_update,
    "gru-layernorm": gru_layernorm,
    "mingru": mingru,
    "minlstm": minlstm,
}


def test_every_cell_has_its_equations() -> None:
    assert list(STEPS) == list(CELLS)


@every_layer
@both_ways
def test_the_layer_equals_the_equations(name: str, gradients: bool) -> None:
    layer, step = trained(name), STEPS[name]
    weights = {of: weight.detach().numpy() for of, weight in layer.rnn.named_parameters()}
    x, state = normal(2, 20, INPUTS), some_state(layer, 2)
    with torch.set_grad_enabled(gradients):
        y, left = layer(x, state)
    for row in range(2):
        expected = tuple(part[row].numpy() for part in state)
        for t in range(20):
            expected = step(x[row, t].numpy(), expected, weights)
            np.testing.assert_allclose(y[row, t].detach().numpy(), expected[0], rtol=EXACT, atol=EXACT)
        for part, own in zip(left, expected, strict=True):
            np.testing.assert_allclose(part[row].detach().numpy(), own, rtol=EXACT, atol=EXACT)


def test_the_two_conventions_of_z_are_one_network_with_z_turned_round() -> None:
    """Cho et al.'s z is one minus Chung et al.'s: the weights of z change their sign."""
    for one, other in (("gru", "gru-update"), ("gru-before", "gru-before-update")):
        cho, chung = trained(one), trained(other)
        chung.load_state_dict(cho.state_dict())
        with torch.no_grad():
            for name, weight in chung.rnn.named_parameters():
                if name != "weight_hn":
                    weight[HIDDEN : 2 * HIDDEN].neg_()
        x, state = normal(2, 20, INPUTS), some_state(cho, 2)
        assert (cho(x, state)[0] - chung(x, state)[0]).abs().max() < EXACT
