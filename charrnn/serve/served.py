"""A model at work for a server: its engine, its desk, and what tells log-probabilities."""

from collections.abc import Callable

from charrnn.api.model import Model
from charrnn.generation.chain import Chain
from charrnn.generation.config import SampleConfig
from charrnn.generation.processors import compose
from charrnn.serve.desk import Desk
from charrnn.serve.limits import Limits
from charrnn.serve.logprobs import Teller
from charrnn.serve.metrics import Metrics
from charrnn.serve.problems import BUSY, Problem


class Served:
    """One model, under its name."""

    def __init__(
        self,
        model: Model,
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
        self._most, self._held = limits.rows + limits.queue, 0
        self._page: str | None = None

    def page(self) -> str:
        """It as a page that writes in a browser, made once. Raises ConfigError where there is none of it."""
        if self._page is None:
            self._page = self.model.live_page()
        return self._page

    def hold(self, texts: int) -> None:
        """Take on so many more texts, or so many less. Raises Problem where they are too many beside others."""
        if texts > 0 and self._held and self._held + texts > self._most:
            raise Problem(f"{self._held:,} texts are under way or wait: come again later", BUSY, code="overloaded")
        self._held += texts

    def chain(self, config: SampleConfig) -> Chain:
        """What draws by these options. Raises what the processors do, and CorpusError where a text to copy is gone."""
        learned = [] if config.max_copy is None else [self.model.copy_index]
        size = self.tokenizer.size
        processors = compose(config, self.tokenizer, learned)
        return Chain(processors, size, endless=self._engine.config.vocab_size == size, told=False)
