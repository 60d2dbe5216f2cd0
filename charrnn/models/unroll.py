"""A formula over a whole window, one step after another, by autograd: slow, obvious, and right for every cell.

The cells that are trained most have a faster twin in kernels/. Shapes: T time, B batch, H hidden, G gates x H.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from charrnn.models.cells import Cell, State


class TorchOperations:
    """What a formula asks for, in torch."""

    linear = staticmethod(F.linear)
    sigmoid = staticmethod(torch.sigmoid)
    log_sigmoid = staticmethod(F.logsigmoid)
    tanh = staticmethod(torch.tanh)
    relu = staticmethod(torch.relu)
    exp = staticmethod(torch.exp)

    @staticmethod
    def normalise(x: Tensor, gain: Tensor, bias: Tensor | None = None) -> Tensor:
        """Layer normalisation over the last axis."""
        return F.layer_norm(x, x.shape[-1:], gain, bias)

    @staticmethod
    def split(x: Tensor, parts: int) -> Sequence[Tensor]:
        """The last axis in equal parts."""
        return x.chunk(parts, dim=-1)


def unroll(cell: Cell, projected: Tensor, state: State) -> tuple[Tensor, State]:
    """projected (T, B, G), state parts (B, H) -> outputs (T, B, H), state."""
    outputs = []
    for gates in projected.unbind():
        state = cell.step(gates, cell.recur(state[0]), state)
        outputs.append(state[0])
    return torch.stack(outputs), state
