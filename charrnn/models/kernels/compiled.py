"""Windows of the simple network, the LSTM and the GRU where the library is compiled: between two products, one call.

torch needs some ten calls there, each a pass over memory. Inside a step all is fp32, and so are biases and an LSTM's c;
h, gates and gradients are kept in the window's number format. In fp32, and in bf16 where the processor multiplies it,
the library makes the recurrent products too. Shapes: T time, B batch, E inputs, H hidden, G gates x H.
"""

import ctypes
from typing import Any

import torch
from torch import Tensor

from charrnn import native
from charrnn.models.cells import Cell, State
from charrnn.models.cells.gru import GRU
from charrnn.models.cells.lstm import LSTM
from charrnn.models.cells.simple import RNN
from charrnn.models.kernels.base import Packed
from charrnn.native.window import BF16, CELLS, FP32, LANES, WindowRecord, has_products, threads_of_openmp

COMPILED: dict[type[Cell], int] = {RNN: CELLS["rnn"], LSTM: CELLS["lstm"], GRU: CELLS["gru"]}
NUMBERS = {torch.float32: FP32, torch.bfloat16: BF16}
# Numbers of a state that are worth calling a second thread for.
WORTH_SHARING = 4096
# So many rows of the gates are made of the inputs, and then go through their steps while they are in the caches.
ROWS_AT_ONCE = 1024
FORTH, BACK = 0, 1


def serves(cell: type[Cell], x: Tensor) -> bool:
    """Whether windows of this cell over such inputs are run here: once forth, and once back."""
    return cell in COMPILED and x.device.type == "cpu" and x.dtype in NUMBERS and native.library() is not None


def multiplies(hidden: int, x: Tensor) -> bool:
    """Whether the library makes the recurrent products of a window over such inputs as well.

    Where it cannot call torch's threads, torch with several multiplies faster than it does on one.
    """
    here = x.device.type == "cpu" and x.dtype in NUMBERS and hidden % LANES == 0
    threads = threads_of_openmp() is not None or torch.get_num_threads() == 1
    return here and threads and has_products(NUMBERS[x.dtype])


def run(cell: Cell, x: Tensor, state: State) -> tuple[Tensor, State]:
    """x (T, B, E), state parts (B, H) -> outputs (T, B, H), state."""
    w = cell.weights
    y, *last = _Run.apply(type(cell), x, w.w_ih, w.w_hh, w.b_ih, w.b_hh, *state)  # type: ignore[no-untyped-call]
    return y, cell.state_type(*last)


