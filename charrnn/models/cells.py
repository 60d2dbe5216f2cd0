"""One time step of each cell, written as its formula, for torch and for NumPy alike.

Shapes: B batch, E input size, H hidden size, G gates x H. Gates stand in torch's order: i f g o, and r z n.
`project` does all that needs no state, for a whole sequence at once; `recur` is what the state adds; `step` is the
rest. A formula borrows its weights and its operations from whoever runs it: a layer in training, the decoder, a test.
This file imports neither library, so that text can be generated without torch.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Protocol

# A torch tensor or a NumPy array: the formulas need only + - * and slices.
Array = Any

# One layer's memory: (h,) or (h, c), each (B, H). All layers: one of these each.
State = tuple[Array, ...]
States = tuple[State, ...]


class Operations(Protocol):
    """What a formula asks of an array library."""

    def linear(self, x: Array, weight: Any, bias: Array | None) -> Array:
        """x (..., K), weight (N, K), bias (N,) -> (..., N)"""

    def sigmoid(self, x: Array) -> Array:
        """1 / (1 + exp(-x))"""

    def tanh(self, x: Array) -> Array:
        """Hyperbolic tangent."""

    def normalise(self, x: Array, gain: Array, bias: Array | None = None) -> Array:
        """gain (x - mean) / sqrt(variance + 1e-5) + bias over the last axis (Ba et al. 2016)."""

    def split(self, x: Array, parts: int) -> Sequence[Array]:
        """The last axis in equal parts."""


class Weights(NamedTuple):
    """One layer's weights as torch lays them out, matrices (G, E), (G, H), biases (G,), and the cell's own vectors."""

    w_ih: Any
    w_hh: Any
    b_ih: Array
    b_hh: Array
    vectors: tuple[Array, ...] = ()


class Cell(ABC):
    """A recurrent cell over borrowed weights and operations."""

    gates: ClassVar[int]
    parts: ClassVar[tuple[str, ...]]
    # The cell's own vectors: name -> how many times H numbers, and what they are at first.
    vectors: ClassVar[dict[str, tuple[int, float]]] = {}
    # Which gate is the forget gate, where there is one.
    forget: ClassVar[int | None] = None

    def __init__(self, weights: Weights, operations: Operations) -> None:
        self.weights = weights
        self.op = operations

    def project(self, x: Array) -> Array:
        """Inputs (..., E) -> their share of the gates (..., G), both biases in it."""
        return self.op.linear(x, self.weights.w_ih, self.bias)

    @cached_property
    def bias(self) -> Array:
        """Both biases, where the formula adds them to the same sum."""
        return self.weights.b_ih + self.weights.b_hh

    @property
    def recurrent_bias(self) -> Array | None:
        """What `recur` adds to the product, where the formula does not let it stand among the inputs."""
        return None

    def recur(self, h: Array) -> Array:
        """State (B, H) -> its share of the gates (B, G)."""
        return self.op.linear(h, self.weights.w_hh, self.recurrent_bias)

    @abstractmethod
    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        """Both shares of the gates (B, G) and the state -> next state; its first part is the output."""


class RNN(Cell):
    """Simple recurrent network (Elman 1990).

    h' = tanh(W x + b + U h + d)
    """

    gates = 1
    parts = ("h",)

    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        return (self.op.tanh(projected + recurrent),)


class LSTM(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with a forget gate (Gers et al. 2000).

    i, f, o = sigmoid(W x + U h + b), g = tanh(W x + U h + b)
    c' = f c + i g
    h' = o tanh(c')
    """

    gates = 4
    parts = ("h", "c")
    forget = 1

    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        _, c = state
        c, o = self.remember(projected + recurrent, c)
        return o * self.op.tanh(c), c

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

    gates = 4
    parts = ("h", "c")
    forget = 1
    vectors: ClassVar[dict[str, tuple[int, float]]] = {"peephole": (3, 0.0)}

    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        _, c = state
        p_i, p_f, p_o = self.op.split(self.weights.vectors[0], 3)
        i, f, g, o = self.op.split(projected + recurrent, 4)
        c = self.op.sigmoid(f + p_f * c) * c + self.op.sigmoid(i + p_i * c) * self.op.tanh(g)
        return self.op.sigmoid(o + p_o * c) * self.op.tanh(c), c


class CoupledLSTM(Cell):
    """LSTM that forgets as much as it takes in: i = 1 - f (Greff et al. 2015).

    f, o = sigmoid(W x + U h + b), g = tanh(W x + U h + b)
    c' = f c + (1 - f) g
    h' = o tanh(c')
    """

    gates = 3
    parts = ("h", "c")
    forget = 0

    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        _, c = state
        f, g, o = self.op.split(projected + recurrent, 3)
        g = self.op.tanh(g)
        c = g + self.op.sigmoid(f) * (c - g)
        return self.op.sigmoid(o) * self.op.tanh(c), c


class LayerNormLSTM(LSTM):
    """LSTM with layer normalisation (Ba et al. 2016), N of gain s.

    i, f, o = sigmoid(N(W x) + N(U h) + b), g = tanh(N(W x) + N(U h) + b)
    c' = f c + i g
    h' = o tanh(N(c') + b_c)
    """

    vectors: ClassVar[dict[str, tuple[int, float]]] = {
        "gain_ih": (4, 1.0),
        "gain_hh": (4, 1.0),
        "gain_c": (1, 1.0),
        "bias_c": (1, 0.0),
    }

    def project(self, x: Array) -> Array:
        product = self.op.linear(x, self.weights.w_ih, None)
        return self.op.normalise(product, self.weights.vectors[0], self.bias)

    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        _, c = state
        _, gain, gain_c, bias_c = self.weights.vectors
        c, o = self.remember(projected + self.op.normalise(recurrent, gain), c)
        return o * self.op.tanh(self.op.normalise(c, gain_c, bias_c)), c


class GRU(Cell):
    """Gated recurrent unit (Cho et al. 2014), the reset gate behind the product as in cuDNN.

    r, z = sigmoid(W x + U h + b)
    n = tanh(W_n x + b_n + r (U_n h + d_n))
    h' = (1 - z) n + z h
    """

    gates = 3
    parts = ("h",)

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
        return (n + z * (h - n),)


CELLS: dict[str, type[Cell]] = {
    "rnn": RNN,
    "lstm": LSTM,
    "gru": GRU,
    "lstm-peephole": PeepholeLSTM,
    "lstm-coupled": CoupledLSTM,
    "lstm-layernorm": LayerNormLSTM,
}
