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
from charrnn.generation.layers import head, lay_out
from charrnn.generation.products import MATRICES, WORTH_A_CALL, Floats, Matrix
from charrnn.models.cells import CELLS, State
from charrnn.models.cells.base import W_IH
from charrnn.models.connections import DENSE

Ids = npt.NDArray[np.int64]

# Multiplications a second of a single stream here, for guessing what a text will cost.
RATE = 4e10


class Memory(NamedTuple):
    """Between two steps: each layer's state, parts (B, H), and its output's products with all that reads it (B, N)."""

    states: tuple[State, ...]
    products: tuple[Floats, ...]


class Decoder:
    """The network's next logits, one token at a time, for B rows that do not touch each other."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, Floats], precision: str = "fp32") -> None:
        """Weights under the names of a model's file; precision is a name in `MATRICES`."""
        matrix = MATRICES[precision]
        self._read = matrix.read
        self._layers = lay_out(config, weights, precision)
        self._head = matrix(head(config, weights)) if config.skip == DENSE else None
        # The first layer reads the embedding: its products are rows of a table, computed once.
        inputs, first = weights["embedding.weight"], self._layers[0].cell
        self._table = first.project(inputs if first.mixes else inputs @ weights[f"layers.0.rnn.{W_IH}"].T)
        self._bias = weights["bias"][None]
        self.config = config

    def start(self, rows: int) -> Memory:
        """The memory before any token: zeros."""
        zeros = np.zeros((rows, self.config.hidden), np.float32)
        return self.remember([(zeros,) * len(layer.cell.parts) for layer in self._layers])

    def remember(self, states: Sequence[State]) -> Memory:
        """The memory that has these states."""
        products = [self._products(layer.reader, h) for layer, (h, *_) in zip(self._layers, states, strict=True)]
        return Memory(tuple(states), tuple(products))

    def _products(self, matrix: Matrix | None, x: Floats) -> Floats:
        return x[:, :0] if matrix is None else matrix(self._read(x))

    def step(self, tokens: Ids, memory: Memory) -> tuple[Floats, Memory]:
        """tokens (B,), memory -> logits (B, V) float32, memory."""
        states: list[State] = []
        products: list[Floats] = []
        handed_on: list[Floats] = []
        given = self._table.take(tokens, 0)
        for layer, state, before in zip(self._layers, *memory, strict=True):
            projected = layer.cell.project(given) if states else given
            states.append(layer.step(projected, before, state))
            y = states[-1][0]
            products.append(self._products(layer.reader, y))
            handed_on.append(y if layer.join is None else layer.join(y, handed_on[-1] if handed_on else y))
            if layer.stacked:
                given = products[-1]
            else:
                given = handed_on[-1] if layer.above is None else self._products(layer.above, handed_on[-1])
        if self._head is not None:
            given = self._products(self._head, np.hstack(handed_on))
        elif self._layers[-1].stacked:
            given = given[:, -self.config.vocab_size :]
        return given + self._bias, Memory(tuple(states), tuple(products))

    def prime(self, tokens: Ids) -> tuple[Floats, Memory]:
        """Read a prompt (T,), T >= 1, from no memory -> logits (1, V) after it, memory of one row."""
        memory = self.start(1)
        for token in tokens[:, None]:
            logits, memory = self.step(token, memory)
        return logits, memory

    def accelerated(self, rows: int, tokens: int) -> Acceleration:
        """To be held while rows of so many tokens are asked for."""
        largest = CELLS[self.config.cell].gates * self.config.hidden**2
        seconds = rows * tokens * 2 * largest * len(self._layers) / RATE
        matrices = [matrix for layer in self._layers for matrix in layer.matrices]
        if self._head is not None:
            matrices.append(self._head)
        return Acceleration(matrices, small=rows == 1 and largest < WORTH_A_CALL, seconds=seconds)


def carry(memory: Memory, rows: Sequence[int]) -> Memory:
    """The memory of these rows."""
    chosen = list(rows)
    return Memory(
        tuple(tuple(part[chosen] for part in state) for state in memory.states),
        tuple(p[chosen] for p in memory.products),
    )
