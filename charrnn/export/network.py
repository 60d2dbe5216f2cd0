"""One step of a whole network as recorded operations: ids and states in, logits and states out.

Shapes: B rows, V vocabulary, H hidden.
"""

from collections.abc import Mapping
from typing import NamedTuple

from charrnn.config import ModelConfig
from charrnn.export.formula import ROWS, Recorder, Value
from charrnn.inference.layers import head
from charrnn.inference.products import Floats
from charrnn.models.cells import CELLS, gather
from charrnn.models.connections import DENSE, connection
from charrnn.models.weights import EMBEDDING, direction_weights, split_models


class Step(NamedTuple):
    """What goes in, what comes out, and all that happens between."""

    recorder: Recorder
    ids: Value
    before: list[Value]
    logits: Value
    after: list[Value]


def record_step(config: ModelConfig, weights: Mapping[str, Floats]) -> Step:
    """One step of the network that reads forwards; weights under the names of a model's file.

    States stand network by network, layer by layer, part by part (h, or h and c), each (B, H).
    """
    recorder = Recorder()
    ids = Value(recorder, (ROWS,))
    before: list[Value] = []
    after: list[Value] = []
    logits = []
    for own in split_models(config, weights):
        found = _read(recorder, config.single, direction_weights(own), ids, before, after)
        logits.append(found)
    return Step(recorder, ids, before, logits[0] if len(logits) == 1 else recorder.mixture(logits), after)


def _read(
    op: Recorder,
    config: ModelConfig,
    weights: Mapping[str, Floats],
    ids: Value,
    before: list[Value],
    after: list[Value],
) -> Value:
    """One network's logits (B, V); its states are added to those before and after."""
    formula = CELLS[config.cell]
    x, handed_on = op.lookup(weights[EMBEDDING], ids), []
    for number in range(config.layers):
        cell = formula(gather(formula, {name: weights[f"layers.{number}.rnn.{name}"] for name in formula.table()}), op)
        state = formula.state_type(*(Value(op, (ROWS, config.hidden)) for _ in formula.state_names))
        before += state
        state = cell.step(cell.project(x), cell.recur(state[0]), state)
        after += state
        kind = connection(config.skip, number)
        between = {name: weights[f"connections.{number}.{name}"] for name in kind.table(config.norm)}
        x = kind(between, op)(state[0], x)
        handed_on.append(x)
    if config.skip == DENSE:
        x = op.record("Concat", handed_on, (ROWS, config.hidden * config.layers))
    return op.linear(x, head(config, weights), weights["bias"])
