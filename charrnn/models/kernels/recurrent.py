"""A whole window through a cell, forward and back, in few large operations: the formulas of cells/, differentiated.

torch has a fused kernel for the LSTM alone on a CPU. For the cells here: the recurrent products run over weights packed
once a window; all that an adjoint is multiplied with on its way back is computed for many steps at a time, so that a
step back is three to six operations; the gradient of the recurrent weights is one product after the loop.

Shapes: T time, B batch, H hidden, G gates x H. An adjoint is the gradient of the loss with respect to h or c.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from charrnn.models.cells import Cell, State
from charrnn.models.cells.gru import GRU
from charrnn.models.cells.lstm import CoupledLSTM, LayerNormLSTM, PeepholeLSTM
from charrnn.models.cells.simple import RNN
from charrnn.models.kernels.base import CellKernel, Packed, sigmoid_slope, tanh_slope
from charrnn.models.kernels.lstm import CoupledKernel, LayerNormKernel, PeepholeKernel


def run(cell: Cell, projected: Tensor, state: State) -> tuple[Tensor, State]:
    """projected (T, B, G), state parts (B, H) -> outputs (T, B, H), state. The cell must be one of `CELL_KERNELS`."""
    weights = cell.weights
    window = CELL_KERNELS[type(cell)](cell, projected)
    y, *last = _Run.apply(  # type: ignore[no-untyped-call]
        window, projected, weights.w_hh, cell.recurrent_bias, len(state), *state, *weights.extra.values()
    )
    return y, tuple(last)


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


class RNNKernel(CellKernel):
    """h' = tanh(a), so da = (1 - h'^2) dh'."""

    def forward(self, projected: Tensor, recur: Packed, bias: Tensor | None, state: State) -> State:
        self.h = self.empty(projected, self.steps + 1)
        self.h[0] = state[0]
        steps = self.h.unbind()
        for p, before, after in zip(projected.unbind(), steps, steps[1:], strict=False):
            torch.add(p, recur(before, bias), out=after).tanh_()
        return (steps[-1],)

    def backward(self, dy: Sequence[Tensor], d_last: State, pull: Packed) -> State:
        self.d_projected = self.d_recurrent = self.empty(self.h, self.steps)
        d, h = self.d_recurrent.unbind(), self.h[1:].unbind()
        dh = dy[-1] + d_last[0]
        for t in reversed(range(self.steps)):
            tanh_slope(dh, h[t], grad_input=d[t])
            dh = pull.onto(d[t], dy[t - 1]) if t else pull(d[t])
        return (dh,)


class GRUKernel(CellKernel):
    """With a_n = x_n + r u and h' = n + z (h - n), and u the recurrent share of n:

    da_n = (1 - z) (1 - n^2) dh', du = r da_n, da_r = u r (1 - r) da_n, da_z = (h - n) z (1 - z) dh'
    """

    def forward(self, projected: Tensor, recur: Packed, bias: Tensor | None, state: State) -> State:
        both = 2 * self.hidden
        self.h, self.n = self.empty(projected, self.steps + 1), self.empty(projected, self.steps)
        self.rz = self.empty(projected, self.steps, 2)
        self.u: list[Tensor] = []
        self.h[0] = state[0]
        h = self.h.unbind()
        r, z = (gate.unbind() for gate in self.rz.chunk(2, dim=2))
        x_rz, x_n = projected[:, :, :both].unbind(), projected[:, :, both:].unbind()
        for t, (rz, n) in enumerate(zip(self.rz.unbind(), self.n.unbind(), strict=True)):
            recurrent = recur(h[t], bias)
            self.u.append(recurrent[:, both:])
            torch.add(x_rz[t], recurrent[:, :both], out=rz).sigmoid_()
            torch.addcmul(x_n[t], r[t], self.u[t], out=n).tanh_()
            torch.lerp(n, h[t], z[t], out=h[t + 1])
        return (h[-1],)

    def backward(self, dy: Sequence[Tensor], d_last: State, pull: Packed) -> State:
        self.d_recurrent, d_n = self.empty(self.n, self.steps, 3), self.empty(self.n, self.steps)
        d, by_gate = self.d_recurrent.unbind(), self.by_gate(self.d_recurrent).unbind()
        dh = dy[-1] + d_last[0]
        for span in self.spans():
            (r, z), n, u = self.rz[span].chunk(2, dim=2), self.n[span], torch.stack(self.u[span])
            slopes = self.by_gate(self.empty(n, len(n), 3))
            slope_n = tanh_slope(1 - z, n, grad_input=torch.empty_like(n))
            torch.mul(slope_n, r, out=slopes[:, :, 2])
            sigmoid_slope(slope_n * u, r, grad_input=slopes[:, :, 0])
            sigmoid_slope(self.h[span] - n, z, grad_input=slopes[:, :, 1])
            slope, keep, adjoints = slopes.unbind(), z.unbind(), [dh] * len(n)
            for i in reversed(range(len(n))):
                t, adjoints[i] = span.start + i, dh
                torch.mul(slope[i], dh.unsqueeze(1), out=by_gate[t])
                kept = torch.addcmul(dy[t - 1], dh, keep[i]) if t else dh * keep[i]
                dh = pull.onto(d[t], kept)
            torch.mul(slope_n, torch.stack(adjoints), out=d_n[span])
        self.d_projected = torch.cat([self.d_recurrent[:, :, : 2 * self.hidden], d_n], dim=2)
        return (dh,)


CELL_KERNELS: dict[type[Cell], type[CellKernel]] = {
    RNN: RNNKernel,
    GRU: GRUKernel,
    PeepholeLSTM: PeepholeKernel,
    CoupledLSTM: CoupledKernel,
    LayerNormLSTM: LayerNormKernel,
}
