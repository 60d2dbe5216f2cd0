"""Windows of the LSTM, which torch's kernel leaves to this where it is wide, and of its variants: with peepholes, with
coupled gates, with layer normalisation.

Shapes: T time, t steps of a chunk, B batch, H hidden, G gates x H.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from charrnn.models.cells import Cell, State
from charrnn.models.cells.lstm import LSTM, CoupledLSTM, LayerNormLSTM, PeepholeLSTM
from charrnn.models.kernels.base import CellKernel, Packed, sigmoid_slope, tanh_slope

EPSILON = 1e-5  # of layer normalisation, as in torch's functional form


class LSTMKernel(CellKernel):
    """What the LSTM's variants share. With h' = o tanh(c') and a the gates before their sigmoid or tanh:

    dc' += o (1 - tanh(c')^2) dh', da_o = tanh(c') o (1 - o) dh'; from dc' to the other gates and to dc by each
    variant's own rule.
    """

    inner: ClassVar[int] = 3  # How many gates make c'; they stand before o.

    def forward(self, projected: Tensor, recur: Packed, bias: Tensor | None, state: State) -> State:
        self.h, self.c = self.empty(projected, self.steps + 1), self.empty(projected, self.steps + 1)
        self.h[0], self.c[0] = state
        self.gates, self.tanh_c = torch.empty_like(projected), self.empty(projected, self.steps)
        h, c, tanh_c = self.h.unbind(), self.c.unbind(), self.tanh_c.unbind()
        for t, (p, gates) in enumerate(zip(projected.unbind(), self.gates.unbind(), strict=True)):
            torch.add(p, self.share(recur(h[t], bias)), out=gates)
            o = self.remember(gates, c[t], c[t + 1])
            torch.tanh(self.shown(c[t + 1]), out=tanh_c[t])
            torch.mul(o, tanh_c[t], out=h[t + 1])
        return h[-1], c[-1]

    def backward(self, dy: Sequence[Tensor], d_last: State, pull: Packed) -> State:
        self.d_projected = torch.empty_like(self.gates)
        self.d_recurrent = self.d_recurrent_from(self.d_projected)
        d, d_a, by_gate = self.d_recurrent.unbind(), self.d_projected.unbind(), self.by_gate(self.d_projected)
        d_inner, d_o = by_gate[:, :, : self.inner].unbind(), by_gate[:, :, self.inner].unbind()
        dh, dc = dy[-1] + d_last[0], d_last[1]
        for span in self.spans():
            o, tanh_c = self.by_gate(self.gates[span])[:, :, self.inner], self.tanh_c[span]
            slope_o, into_c = torch.empty_like(tanh_c), torch.empty_like(tanh_c)
            sigmoid_slope(tanh_c, o, grad_input=slope_o)
            tanh_slope(o, tanh_c, grad_input=into_c)
            slope_inner = self.by_gate(self.empty(tanh_c, len(tanh_c), self.inner))
            keep = self.slopes(span, slope_inner, slope_o, into_c)
            slopes = [slope.unbind() for slope in (slope_inner, slope_o, into_c, keep)]
            for i, (inner, outer, shown, kept) in reversed(list(enumerate(zip(*slopes, strict=True)))):
                t = span.start + i
                dc = self.join(t, dc, dh, shown)
                torch.mul(inner, dc.unsqueeze(1), out=d_inner[t])
                torch.mul(outer, dh, out=d_o[t])
                self.unshare(t, d_a[t], d[t])
                dc = dc * kept
                dh = pull.onto(d[t], dy[t - 1]) if t else pull(d[t])
        return dh, dc

    @abstractmethod
    def remember(self, gates: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """Put sigmoid and tanh to the gates (B, G) in place, fill the new cell (B, H); the output gate (B, H)."""

    @abstractmethod
    def slopes(self, span: slice, inner: Tensor, slope_o: Tensor, into_c: Tensor) -> Tensor:
        """Fill da / dc' of the inner gates (t, B, inner, H), and get dc / dc' (t, B, H).

        slope_o is da_o / dh', and into_c dc' / dh': to be mended where the variant has more ways.
        """

    # What layer normalisation adds.

    def share(self, recurrent: Tensor) -> Tensor:
        """The recurrent product (B, G) -> what is added to the projected inputs."""
        return recurrent

    def shown(self, c: Tensor) -> Tensor:
        """The cell (B, H) -> what the tanh before the output sees of it."""
        return c

    def join(self, t: int, dc: Tensor, dh: Tensor, into_c: Tensor) -> Tensor:
        """dc' with what comes to it through the output."""
        return torch.addcmul(dc, dh, into_c)

    def d_recurrent_from(self, d_gates: Tensor) -> Tensor:
        """Where the gradients of the recurrent products go (T, B, G)."""
        return d_gates

    def unshare(self, t: int, d_gates: Tensor, d_recurrent: Tensor) -> None:
        """From the gates to the recurrent product, (B, G) each."""


