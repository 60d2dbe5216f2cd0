"""Simple recurrent networks: one product of the input, one of the state, one bend."""

from typing import ClassVar

from charrnn.models.cells.base import Cell, HiddenState, Weight
from charrnn.models.states import Array, State

GELU_SCALE, GELU_CUBE = 0.7978845608028654, 0.044715  # sqrt(2 / pi), and the constant of the approximation


class RNN(Cell):
    """Simple recurrent network (Elman 1990).

    h' = tanh(W x + b + U h + d)

    Half the learning rate of other cells: a wide one that is driven faster saturates, and then learns next to nothing.
    """

    name = "rnn"
    gates = 1
    lr_scale = 0.5

    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        return HiddenState(self.activation(projected + recurrent))

    def activation(self, x: Array) -> Array:
        """The activation (B, H)."""
        return self.op.tanh(x)


class ReluRNN(RNN):
    """Simple recurrent network of rectified units that begin as copies of themselves (Le et al. 2015).

    h' = max(0, W x + b + U h + d)

    What only ever adds up, over a whole text, grows without bounds: so U begins as a quarter of the identity.
    """

    name = "rnn-relu"
    recurrent_start = "identity"
    spectral_radius = 0.25
    lr_scale = 1.0
    bounded = False

    def activation(self, x: Array) -> Array:
        return self.op.relu(x)


class GeluRNN(RNN):
    """Simple recurrent network with Gaussian error linear units, by their tanh (Hendrycks & Gimpel 2016).

    h' = gelu(W x + b + U h + d), gelu(a) = a / 2 (1 + tanh(sqrt(2 / pi) (a + 0.044715 a^3)))
    """

    name = "rnn-gelu"
    lr_scale = 1.0
    bounded = False

    def activation(self, x: Array) -> Array:
        return 0.5 * x * (1 + self.op.tanh(GELU_SCALE * (x + GELU_CUBE * x * x * x)))


class IndRNN(Cell):
    """Independently recurrent network: each unit hears itself alone (Li et al. 2018).

    h' = max(0, W x + b + u h)
    """

    name = "indrnn"
    gates = 1
    recurrent_gates = 0
    bounded = False
    extra_weights: ClassVar[dict[str, Weight]] = {"memory": Weight(("H",), "unit")}

    def recur(self, h: Array) -> Array:
        return self.weights.extra["memory"] * h

    def step(self, projected: Array, recurrent: Array, state: State) -> State:
        return HiddenState(self.op.relu(projected + recurrent))
