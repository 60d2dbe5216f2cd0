"""One token after another: the network as single steps, in NumPy.

The formulas are those of the models; the products are laid out once, the first layer's input product is a row of a
table computed once, and torch, which takes longer to load than most texts take to write, is not needed.
Shapes: B rows, V vocabulary, H hidden.
"""

import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from charrnn.config import ModelConfig
from charrnn.generation.products import MATRICES, WORTH_A_CALL, Floats, Matrix
from charrnn.models.cells import CELLS, Cell, State, Weights

Ids = npt.NDArray[np.int64]

# Multiplications a second of a single stream here, for guessing what a text will cost.
RATE = 4e10
# Loading torch takes more than a second of computing: it must save more than that.
WORTH_LOADING_TORCH = 3.0


# Arrays of no dimension: NumPy takes twice as long to multiply by a scalar of its own.
HALF, EPSILON = np.array(0.5, np.float32), np.array(1e-5, np.float32)


class Memory(NamedTuple):
    """Between two steps: each layer's state, parts (B, H), and its output as products read it."""

    states: tuple[State, ...]
    read: tuple[Floats, ...]


class NumpyOperations:
    """What a formula asks for, in NumPy; a weight is a `Matrix`, and its input has been read by it."""

    @staticmethod
    def linear(x: Floats, weight: Matrix, bias: Floats | None) -> Floats:
        """The product, the bias added in place."""
        y: Floats = weight(x)
        if bias is not None:
            y += bias
        return y

    @staticmethod
    def sigmoid(x: Floats) -> Floats:
        """By the hyperbolic tangent, which cannot overflow."""
        y: Floats = np.multiply(x, HALF)
        np.tanh(y, y)
        y *= HALF
        y += HALF
        return y

    tanh = staticmethod(np.tanh)

    @staticmethod
    def normalise(x: Floats, gain: Floats, bias: Floats | None = None) -> Floats:
        """Layer normalisation over the last axis."""
        y: Floats = x - x.mean(axis=-1, keepdims=True)
        y /= np.sqrt(np.square(y).mean(axis=-1, keepdims=True) + EPSILON)
        y *= gain
        if bias is not None:
            y += bias
        return y

    @staticmethod
    def split(x: Floats, parts: int) -> Sequence[Floats]:
        """The last axis in equal parts."""
        return tuple(x.reshape(len(x), parts, -1).swapaxes(0, 1))


class Decoder:
    """The network's next logits, one token at a time, for B rows that do not touch each other."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, Floats], precision: str = "fp32") -> None:
        """Weights under the names of a model's file; precision is a name in `MATRICES`."""
        matrix = MATRICES[precision]
        self.config = config
        self._read = matrix.read
        formula = CELLS[config.cell]
        self._cells: list[Cell] = []
        self._matrices: list[Matrix] = []
        for layer in range(config.layers):
            names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", *formula.vectors)
            # Rows of two dimensions: for one row, NumPy then need not broadcast.
            w_ih, w_hh, b_ih, b_hh, *vectors = (np.atleast_2d(weights[f"layers.{layer}.rnn.{name}"]) for name in names)
            # The first layer reads the embedding, which is looked up, not multiplied.
            below: Matrix = matrix(w_ih) if layer else _Table(w_ih)
            own = Weights(below, matrix(w_hh), b_ih, b_hh, tuple(vectors))
            self._cells.append(formula(own, NumpyOperations()))
            self._matrices += [below, own.w_hh]
        self._table = self._cells[0].project(weights["embedding.weight"])
        head = weights["embedding.weight"][: config.vocab_size] if config.tie else weights["head"]
        self._head, self._bias = matrix(head), weights["bias"][None]
        self._matrices.append(self._head)
        self._arrival: threading.Thread | None = None
        self._limit: threadpool_limits | None = None

    def start(self, rows: int) -> Memory:
        """The memory before any token: zeros."""
        zeros = np.zeros((rows, self.config.hidden), np.float32)
        return Memory(tuple((zeros,) * len(cell.parts) for cell in self._cells), (zeros,) * len(self._cells))

    def step(self, tokens: Ids, memory: Memory) -> tuple[Floats, Memory]:
        """tokens (B,), memory -> logits (B, V) float32, memory."""
        states: list[State] = []
        read: list[Floats] = []
        projected = self._table.take(tokens, 0)
        for cell, state, h in zip(self._cells, *memory, strict=True):
            if read:
                projected = cell.project(read[-1])
            states.append(cell.step(projected, cell.recur(h), state))
            read.append(self._read(states[-1][0]))
        return NumpyOperations.linear(read[-1], self._head, self._bias), Memory(tuple(states), tuple(read))

    def prime(self, tokens: Ids) -> tuple[Floats, Memory]:
        """Read a prompt (T,), T >= 1, from no memory -> logits (1, V) after it, memory of one row."""
        memory = self.start(1)
        for token in tokens[:, None]:
            logits, memory = self.step(token, memory)
        return logits, memory

    # -- torch, where it is worth waiting for ------------------------------------------------------------------------

    @contextmanager
    def busy(self, rows: int, tokens: int) -> Iterator[None]:
        """Rows of so many tokens will be asked for: use torch if it is here, send for it if it will pay."""
        largest = max(cell.gates for cell in self._cells) * self.config.hidden**2
        seconds = rows * tokens * 2 * largest * len(self._cells) / RATE
        if rows == 1 and largest < WORTH_A_CALL:
            self._one_blas_thread()  # two would wait for each other longer than they compute
        elif "torch" in sys.modules:
            self._accelerate()
        elif seconds > WORTH_LOADING_TORCH and self._arrival is None:
            self._arrival = threading.Thread(target=_load_torch)
            self._arrival.start()
        try:
            yield
        finally:
            if self._limit is not None:
                self._limit.restore_original_limits()
                self._limit = None

    def use_what_came(self) -> None:
        """Go over to torch once it is loaded."""
        if self._arrival is not None and not self._arrival.is_alive():
            self._arrival = None
            self._accelerate()

    def _accelerate(self) -> None:
        import torch

        for matrix in self._matrices:
            matrix.accelerate(torch)
        # NumPy's threads go on spinning for a while after each product, and torch's would wait for their cores.
        self._one_blas_thread()

    def _one_blas_thread(self) -> None:
        self._limit = threadpool_limits(1, "blas")


class _Table(Matrix):
    """The product of the whole embedding, once."""

    def __init__(self, weight: Floats) -> None:
        self.weight = weight

    @staticmethod
    def read(h: Floats) -> Floats:
        return h

    def __call__(self, x: Floats) -> Floats:
        return x @ self.weight.T


def _load_torch() -> None:
    import torch  # noqa: F401


def carry(memory: Memory, rows: Sequence[int]) -> Memory:
    """The memory of these rows."""
    chosen = list(rows)
    return Memory(
        tuple(tuple(part[chosen] for part in state) for state in memory.states), tuple(h[chosen] for h in memory.read)
    )
