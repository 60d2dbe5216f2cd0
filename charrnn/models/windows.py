"""A whole window through a cell, forward and back, in few large operations: the formulas of cells.py, differentiated.

torch has a fused kernel for the LSTM alone on a CPU. For the cells here: the recurrent products run over weights packed
once a window; all that an adjoint is multiplied with on its way back is computed for many steps at a time, so that a
step back is three to six operations; the gradient of the recurrent weights is one product after the loop.

Shapes: T time, B batch, H hidden, G gates x H. An adjoint is the gradient of the loss with respect to h or c.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from charrnn.models.cells import GRU, RNN, Cell, CoupledLSTM, LayerNormLSTM, PeepholeLSTM, State

# So many steps are linearised together: enough for few calls, few enough to stay in the processor's cache.
CHUNK = 16

EPSILON = 1e-5  # of layer normalisation, as in torch's functional form

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


def run(cell: Cell, projected: Tensor, state: State) -> tuple[Tensor, State]:
    """projected (T, B, G), state parts (B, H) -> outputs (T, B, H), state. The cell must be one of `WINDOWS`."""
    weights = cell.weights
    window = WINDOWS[type(cell)](cell, projected)
    y, *last = _Run.apply(  # type: ignore[no-untyped-call]
        window, projected, weights.w_hh, cell.recurrent_bias, len(state), *state, *weights.vectors
    )
    return y, tuple(last)


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, window: "Window", projected: Tensor, w_hh: Tensor, bias: Tensor | None, parts: int, *rest: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.window = window
        ctx.save_for_backward(w_hh)
        last = window.forward(projected, Packed(w_hh, window.batch), bias, rest[:parts])
        return (window.h[1:], *(part.clone() for part in last))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor, *d_last: Tensor) -> tuple[Tensor | None, ...]:
        (w_hh,) = ctx.saved_tensors
        window: Window = ctx.window
        adjoint = window.backward(dy.unbind(), d_last, Packed(w_hh.t().contiguous(), window.batch))
        flat = window.d_recurrent.flatten(0, 1)
        d_w = flat.t() @ window.h[:-1].flatten(0, 1)
        d_bias = flat.sum(0) if ctx.needs_input_grad[3] else None
        return (None, window.d_projected, d_w, d_bias, None, *adjoint, *window.d_vectors())


class Window(ABC):
    """One window under way. What `forward` keeps, `backward` uses."""

    h: Tensor  # (T + 1, B, H): what the layer gives, the state before the first step in front
    d_recurrent: Tensor  # (T, B, G), as `backward` leaves it
    d_projected: Tensor  # (T, B, G), the same tensor where the two shares of the gates are only added

    def __init__(self, cell: Cell, projected: Tensor) -> None:
        self.vectors = [vector.detach() for vector in cell.weights.vectors]
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


class RNNWindow(Window):
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


class GRUWindow(Window):
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


class LSTMWindow(Window):
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


class PeepholeWindow(LSTMWindow):
    """da_i = g i (1 - i) dc', da_f = c f (1 - f) dc', da_g = i (1 - g^2) dc'; dc' += p_o da_o;

    dc = f dc' + p_i da_i + p_f da_f
    """

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


class CoupledWindow(LSTMWindow):
    """da_f = (c - g) f (1 - f) dc', da_g = (1 - f) (1 - g^2) dc', dc = f dc'."""

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


class LayerNormWindow(LSTMWindow):
    """As the LSTM, with N(U h) s in the gates and tanh(N(c') s_c + b_c) before the output."""

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

    def remember(self, gates: Tensor, before: Tensor, after: Tensor) -> Tensor:
        gates[:, : 2 * self.hidden].sigmoid_()
        i, f, g, o = gates.chunk(4, dim=1)
        torch.mul(f, before, out=after).addcmul_(i, g.tanh_())
        return o.sigmoid_()

    def slopes(self, span: slice, inner: Tensor, slope_o: Tensor, into_c: Tensor) -> Tensor:
        return _remembering_slopes(self.gates[span], self.c[span], inner)

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


WINDOWS: dict[type[Cell], type[Window]] = {
    RNN: RNNWindow,
    GRU: GRUWindow,
    PeepholeLSTM: PeepholeWindow,
    CoupledLSTM: CoupledWindow,
    LayerNormLSTM: LayerNormWindow,
}
