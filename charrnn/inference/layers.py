"""The recurrent layers laid out for single steps: which products stand together in one matrix, and who reads what.

A layer's output is multiplied once, by all that reads it as it is: the layer's own next step, and the layer or the head
above. Where something is made of it first (a residual sum, layer normalisation), what stands above has a product of
its own. Shapes: B rows, H hidden, N products.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.config import ModelConfig
from charrnn.inference.formats import FORMATS
from charrnn.inference.products import Exact8, Floats, Matrix
from charrnn.models.cells import CELLS, Cell, State, gather
from charrnn.models.cells.base import W_HH, W_IH
from charrnn.models.connections import DENSE, Connection, connection


@dataclass(frozen=True)
class Layer:
    """One layer: its formula, and what is done with what it gives."""

    cell: Cell
    recurs: bool  # whether the state is multiplied before the step
    reader: Matrix | None  # of the output: the recurrent products, and those of what stands above if `stacked`
    stacked: bool
    join: Connection | None  # of output and input, where the output is not handed on as it is
    above: Matrix | None  # of what is handed on, where it is not `stacked`; None: it is not multiplied
    own: tuple[Matrix, ...]  # what the formulas multiply by themselves

    @property
    def matrices(self) -> list[Matrix]:
        """All of them."""
        return [matrix for matrix in (self.reader, self.above, *self.own) if matrix is not None]

    def step(self, projected: Floats, before: Floats, state: State) -> State:
        """The input's share of the gates (B, G), the last output's products (B, N), the state -> the next state."""
        return self.cell.step(projected, self.cell.recur(before if self.recurs else state[0]), state)


def lay_out(config: ModelConfig, weights: Mapping[str, Floats], precision: str) -> list[Layer]:
    """The layers, from the input up; weights under the names of a direction."""
    formula, matrix = CELLS[config.cell], FORMATS[precision].matrix
    operations = FORMATS[precision].operations(matrix.read)
    recurrent = formula.num_recurrent_gates() * config.hidden

    def held(weight: Floats) -> Matrix | Floats | slice:
        # Vectors as rows of two dimensions: for one row, NumPy then need not broadcast.
        return matrix(weight) if weight.ndim == 2 else weight[None]

    layers: list[Layer] = []
    for number in range(config.layers):
        of_layer = {name: weights[f"layers.{number}.rnn.{name}"] for name in formula.table()}
        inputs = {
            name: held(weight) for name, weight in of_layer.items() if name in formula.extra_weights or weight.ndim == 1
        }
        below_too = bool(layers) and layers[-1].stacked
        inputs[W_IH] = held(of_layer[W_IH]) if formula.mixes else slice(recurrent if below_too else 0, None)
        if recurrent:
            inputs[W_HH] = slice(recurrent)
        kind = connection(config.skip, number)
        between = {name: held(weights[f"connections.{number}.{name}"]) for name in kind.table(config.norm)}
        above, plain = _above(config, weights, number), kind.plain and not config.norm
        stacked = plain and above is not None
        products = [of_layer[W_HH]] if recurrent else []
        if above is not None and stacked:
            products.append(above)
        layers.append(
            Layer(
                cell=formula(gather(formula, inputs), operations),
                recurs=bool(recurrent),
                reader=matrix(np.vstack(products)) if products else None,
                stacked=stacked,
                join=None if plain else kind(between, operations),
                above=None if stacked or above is None else matrix(above),
                own=tuple(weight for weight in (*inputs.values(), *between.values()) if isinstance(weight, Matrix)),
            )
        )
    return layers


def biases_above(layers: Sequence[Layer], bias: Floats) -> list[Floats]:
    """Of each of plain layers, what is added to its products where they are read above: the next one's, the head's."""
    rows = [np.zeros((1, len(layer.reader.weight)), np.float32) for layer in layers if isinstance(layer.reader, Exact8)]
    return [*(above.cell.project(row) for row, above in zip(rows, layers[1:], strict=False)), bias]


def head(config: ModelConfig, weights: Mapping[str, Floats]) -> Floats:
    """(V, H), or of all layers (V, layers x H)."""
    return weights["embedding.weight"][: config.vocab_size] if config.tie else weights["head"]


def _above(config: ModelConfig, weights: Mapping[str, Floats], number: int) -> Floats | None:
    """What multiplies what this layer hands on; None where nothing does."""
    if number + 1 == config.layers:
        return None if config.skip == DENSE else head(config, weights)
    return None if CELLS[config.cell].mixes else weights[f"layers.{number + 1}.rnn.{W_IH}"]
