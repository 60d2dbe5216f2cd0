"""A model at work for a server: its engine, its desk, and what tells log-probabilities."""

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from charrnn.api.opened import Opened
from charrnn.generation.chain import Chain
from charrnn.generation.config import SampleConfig
from charrnn.generation.processors import compose
from charrnn.serve.desk import Desk
from charrnn.serve.limits import Limits
from charrnn.serve.logprobs import Teller
from charrnn.serve.metrics import Metrics

# Chains of processors that are kept, by their options: the automaton of a pattern takes a while.
CHAINS = 64


class Served:
    """One model, under its name."""

    def __init__(
        self,
        model: Opened,
        precision: str | None,
        limits: Limits,
        metrics: Metrics,
        fault: Callable[[str], None],
    ) -> None:
        """Raises ConfigError where the model cannot be computed in these numbers."""
        self.model, self.name, self.tokenizer = model, model.name, model.tokenizer
        self.metrics = metrics.of(self.name)
        self._engine = model.open_engine(precision or model.precision)
        self.desk = Desk(self._engine, limits, self.metrics, fault)
        self.teller = Teller(model)
        self._making = threading.Lock()
        self._chains = lru_cache(CHAINS)(self._compose)

    def chain(self, config: SampleConfig) -> Chain:
        """What draws by these options. Raises what the processors do, and CorpusError where a text to copy is gone."""
        with self._making:
            return self._chains(replace(config, stop=()))

    def _compose(self, config: SampleConfig) -> Chain:
        learned = [] if config.max_copy is None else [self.model.copy_index]
        size = self.tokenizer.size
        processors = compose(config, self.tokenizer, learned)
        return Chain(processors, size, endless=self._engine.config.vocab_size == size, told=False)
