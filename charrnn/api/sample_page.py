"""What a model wrote, as a page."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from charrnn.api.arguments import AnyPath
from charrnn.api.state import State
from charrnn.errors import CharrnnError
from charrnn.generation.config import SampleConfig, said
from charrnn.generation.samples import Sample
from charrnn.inference.base import Engine
from charrnn.inference.reading import Reading, read_side_by_side
from charrnn.scoring.predictions import Asked, Predictions, predictions_of

if TYPE_CHECKING:
    from charrnn.api.writer import Writer
    from charrnn.text.copy_index import CopyIndex

# Samples that are read side by side.
AT_ONCE = 64


def sample_page(
    source: "Writer",
    samples: Sequence[Sample],
    prompt: str = "",
    *,
    state: State | AnyPath | None = None,
    precision: str | None = None,
    config: SampleConfig | None = None,
) -> str:
    """One self-contained page of HTML: samples of `Writer.samples`, with the prompt and the rest as they were written.

    They are read once more, to the bit as they were written, for what the model held likely in each place; what is
    copied is marked where the training text can be read.
    """
    from charrnn.api.copies import MARKED, copied_spans
    from charrnn.plotting.samples import SamplePage
    from charrnn.plotting.shading import ASKED

    read = source.read(prompt, state=state, precision=precision)
    engine = source.open_engine(read.precision)
    indices, copies = _indices(source)
    lines = source.documents == "lines"
    page = SamplePage(source.tokenizer, read.text)
    for sample, told in zip(samples, reread(engine, read.reading, samples, ASKED), strict=True):
        page.push(sample, told, copied_spans(indices, sample.text, read.text, line=lines))
    if indices:
        whole = " and whole lines of it" if lines else ""
        copies = (
            f"Underlined with dots: what stands word for word in the training text, from {MARKED} characters on{whole}."
        )
    options = [] if config is None else sorted(said(config), key=lambda option: option[0] != "temperature")
    about = [f"{len(samples):,} sample{'s'[: len(samples) != 1]}", read.precision]
    about += [f"{name.replace('_', ' ')} {value}" for name, value in options]
    name = " + ".join(model.name for model in source.opened)
    return page.html(f"Written by {name}", f"{', '.join(about)}. {source.title}", copies)


def reread(engine: Engine, begun: Reading, samples: Sequence[Sample], asked: Asked) -> Iterator[Predictions]:
    """What the engine held likely in the place of each token, for samples that were drawn behind what was read."""
    for first in range(0, len(samples), AT_ONCE):
        yield from _side_by_side(engine, begun, samples[first : first + AT_ONCE], asked)


def _side_by_side(engine: Engine, begun: Reading, samples: Sequence[Sample], asked: Asked) -> list[Predictions]:
    # An end that the model does not have is none of its tokens.
    rows = [[token for token in sample.ids if token < engine.config.vocab_size] for sample in samples]
    read = read_side_by_side(engine, begun, rows)
    found = [predictions_of(logits, drawn, engine.config.start_id, asked) for drawn, logits in read]
    whole = Predictions.concatenate(found)
    return [whole[at :: len(rows)][: len(row)] for at, row in enumerate(rows)]


def _indices(source: "Writer") -> "tuple[list[CopyIndex], str]":
    """Those of all training texts; where one cannot be read none, and why."""
    try:
        return [model.copy_index for model in source.opened], ""
    except CharrnnError as problem:
        return [], f"What is copied is not marked: {problem}."
