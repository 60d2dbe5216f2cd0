"""From a model's weights to its engine: one network, or several whose probabilities are averaged.

Shapes: B rows, V vocabulary.
"""

from collections.abc import Mapping, Sequence

from charrnn.config import ModelConfig
from charrnn.inference.base import BackEnd, Drawn, Draws, Engine, EngineState, Ids, of_all
from charrnn.inference.compiled import CompiledNetwork
from charrnn.inference.formats import FORMATS, Together
from charrnn.inference.network import NetworkEngine
from charrnn.inference.operations import side_by_side
from charrnn.inference.products import Floats, Matrix
from charrnn.inference.writing import write
from charrnn.models.weights import direction_weights, split_models


def open_engine(
    config: ModelConfig, weights: Mapping[str, Floats], precision: str = "fp32", direction: str = "forwards"
) -> Engine:
    """The engine of a model.

    Weights stand under the names of a model's file; precision is a name in `FORMATS`; direction, of a bidirectional
    model, 'forwards' or 'backwards'.
    """
    engines = [
        NetworkEngine(config.single, direction_weights(own, direction), precision)
        for own in split_models(config, weights)
    ]
    return engines[0] if len(engines) == 1 else EnsembleEngine(config, engines, FORMATS[precision].mixture)


class EnsembleEngine(Engine):
    """Several engines read the same tokens side by side; what one logits are made of theirs says `mixture`."""

    def __init__(self, config: ModelConfig, engines: Sequence[Engine], mixture: Together) -> None:
        super().__init__(config)
        self._engines, self._mixture = tuple(engines), mixture

    def apart(self) -> Engine:
        return EnsembleEngine(self.config, self._engines, side_by_side)

    @property
    def matrices(self) -> list[Matrix]:
        return [matrix for engine in self._engines for matrix in engine.matrices]

    @property
    def compiled(self) -> Sequence[CompiledNetwork]:
        return of_all(self._engines)

    def use(self, back_end: BackEnd) -> None:
        for engine in self._engines:
            engine.use(back_end)

    @property
    def writes(self) -> bool:
        return bool(self.compiled)

    def write(self, logits: Floats, state: tuple[EngineState, ...], draws: Draws) -> Drawn:
        return write(self.compiled, state, logits, draws)

    def initial_state(self, rows: int) -> tuple[EngineState, ...]:
        return tuple(engine.initial_state(rows) for engine in self._engines)

    def read(self, tokens: Ids, state: tuple[EngineState, ...]) -> tuple[Floats, tuple[EngineState, ...]]:
        found = [engine.read(tokens, own) for engine, own in zip(self._engines, state, strict=True)]
        mixture = self._mixture([logits.reshape(-1, logits.shape[-1]) for logits, _ in found])
        return mixture.reshape(*tokens.shape, -1), tuple(own for _, own in found)

    def step(self, tokens: Ids, state: tuple[EngineState, ...]) -> tuple[Floats, tuple[EngineState, ...]]:
        found = [engine.step(tokens, own) for engine, own in zip(self._engines, state, strict=True)]
        return self._mixture([logits for logits, _ in found]), tuple(own for _, own in found)
