"""Gated recurrent units."""

import numpy as np

from tests.laws.twins.cells.common import Array, Memory, Weights, fresh, layer_norm, parts, sigmoid


def gru(x: Array, state: Memory, w: Weights) -> Memory:
    """Cho et al. 2014, the reset gate behind the product and its bias, as cuDNN has it."""
    (h,) = state
    (x_r, x_z, x_n) = parts(w["weight_ih_l0"] @ x + w["bias_ih_l0"], 3)
    (h_r, h_z, h_n) = parts(w["weight_hh_l0"] @ h + w["bias_hh_l0"], 3)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    return ((1 - z) * np.tanh(x_n + r * h_n) + z * h,)


def gru_update(x: Array, state: Memory, w: Weights) -> Memory:
    """Chung et al. 2014, equation 5: z is the share of the new."""
    (h,) = state
    (x_r, x_z, x_n) = parts(w["weight_ih_l0"] @ x + w["bias_ih_l0"], 3)
    (h_r, h_z, h_n) = parts(w["weight_hh_l0"] @ h + w["bias_hh_l0"], 3)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    return ((1 - z) * h + z * np.tanh(x_n + r * h_n),)


def reset_before(x: Array, h: Array, w: Weights) -> tuple[Array, Array]:
    """z, and the candidate of Cho et al. 2014, equation 8: tanh(W x + U (r h))."""
    (x_r, x_z, x_n) = parts(w["weight_ih_l0"] @ x + w["bias_ih_l0"], 3)
    (h_r, h_z) = parts(w["weight_hh_l0"] @ h, 2)
    return sigmoid(x_z + h_z), np.tanh(x_n + w["weight_hn"] @ (sigmoid(x_r + h_r) * h))


def gru_before(x: Array, state: Memory, w: Weights) -> Memory:
    """Cho et al. 2014, equation 7: z is the share of the old."""
    (h,) = state
    z, n = reset_before(x, h, w)
    return (z * h + (1 - z) * n,)


def gru_before_update(x: Array, state: Memory, w: Weights) -> Memory:
    """Chung et al. 2014, equations 5 to 8."""
    (h,) = state
    z, n = reset_before(x, h, w)
    return ((1 - z) * h + z * n,)


@fresh(gain_ih=1.0, gain_hh=1.0)
def gru_layernorm(x: Array, state: Memory, w: Weights) -> Memory:
    """Ba et al. 2016, the GRU of the supplement: r and z are normalised together, the candidate's products alone."""
    (h,) = state
    both = 2 * len(h)
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
