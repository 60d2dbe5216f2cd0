"""Cells whose gates do not look at the state, so that a whole sequence is one linear recurrence: h' = a h + b."""

from abc import abstractmethod

from charrnn.models.cells.base import Cell, HiddenState
from charrnn.models.states import Array, State


class LinearCell(Cell):
    """h' = a h + b, where a and b follow from the input alone: no step need wait for the one before (`scan`)."""

    recurrent_gates = 0
    bounded = False

    def recur(self, h: Array) -> Array:
        return None

    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        (h,) = state
        kept, taken = self.coefficients(projected)
        return HiddenState(kept * h + taken)

    @abstractmethod
    def coefficients(self, projected: Array) -> tuple[Array, Array]:
        """Gates (..., G) -> a, b (..., H)."""

    def candidate(self, x: Array) -> Array:
        """Feng et al. (2024), listing of g: x + 1/2 where x is positive, sigmoid(x) elsewhere; always positive."""
        positive = self.op.relu(x)
        return positive + self.op.sigmoid(x - positive)


class MinGRU(LinearCell):
    """Minimal GRU (Feng et al. 2024), in the form that is trained by a scan.

    z = sigmoid(W_z x + b_z), n = g(W_n x + b_n)
    h' = (1 - z) h + z n
    """

    name = "mingru"
    gates = 2
    sigmoids = (("z",), ("",))

    def coefficients(self, projected: Array) -> tuple[Array, Array]:
        hidden = projected.shape[-1] // 2
        z = self.op.sigmoid(projected[..., :hidden])
        return 1 - z, z * self.candidate(projected[..., hidden:])


class MinLSTM(LinearCell):
    """Minimal LSTM (Feng et al. 2024), its gates made to sum to one, in the form that is trained by a scan.

    f = sigmoid(W_f x + b_f), i = sigmoid(W_i x + b_i), n = g(W_n x + b_n)
    h' = f / (f + i) h + i / (f + i) n
    """

    name = "minlstm"
    gates = 3
    forget = 0
    sigmoids = (("f",), ("",))

    def coefficients(self, projected: Array) -> tuple[Array, Array]:
        hidden = projected.shape[-1] // 3
        f, i, n = (projected[..., k * hidden : (k + 1) * hidden] for k in range(3))
        # f / (f + i) by logarithms, which stays right where both have come to nothing.
        kept = self.op.sigmoid(self.op.log_sigmoid(f) - self.op.log_sigmoid(i))
        return kept, (1 - kept) * self.candidate(n)
