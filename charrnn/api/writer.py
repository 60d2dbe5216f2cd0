"""What a model writes."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from charrnn.api.arguments import AnyPath, known_options, sample_config
from charrnn.api.source import Source
from charrnn.api.state import State, begun
from charrnn.config import draw_seed, require
from charrnn.generation.config import SampleConfig
from charrnn.generation.loop import generate
from charrnn.generation.samples import Sample, Stream, chosen, likeliest
from charrnn.generation.samples import samples as whole_samples
from charrnn.generation.sequence import TextChunk
from charrnn.inference.base import Engine
from charrnn.inference.reading import Reading, read

if TYPE_CHECKING:
    from charrnn.api.session import Session


class Writer(Source):
    """The verbs that give text."""

    @known_options()
    def read(self, prompt: str = "", *, state: State | AnyPath | None = None, precision: str | None = None) -> State:
        """Read a text once, to continue it as often as one likes: `model.sample(state=...)`, `state.save(path)`.

        With `state`, a `State` or the path of one that was saved, the text comes behind what was read before; pieces of
        subwords never reach across such a seam. Raises VocabularyError on a prompt that the vocabulary does not hold,
        CheckpointError on the state of another model or a damaged file, ConfigError on that of another precision.
        """
        found = self._read(prompt, state, precision)
        return State(self.digest, found.precision, self.tokenizer, found.reading)

    @known_options(SampleConfig)
    def sample(
        self,
        prompt: str = "",
        *,
        rows: int = 1,
        state: State | AnyPath | None = None,
        seed: int | None = None,
        echo: bool = False,
        config: SampleConfig | None = None,
        precision: str | None = None,
        **options: Any,
    ) -> str | list[str]:
        """Generate text that continues the prompt; a list when `rows` is more than one.

        Options are the fields of `SampleConfig`, on top of `config` where one is given; `precision` is int8 or fp32;
        the prompt comes behind what `state` has read (see `read`).

        Raises ConfigError on a value out of range, VocabularyError on a prompt that the vocabulary does not hold,
        CheckpointError on a state that is not this model's.
        """
        texts = [prompt if echo else ""] * rows
        chunks = self.stream(prompt, rows=rows, state=state, seed=seed, config=config, precision=precision, **options)
        for chunk in chunks:
            texts[chunk.row] += chunk.text
        return texts if rows > 1 else texts[0]

    @known_options(SampleConfig)
    def stream(
        self,
        prompt: str = "",
        *,
        rows: int = 1,
        state: State | AnyPath | None = None,
        seed: int | None = None,
        config: SampleConfig | None = None,
        precision: str | None = None,
        logprobs: bool = False,
        **options: Any,
    ) -> Iterator[TextChunk]:
        """As `sample`, chunk by chunk as they come; with `logprobs`, each says how likely the model held its tokens."""
        seed = draw_seed() if seed is None else seed
        settings = sample_config(config, options)
        return self._writer(self._read(prompt, state, precision), settings, seed, logprobs)(0, rows)

    @known_options(SampleConfig)
    def samples(
        self,
        prompt: str = "",
        *,
        rows: int = 1,
        state: State | AnyPath | None = None,
        seed: int | None = None,
        config: SampleConfig | None = None,
        precision: str | None = None,
        unique: bool = False,
        novel: bool = False,
        exclude: "Iterable[str] | None" = None,
        ignore_case: bool = False,
        best: int | None = None,
        sort: bool = False,
        **options: Any,
    ) -> Iterator[Sample]:
        """As `sample`, whole texts with their seeds and log-probabilities, each as soon as its turn has come.

        `unique`: none twice; `novel`: none with a line of its corpus; `exclude`: none with one of these lines;
        fewer than `rows` come where a hundred times as many bring no more. `best`: of these so many alone, the
        likeliest token for token; `sort`: the likeliest first. Raises CorpusError when the training text cannot be read
        as it was.
        """
        from charrnn.api.copies import newness

        require(best is None or best <= rows, f"`best` is {best}, and `rows` {rows}: the best are so many of all rows")
        seed = draw_seed() if seed is None else seed
        settings, start = sample_config(config, options), self._read(prompt, state, precision)
        write = self._writer(start, settings, seed, True)
        found = whole_samples(write, 0, rows, seed)
        if unique or novel or exclude:
            before = self.tokenizer.decode(start.before) + prompt
            wanted = newness(self, before, unique=unique, novel=novel, exclude=exclude or (), ignore_case=ignore_case)
            found = chosen(write, rows, seed, wanted)
        return likeliest(found, best) if best is not None or sort else found

    @known_options(SampleConfig)
    def session(
        self,
        *,
        state: State | AnyPath | None = None,
        seed: int | None = None,
        config: SampleConfig | None = None,
        precision: str | None = None,
        **options: Any,
    ) -> "Session":
        """A text written in turns, by somebody who types and the model that goes on; options are those of `sample`."""
        from charrnn.api.session import Session

        return Session(self, seed=seed, config=sample_config(config, options), precision=precision, state=state)

    def page(
        self,
        samples: Iterable[Sample],
        prompt: str = "",
        *,
        state: State | AnyPath | None = None,
        precision: str | None = None,
        config: SampleConfig | None = None,
    ) -> str:
        """Samples as one self-contained page of HTML, given what they were written behind and by.

        Each place is shaded by its surprisal and has what the model held likely; what stands in the training text is
        underlined, where that can be read.
        """
        from charrnn.api.sample_page import sample_page

        return sample_page(self, list(samples), prompt, state=state, precision=precision, config=config)

    def _read(self, prompt: str, state: State | AnyPath | None, precision: str | None) -> "_Begun":
        """The prompt, read from the start of a text or behind what a state has read."""
        if state is None:
            numbers, before = precision or self.precision, None
            engine = self.open_engine(numbers)
        else:
            kept, engine = begun(self, state, precision)
            numbers, before = kept.precision, kept.reading
        reading = read(engine, self.tokenizer.encode(prompt).tolist(), before)
        return _Begun(engine, numbers, before.ids if before else [], reading)

    def _writer(self, start: "_Begun", config: SampleConfig, seed: int, logprobs: bool) -> Stream:
        """What writes rows, from a first one on; the prompt was read once for all of them."""
        learned = [] if config.max_copy is None else [model.copy_index for model in self.opened]
        return lambda first, rows: generate(
            start.engine,
            self.tokenizer,
            config,
            after=start.reading,
            rows=rows,
            first=first,
            seed=seed,
            logprobs=logprobs,
            learned=learned,
        )


class _Begun(NamedTuple):
    """What goes on: an engine and its numbers, the ids that a state had read, and with the prompt behind them."""

    engine: Engine
    precision: str
    before: list[int]
    reading: Reading
