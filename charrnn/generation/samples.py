"""Whole samples, in the order of their rows; and those of them alone that are as they are wanted."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from charrnn.config import seed_of_row
from charrnn.generation.sequence import TextChunk
from charrnn.markup import written
from charrnn.text.copy_index import Copied

# (first row, rows) -> the chunks of these rows as they come.
Stream = Callable[[int, int], Iterator[TextChunk]]

# Rows written side by side where it is not known how many it takes; none more than so many for each one wanted.
LEAST_AT_ONCE, MOST_AT_ONCE = 8, 256
MOST_TRIED = 100


@dataclass(frozen=True)
class Sample:
    """One sample: `seed` alone gives it again.

    `logprobs`, where they were asked for: the model's own log-probability (nats, temperature 1, no filter) of each.
    Under a pattern: `kept`, the log-probability (nats, temperature 1) of all that the mask left, step by step, which is
    the sample's importance weight; of `exact`, `tries`.
    """

    row: int
    seed: int
    text: str
    finished: str
    """Why it ended: length, stop or end."""
    ids: tuple[int, ...] = field(default=(), repr=False)
    """The tokens drawn for it; those whose text was cut off, and the end of a document, with them."""
    logprobs: tuple[float, ...] | None = field(default=None, repr=False)
    kept: float | None = None
    tries: int | None = None
    copied: Copied | None = None
    """Where it was looked for, the longest span that stands in the training text."""

    def _repr_html_(self) -> str:
        """For a notebook: the text, and what gives it again."""
        cost = "" if self.mean_surprisal is None else f", {self.mean_surprisal:.3f} bits a token"
        return written(self.text, f"seed {self.seed}, {self.tokens:,} tokens{cost}, ended by {self.finished}")

    @property
    def logprob(self) -> float | None:
        """That of all its tokens, nats; None where it was not asked for."""
        return None if self.logprobs is None else sum(self.logprobs)

    @property
    def tokens(self) -> int:
        """How many were drawn for it."""
        return len(self.ids)

    @property
    def mean_surprisal(self) -> float | None:
        """Bits a token, the model's own; None where `logprob` was not asked for."""
        return None if self.logprob is None or not self.tokens else -self.logprob / self.tokens / math.log(2)


def samples(stream: Stream, first: int, rows: int, seed: int) -> Iterator[Sample]:
    """Rows from `first` on, each as soon as it and all before it are whole; `seed` is that of row 0."""
    texts: dict[int, list[TextChunk]] = {}
    turn = first
    for chunk in stream(first, rows):
        texts.setdefault(chunk.row, []).append(chunk)
        while texts.get(turn) and texts[turn][-1].finished:
            yield _whole(texts.pop(turn), seed)
            turn += 1


def chosen(stream: Stream, wanted: int, seed: int, accept: Callable[[Sample], bool]) -> Iterator[Sample]:
    """The first `wanted` samples that are accepted, numbered anew; fewer where so many tries do not bring them.

    A row is the same whatever is written beside it, so which these are does not depend on how many are tried at once.
    """
    first = found = 0
    while found < wanted and first < MOST_TRIED * wanted:
        rows = min(max(wanted - found, LEAST_AT_ONCE), MOST_AT_ONCE, MOST_TRIED * wanted - first)
        for sample in samples(stream, first, rows, seed):
            if accept(sample):
                yield replace(sample, row=found)
                found += 1
                if found == wanted:
                    return
        first += rows


def likeliest(found: Iterable[Sample], most: int | None = None) -> Iterator[Sample]:
    """All of them, when all are there, or so many: the least surprising token for token first, equals by their rows."""
    ranked = sorted(found, key=lambda sample: math.inf if sample.mean_surprisal is None else sample.mean_surprisal)
    yield from ranked[:most]


def _whole(chunks: list[TextChunk], seed: int) -> Sample:
    row, last = chunks[0].row, chunks[-1]
    text = "".join(chunk.text for chunk in chunks)
    ids = tuple(token for chunk in chunks for token in chunk.ids)
    told = [chunk.logprobs for chunk in chunks if chunk.logprobs is not None]
    logprobs = tuple(one for each in told for one in each) if told else None
    kept = [chunk.kept for chunk in chunks if chunk.kept is not None]
    return Sample(
        row, seed_of_row(seed, row), text, last.finished or "", ids, logprobs, sum(kept) if kept else None, last.tries
    )
