"""LSTMs that add products of their own: multiplicative, Mogrifier, nested, and with exponential gates."""

from typing import ClassVar, NamedTuple

from charrnn.models.cells.base import B_IH, W_HH, Cell, Weight
from charrnn.models.cells.lstm import LSTM, LSTMState
from charrnn.models.states import Array, State

# Before anything is remembered, an input gate far below e^-80 comes to nothing, and is not to be divided by.
LEAST = 1e-30


class MultiplicativeLSTM(LSTM):
    """LSTM whose recurrent weights depend on the input (Krause et al. 2016).

    m = (W_m x) (U_m h)
    i, f, o = sigmoid(W x + V m + b), g = tanh(W x + V m + b)
    c' = f c + i g
    h' = o tanh(c')
    """

    name = "mlstm"
    gates = 5  # i f g o, and the input's share of m
    recurrent_gates = 1
    bounded = False
    extra_weights: ClassVar[dict[str, Weight]] = {
        B_IH: Weight(("4H",), "forget"),
        "weight_mh": Weight(("4H", "H"), "orthogonal"),
    }

    def project(self, x: Array) -> Array:
        return self.op.linear(x, self.weights.w_ih, None)

    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        _, c = state
        gates = 4 * c.shape[-1]
        m = projected[:, gates:] * recurrent
        product = self.op.linear(m, self.weights.extra["weight_mh"], self.bias)
        c, o = self.remember(projected[:, :gates] + product, c)
        return LSTMState(o * self.op.tanh(c), c)


class MogrifierLSTM(LSTM):
    """LSTM whose input and state gate each other first, in five rounds (Melis et al. 2020).

    x = 2 sigmoid(Q h) x and h = 2 sigmoid(R x) h in turns, x first and last, each round with a matrix of its own
    i, f, o = sigmoid(W x + U h + b), g = tanh(W x + U h + b)
    c' = f c + i g
    h' = o tanh(c')
    """

    name = "lstm-mogrifier"
    mixes = True
    bounded = False
    recurrent_gates = 0
    sigmoids = (("q1",), ("r2",), ("q3",), ("r4",), ("q5",), ("i", "f", "", "o"))
    extra_weights: ClassVar[dict[str, Weight]] = {
        W_HH: Weight(("4H", "H"), "orthogonal"),
        "weight_q1": Weight(("E", "H"), "glorot"),
        "weight_r2": Weight(("H", "E"), "glorot"),
        "weight_q3": Weight(("E", "H"), "glorot"),
        "weight_r4": Weight(("H", "E"), "glorot"),
        "weight_q5": Weight(("E", "H"), "glorot"),
    }

    def project(self, x: Array) -> Array:
        return x

    def recur(self, h: Array) -> Array:
        return h

    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        _, c = state
        x, h = projected, recurrent
        for name, weight in self.weights.extra.items():
            if name.startswith("weight_q"):
                x = 2 * self.op.sigmoid(self.op.linear(h, weight, None)) * x
            elif name.startswith("weight_r"):
                h = 2 * self.op.sigmoid(self.op.linear(x, weight, None)) * h
        gates = self.op.linear(x, self.weights.w_ih, self.bias) + self.op.linear(h, self.weights.extra[W_HH], None)
        c, o = self.remember(gates, c)
        return LSTMState(o * self.op.tanh(c), c)


class NestedState(NamedTuple):
    """The output h, the cell c and the cell of the inner LSTM (B, H)."""

    h: Array
    c: Array
    inner: Array


class NestedLSTM(Cell):
    """LSTM whose cell is the output of an LSTM of its own, primes for the inner one (Moniz & Krueger 2017).

    i, f, o = sigmoid(W x + U h + b), g = tanh(W x + U h + b)
    the inner LSTM reads i g, remembers f c instead of its last output, and gives the new c:
    i', f', o' = sigmoid(W' (i g) + U' (f c) + b'), g' = tanh(W' (i g) + U' (f c) + b')
    c'' = f' c'' + i' g', c = o' tanh(c'')
    h = o tanh(c)
    """

    name = "lstm-nested"
    gates = 4
    state_type = NestedState
    forget = 1
    sigmoids = (("i", "f", "", "o"), ("inner i", "inner f", "", "inner o"))
    extra_weights: ClassVar[dict[str, Weight]] = {
        "inner_ih": Weight(("4H", "H"), "glorot"),
        "inner_hh": Weight(("4H", "H"), "orthogonal"),
        "inner_bias": Weight(("4H",), "forget"),
    }

    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        _, c, inner = state
        own, gates, hidden = self.weights.extra, projected + recurrent, c.shape[-1]
        i, f, _, o = self.op.split(self.op.sigmoid(gates), 4)
        taken = i * self.op.tanh(gates[:, 2 * hidden : 3 * hidden])
        within = self.op.linear(taken, own["inner_ih"], own["inner_bias"]) + self.op.linear(
            f * c, own["inner_hh"], None
        )
        i, f, _, shown = self.op.split(self.op.sigmoid(within), 4)
        inner = f * inner + i * self.op.tanh(within[:, 2 * hidden : 3 * hidden])
        c = shown * self.op.tanh(inner)
        return NestedState(o * self.op.tanh(c), c, inner)


class StabilisedState(NamedTuple):
    """The output h, the cell c, the normaliser n, and the stabiliser m: c and n are e^m times what is kept (B, H)."""

    h: Array
    c: Array
    n: Array
    m: Array


class ScalarLSTM(Cell):
    """sLSTM of the xLSTM (Beck et al. 2024), one head: exponential input gates, a sum n of the gates to divide by.

    a_i, a_f, a_g, a_o = W x + U h + b
    m' = max(log sigmoid(a_f) + m, a_i), i = exp(a_i - m'), f = exp(log sigmoid(a_f) + m - m')
    c' = f c + i tanh(a_g), n' = f n + i
    h' = sigmoid(a_o) c' / n'
    """

    name = "slstm"
    gates = 4
    state_type = StabilisedState
    forget = 1
    sigmoids = (("o",),)

    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        _, c, n, m = state
        i, f, g, o = self.op.split(projected + recurrent, 4)
        remembered = self.op.log_sigmoid(f) + m
        m = remembered + self.op.relu(i - remembered)  # the larger of the two
        i, f = self.op.exp(i - m), self.op.exp(remembered - m)
        c, n = f * c + i * self.op.tanh(g), f * n + i
        return StabilisedState(self.op.sigmoid(o) * c / (n + LEAST), c, n, m)
