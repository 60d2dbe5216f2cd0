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
from charrnn.generation.products import MATRICES, WORTH_A_CALL, Floats
from charrnn.models.cells import CELLS, State, Weights

Ids = npt.NDArray[np.int64]

# Multiplications a second of a single stream here, for guessing what a text will cost.
RATE = 4e10

# Arrays of no dimension: NumPy takes twice as long to multiply by a scalar of its own.
HALF, EPSILON = np.array(0.5, np.float32), np.array(1e-5, np.float32)


class Memory(NamedTuple):
    """Between two steps: each layer's state, parts (B, H), and its output's products with all that reads it (B, N)."""

    states: tuple[State, ...]
    products: tuple[Floats, ...]


class NumpyOperations:
    """What a formula asks for, in NumPy, of inputs already multiplied: a weight is the place of its products."""

    @staticmethod
    def linear(products: Floats, place: slice, bias: Floats | None) -> Floats:
        """What is at that place, and the bias."""
        y = products[:, place]
        return y if bias is None else y + bias

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
        formula, gates = CELLS[config.cell], CELLS[config.cell].gates * config.hidden
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", *formula.vectors)
        # Rows of two dimensions: for one row, NumPy then need not broadcast.
        layers = [
            [np.atleast_2d(weights[f"layers.{layer}.rnn.{name}"]) for name in names] for layer in range(config.layers)
        ]
        head = weights["embedding.weight"][: config.vocab_size] if config.tie else weights["head"]
        # A layer's output is multiplied once, by all that reads it: its own next step, and the layer or head above.
        own, self._above = slice(gates), slice(gates, None)
        above = [w_ih for w_ih, *_ in layers[1:]] + [head]
        matrix = MATRICES[precision]
        self._read = matrix.read
        self._readers = [matrix(np.vstack([w_hh, reader])) for (_, w_hh, *_), reader in zip(layers, above, strict=True)]
        # But the first layer reads the embedding: its products are rows of a table, computed once.
        self._cells = [
            formula(Weights(self._above if layer else slice(None), own, b_ih, b_hh, tuple(vectors)), NumpyOperations())
            for layer, (_, _, b_ih, b_hh, *vectors) in enumerate(layers)
        ]
        self._table = self._cells[0].project(weights["embedding.weight"] @ layers[0][0].T)
        self._bias = weights["bias"][None]
        self.config = config

    def start(self, rows: int) -> Memory:
        """The memory before any token: zeros."""
        zeros = np.zeros((rows, self.config.hidden), np.float32)
        return self.remember([(zeros,) * len(cell.parts) for cell in self._cells])

    def remember(self, states: Sequence[State]) -> Memory:
        """The memory that has these states."""
        products = [reader(self._read(h)) for reader, (h, *_) in zip(self._readers, states, strict=True)]
        return Memory(tuple(states), tuple(products))

    def step(self, tokens: Ids, memory: Memory) -> tuple[Floats, Memory]:
        """tokens (B,), memory -> logits (B, V) float32, memory."""
        states: list[State] = []
        products: list[Floats] = []
        projected = self._table.take(tokens, 0)
        for cell, reader, state, before in zip(self._cells, self._readers, *memory, strict=True):
            if products:
                projected = cell.project(products[-1])
            states.append(cell.step(projected, cell.recur(before), state))
            products.append(reader(self._read(states[-1][0])))
        return products[-1][:, self._above] + self._bias, Memory(tuple(states), tuple(products))

    def prime(self, tokens: Ids) -> tuple[Floats, Memory]:
        """Read a prompt (T,), T >= 1, from no memory -> logits (1, V) after it, memory of one row."""
        memory = self.start(1)
        for token in tokens[:, None]:
            logits, memory = self.step(token, memory)
        return logits, memory

    def accelerated(self, rows: int, tokens: int) -> Acceleration:
        """To be held while rows of so many tokens are asked for."""
        largest = CELLS[self.config.cell].gates * self.config.hidden**2
        seconds = rows * tokens * 2 * largest * len(self._cells) / RATE
        return Acceleration(self._readers, small=rows == 1 and largest < WORTH_A_CALL, seconds=seconds)


def carry(memory: Memory, rows: Sequence[int]) -> Memory:
    """The memory of these rows."""
    chosen = list(rows)
    return Memory(
        tuple(tuple(part[chosen] for part in state) for state in memory.states),
        tuple(p[chosen] for p in memory.products),
    )
