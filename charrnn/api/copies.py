"""What of a model's text is copied from its corpus."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from charrnn.errors import CharrnnError
from charrnn.generation.samples import Sample
from charrnn.storage.texts import at_hand
from charrnn.text.copies import TrainingLines, Unlike, whole_lines
from charrnn.text.kept import OncePassed
from charrnn.text.split import Split

if TYPE_CHECKING:
    from charrnn.api.opened import Opened
    from charrnn.api.source import Source


def training_lines(source: "Source") -> TrainingLines | None:
    """The lines of the text that its models have learned from; None where one is gone, changed, unknown or too long."""
    found = [_training_lines(model) for model in source.opened]
    known = [lines for lines in found if lines is not None]
    return TrainingLines.of_several(known) if len(known) == len(found) else None


def _training_lines(model: "Opened") -> TrainingLines | None:
    try:
        split, corpus = _text(model)
        if (found := TrainingLines.of(split, corpus)) is not None:
            corpus.finish(split.sha256)
        return found
    except CharrnnError:
        return None


def newness(
    source: "Source", prompt: str, *, unique: bool, novel: bool, exclude: Iterable[str], ignore_case: bool
) -> Callable[[Sample], bool]:
    """Tells which samples are new; `novel`: no line of its text, the part that was held out with it.

    Raises CharrnnError where that is asked for and cannot be read.
    """
    learned = []
    for model in source.opened if novel else ():
        split, corpus = _text(model)
        learned.append(TrainingLines.in_text(corpus.chunks("\n"), ignore_case=ignore_case))
        corpus.finish(split.sha256)
    known = TrainingLines.of_several(learned) if novel else None
    new = Unlike(unique=unique, known=known, exclude=exclude, ignore_case=ignore_case)
    return lambda sample: new(sample.text, whole_lines(sample.text, prompt=prompt, cut=False))


def _text(model: "Opened") -> tuple[Split, OncePassed]:
    split = at_hand(model.header.split, model.header.path.parent)
    return split, OncePassed(list(split.sources), any_bytes=model.tokenizer.any_bytes)
