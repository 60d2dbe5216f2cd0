"""Kernels of the simple network and of the GRU. Shapes: T time, B batch, H hidden, G gates x H."""

from collections.abc import Sequence

import torch
from torch import Tensor

from charrnn.models.cells import State
from charrnn.models.cells.gru import GRU
from charrnn.models.cells.simple import RNN
from charrnn.models.kernels.base import CellKernel, Packed, sigmoid_slope, tanh_slope


class RNNKernel(CellKernel):
    """h' = tanh(a), so da = (1 - h'^2) dh'."""

    cell = RNN

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

    cell = GRU

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
