"""An engine beside counts: the same two lines, whose logits are those of both.

Shapes: B rows, T time, V vocabulary.
"""

from collections.abc import Sequence
from typing import NamedTuple

from charrnn.inference.base import BackEnd, Beside, Drawn, Draws, Engine, EngineState, Ids
from charrnn.inference.compiled import CompiledNetwork
from charrnn.inference.counting import Counting
from charrnn.inference.products import Floats, Matrix
from charrnn.models.counts.memory import CountMemory


class CountedState(NamedTuple):
    """What a network remembers, and what counts do."""

    network: EngineState
    counts: CountMemory


class CountedEngine(Engine):
    """An engine, and counts of what its network has learned from."""

    def __init__(self, engine: Engine, counting: Counting) -> None:
        super().__init__(engine.config)
        self._engine, self._counting = engine.apart() if counting.apart else engine, counting
        self.chosen = engine.chosen

    @property
    def matrices(self) -> list[Matrix]:
        return self._engine.matrices

    @property
    def compiled(self) -> Sequence[CompiledNetwork]:
        return self._engine.compiled

    def use(self, back_end: BackEnd) -> None:
        self._engine.use(back_end)

    def initial_state(self, rows: int) -> CountedState:
        return CountedState(self._engine.initial_state(rows), self._counting.nothing_read(rows))

    def step(self, tokens: Ids, state: CountedState) -> tuple[Floats, CountedState]:
        logits, network = self._engine.step(tokens, state.network)
        logits, counts = self._counting.read(tokens[None], logits, state.counts)
        return logits, CountedState(network, counts)

    def read(self, tokens: Ids, state: CountedState) -> tuple[Floats, CountedState]:
        logits, network = self._engine.read(tokens, state.network)
        found, counts = self._counting.read(tokens, logits.reshape(-1, logits.shape[-1]), state.counts)
        return found.reshape(*tokens.shape, -1), CountedState(network, counts)

    @property
    def writes(self) -> bool:
        return self._engine.writes and self._counting.compiled is not None

    def write(self, logits: Floats, state: CountedState, draws: Draws) -> Drawn:
        assert draws.beside is None and self._counting.compiled is not None
        beside = Beside(self._counting.compiled, state.counts)
        drawn = self._engine.write(logits, state.network, draws._replace(beside=beside))
        assert drawn.counts is not None
        return drawn._replace(state=CountedState(drawn.state, drawn.counts), counts=None)


def beside_counts(engine: Engine, counting: Counting | None) -> Engine:
    """An engine as it is, or beside counts."""
    return engine if counting is None else CountedEngine(engine, counting)
