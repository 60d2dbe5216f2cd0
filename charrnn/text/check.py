"""A look at a text before anything is trained on it: what it is made of, and what a training would stumble over.

Memory is bounded however long the text is: of too many lines, those are counted that a hash picks, the same wherever
they stand again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from charrnn.schema import Schema
from charrnn.text.corpus import Corpus
from charrnn.text.split import Split

# Lines that are looked at together: of more, every second is, of twice as many every fourth, and so on.
MOST_LINES = 1_000_000
# Of a stream, lines that are no longer come again by chance.
LONG_LINE = 20
# Characters that come more seldom cannot be learned.
RARE = 5
SHOWN = 40


@dataclass(frozen=True, kw_only=True)
class CorpusReport(Schema):
    """What is known of a text. Shares are of the lines of more than `counted_above` characters."""

    sources: tuple[str, ...]
    bytes: int
    chars: int
    words: int
    lines: int
    blank_lines: int
    longest_line: int
    """Characters."""
    longest_line_number: int
    alphabet: int
    """Different characters."""
    rare: int
    """Of these, those that come fewer than 5 times, and which they are, as far as 40."""
    rare_characters: str
    counted_above: int
    """20 in a stream, where shorter lines come again by chance; 0 where lines are documents."""
    duplicates: float | None
    """The share of lines that stood before."""
    held_out: int
    """Characters that a training would hold out to validate."""
    leaked: float | None
    """The share of held-out lines that stand in the training part too."""
    notes: tuple[str, ...] = field(default=())


def check(corpus: Corpus, split: Split) -> CorpusReport:
    """Read a text, split as a training would split it, and tell. Raises CorpusError where it cannot be read."""
    alphabet: Counter[str] = Counter()
    above = LONG_LINE if split.documents == "stream" else 0
    seen, lines, blank, longest = Lines(above), 0, 0, (0, 0)
    for line in _lines(_counted(corpus.chunks(), alphabet)):
        lines += 1
        blank += not line.strip()
        longest = max(longest, (len(line), -lines))  # the first of the longest
        seen.add(line)
    held, held_out = Lines(above), Counter[str]()
    for line in _lines(_counted(split.part("valid", corpus), held_out)):
        held.add(line)
    found = {key for line in _lines(split.part("train", corpus)) if (key := hash(line)) in held.times}
    statistics = corpus.statistics
    rare = sorted(character for character, count in alphabet.items() if count < RARE)
    return CorpusReport(
        sources=tuple(corpus.names),
        bytes=statistics.bytes,
        chars=statistics.chars,
        words=statistics.words,
        lines=lines,
        blank_lines=blank,
        longest_line=longest[0],
        longest_line_number=-longest[1],
        alphabet=len(alphabet),
        rare=len(rare),
        rare_characters="".join(rare[:SHOWN]),
        counted_above=above,
        duplicates=1 - len(seen.times) / seen.times.total() if seen.times else None,
        held_out=held_out.total(),
        leaked=len(found) / len(held.times) if held.times else None,
        notes=tuple(statistics.notes),
    )


class Lines:
    """How often lines come that are long enough, by their hashes: of one of `every` so many."""

    def __init__(self, above: int) -> None:
        """`above`: shorter ones, or those of this length, do not count."""
        self.above, self.every, self.times = above, 1, Counter[int]()

    def add(self, line: str) -> None:
        """One more; when there are too many, half of them are forgotten."""
        if len(line) <= self.above or (key := hash(line)) % self.every:
            return
        self.times[key] += 1
        if len(self.times) > MOST_LINES:
            self.every *= 2
            self.times = Counter({key: times for key, times in self.times.items() if not key % self.every})


def _lines(chunks: Iterable[str]) -> Iterator[str]:
    held = ""
    for chunk in chunks:
        *whole, held = (held + chunk).split("\n")
        yield from whole
    if held:
        yield held


def _counted(chunks: Iterable[str], alphabet: "Counter[str]") -> Iterator[str]:
    for chunk in chunks:
        alphabet.update(chunk)
        yield chunk
