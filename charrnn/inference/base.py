"""What an engine is: logits, one token at a time, for B rows that do not touch each other, without torch.

    state = engine.initial_state(rows)
    logits, state = engine.step(tokens, state)

Generation, scoring and compression stand on these two lines; none of them knows how many networks there are, which back
end multiplies (see backends.py), or what a state holds. An engine knows no text and no files.
Shapes: B rows, T time, V vocabulary, H hidden, N products.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from charrnn.config import ModelConfig
from charrnn.inference.products import Doubles, Floats, Matrix
from charrnn.models.states import State, join_states, map_state

if TYPE_CHECKING:
    from charrnn.inference.compiled import CompiledNetwork
    from charrnn.inference.counting import CompiledCounts
    from charrnn.models.counts.memory import CountMemory

Ids = npt.NDArray[np.int64]


class StepState(NamedTuple):
    """One network between two steps. Nothing in it is ever changed: a step gives a new one."""

    layers: tuple[State, ...]  # each layer's state, parts (B, H)
    products: tuple[Floats, ...]  # of each layer's output with all that reads it, (B, N)


# A StepState or, of an ensemble, a tuple of them: whoever holds it hands it back and looks at nothing inside.
EngineState = Any


class Drawing(NamedTuple):
    """How a token is drawn, where no more than this is asked for; in this order."""

    kept: npt.NDArray[np.bool_] | None = None  # (V,) or longer
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    window: int | None = None  # how many tokens back the penalties look
    temperature: float = 1.0  # 0: the likeliest
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    eta: float | None = None

    @property
    def looks_back(self) -> bool:
        """Whether it matters what was used."""
        return self.repetition_penalty != 1 or self.frequency_penalty != 0 or self.presence_penalty != 0


class Used(NamedTuple):
    """What the penalties of a drawing look at."""

    counts: Doubles
    """(B, V): how often each was used within the window; kept up as tokens are drawn, in place."""
    leaving: Ids
    """(B, T): of what was there before, the token that leaves the window with each that is drawn; none: -1."""


# How all rows are drawn, or each.
Drawings = Drawing | list[Drawing]


class Drawn(NamedTuple):
    """What was drawn, and where the texts stand behind it."""

    ids: Ids
    """(B, T)"""
    logprobs: Doubles | None
    """(B, T): how likely the model itself held each (nats), where it is told."""
    logits: Floats
    """(B, V) of what comes next."""
    state: EngineState
    counts: "CountMemory | None" = None
    """Of counts beside the networks, where they were written beside."""


class Beside(NamedTuple):
    """Counts that a network writes beside, and what they remember."""

    counts: "CompiledCounts"
    memory: "CountMemory"


class Draws(NamedTuple):
    """T tokens that each row is to draw."""

    uniforms: Doubles
    """(B, T) in [0, 1)"""
    drawing: Drawings
    told: bool = False
    """Whether it is told how likely the model held each."""
    used: Used | None = None
    """Where a drawing looks back."""
    beside: Beside | None = None


class BackEnd(NamedTuple):
    """Who multiplies, and on how many threads NumPy does; None: on as many as it has."""

    name: str  # numpy, torch or compiled
    numpy_threads: int | None


class Chosen(NamedTuple):
    """The back end that was the fastest, until (`time.perf_counter`) all are timed again."""

    back_end: BackEnd
    until: float = math.inf


class Engine(ABC):
    """The next token's logits, of one network or of several averaged; deterministic to the bit.

    A row is the same alone or in a batch, whoever multiplies: int8 sums are exact, and fp32 rows are taken one by one.
    """

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        # By number of rows: who multiplies, where that was measured (see backends.py).
        self.chosen: dict[int, Chosen] = {}

    @property
    @abstractmethod
    def matrices(self) -> list[Matrix]:
        """All that it multiplies by."""

    @abstractmethod
    def initial_state(self, rows: int) -> EngineState:
        """The state of B rows before any token: zeros."""

    @abstractmethod
    def step(self, tokens: Ids, state: EngineState) -> tuple[Floats, EngineState]:
        """tokens (B,), state -> logits (B, V) float32, state."""

    def apart(self) -> "Engine":
        """The same whose networks, where there are several, are not averaged: logits side by side (B, M V)."""
        return self

    @property
    def compiled(self) -> "Sequence[CompiledNetwork]":
        """All its networks as the compiled step has them; nothing where one of them has no such step."""
        return ()

    @property
    def writes(self) -> bool:
        """Whether `write` is there: it is the fastest way."""
        return False

    def use(self, back_end: BackEnd) -> None:
        """Let this one compute from here on."""
        for matrix in self.matrices:
            matrix.use_torch(back_end.name == "torch")

    def write(self, logits: Floats, state: EngineState, draws: Draws) -> Drawn:
        """Draw and read what was drawn, T times, where it `writes`: from logits (B, V) and state of what is known."""
        raise NotImplementedError

    def read(self, tokens: Ids, state: EngineState) -> tuple[Floats, EngineState]:
        """A text of each row: tokens (T, B), state -> logits (T, B, V), state."""
        logits = np.empty((*tokens.shape, self.config.vocab_size), np.float32)
        for place, given in enumerate(tokens):
            logits[place], state = self.step(given, state)
        return logits, state

    def prime(self, tokens: Ids) -> tuple[Floats, EngineState]:
        """Read tokens (T,), T >= 1, from the initial state -> logits (1, V) behind them, state of one row."""
        state = self.initial_state(1)
        for token in tokens[:, None]:
            logits, state = self.step(token, state)
        return logits, state

    def select_rows(self, state: EngineState, rows: Sequence[int]) -> EngineState:
        """The state of these rows, in this order, some perhaps more than once: copies."""
        chosen = list(rows)
        return map_state(lambda part: part[chosen], state)

    def join_rows(self, states: Sequence[EngineState]) -> EngineState:
        """The rows of several states as those of one, in this order: copies."""
        return join_states(np.concatenate, states)


def of_all(engines: "Sequence[Engine]") -> "Sequence[CompiledNetwork]":
    """The compiled networks of several engines; nothing where one of them has none."""
    found = [engine.compiled for engine in engines]
    return [each for own in found for each in own] if all(found) else ()