class PeepholeKernel(LSTMKernel):
    """da_i = g i (1 - i) dc', da_f = c f (1 - f) dc', da_g = i (1 - g^2) dc'; dc' += p_o da_o;

    dc = f dc' + p_i da_i + p_f da_f
    """

    cell = PeepholeLSTM

    def __init__(self, cell: Cell, projected: Tensor) -> None:
        super().__init__(cell, projected)
        self.peephole = self.vectors[0].view(3, self.hidden)

    def remember(self, gates: Tensor, before: Tensor, after: Tensor) -> Tensor:
        i_and_f = gates.view(self.batch, 4, self.hidden)[:, :2]
        i_and_f.addcmul_(self.peephole[:2], before.unsqueeze(1)).sigmoid_()
        i, f, g, o = gates.chunk(4, dim=1)
        torch.mul(f, before, out=after).addcmul_(i, g.tanh_())
        return o.addcmul_(self.peephole[2], after).sigmoid_()

    def slopes(self, span: slice, inner: Tensor, slope_o: Tensor, into_c: Tensor) -> Tensor:
        keep = _remembering_slopes(self.gates[span], self.c[span], inner)
        into_c.addcmul_(self.peephole[2], slope_o)
        return torch.addcmul(keep, self.peephole[0], inner[:, :, 0]).addcmul_(self.peephole[1], inner[:, :, 1])

    def d_vectors(self) -> list[Tensor | None]:
        d_i, d_f, _, d_o = self.by_gate(self.d_projected).unbind(2)
        before, after = self.c[:-1], self.c[1:]
        return [torch.cat([(d * c).sum((0, 1)) for d, c in ((d_i, before), (d_f, before), (d_o, after))])]


class CoupledKernel(LSTMKernel):
    """da_f = (c - g) f (1 - f) dc', da_g = (1 - f) (1 - g^2) dc', dc = f dc'."""

    cell = CoupledLSTM
    inner = 2

    def remember(self, gates: Tensor, before: Tensor, after: Tensor) -> Tensor:
        f, g, o = gates.chunk(3, dim=1)
        torch.lerp(g.tanh_(), before, f.sigmoid_(), out=after)
        return o.sigmoid_()

    def slopes(self, span: slice, inner: Tensor, slope_o: Tensor, into_c: Tensor) -> Tensor:
        f, g, _ = self.gates[span].chunk(3, dim=2)
        sigmoid_slope(self.c[span] - g, f, grad_input=inner[:, :, 0])
        tanh_slope(1 - f, g, grad_input=inner[:, :, 1])
        return f


