"""One network as single steps.

The formulas are those of the models; the products are laid out once, the first layer's input product is a row of a
table computed once, and torch, which takes longer to load than most texts take to write, is not needed.
Shapes: B rows, V vocabulary, H hidden.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from charrnn.config import ModelConfig
from charrnn.inference.base import BackEnd, Drawing, Drawn, Engine, Ids, StepState
from charrnn.inference.compiled import CompiledNetwork, compiled, worth_writing, write
from charrnn.inference.formats import FORMATS, INT8
from charrnn.inference.layers import head, lay_out
from charrnn.inference.products import Doubles, Floats, Matrix
from charrnn.models.cells import State
from charrnn.models.cells.base import W_IH
from charrnn.models.connections import DENSE


class NetworkEngine(Engine):
    """The engine of one network."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, Floats], precision: str) -> None:
        """The weights of one direction under its own names (see models/weights.py); precision is one of `FORMATS`."""
        super().__init__(config)
        matrix = FORMATS[precision].matrix
        self._read = matrix.read
        self._layers = lay_out(config, weights, precision)
        self._head = matrix(head(config, weights)) if config.skip == DENSE else None
        # The first layer reads the embedding: its products are rows of a table, computed once.
        inputs, first = weights["embedding.weight"], self._layers[0].cell
        self._table = first.project(inputs if first.mixes else matrix.table(inputs, weights[f"layers.0.rnn.{W_IH}"]))
        self._bias = weights["bias"][None]
        self._compiled = compiled(config, self._layers, self._table, self._bias) if precision == INT8 else None
        self._by_library = self._compiled is not None

    @property
    def matrices(self) -> list[Matrix]:
        found = [matrix for layer in self._layers for matrix in layer.matrices]
        return found if self._head is None else [*found, self._head]

    def initial_state(self, rows: int) -> StepState:
        zeros = np.zeros((rows, self.config.hidden), np.float32)
        return self.between([layer.cell.state_type(*[zeros] * len(layer.cell.state_names)) for layer in self._layers])

    def between(self, layers: Sequence[State]) -> StepState:
        """The state in which the layers have these states."""
        products = [self._products(layer.reader, h) for layer, (h, *_) in zip(self._layers, layers, strict=True)]
        return StepState(tuple(layers), tuple(products))

    def _products(self, matrix: Matrix | None, x: Floats) -> Floats:
        return x[:, :0] if matrix is None else matrix(self._read(x))

    @property
    def compiled(self) -> Sequence[CompiledNetwork]:
        return () if self._compiled is None else (self._compiled,)

    def use(self, back_end: BackEnd) -> None:
        super().use(back_end)
        self._by_library = self._compiled is not None and back_end.name == "compiled"

    def writes(self, rows: int) -> bool:
        return worth_writing(self.compiled, rows)

    def write(self, logits: Floats, state: StepState, uniforms: Doubles, drawing: Drawing, told: bool) -> Drawn:
        drawn = write(self.compiled, [state], logits, uniforms, drawing, told)
        return drawn._replace(state=drawn.state[0])

    def step(self, tokens: Ids, state: StepState) -> tuple[Floats, StepState]:
        if self._compiled is not None and self._by_library:
            return self._compiled.step(tokens, state)
        states: list[State] = []
        products: list[Floats] = []
        handed_on: list[Floats] = []
        given = self._table.take(tokens, 0)
        for layer, own, before in zip(self._layers, *state, strict=True):
            projected = layer.cell.project(given) if states else given
            states.append(layer.step(projected, before, own))
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
        return given + self._bias, StepState(tuple(states), tuple(products))
