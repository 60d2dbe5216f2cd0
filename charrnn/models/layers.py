"""A whole sequence through one layer: torch's fused kernels, locked dropout, and the table of names.

Shapes: B batch, T time, E input size, H hidden size. Tensors are (B, T, ·) views of time-major memory (T, B, ·),
the layout that torch's kernels want: `time_major` turns the one into the other without a copy.
"""

from collections.abc import Callable
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from charrnn.models.cells import GRU, LSTM, RNN, Cell, Linear, State, Weights


def time_major(x: Tensor) -> Tensor:
    """(B, T, ·) <-> (T, B, ·), a view."""
    return x.transpose(0, 1)


class Recurrent(nn.Module):
    """A layer is a sequence: x (B, T, E), state -> y (B, T, H), state. Nothing recurrent stays on `self`."""

    hidden: int
    parts: tuple[str, ...]

    def initial_state(self, batch: int) -> State:
        """Zeros (B, H) for each part, of the weights' own type and device."""
        weight = next(self.parameters())
        return tuple(weight.new_zeros(batch, self.hidden) for _ in self.parts)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """x (B, T, E), state parts (B, H) -> y (B, T, H), state."""
        raise NotImplementedError

    def cell(self, linear: Linear = F.linear) -> Cell:
        """One step of this layer as a formula over the same weights."""
        raise NotImplementedError

    def initialise(self, generator: torch.Generator) -> None:
        """Fresh weights."""
        raise NotImplementedError


class Fused(Recurrent):
    """One of torch's own kernels (cuDNN on a GPU, oneDNN for the LSTM on a CPU), one layer of it."""

    kernel: ClassVar[Callable[[int, int], nn.RNNBase]]
    formula: ClassVar[type[Cell]]

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.parts = self.formula.parts
        self.rnn = type(self).kernel(inputs, hidden)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        given = [part.unsqueeze(0) for part in state]
        y, left = self.rnn(time_major(x), tuple(given) if len(given) > 1 else given[0])
        parts = left if isinstance(left, tuple) else (left,)
        return time_major(y), tuple(part.squeeze(0) for part in parts)

    def cell(self, linear: Linear = F.linear) -> Cell:
        rnn = self.rnn
        weights = (rnn.weight_ih_l0, rnn.weight_hh_l0, rnn.bias_ih_l0, rnn.bias_hh_l0)
        return self.formula(Weights(*cast("tuple[Tensor, ...]", weights)), linear)

    def initialise(self, generator: torch.Generator) -> None:
        """Orthogonal recurrent weights gate by gate (Saxe et al. 2014), Glorot input weights, zero biases."""
        weights = self.cell().weights
        for block in weights.w_ih.chunk(self.formula.gates):
            nn.init.xavier_uniform_(block, generator=generator)
        for block in weights.w_hh.chunk(self.formula.gates):
            nn.init.orthogonal_(block, generator=generator)
        nn.init.zeros_(weights.b_ih)
        nn.init.zeros_(weights.b_hh)


class FusedRNN(Fused):
    """Simple RNN, tanh."""

    kernel, formula = nn.RNN, RNN


class FusedLSTM(Fused):
    """LSTM."""

    kernel, formula = nn.LSTM, LSTM

    def initialise(self, generator: torch.Generator) -> None:
        """As every layer, and forget gates that begin open: bias 1 (Jozefowicz et al. 2015)."""
        super().initialise(generator)
        with torch.no_grad():
            self.cell().weights.b_ih.chunk(4)[1].fill_(1.0)


class FusedGRU(Fused):
    """GRU."""

    kernel, formula = nn.GRU, GRU


LAYERS: dict[str, Callable[[int, int], Recurrent]] = {"rnn": FusedRNN, "lstm": FusedLSTM, "gru": FusedGRU}


class LockedDropout(nn.Module):
    """Dropout whose mask is drawn once for a window and held over time (Gal & Ghahramani 2016)."""

    def __init__(self, p: float | None) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, F) -> the same, whole features of a row zeroed, the others scaled by 1 / (1 - p)."""
        if self.p is None or not self.training:
            return x
        mask = x.new_empty(x.shape[0], 1, x.shape[2]).bernoulli_(1 - self.p).div_(1 - self.p)
        return x * mask