class PlainKernel(LSTMKernel):
    """da_i = g i (1 - i) dc', da_f = c f (1 - f) dc', da_g = i (1 - g^2) dc', dc = f dc'."""

    cell = LSTM

    def remember(self, gates: Tensor, before: Tensor, after: Tensor) -> Tensor:
        gates[:, : 2 * self.hidden].sigmoid_()
        i, f, g, o = gates.chunk(4, dim=1)
        torch.mul(f, before, out=after).addcmul_(i, g.tanh_())
        return o.sigmoid_()

    def slopes(self, span: slice, inner: Tensor, slope_o: Tensor, into_c: Tensor) -> Tensor:
        return _remembering_slopes(self.gates[span], self.c[span], inner)


class LayerNormKernel(PlainKernel):
    """As the LSTM, with N(U h) s in the gates and tanh(N(c') s_c + b_c) before the output."""

    cell = LayerNormLSTM

    def __init__(self, cell: Cell, projected: Tensor) -> None:
        super().__init__(cell, projected)
        _, self.gain, self.gain_c, self.bias_c = self.vectors
        # Per step: what was normalised, its mean, and one over its standard deviation.
        self.products: list[tuple[Tensor, ...]] = []
        self.cells: list[tuple[Tensor, ...]] = []

    def share(self, recurrent: Tensor) -> Tensor:
        normal, *moments = torch.native_layer_norm(recurrent, recurrent.shape[1:], self.gain, None, EPSILON)
        self.products.append((recurrent, *moments))
        return normal

    def shown(self, c: Tensor) -> Tensor:
        normal, *moments = torch.native_layer_norm(c, c.shape[1:], self.gain_c, self.bias_c, EPSILON)
        self.cells.append((c, *moments))
        return normal

    def join(self, t: int, dc: Tensor, dh: Tensor, into_c: Tensor) -> Tensor:
        self.d_shown[t] = dh * into_c
        return dc + _through_norm(self.d_shown[t], self.cells[t], self.gain_c)

    def d_recurrent_from(self, d_gates: Tensor) -> Tensor:
        self.d_shown = torch.empty_like(self.tanh_c)
        return torch.empty_like(d_gates)

    def unshare(self, t: int, d_gates: Tensor, d_recurrent: Tensor) -> None:
        d_recurrent.copy_(_through_norm(d_gates, self.products[t], self.gain))

    def d_vectors(self) -> list[Tensor | None]:
        d_gain, _ = _d_affine(self.d_projected, self.products, self.gain)
        d_gain_c, d_bias_c = _d_affine(self.d_shown, self.cells, self.gain_c)
        return [None, d_gain, d_gain_c, d_bias_c]


def _remembering_slopes(gates: Tensor, before: Tensor, inner: Tensor) -> Tensor:
    """c' = f c + i g: fill da / dc' of i, f, g (t, B, 3, H); dc / dc'."""
    i, f, g, _ = gates.chunk(4, dim=2)
    sigmoid_slope(g, i, grad_input=inner[:, :, 0])
    sigmoid_slope(before, f, grad_input=inner[:, :, 1])
    tanh_slope(i, g, grad_input=inner[:, :, 2])
    return f


def _through_norm(gradient: Tensor, normalised: tuple[Tensor, ...], gain: Tensor) -> Tensor:
    """Back through one layer normalisation, (B, N)."""
    x, mean, scale = normalised
    mask = [True, False, False]
    d_x: Tensor = torch.ops.aten.native_layer_norm_backward(gradient, x, x.shape[1:], mean, scale, gain, None, mask)[0]
    return d_x


def _d_affine(gradient: Tensor, normalised: list[tuple[Tensor, ...]], gain: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of the gain and the bias of T normalisations; gradient (T, B, N)."""
    x, mean, scale = (torch.cat(part) for part in zip(*normalised, strict=True))
    rows, mask = gradient.flatten(0, 1), [False, True, True]
    _, d_gain, d_bias = torch.ops.aten.native_layer_norm_backward(
        rows, x, x.shape[1:], mean, scale, gain, gain, mask
    )  # the bias itself is not looked at
    return d_gain, d_bias
