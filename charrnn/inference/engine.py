"""One token after another: the model's next logits, those of its one network or of several together.

Shapes: B rows, V vocabulary, H hidden.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from charrnn.config import ModelConfig
from charrnn.inference.backends import Acceleration
from charrnn.inference.network import Ids, Network, StepState
from charrnn.inference.products import WORTH_A_CALL, Floats
from charrnn.models.cells import CELLS, State
from charrnn.models.states import map_state
from charrnn.models.weights import FORWARDS, direction_weights, split_models

# Multiplications a second of a single stream here, for guessing what a text will cost.
RATE = 4e10


class Engine:
    """The model's next logits, one token at a time, for B rows that do not touch each other."""

    def __init__(
        self, config: ModelConfig, weights: Mapping[str, Floats], precision: str = "fp32", direction: str = FORWARDS
    ) -> None:
        """Weights under the names of a model's file, those of one direction used; precision is a name in `MATRICES`."""
        of_each = [direction_weights(own, direction) for own in split_models(config, weights)]
        self._members = [Network(config, own, precision) for own in of_each]
        # Which layers of a state are whose.
        firsts = range(0, len(of_each) * config.layers, config.layers)
        self._layers = [slice(first, first + config.layers) for first in firsts]
        self.config = config

    def start(self, rows: int) -> StepState:
        """The state before any token: zeros."""
        return _joined(member.start(rows) for member in self._members)

    def remember(self, states: Sequence[State]) -> StepState:
        """The state that has these states."""
        return _joined(member.remember(states[own]) for member, own in zip(self._members, self._layers, strict=True))

    def step(self, tokens: Ids, state: StepState) -> tuple[Floats, StepState]:
        """tokens (B,), state -> logits (B, V) float32, state."""
        if len(self._members) == 1:
            return self._members[0].step(tokens, state)
        found = [
            member.step(tokens, StepState(state.states[own], state.products[own]))
            for member, own in zip(self._members, self._layers, strict=True)
        ]
        return mixed([logits for logits, _ in found]), _joined(own for _, own in found)

    def prime(self, tokens: Ids) -> tuple[Floats, StepState]:
        """Read a prompt (T,), T >= 1, from no state -> logits (1, V) after it, state of one row."""
        state = self.start(1)
        for token in tokens[:, None]:
            logits, state = self.step(token, state)
        return logits, state

    def accelerated(self, rows: int, tokens: int) -> Acceleration:
        """To be held while rows of so many tokens are asked for."""
        largest = CELLS[self.config.cell].gates * self.config.hidden**2
        seconds = rows * tokens * 2 * largest * self.config.layers * len(self._members) / RATE
        matrices = [matrix for member in self._members for matrix in member.matrices]
        return Acceleration(matrices, small=rows == 1 and largest < WORTH_A_CALL, seconds=seconds)


def select_rows(state: StepState, rows: Sequence[int]) -> StepState:
    """The state of these rows."""
    chosen = list(rows)
    return map_state(lambda part: part[chosen], state)


def mixed(logits: Sequence[Floats]) -> Floats:
    """log of the mean of the probabilities that each of some logits (B, V) stands for."""
    log_p = np.stack(logits)
    log_p -= np.maximum.reduce(log_p, 2, keepdims=True)
    log_p -= np.log(np.add.reduce(np.exp(log_p), 2, keepdims=True))
    likeliest = np.maximum.reduce(log_p, 0)
    mixture: Floats = likeliest + np.log(np.add.reduce(np.exp(log_p - likeliest), 0) / np.float32(len(log_p)))
    return mixture


def _joined(memories: Iterable[StepState]) -> StepState:
    states, products = zip(*memories, strict=True)
    return StepState(sum(states, ()), sum(products, ()))
