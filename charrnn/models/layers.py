"""A whole sequence through one layer, what stands between two layers, and locked dropout.

Shapes: B batch, T time, E input size, H hidden size. Tensors are (B, T, ·) views of time-major memory (T, B, ·),
the layout that torch's kernels want: `time_major` turns the one into the other without a copy.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from charrnn.models import kernels, scan
from charrnn.models.cells import Cell, LinearCell, Operations, State, gather
from charrnn.models.cells.base import W_HH
from charrnn.models.connections import Connection
from charrnn.models.initialisation import initialise
from charrnn.models.kernels import compiled
from charrnn.models.unroll import TorchOperations, unroll

# From more units on, oneDNN's way back through an LSTM in bf16 is slower than the formula's kernel, where the library
# does not make the products (docs/experiments.md).
WIDEST_FUSED = 512


def time_major(x: Tensor) -> Tensor:
    """(B, T, ·) <-> (T, B, ·), a view."""
    return x.transpose(0, 1)


class CellWeights(nn.Module):
    """One layer's weights under the names that torch's kernels give them, and the cell's own under theirs."""

    def __init__(self, formula: type[Cell], inputs: int, hidden: int) -> None:
        super().__init__()
        for name, weight in formula.table().items():
            self.register_parameter(name, nn.Parameter(torch.empty(weight.shape(inputs, hidden))))


class Recurrent(nn.Module):
    """A layer is a sequence: x (B, T, E), state -> y (B, T, H), state. Nothing recurrent stays on `self`."""

    def __init__(self, formula: type[Cell], inputs: int, hidden: int, weight_drop: float | None = None) -> None:
        super().__init__()
        self.formula = formula
        self.hidden = hidden
        self.weight_drop = weight_drop
        self.table = formula.table()
        # Torch's own kernel, where there is one for the cell, has the weights too.
        fused = kernels.FUSED.get(formula)
        self.rnn = CellWeights(formula, inputs, hidden) if fused is None else fused(inputs, hidden)

    def initial_state(self, batch: int) -> State:
        """Zeros (B, H) for each part, of the weights' own type and device."""
        weight = next(self.parameters())
        return self._state(weight.new_zeros(batch, self.hidden) for _ in self.formula.state_names)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """x (B, T, E), state parts (B, H) -> y (B, T, H), state."""
        run = self._through_kernel if self._kernel_is_best(x) else self._through_formula
        y, state = run(time_major(x), state)
        return time_major(y), state

    def _kernel_is_best(self, x: Tensor) -> bool:
        """On a CPU, torch trains more slowly than we do, but LSTMs in fp32, and those whose products we do not make."""
        if isinstance(self.rnn, CellWeights):
            return False
        if x.device.type != "cpu" or not torch.is_grad_enabled():
            return True
        if not isinstance(self.rnn, nn.LSTM):
            return False
        if x.dtype != torch.bfloat16:
            return True
        return self.hidden <= WIDEST_FUSED and not compiled.multiplies(self.hidden, x)

    def trains_compiled(self, dtype: torch.dtype) -> bool:
        """Whether windows of training in this number format run in the compiled library where the weights are."""
        x = torch.empty(0, dtype=dtype, device=next(self.parameters()).device)
        with torch.enable_grad():
            return not self._kernel_is_best(x) and compiled.serves(self.formula, x)

    def _through_kernel(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        given = [part.unsqueeze(0) for part in state]
        before = tuple(given) if len(given) > 1 else given[0]
        if self._dropping:
            y, left = functional_call(self.rnn, {W_HH: self._weight(W_HH)}, (x, before))
        else:
            y, left = self.rnn(x, before)
        parts = left if isinstance(left, tuple) else (left,)
        return y, self._state(part.squeeze(0) for part in parts)

    def _through_formula(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        cell = self.cell()
        if compiled.serves(self.formula, x):
            return compiled.run(cell, x, state)
        projected = cell.project(x)
        if isinstance(cell, LinearCell):
            return scan.run(cell, projected, state)
        return (kernels.run if type(cell) in kernels.CELL_KERNELS else unroll)(cell, projected, state)

    def _state(self, parts: Iterable[Tensor]) -> State:
        state: State = self.formula.state_type(*parts)
        return state

    @property
    def _dropping(self) -> bool:
        return self.training and self.weight_drop is not None

    def _weight(self, name: str) -> Tensor:
        """One weight; in training, recurrent matrices lose a share anew for each window (Merity et al. 2018)."""
        weight = self.rnn.get_parameter(name)
        if not (self._dropping and self.table[name].recurrent):
            return weight
        assert self.weight_drop is not None
        return F.dropout(weight, self.weight_drop)

    def cell(self, operations: Operations | None = None) -> Cell:
        """One step of this layer as a formula over the same weights."""
        weights = {name: self._weight(name) for name in self.table}
        return self.formula(gather(self.formula, weights), operations or TorchOperations())

    def initialise(self, generator: torch.Generator, spectral_radius: float | None = None) -> None:
        """Fresh weights, as the formula's table says; of this spectral radius where they multiply the state."""
        radius = self.formula.spectral_radius if spectral_radius is None else spectral_radius
        for name, weight in self.table.items():
            initialise(self.rnn.get_parameter(name), weight, self.formula.forget, generator, radius)


class ConnectionLayer(nn.Module):
    """What stands between a layer and what reads it, with its weights: y, x (B, T, H) -> (B, T, H)."""

    def __init__(self, formula: type[Connection], hidden: int, *, norm: bool) -> None:
        super().__init__()
        self.formula = formula
        self.table = formula.table(norm)
        for name, weight in self.table.items():
            self.register_parameter(name, nn.Parameter(torch.empty(weight.shape(hidden, hidden))))

    def initialise(self, generator: torch.Generator) -> None:
        """Fresh weights, as the formula's table says."""
        for name, weight in self.table.items():
            initialise(self.get_parameter(name), weight, None, generator)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        """A layer's output and its input -> what the layer above reads."""
        joined: Tensor = self.formula({name: self.get_parameter(name) for name in self.table}, TorchOperations())(y, x)
        return joined


class LockedDropout(nn.Module):
    """Dropout whose mask is drawn once for a window and held over time (Gal & Ghahramani 2016).

    Where the window has `rows` rows of which these are `own`, masks are drawn for all: so they are the same however
    many processes share the rows.
    """

    def __init__(self, p: float | None) -> None:
        super().__init__()
        self.p = p
        self.rows: int | None = None
        self.own = slice(None)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, F) -> the same, whole features of a row zeroed, the others scaled by 1 / (1 - p)."""
        if self.p is None or not self.training:
            return x
        mask = x.new_empty(self.rows or x.shape[0], 1, x.shape[2]).bernoulli_(1 - self.p).div_(1 - self.p)
        return x * mask[self.own]
