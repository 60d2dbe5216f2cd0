"""What a model writes: texts, and what fits into a gap."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from charrnn.api.arguments import known_options, sample_config
from charrnn.api.opened import Opened
from charrnn.config import draw_seed, require
from charrnn.config.verbs import TEMPERATURES
from charrnn.generation.config import SampleConfig
from charrnn.generation.loop import generate
from charrnn.generation.propose import propose
from charrnn.generation.samples import Sample, Stream, chosen
from charrnn.generation.samples import samples as whole_samples
from charrnn.generation.sequence import TextChunk
from charrnn.inference.engine import open_engine
from charrnn.models.weights import bounded

if TYPE_CHECKING:
    from charrnn.analysis.novelty import NoveltyCurve
    from charrnn.scoring.filling import Filled
    from charrnn.text.copy_index import CopyIndex


class Writer(Opened):
    """The verbs that give text."""

    @known_options(SampleConfig)
    def sample(
        self,
        prompt: str = "",
        *,
        rows: int = 1,
        seed: int | None = None,
        echo: bool = False,
        config: SampleConfig | None = None,
        precision: str | None = None,
        **options: Any,
    ) -> str | list[str]:
        """Generate text that continues the prompt; a list when `rows` is more than one.

        Options are the fields of `SampleConfig`, on top of `config` where one is given; `precision` is int8 or fp32.

        Raises ConfigError on a value out of range, VocabularyError on a prompt that the vocabulary does not hold.
        """
        texts = [prompt if echo else ""] * rows
        for chunk in self.stream(prompt, rows=rows, seed=seed, config=config, precision=precision, **options):
            texts[chunk.row] += chunk.text
        return texts if rows > 1 else texts[0]

    @known_options(SampleConfig)
    def stream(
        self,
        prompt: str = "",
        *,
        rows: int = 1,
        seed: int | None = None,
        config: SampleConfig | None = None,
        precision: str | None = None,
        logprobs: bool = False,
        **options: Any,
    ) -> Iterator[TextChunk]:
        """As `sample`, chunk by chunk as they come; with `logprobs`, each says how likely the model held its tokens."""
        seed = draw_seed() if seed is None else seed
        return self._writer(prompt, sample_config(config, options), precision, seed, logprobs)(0, rows)

    @known_options(SampleConfig)
    def samples(
        self,
        prompt: str = "",
        *,
        rows: int = 1,
        seed: int | None = None,
        config: SampleConfig | None = None,
        precision: str | None = None,
        unique: bool = False,
        novel: bool = False,
        exclude: "Iterable[str] | None" = None,
        ignore_case: bool = False,
        **options: Any,
    ) -> Iterator[Sample]:
        """As `sample`, whole texts with their seeds and log-probabilities, each as soon as its turn has come.

        `unique`: none twice; `novel`: none with a line of its corpus; `exclude`: none with one of these lines;
        fewer than `rows` come where a hundred times as many bring no more. Raises CorpusError when the training text
        cannot be read as it was.
        """
        from charrnn.api.copies import newness

        seed = draw_seed() if seed is None else seed
        write = self._writer(prompt, sample_config(config, options), precision, seed, True)
        if not (unique or novel or exclude):
            return whole_samples(write, 0, rows, seed)
        wanted = newness(self, prompt, unique=unique, novel=novel, exclude=exclude or (), ignore_case=ignore_case)
        return chosen(write, rows, seed, wanted)

    def _writer(self, prompt: str, config: SampleConfig, precision: str | None, seed: int, logprobs: bool) -> Stream:
        """What writes rows, from a first one on."""
        precision = precision or self.precision
        require(
            precision != "int8" or bounded(self.config),
            "what this network's layers give is not bounded by 1, as 8 bits need: leave out `precision`",
        )
        engine = open_engine(self.config, self.weights, precision)
        learned = [] if config.max_copy is None else [self.copy_index]
        return lambda first, rows: generate(
            engine,
            self.tokenizer,
            config,
            prompt=prompt,
            rows=rows,
            first=first,
            seed=seed,
            logprobs=logprobs,
            learned=learned,
        )

    @cached_property
    def copy_index(self) -> "CopyIndex":
        """The text that it has learned from, to look in for copies: made once, and kept in its run's folder.

        `model.copy_index.longest_copy(text)` is the longest span of a text that stands in it. Raises CorpusError
        where the training text cannot be read as it was, CheckpointError where the model does not say what it is.
        """
        from charrnn.api.copies import copy_index

        return copy_index(self)

    @known_options()
    def novelty(
        self,
        temperatures: Iterable[float] = TEMPERATURES,
        *,
        chars: int = 20_000,
        longest: int = 50,
        seed: int | None = None,
    ) -> "Iterator[NoveltyCurve]":
        """Learned or copied: how new texts of `chars` characters are, the share of n-grams up to n = `longest`.

        First the text that was held out, where there is one, then samples at each temperature, as they come. Raises
        CorpusError where the training text cannot be read as it was.
        """
        from charrnn.api.novelty import novelty

        return novelty(self, temperatures, chars=chars, longest=longest, seed=seed)

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
