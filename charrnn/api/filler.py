"""What fits into a gap."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from charrnn.api.arguments import known_options, sample_config
from charrnn.api.opened import Opened
from charrnn.config import draw_seed
from charrnn.generation.config import GAP_LENGTH, SampleConfig
from charrnn.generation.propose import propose

if TYPE_CHECKING:
    from charrnn.generation.infill import Infilled
    from charrnn.scoring.filling import Filled


class Filler(Opened):
    """The verbs that fill gaps."""

    @known_options()
    def fill(
        self, left: str, right: str, candidates: "Iterable[str] | None" = None, *, drawn: int = 64, seed: int = 0
    ) -> "list[Filled]":
        """What fits between two texts, the best first, each candidate scored exactly with all that stands around it.

        Without candidates, both directions of the model propose words: `drawn` each. Raises ConfigError when the model
        reads forwards alone, VocabularyError on a character that it does not know.
        """
        from charrnn.scoring.filling import fill

        if candidates is None:
            candidates = propose(self.config, self.weights, self.tokenizer, left, right, drawn=drawn, seed=seed)
        return fill(self.network, self.tokenizer, left, right, list(candidates))

    @known_options(SampleConfig)
    def infill(
        self,
        left: str,
        right: str,
        *,
        rows: int = 1,
        seed: int | None = None,
        config: SampleConfig | None = None,
        precision: str | None = None,
        **options: Any,
    ) -> "Iterator[Infilled]":
        """Text between two others, of up to `length` characters (40), drawn by how well it fits both sides.

        Options are those of `sample` that know no pattern. A model that reads from both ends weighs both alike. Raises
        ConfigError where nothing stands on the right, CharrnnError where nothing fits.
        """
        from charrnn.generation.infill import infill
        from charrnn.inference.engine import open_engine

        numbers = precision or self.precision
        if config is None:
            options = {"length": GAP_LENGTH, **options}
        settings = sample_config(config, options)
        return infill(
            self.open_engine(numbers),
            self.tokenizer,
            settings,
            left,
            right,
            rows=rows,
            seed=draw_seed() if seed is None else seed,
            backwards=open_engine(self.config, self.weights, numbers, "backwards")
            if self.config.bidirectional
            else None,
            learned=[] if settings.max_copy is None else [self.copy_index],
        )
