"""A trained model: what it writes, fills in and scores."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from os import fspath
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.api.arguments import AnyPath, folder, known_options, sample_config
from charrnn.api.threads import use_threads
from charrnn.config import ModelConfig, draw_seed, require
from charrnn.generation.config import SampleConfig
from charrnn.generation.loop import generate
from charrnn.generation.propose import propose
from charrnn.generation.samples import Sample, Stream, chosen
from charrnn.generation.samples import samples as whole_samples
from charrnn.generation.sequence import TextChunk
from charrnn.inference.engine import open_engine
from charrnn.models.weights import bounded
from charrnn.storage import checkpoint, runs
from charrnn.storage.checkpoint import Header, Weights
from charrnn.text.corpus import Corpus
from charrnn.text.tokenizers import Tokenizer

if TYPE_CHECKING:
    from charrnn.api.lines import LineScore
    from charrnn.api.surprisal import Surprisal
    from charrnn.models.ensemble import Network
    from charrnn.scoring.figures import Score
    from charrnn.scoring.filling import Filled

# Generation reads weights in 8 bits where that costs fewer bits per character than this.
MOST_LOST_TO_INT8 = 0.003


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A trained model: its weights, its tokenizer, and what its file says of it.

    Models are equal when their configuration, their tokenizer and every weight are.
    """

    weights: Weights
    tokenizer: Tokenizer
    header: Header
    device: str = "cpu"

    def __repr__(self) -> str:
        """<Model fables: lstm 2 x 384, 74 characters, 1.739 bpc>"""
        config, loss, unit = self.config, self.header.summary.get("loss"), self.tokenizer.unit
        figure = ""
        if isinstance(loss, float):
            # A token is a character only where nothing but characters is predicted.
            name = "bpc" if unit == "characters" and not config.documents else "bits per token"
            figure = f", {loss / math.log(2):.3f} {name}"
        return f"<Model {config.titled(self.name)}{config.manner}, {self.tokenizer.size:,} {unit}{figure}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Model):
            return NotImplemented
        return (
            self.config == other.config
            and self.tokenizer.spec() == other.tokenizer.spec()
            and self.weights.keys() == other.weights.keys()
            and all(np.array_equal(weight, other.weights[name]) for name, weight in self.weights.items())
        )

    def __hash__(self) -> int:
        return hash(self.config)

    @property
    def name(self) -> str:
        """The run's name; of a file elsewhere, the file's."""
        path = self.header.path.absolute()
        run = runs.Run(path.parent)
        return run.name if path in (run.model, run.resume) else path.stem

    @property
    def config(self) -> ModelConfig:
        """The network: cell, layers, sizes."""
        return self.header.config

    @cached_property
    def network(self) -> "Network":
        """The network in torch. Raises ConfigError when the machine lacks the device."""
        import torch

        from charrnn.machine import pick_device

        tensors = {name: torch.from_numpy(weight) for name, weight in self.weights.items()}
        return checkpoint.build_network(self.header, tensors).to(pick_device(self.device))

    @property
    def precision(self) -> str:
        """In what numbers it generates, unless told: int8 where the end of its training measured that this is safe."""
        lost = self.header.summary.get("int8_bpc")
        return "int8" if isinstance(lost, float) and lost < MOST_LOST_TO_INT8 else "fp32"

    @property
    def documents(self) -> str:
        """How its training text was told apart: stream, lines or paragraphs."""
        return self.header.documents

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
        return lambda first, rows: generate(
            engine, self.tokenizer, config, prompt=prompt, rows=rows, first=first, seed=seed, logprobs=logprobs
        )

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

    @known_options()
    def score(
        self,
        text: AnyPath | Corpus,
        *,
        lines: bool = False,
        reset_every: int | None = None,
        unknown: bool = False,
        batch_size: int | None = None,
        adapt: bool = False,
        fit_temperature: bool = False,
        threads: int | None = None,
    ) -> "Score":
        """Every figure of a text (see `Score`), or of a file given as a Path; a model of documents resets at each.

        With `lines`, each line is scored alone, its line end with it. `adapt` and `fit_temperature` add the scores
        `adapted` (dynamic evaluation) and `fitted` beside the plain one. Raises VocabularyError when the vocabulary
        lacks a character, unless `unknown` is set; CorpusError when the text is empty.
        """
        from charrnn.api.scoring import scored

        use_threads(threads)
        return scored(
            self,
            text,
            lines=lines,
            reset_every=reset_every,
            unknown=unknown,
            batch_size=batch_size,
            adapt=adapt,
            fit_temperature=fit_temperature,
        )

    @known_options()
    def surprisal(
        self,
        text: AnyPath | Corpus,
        *,
        per: str = "word",
        space: str = "after",
        top: int = 0,
        context: str = "",
        unknown: bool = False,
        threads: int | None = None,
    ) -> "Surprisal":
        """What each word, character, token or line of a text costs in bits, as rows of a structured array.

        They add up to the `score` of the text. `space` says whose the white space between words is, `top` how many
        alternatives to tell of each token; `context` is read before each document, or the text, and not scored.
        """
        from charrnn.api.surprisal import surprisal

        use_threads(threads)
        return surprisal(self, text, per=per, space=space, top=top, context=context, unknown=unknown)

    @known_options()
    def score_lines(
        self,
        texts: "AnyPath | Iterable[str | None]",
        *,
        context: str = "",
        carry: bool = False,
        unknown: bool = False,
        unbuffered: bool = False,
        threads: int | None = None,
    ) -> "Iterator[LineScore]":
        """The score of each line (see `LineScore`), in order, as they come: of strings, of a text, of a Path's file.

        Each is scored alone, as `score(lines=True)` does it, many side by side, none of them kept; a model of
        documents takes each for a document. `context` is read before each; with `carry`, they are one running text.
        `unbuffered`: each is scored before the next is asked for; None among strings asks for those that have come.
        Raises ConfigError on `carry` beside a model of documents, VocabularyError, with the line's number, when the
        vocabulary lacks a character, unless `unknown` is set.
        """
        from charrnn.api.lines import score_lines

        use_threads(threads)
        return score_lines(self, texts, context=context, carry=carry, unknown=unknown, unbuffered=unbuffered)


@known_options()
def load(
    model: AnyPath | None = None,
    *,
    checkpoints: AnyPath | None = None,
    device: str = "cpu",
    threads: int | None = None,
) -> Model:
    """Load a model: a run's name, its folder or a model file; without one, the run trained last.

    `threads` are those of the whole process from here on, as those of a training are. Raises ConfigError on a value
    that is none, RunError when there is no such model, CheckpointError when the file is no checkpoint or damaged.
    """
    use_threads(threads)
    path = runs.model_file(runs.checkpoints_folder(folder(checkpoints)), None if model is None else fspath(model))
    header, weights, tokenizer = checkpoint.read_model(path)
    return Model(weights, tokenizer, header, device)
