"""A network reads whole windows of many texts at once in NumPy, layer by layer, without torch.

As in training: all that needs no state is one product for a window, and only the recurrent products are taken step by
step, for all rows together. In float32, whose sums a library adds up in another order for other numbers of rows: a row
is the same alone or among others to about 1e-7, not to the bit. The engine is what writes texts exactly.
Shapes: T time, B rows, E embedding, H hidden, G gates x H, V vocabulary.
"""

from collections.abc import Mapping

import numpy as np

from charrnn.config import ModelConfig
from charrnn.inference.base import Ids
from charrnn.inference.layers import head
from charrnn.inference.operations import NumpyOperations, ensemble_logits, side_by_side
from charrnn.inference.products import Floats
from charrnn.models.cells import CELLS, Cell, State, gather
from charrnn.models.connections import DENSE, Connection, connection
from charrnn.models.states import NetworkState, States
from charrnn.models.weights import direction_weights, split_models


class WindowOperations(NumpyOperations):
    """The formulas' operations over float32 rows (N, ·); weights are matrices as they are, vectors rows (1, ·)."""

    def __init__(self) -> None:
        super().__init__(lambda h: h)

    def linear(self, x: Floats, weight: Floats, bias: Floats | None) -> Floats:  # type: ignore[override]
        """One product for all rows."""
        y: Floats = x @ weight.T
        if bias is not None:
            y += bias
        return y


class NetworkWindows:
    """One network, or several whose probabilities are averaged, reading forwards."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, Floats], *, apart: bool = False) -> None:
        """Weights stand under the names of a model's file. Of several read `apart` the logits stand side by side."""
        self._config, self._together = config, side_by_side if apart else ensemble_logits
        self._models = [_Windows(config.single, direction_weights(own)) for own in split_models(config, weights)]

    def initial_states(self, rows: int) -> NetworkState:
        """The memory before any token, as a network's in torch is nested: zeros (B, H)."""
        states = tuple(model.initial_states(rows) for model in self._models)
        return states[0] if self._config.ensemble == 1 else states

    def __call__(self, tokens: Ids, states: NetworkState) -> tuple[Floats, NetworkState]:
        """tokens (T, B), states -> logits (T x B, V), states."""
        if self._config.ensemble == 1:
            return self._models[0](tokens, states)
        found = [model(tokens, own) for model, own in zip(self._models, states, strict=True)]
        return self._together([logits for logits, _ in found]), tuple(own for _, own in found)


class _Windows:
    """One network."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, Floats]) -> None:
        self._config = config
        operations, formula = WindowOperations(), CELLS[config.cell]

        def held(name: str) -> Floats:
            return weights[name] if weights[name].ndim == 2 else weights[name][None]

        self._layers: list[tuple[Cell, Connection]] = []
        for number in range(config.layers):
            kind = connection(config.skip, number)
            own = {name: held(f"layers.{number}.rnn.{name}") for name in formula.table()}
            between = {name: held(f"connections.{number}.{name}") for name in kind.table(config.norm)}
            self._layers.append((formula(gather(formula, own), operations), kind(between, operations)))
        # The first layer reads the embedding: its products are rows of a table, computed once.
        embedding = weights["embedding.weight"]
        self._table = self._layers[0][0].project(embedding)
        self._head, self._bias = head(config, weights), weights["bias"]

    def initial_states(self, rows: int) -> States:
        zeros = np.zeros((rows, self._config.hidden), np.float32)
        kind = CELLS[self._config.cell]
        return tuple(kind.state_type(*[zeros] * len(kind.state_names)) for _ in self._layers)

    def __call__(self, tokens: Ids, states: States) -> tuple[Floats, States]:
        steps, rows = tokens.shape
        new: list[State] = []
        handed_on: list[Floats] = []
        for (cell, between), state in zip(self._layers, states, strict=True):
            projected = cell.project(handed_on[-1]) if new else self._table.take(tokens.ravel(), 0)
            y, state = _unroll(cell, projected.reshape(steps, rows, -1), state)
            handed_on.append(between(y.reshape(steps * rows, -1), handed_on[-1] if new else y))
            new.append(state)
        read = np.hstack(handed_on) if self._config.skip == DENSE else handed_on[-1]
        return read @ self._head.T + self._bias, tuple(new)


def _unroll(cell: Cell, projected: Floats, state: State) -> tuple[Floats, State]:
    """projected (T, B, G), state parts (B, H) -> outputs (T, B, H), state."""
    outputs = np.empty((*projected.shape[:2], state[0].shape[1]), np.float32)
    for gates, output in zip(projected, outputs, strict=True):
        state = cell.step(gates, cell.recur(state[0]), state)
        output[:] = state[0]
    return outputs, state
