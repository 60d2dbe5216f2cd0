"""Long short-term memory, and the variants that keep its two products: h and c, i f g o."""

from typing import ClassVar, NamedTuple

from charrnn.models.cells.base import Cell, Weight
from charrnn.models.states import Array, State


class LSTMState(NamedTuple):
    """The output h and the cell c (B, H)."""

    h: Array
    c: Array


class LSTM(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with a forget gate (Gers et al. 2000).

    i, f, o = sigmoid(W x + U h + b), g = tanh(W x + U h + b)
    c' = f c + i g
    h' = o tanh(c')
    """

    name = "lstm"
    gates = 4
    state_type = LSTMState
    forget = 1
    sigmoids: ClassVar[tuple[tuple[str, ...], ...]] = (("i", "f", "", "o"),)

    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        _, c = state
        c, o = self.remember(projected + recurrent, c)
        return LSTMState(o * self.op.tanh(c), c)

    def remember(self, gates: Array, c: Array) -> tuple[Array, Array]:
        """Gates (B, 4 H) and cell -> the new cell, the output gate."""
        # One sigmoid over all gates costs less than three over a quarter each.
        i, f, _, o = self.op.split(self.op.sigmoid(gates), 4)
        h = c.shape[-1]
        return f * c + i * self.op.tanh(gates[:, 2 * h : 3 * h]), o


class PeepholeLSTM(Cell):
    """LSTM whose gates see the cell (Gers & Schmidhuber 2000): p_i, p_f the cell before, p_o the cell after.

    i, f = sigmoid(W x + U h + b + p c), g = tanh(W x + U h + b)
    c' = f c + i g
    o = sigmoid(W x + U h + b + p_o c')
    h' = o tanh(c')
    """

    name = "lstm-peephole"
    gates = 4
    state_type = LSTMState
    forget = 1
    sigmoids = (("f",), ("i",), ("o",))
    extra_weights: ClassVar[dict[str, Weight]] = {"peephole": Weight(("3H",), "zeros")}

    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        _, c = state
        p_i, p_f, p_o = self.op.split(self.weights.extra["peephole"], 3)
        i, f, g, o = self.op.split(projected + recurrent, 4)
        c = self.op.sigmoid(f + p_f * c) * c + self.op.sigmoid(i + p_i * c) * self.op.tanh(g)
        return LSTMState(self.op.sigmoid(o + p_o * c) * self.op.tanh(c), c)


class CoupledLSTM(Cell):
    """LSTM that forgets as much as it takes in: i = 1 - f (Greff et al. 2015).

    f, o = sigmoid(W x + U h + b), g = tanh(W x + U h + b)
    c' = f c + (1 - f) g
    h' = o tanh(c')
    """

    name = "lstm-coupled"
    gates = 3
    state_type = LSTMState
    forget = 0
    sigmoids = (("f",), ("o",))

    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        _, c = state
        f, g, o = self.op.split(projected + recurrent, 3)
        g = self.op.tanh(g)
        c = g + self.op.sigmoid(f) * (c - g)
        return LSTMState(self.op.sigmoid(o) * self.op.tanh(c), c)


class LayerNormLSTM(LSTM):
    """LSTM with layer normalisation (Ba et al. 2016), N of gain s.

    i, f, o = sigmoid(N(W x) + N(U h) + b), g = tanh(N(W x) + N(U h) + b)
    c' = f c + i g
    h' = o tanh(N(c') + b_c)
    """

    name = "lstm-layernorm"
    extra_weights: ClassVar[dict[str, Weight]] = {
        "gain_ih": Weight(("4H",), "ones"),
        "gain_hh": Weight(("4H",), "ones"),
        "gain_c": Weight(("H",), "ones"),
        "bias_c": Weight(("H",), "zeros"),
    }

    def project(self, x: Array) -> Array:
        product = self.op.linear(x, self.weights.w_ih, None)
        return self.op.normalise(product, self.weights.extra["gain_ih"], self.bias)

    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        _, c = state
        own = self.weights.extra
        c, o = self.remember(projected + self.op.normalise(recurrent, own["gain_hh"]), c)
        return LSTMState(o * self.op.tanh(self.op.normalise(c, own["gain_c"], own["bias_c"])), c)
