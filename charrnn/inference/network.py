"""One network as single steps.

The formulas are those of the models; the products are laid out once, the first layer's input product is a row of a
table computed once, and torch, which takes longer to load than most texts take to write, is not needed.
Shapes: B rows, V vocabulary, H hidden.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from charrnn.config import ModelConfig
from charrnn.errors import CharrnnError
from charrnn.inference.base import BackEnd, Drawn, Draws, Engine, Ids, StepState
from charrnn.inference.compiled import CompiledNetwork, compiled
from charrnn.inference.formats import FORMATS, INT8
from charrnn.inference.layers import head, lay_out
from charrnn.inference.products import Floats, Matrix
from charrnn.inference.writing import write
from charrnn.models.cells import State
from charrnn.models.cells.base import W_IH
from charrnn.models.connections import DENSE
from charrnn.models.states import state_parts
from charrnn.models.weights import direction_weights, weight_shapes
from charrnn.native import NONE, VARIABLE, Library

# What the compiled step is tried out on.
TRIAL = ModelConfig(vocab_size=10, start_id=10, cell="lstm", layers=2, hidden=21, embedding=3)


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
        if self._compiled is not None and config != TRIAL:
            _try_out(self._compiled.library)

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

    @property
    def writes(self) -> bool:
        return self._compiled is not None

    def write(self, logits: Floats, state: StepState, draws: Draws) -> Drawn:
        drawn = write(self.compiled, [state], logits, draws)
        return drawn._replace(state=drawn.state[0])

    def read(self, tokens: Ids, state: StepState) -> tuple[Floats, StepState]:
        if self._compiled is not None and self._by_library:
            return self._compiled.read(tokens, state)
        return super().read(tokens, state)

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


@cache
def _try_out(library: Library) -> None:
    """Some steps of a small network, once. Raises CharrnnError where they are not NumPy's to the bit.

    No compiler and no processor has been met that does this, and the tests try out each instruction set; but a text
    must not depend on it.
    """
    weights = {
        name: np.sin(np.arange(math.prod(shape), dtype=np.float32)).reshape(shape)
        for name, shape in weight_shapes(TRIAL).items()
    }
    engine = NetworkEngine(TRIAL, direction_weights(weights), INT8)
    (network,) = engine.compiled
    network.library = library
    found = []
    for back_end in (BackEnd("compiled", 1), BackEnd("numpy", 1)):
        engine.use(back_end)
        state = engine.initial_state(5)
        for tokens in np.arange(10).reshape(2, 5):
            logits, state = engine.step(tokens, state)
        found.append([logits.tobytes(), *(part.tobytes() for part in state_parts(state))])
    if found[0] != found[1]:
        raise CharrnnError(
            f"the compiled step ({library.name}) gives other numbers than NumPy on this machine, a fault of it: "
            f"{VARIABLE}={NONE} in the environment leaves the work to NumPy"
        )
