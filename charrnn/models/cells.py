"""One time step of each cell, written as its formula.

Shapes: B batch, E input size, H hidden size, G gates x H. Gates stand in torch's order: i f g o, and r z n.
`project` does all that needs no state, for a whole sequence at once; `step` is one time step. Weights are given,
not owned: the layers own them, the decoder and the tests borrow them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch.nn.functional as F
from torch import Tensor

# One layer's memory: (h,) or (h, c), each (B, H). All layers: one of these each.
State = tuple[Tensor, ...]
States = tuple[State, ...]

# x (..., K), weight (N, K), bias (N,) -> (..., N)
Linear = Callable[[Tensor, Tensor, Tensor], Tensor]


class Weights(NamedTuple):
    """One layer's weights, as torch lays them out: (G, E), (G, H), (G,), (G,)."""

    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor
    b_hh: Tensor


class Cell(ABC):
    """A recurrent cell over borrowed weights; `linear` computes its matrix products."""

    gates: ClassVar[int]
    parts: ClassVar[tuple[str, ...]]

    def __init__(self, weights: Weights, linear: Linear = F.linear) -> None:
        self.weights = weights
        self.linear = linear

    def project(self, x: Tensor) -> Tensor:
        """Inputs (..., E) -> their share of the gates (..., G)."""
        return self.linear(x, self.weights.w_ih, self.weights.b_ih)

    def recur(self, h: Tensor) -> Tensor:
        """State (B, H) -> its share of the gates (B, G)."""
        return self.linear(h, self.weights.w_hh, self.weights.b_hh)

    @abstractmethod
    def step(self, projected: Tensor, state: State) -> State:
        """Projected input (B, G) and state -> next state; its first part is the output."""


class RNN(Cell):
    """Simple recurrent network (Elman 1990).

    h' = tanh(W_ih x + b_ih + W_hh h + b_hh)
    """

    gates = 1
    parts = ("h",)

    def step(self, projected: Tensor, state: State) -> State:
        (h,) = state
        return ((projected + self.recur(h)).tanh(),)


class LSTM(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with a forget gate (Gers et al. 2000).

    i, f, o = sigmoid(W x + U h + b), g = tanh(W x + U h + b)
    c' = f c + i g
    h' = o tanh(c')
    """

    gates = 4
    parts = ("h", "c")

    def step(self, projected: Tensor, state: State) -> State:
        h, c = state
        i, f, g, o = (projected + self.recur(h)).chunk(4, dim=-1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class GRU(Cell):
    """Gated recurrent unit (Cho et al. 2014), the reset gate behind the product as in cuDNN.

    r, z = sigmoid(W x + U h + b)
    n = tanh(W_n x + b_n + r (U_n h + d_n))
    h' = (1 - z) n + z h
    """

    gates = 3
    parts = ("h",)

    def step(self, projected: Tensor, state: State) -> State:
        (h,) = state
        recurrent = self.recur(h)
        # The gates are added before they are cut apart: torch then works row by row, and rounds each row alike.
        r, z, _ = (projected + recurrent).chunk(3, dim=-1)
        x_n, h_n = projected.chunk(3, dim=-1)[2], recurrent.chunk(3, dim=-1)[2]
        z = z.sigmoid()
        n = (x_n + r.sigmoid() * h_n).tanh()
        return (n + z * (h - n),)
