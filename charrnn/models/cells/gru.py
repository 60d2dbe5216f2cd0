"""Gated recurrent units: r z n, in each convention that has been published."""

from typing import ClassVar

from charrnn.models.cells.base import Cell, HiddenState, Weight
from charrnn.models.states import Array, State


class GRU(Cell):
    """Gated recurrent unit (Cho et al. 2014), the reset gate behind the product as in cuDNN; z is what is kept.

    r, z = sigmoid(W x + U h + b)
    n = tanh(W_n x + b_n + r (U_n h + d_n))
    h' = (1 - z) n + z h
    """

    name = "gru"
    gates = 3
    sigmoids = (("r", "z"),)

    def project(self, x: Array) -> Array:
        return self.op.linear(x, self.weights.w_ih, self.weights.b_ih)

    @property
    def recurrent_bias(self) -> Array | None:
        return self.weights.b_hh

    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        (h,) = state
        both = 2 * h.shape[-1]
        r, z = self.op.split(self.op.sigmoid(projected[:, :both] + recurrent[:, :both]), 2)
        n = self.op.tanh(projected[:, both:] + r * recurrent[:, both:])
        return HiddenState(self.blend(n, z, h))

    def blend(self, n: Array, z: Array, h: Array) -> Array:
        """The new state from the candidate, the gate and the old state (B, H)."""
        return n + z * (h - n)


class UpdateGRU(GRU):
    """The GRU whose z is what is taken in (Chung et al. 2014), the reset gate behind the product.

    h' = z n + (1 - z) h, the rest as in the GRU
    """

    name = "gru-update"

    def blend(self, n: Array, z: Array, h: Array) -> Array:
        return h + z * (n - h)


class BeforeGRU(GRU):
    """The GRU as it was first written (Cho et al. 2014): the reset gate before the product; z is what is kept.

    r, z = sigmoid(W x + U h + b)
    n = tanh(W_n x + b_n + U_n (r h))
    h' = (1 - z) n + z h
    """

    name = "gru-before"
    recurrent_gates = 2
    extra_weights: ClassVar[dict[str, Weight]] = {"weight_hn": Weight(("H", "H"), "orthogonal")}

    @property
    def recurrent_bias(self) -> Array | None:
        return None

    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        (h,) = state
        both = 2 * h.shape[-1]
        r, z = self.op.split(self.op.sigmoid(projected[:, :both] + recurrent), 2)
        n = self.op.tanh(projected[:, both:] + self.op.linear(r * h, self.weights.extra["weight_hn"], None))
        return HiddenState(self.blend(n, z, h))


class BeforeUpdateGRU(BeforeGRU):
    """The GRU of Chung et al. (2014): the reset gate before the product; z is what is taken in.

    h' = z n + (1 - z) h, the rest as in Cho et al. (2014)
    """

    name = "gru-before-update"
    blend = UpdateGRU.blend


class LayerNormGRU(GRU):
    """GRU with layer normalisation (Ba et al. 2016), N of gain s: over r and z together, over n alone.

    r, z = sigmoid(N(W x) + N(U h) + b)
    n = tanh(N(W_n x) + b_n + r (N(U_n h) + d_n))
    h' = (1 - z) n + z h
    """

    name = "gru-layernorm"
    extra_weights: ClassVar[dict[str, Weight]] = {
        "gain_ih": Weight(("3H",), "ones"),
        "gain_hh": Weight(("3H",), "ones"),
    }

    def project(self, x: Array) -> Array:
        return self.op.linear(x, self.weights.w_ih, None)

    @property
    def recurrent_bias(self) -> Array | None:
        return None

    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        (h,) = state
        own, both = self.weights.extra, 2 * h.shape[-1]
        x_rz, x_n = self.normalised(projected, own["gain_ih"], self.weights.b_ih, both)
        h_rz, h_n = self.normalised(recurrent, own["gain_hh"], self.weights.b_hh, both)
        r, z = self.op.split(self.op.sigmoid(x_rz + h_rz), 2)
        return HiddenState(self.blend(self.op.tanh(x_n + r * h_n), z, h))

    def normalised(self, product: Array, gain: Array, bias: Array, both: int) -> tuple[Array, Array]:
        """A product (B, 3 H) -> its first two gates (B, 2 H) and its last (B, H), each normalised by itself."""
        normalise = self.op.normalise
        return (
            normalise(product[:, :both], gain[..., :both], bias[..., :both]),
            normalise(product[:, both:], gain[..., both:], bias[..., both:]),
        )
