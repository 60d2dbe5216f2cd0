"""One token after another: the network as single steps, in NumPy.

The formulas are those of the models; the products are laid out once, the first layer's input product is a row of a
table computed once, and torch, which takes longer to load than most texts take to write, is not needed.
Shapes: B rows, V vocabulary, H hidden.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from charrnn.config import ModelConfig
from charrnn.generation.acceleration import Acceleration
from charrnn.generation.products import MATRICES, WORTH_A_CALL, Floats, Matrix
from charrnn.models.cells import CELLS, Cell, State, Weights

Ids = npt.NDArray[np.int64]

# Multiplications a second of a single stream here, for guessing what a text will cost.
RATE = 4e10

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

    def accelerated(self, rows: int, tokens: int) -> Acceleration:
        """To be held while rows of so many tokens are asked for."""
        largest = max(cell.gates for cell in self._cells) * self.config.hidden**2
        seconds = rows * tokens * 2 * largest * len(self._cells) / RATE
        return Acceleration(self._matrices, small=rows == 1 and largest < WORTH_A_CALL, seconds=seconds)


class _Table(Matrix):
    """The product of the whole embedding, once."""

    def __init__(self, weight: Floats) -> None:
        self.weight = weight

    @staticmethod
    def read(h: Floats) -> Floats:
        return h

    def __call__(self, x: Floats) -> Floats:
        return x @ self.weight.T


def carry(memory: Memory, rows: Sequence[int]) -> Memory:
    """The memory of these rows."""
    chosen = list(rows)
    return Memory(
        tuple(tuple(part[chosen] for part in state) for state in memory.states), tuple(h[chosen] for h in memory.read)
    )