class Window:
    """One window under way: the tensors that window.h speaks of, and the steps over them.

    Once `backward` has been there, gates (T, B, G) are the gradients of the recurrent products, `d_projected` (T, B, G)
    those of the inputs' shares, and `d_bias` (as `bias`) those of the biases.
    """

    def __init__(self, kind: type[Cell], x: Tensor, w_ih: Tensor, bias: Tensor, state: tuple[Tensor, ...]) -> None:
        """x (T, B, E), w_ih (G, E), bias (G,), of a GRU (4 H,) as window.h has it, in fp32, state parts (B, H)."""
        self.kind, self.x, self.w_ih, self.bias = kind, x.contiguous(), w_ih, bias
        self.steps, self.batch, self.hidden = len(x), x.shape[1], state[0].shape[1]
        self.gates = x.new_empty(self.steps, self.batch, len(w_ih))
        self.h = x.new_empty(self.steps + 1, self.batch, self.hidden)
        self.h[0] = state[0]
        # Of an LSTM c, of a GRU the recurrent share of n.
        self.memory = x.new_empty(self.h.shape, dtype=torch.float32)
        if kind is LSTM:
            self.memory[0] = state[1]

    def forward(self, w_hh: Tensor) -> tuple[Tensor, ...]:
        """Fill `h` (T + 1, B, H); the state after the last step."""
        steps = self._steps(FORTH, w_hh, self.h.new_empty(self.batch, self.gates.shape[2]))
        for span in self._spans():
            torch.mm(self.x[span].flatten(0, 1), self.w_ih.t(), out=self.gates[span].flatten(0, 1))
            steps.take(span)
        last = self.h[-1].clone()
        return (last, self.memory[-1].to(last.dtype, copy=True)) if self.kind is LSTM else (last,)

    def backward(self, w_hh: Tensor, dy: Tensor, d_last: tuple[Tensor, ...], d_x: Tensor | None) -> list[Tensor]:
        """dy (T, B, H), the adjoint of the last state -> that of the first; fills d_x (T, B, E), where there is one."""
        self.d_projected = torch.empty_like(self.gates) if self.kind is GRU else self.gates
        self.d_bias, carried = torch.zeros_like(self.bias), self.memory.new_zeros(self.batch, self.hidden)
        if self.kind is LSTM:
            carried.copy_(d_last[1])
        dh = d_last[0].clone(memory_format=torch.contiguous_format)
        more = {"dy": dy.contiguous(), "d_projected": self.d_projected, "d_bias": self.d_bias, "carried": carried}
        steps = self._steps(BACK, w_hh, dh, **more)
        for span in reversed(self._spans()):
            steps.take(span)
            if d_x is not None:
                torch.mm(self.d_projected[span].flatten(0, 1), self.w_ih, out=d_x[span].flatten(0, 1))
        dh = steps.product
        if self.kind is GRU:
            dh = (dh + carried).to(dh.dtype)
        return [dh, carried.to(dh.dtype)] if self.kind is LSTM else [dh]

    def _spans(self) -> list[slice]:
        many = max(1, ROWS_AT_ONCE // self.batch)
        return [slice(first, min(first + many, self.steps)) for first in range(0, self.steps, many)]

    def _steps(self, direction: int, w_hh: Tensor, product: Tensor, **more: Tensor) -> "_Steps":
        held = {"gates": self.gates, "bias": self.bias, "h": self.h, "memory": self.memory, "product": product, **more}
        places = {key: tensor.data_ptr() for key, tensor in held.items()}
        number = NUMBERS[self.h.dtype]
        record = WindowRecord(COMPILED[self.kind], number, self.steps, self.batch, self.hidden, **places)
        return (_WholeSteps if multiplies(self.hidden, self.h) else _Steps)(self, record, direction, w_hh, product)


class _Steps:
    """Steps of a window in one direction, whose recurrent products are torch's."""

    def __init__(self, window: Window, record: WindowRecord, direction: int, w_hh: Tensor, product: Tensor) -> None:
        self.window, self.record, self.direction, self.product = window, record, direction, product
        library = native.library()
        assert library is not None
        self.library = library
        self.threads = threads_of_openmp() if window.batch * window.hidden >= WORTH_SHARING else None
        self.parts = 1 if self.threads is None else torch.get_num_threads()
        self.prepare(w_hh)

    def prepare(self, w_hh: Tensor) -> None:
        """Pack the weights (G, H)."""
        weight = w_hh.t().contiguous() if self.direction == BACK else w_hh
        self.multiply = Packed(weight, self.window.batch)

    def take(self, span: slice) -> None:
        """Make these steps; on the way back `product` (B, H) is then the adjoint of the h before them."""
        numbers = range(span.start, span.stop)
        if self.direction == BACK:
            for t in reversed(numbers):
                self._step(t)
                self.product = self.multiply(self.window.gates[t])
        else:
            for t in numbers:
                self.product = self.multiply(self.window.h[t])
                self._step(t)

    def _step(self, t: int) -> None:
        self.record.product = self.product.data_ptr()
        self.library.call("charrnn_step", ctypes.byref(self.record), self.direction, t, self.parts, self.threads)


class _WholeSteps(_Steps):
    """Those whose products are the library's."""

    def prepare(self, w_hh: Tensor) -> None:
        w_hh = w_hh.contiguous()
        self.packed = torch.empty_like(w_hh)
        self.record.weight = self.packed.data_ptr()
        self.library.call("charrnn_pack", ctypes.byref(self.record), self.direction, self.parts, w_hh.data_ptr())

    def take(self, span: slice) -> None:
        steps = self.direction, span.start, span.stop
        self.library.call("charrnn_steps", ctypes.byref(self.record), *steps, self.parts, self.threads)


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, kind: type[Cell], x: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor, *state: Tensor
    ) -> tuple[Tensor, ...]:
        b_ih, b_hh, inner = b_ih.float(), b_hh.float(), 2 * state[0].shape[1]
        bias = torch.cat([b_ih[:inner] + b_hh[:inner], b_ih[inner:], b_hh[inner:]]) if kind is GRU else b_ih + b_hh
        ctx.window = window = Window(kind, x, w_ih, bias, state)
        ctx.save_for_backward(w_hh)
        last = window.forward(w_hh)
        return (window.h[1:], *last)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor, *d_last: Tensor) -> tuple[Tensor | None, ...]:
        (w_hh,), wanted = ctx.saved_tensors, ctx.needs_input_grad
        window: Window | None = ctx.window
        if window is None:
            raise RuntimeError("the gates of this window have become gradients: it goes back once")
        ctx.window = None
        d_x = torch.empty_like(window.x) if wanted[1] else None
        adjoints = window.backward(w_hh, dy, d_last, d_x)
        d_w_ih = window.d_projected.flatten(0, 1).t() @ window.x.flatten(0, 1) if wanted[2] else None
        d_w_hh = window.gates.flatten(0, 1).t() @ window.h[:-1].flatten(0, 1) if wanted[3] else None
        d_b_ih = d_b_hh = d_bias = window.d_bias.to(dy.dtype)
        if window.kind is GRU:
            both, size = d_bias[: 2 * window.hidden], window.hidden
            d_b_ih, d_b_hh = d_bias[:-size], torch.cat([both, d_bias[-size:]])
        return (None, d_x, d_w_ih, d_w_hh, d_b_ih, d_b_hh, *adjoints)
