"""What of a model's text is copied from its corpus."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from charrnn.api.learned import corpus_at_hand
from charrnn.errors import CharrnnError
from charrnn.generation.samples import Sample
from charrnn.storage.copies import keep_index, kept_index
from charrnn.storage.runs import Run
from charrnn.text.copies import TrainingLines, Unlike, whole_lines
from charrnn.text.copy_index import Copied, CopyIndex

if TYPE_CHECKING:
    from charrnn.api.opened import Opened
    from charrnn.api.source import Source

# Shorter spans than this are what any text of a language has in common with another.
MARKED = 20


def training_lines(source: "Source") -> TrainingLines | None:
    """The lines of the text that its models have learned from; None where one is gone, changed, unknown or too long."""
    found = [_training_lines(model) for model in source.opened]
    known = [lines for lines in found if lines is not None]
    return TrainingLines.of_several(known) if len(known) == len(found) else None


def _training_lines(model: "Opened") -> TrainingLines | None:
    try:
        split, corpus = corpus_at_hand(model)
        if (found := TrainingLines.of(split, corpus)) is not None:
            corpus.finish(split)
        return found
    except CharrnnError:
        return None


def copy_index(model: "Opened") -> CopyIndex:
    """The index of the text that a model has learned from, which is kept beside it where it is in a run's folder.

    Raises CharrnnError where there is none yet and the text cannot be read as it was.
    """
    path, key = model.header.path, model.header.split.digest
    run = Run(path.parent)
    own = path in (run.model, run.resume)
    if own and (kept := kept_index(run.copies, key)) is not None:
        return kept
    split, corpus = corpus_at_hand(model)
    index = CopyIndex.of(split.part("train", corpus))
    corpus.finish(split)
    if own:
        keep_index(run.copies, key, index)
    return index


def longest_copy(indices: Iterable[CopyIndex], text: str, prompt: str = "") -> Copied | None:
    """The longest span of a text that stands in one of several training texts; it may begin in the prompt."""
    found = (index.longest_copy(text, prompt) for index in indices)
    return max(filter(None, found), key=lambda copied: copied.length, default=None)


def copied_spans(indices: Sequence[CopyIndex], text: str, prompt: str = "", *, line: bool) -> list[Copied]:
    """The spans of a text that stand in one of several training texts, `MARKED` characters or more of each, in order.

    With `line`, a text that is a whole line of one counts, however short.
    """
    found = [copied for index in indices for copied in index.copies(text, prompt, least=MARKED)]
    if line and not prompt:
        found += [copied for index in indices if (copied := index.line(text)) and copied.length < MARKED]
    return sorted(found, key=lambda copied: copied.start)


def with_copies(samples: Iterable[Sample], indices: Sequence[CopyIndex], prompt: str = "") -> Iterator[Sample]:
    """Samples as they come, with the longest span of each in the training texts; it may begin in the prompt."""
    return (replace(sample, copied=longest_copy(indices, sample.text, prompt)) for sample in samples)


def newness(
    source: "Source", prompt: str, *, unique: bool, novel: bool, exclude: Iterable[str], ignore_case: bool
) -> Callable[[Sample], bool]:
    """Tells which samples are new; `novel`: no line of its text, the part that was held out with it.

    Raises CharrnnError where that is asked for and cannot be read.
    """
    learned = []
    for model in source.opened if novel else ():
        split, corpus = corpus_at_hand(model)
        learned.append(TrainingLines.in_text(corpus.chunks("\n"), ignore_case=ignore_case))
        corpus.finish(split)
    known = TrainingLines.of_several(learned) if novel else None
    new = Unlike(unique=unique, known=known, exclude=exclude, ignore_case=ignore_case)
    return lambda sample: new(sample.text, whole_lines(sample.text, prompt=prompt, cut=False))
