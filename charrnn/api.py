"""The verbs of the command line for Python: load, sample, score, train. The command line calls the same code.

Torch is loaded by the verbs that need it: to write a text, none is needed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.config import TrainOptions, draw_seed, require
from charrnn.errors import CharrnnError, CheckpointError, CorpusError
from charrnn.generation.config import SampleConfig
from charrnn.generation.loop import generate
from charrnn.generation.propose import propose
from charrnn.generation.sequence import TextChunk
from charrnn.inference.engine import open_engine
from charrnn.inference.products import MATRICES
from charrnn.models.weights import bounded
from charrnn.storage import checkpoint, runs
from charrnn.storage.checkpoint import Header, Weights
from charrnn.text.corpus import Corpus, in_memory
from charrnn.text.dataset import Split, encode_lines, encode_part
from charrnn.text.tokenizers import Tokenizer

if TYPE_CHECKING:
    from charrnn.models.language_model import LanguageModel
    from charrnn.scoring.figures import Score
    from charrnn.scoring.filling import Filled
    from charrnn.training.events import Event

# Generation reads weights in 8 bits where that costs fewer bits per character than this.
MOST_LOST_TO_INT8 = 0.003


@dataclass(frozen=True)
class Model:
    """A trained model: its weights, its tokenizer, and what its file says of it."""

    weights: Weights
    tokenizer: Tokenizer
    header: Header
    device: str = "cpu"

    @cached_property
    def network(self) -> "LanguageModel":
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

    def sample(
        self, prompt: str = "", *, rows: int = 1, seed: int | None = None, echo: bool = False, **options: Any
    ) -> str | list[str]:
        """Generate text that continues the prompt; a list when `rows` is more than one.

        Options are the fields of `SampleConfig`: temperature, length, top_k, top_p, min_p, repetition_penalty, stop;
        and `precision`, int8 or fp32.

        Raises ConfigError on a value out of range, VocabularyError on a prompt that the vocabulary does not hold.
        """
        texts = [prompt if echo else ""] * rows
        for piece in self.stream(prompt, rows=rows, seed=seed, **options):
            texts[piece.row] += piece.text
        return texts if rows > 1 else texts[0]

    def stream(
        self,
        prompt: str = "",
        *,
        rows: int = 1,
        seed: int | None = None,
        config: SampleConfig | None = None,
        precision: str | None = None,
        **options: Any,
    ) -> Iterator[TextChunk]:
        """As `sample`, piece by piece as they come."""
        require(rows >= 1, f"the number of samples must be at least 1, not {rows}")
        precision = precision or self.precision
        require(precision in MATRICES, f"precision must be one of {', '.join(MATRICES)}, not {precision!r}")
        require(
            precision != "int8" or bounded(self.header.config),
            "what this network's layers give is not bounded by 1, as 8 bits need: leave --precision out",
        )
        config = config or SampleConfig(**options)
        seed = draw_seed() if seed is None else seed
        engine = open_engine(self.header.config, self.weights, precision)
        return generate(engine, self.tokenizer, config, prompt=prompt, rows=rows, seed=seed)

    def fill(
        self, left: str, right: str, candidates: "Sequence[str] | None" = None, *, drawn: int = 64, seed: int = 0
    ) -> "list[Filled]":
        """What fits between two texts, the best first, each candidate scored exactly with all that stands around it.

        Without candidates, both halves of the model propose words: `drawn` each. Raises ConfigError when the model
        reads forwards alone, VocabularyError on a character that it does not know.
        """
        from charrnn.scoring.filling import fill

        if candidates is None:
            candidates = propose(self.header.config, self.weights, self.tokenizer, left, right, drawn=drawn, seed=seed)
        return fill(self.network, self.tokenizer, left, right, candidates)

    def score(
        self,
        text: str | Corpus,
        *,
        lines: bool = False,
        reset_every: int | None = None,
        unknown: bool = False,
        batch_size: int | None = None,
        adapt: bool = False,
        fit_temperature: bool = False,
    ) -> "Score":
        """Every figure of a text (see `Score`); a model of documents resets its state at each.

        With `lines`, each line is scored alone, its line end with it. `adapt` and `fit_temperature` add the scores
        `adapted` (dynamic evaluation) and `fitted` beside the plain one. Raises VocabularyError when the vocabulary
        lacks a character, unless `unknown` is set; CorpusError when the text is empty.
        """
        from charrnn.models.language_model import Backwards
        from charrnn.scoring.adaptation import adapted
        from charrnn.scoring.temperature import fit_temperature as fit
        from charrnn.scoring.token_nll import BATCH, score

        batch_size = BATCH if batch_size is None else batch_size
        require(reset_every is None or reset_every >= 1, f"reset-every must be at least 1, not {reset_every}")
        require(batch_size >= 1, f"batch-size must be at least 1, not {batch_size}")
        require(not adapt or reset_every is None, "adaptation carries the state: leave out --reset-every or --adapt")
        mended, facts = (text.read(), text.facts) if isinstance(text, Corpus) else in_memory(text)
        if lines and not self.header.config.documents:
            part = encode_lines(self.tokenizer, mended, unknown=unknown)
        else:
            part = encode_part(self.tokenizer, [mended], self.documents, unknown=unknown)

        def at(temperature: float) -> "Score":
            return score(
                self.network, part, facts, reset_every=reset_every, batch_size=batch_size, temperature=temperature
            )

        plain, backward = at(1.0), None
        if self.header.config.bidirectional:
            turned = part.turned(self.header.config.start_id)
            backward = score(Backwards(self.network), turned, facts, reset_every=reset_every, batch_size=batch_size)
        return replace(
            plain,
            backward=backward,
            adapted=adapted(self.network, part, plain) if adapt else None,
            fitted=at(fit(lambda temperature: at(temperature).loss)) if fit_temperature else None,
        )


def load(model: str | Path | None = None, *, checkpoints: Path | None = None, device: str = "cpu") -> Model:
    """Load a model: a run's name, its folder or a model file; without one, the run trained last.

    Raises RunError when there is none, CheckpointError when the file is no checkpoint or damaged.
    """
    folder = runs.checkpoints_folder(checkpoints)
    path = runs.model_file(folder, None if model is None else str(model))
    header, weights, tokenizer = checkpoint.read_model(path)
    return Model(weights, tokenizer, header, device)


def held_out(model: Model, part: str = "valid") -> Corpus:
    """The held-out part of the corpus that a model was trained on. Raises CorpusError when it is gone or changed."""
    try:
        split = Split.from_json(model.header.summary.get("split"))
    except CharrnnError:
        raise CheckpointError(f"{model.header.path} does not say what it was trained on: name a text") from None
    return HeldOut(split, part)


class HeldOut(Corpus):
    """One part of a corpus, read as a text of its own."""

    def __init__(self, split: Split, part: str) -> None:
        super().__init__(list(split.sources))
        if self.survey().sha256 != split.sha256:
            raise CorpusError(f"{' '.join(split.sources)} has changed since the model was trained: name a text")
        if not any(split.part(part, self)):
            raise CorpusError(f"the model was trained with no {part} part: name a text")
        self._split, self._part = split, part

    def read(self) -> str:
        """The part's text; facts are of the part alone."""
        text, self.facts = in_memory("".join(self._split.part(self._part, Corpus(self.sources))))
        return text


def train(
    corpus: str | Path | list[str] | None = None,
    *,
    checkpoints: Path | None = None,
    on_event: "Callable[[Event], None]" = lambda event: None,
    **options: Any,
) -> Model:
    """Train a model and return the best of it. Options are the fields of `TrainOptions`.

    Raises ConfigError, CorpusError, RunError, CheckpointError or DivergedError.
    """
    from charrnn.training.run import start

    if corpus is not None:
        options["corpus"] = tuple(corpus) if isinstance(corpus, list) else (str(corpus),)
    training = start(TrainOptions(**options), checkpoints=checkpoints)
    for event in training.events():
        on_event(event)
    return load(training.run.model)
