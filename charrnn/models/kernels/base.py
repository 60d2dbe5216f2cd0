"""What the kernels share: packed products, slopes, what a window is asked for, and how torch is told of it.

Shapes: T time, B batch, H hidden, G gates x H. An adjoint is the gradient of the loss with respect to h or c.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from charrnn.models.cells import Cell, State

# So many steps are linearised together: enough for few calls, few enough to stay in the processor's cache.
CHUNK = 16

# (x, y) -> x y (1 - y) and x (1 - y^2), each one pass over memory.
sigmoid_slope = torch.ops.aten.sigmoid_backward.grad_input
tanh_slope = torch.ops.aten.tanh_backward.grad_input


class Packed:
    """x (B, K) -> x weight^T + bias (B, N), its weights laid out for oneDNN once instead of at every product."""

    TYPES: ClassVar = (torch.float32, torch.bfloat16)

    def __init__(self, weight: Tensor, batch: int) -> None:
        on_cpu = weight.device.type == "cpu" and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        self.packs = on_cpu and weight.dtype in self.TYPES
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, batch) if self.packs else weight

    def __call__(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        if self.packs:
            product: Tensor = torch.ops.mkldnn._linear_pointwise.default(x, self.weight, bias, "none", [], "")
            return product
        return F.linear(x, self.weight, bias)

    def onto(self, x: Tensor, other: Tensor) -> Tensor:
        """x weight^T + other (B, N)"""
        if self.packs:
            total: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, other, self.weight, None, "add")
            return total
        return F.linear(x, self.weight) + other


# By the cell that a kernel is for.
CELL_KERNELS: "dict[type[Cell], type[CellKernel]]" = {}


class CellKernel(ABC):
    """One window under way. What `forward` keeps, `backward` uses. A subclass that says its `cell` serves it."""

    cell: ClassVar[type[Cell]]

    h: Tensor  # (T + 1, B, H): what the layer gives, the state before the first step in front
    d_recurrent: Tensor  # (T, B, G), as `backward` leaves it
    d_projected: Tensor  # (T, B, G), the same tensor where the two shares of the gates are only added

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "cell" in cls.__dict__:
            CELL_KERNELS[cls.cell] = cls

    def __init__(self, cell: Cell, projected: Tensor) -> None:
        self.vectors = [vector.detach() for vector in cell.weights.extra.values()]
        self.steps, self.batch, gates = projected.shape
        self.hidden = gates // cell.gates

    def empty(self, like: Tensor, steps: int, times: int = 1) -> Tensor:
        """(steps, B, times x H)"""
        return like.new_empty(steps, self.batch, times * self.hidden)

    def spans(self) -> list[slice]:
        """The window in chunks, the last first."""
        starts = range((self.steps - 1) // CHUNK * CHUNK, -1, -CHUNK)
        return [slice(low, min(low + CHUNK, self.steps)) for low in starts]

    def by_gate(self, x: Tensor) -> Tensor:
        """(T, B, n x H) -> (T, B, n, H), a view."""
        return x.view(len(x), self.batch, -1, self.hidden)

    @abstractmethod
    def forward(self, projected: Tensor, recur: Packed, bias: Tensor | None, state: State) -> State:
        """Fill `h`; the state after the last step."""

    @abstractmethod
    def backward(self, dy: Sequence[Tensor], d_last: State, pull: Packed) -> State:
        """Fill the gradients; the adjoint of the state before the first step. dy: T times (B, H)."""

    def d_vectors(self) -> list[Tensor | None]:
        """Gradients of the cell's own vectors."""
        return []


def run(cell: Cell, projected: Tensor, state: State) -> tuple[Tensor, State]:
    """projected (T, B, G), state parts (B, H) -> outputs (T, B, H), state. The cell must be one of `CELL_KERNELS`."""
    weights = cell.weights
    window = CELL_KERNELS[type(cell)](cell, projected)
    y, *last = _Run.apply(  # type: ignore[no-untyped-call]
        window, projected, weights.w_hh, cell.recurrent_bias, len(state), *state, *weights.extra.values()
    )
    return y, cell.state_type(*last)


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, window: CellKernel, projected: Tensor, w_hh: Tensor, bias: Tensor | None, parts: int, *rest: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.window = window
        ctx.save_for_backward(w_hh)
        last = window.forward(projected, Packed(w_hh, window.batch), bias, rest[:parts])
        return (window.h[1:], *(part.clone() for part in last))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor, *d_last: Tensor) -> tuple[Tensor | None, ...]:
        (w_hh,) = ctx.saved_tensors
        window: CellKernel = ctx.window
        adjoint = window.backward(dy.unbind(), d_last, Packed(w_hh.t().contiguous(), window.batch))
        flat = window.d_recurrent.flatten(0, 1)
        d_w = flat.t() @ window.h[:-1].flatten(0, 1)
        d_bias = flat.sum(0) if ctx.needs_input_grad[3] else None
        return (None, window.d_projected, d_w, d_bias, None, *adjoint, *window.d_vectors())
