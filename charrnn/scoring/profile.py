"""Where the surprisal of a text lies: its distribution, by position in the line and in the word, in which passages.

Text comes in as it is scored, piece by piece, and only sums, counts and the most remarkable passages are kept. Shapes:
S spans, C characters.
"""

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from charrnn.scoring.predictions import Ids
from charrnn.scoring.spans import ScoredSpans
from charrnn.text.tokenizers.char import code_points

Marks: TypeAlias = npt.NDArray[np.bool_]

NEWLINE = ord("\n")
# Surprisal is counted in bins of half a bit, the last of them for all above.
BIN, BINS = 0.5, 33
# Columns of a line and letters of a word; the last of each is for all further ones.
COLUMNS, LETTERS = 100, 16
# A passage has so many characters, and at most as many again up to a line's end or white space.
PASSAGE = 120
# Shorter ones, as single words in lines of their own, are remarkable only where there is nothing else.
LEAST_PASSAGE = 10
REMARKABLE = 8


@dataclass
class Means:
    """Mean bits of a span by its position: sums and counts, the last of them of all further positions."""

    sums: npt.NDArray[np.float64]
    counts: Ids

    @classmethod
    def of(cls, positions: int) -> "Means":
        """None counted yet."""
        return cls(np.zeros(positions), np.zeros(positions, np.int64))

    def push(self, positions: Ids, bits: npt.NDArray[np.float64]) -> None:
        """Count spans at these positions (S,)."""
        size = self.counts.size
        places = np.minimum(positions, size - 1)
        self.sums += np.bincount(places, bits, size)
        self.counts += np.bincount(places, minlength=size)

    def values(self) -> list[float | None]:
        """Mean bits at each position; None where there was no span."""
        return [float(total) / count if count else None for total, count in zip(self.sums, self.counts, strict=True)]


@dataclass(frozen=True, eq=False)
class Passage:
    """Some consecutive spans: where they begin, at which character of the whole text from 0, in which line from 1."""

    start: int
    line: int
    spans: ScoredSpans


class Remarkable:
    """The passages that come first by some measure; those that are too short to say much come after all others."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._kept: list[tuple[bool, float, int, Passage]] = []

    def push(self, passage: Passage) -> None:
        """Keep it if it is among the first."""
        long_enough = len(passage.spans.text.strip()) >= LEAST_PASSAGE
        one = (long_enough, self._sign * passage.spans.bits_per_char, -passage.start, passage)
        if len(self._kept) < REMARKABLE:
            heapq.heappush(self._kept, one)
        elif self._kept[0] < one:
            heapq.heapreplace(self._kept, one)

    @property
    def passages(self) -> list[Passage]:
        """The first one in front."""
        return [passage for *_, passage in sorted(self._kept, key=lambda one: one[:3], reverse=True)]


class Profile:
    """What the spans that were pushed have cost, and where."""

    def __init__(self) -> None:
        self.histogram = np.zeros(BINS, np.int64)
        self.by_column, self.by_letter = Means.of(COLUMNS), Means.of(LETTERS)
        self.chars = self.spans = self._unwritten = 0
        self.bits = 0.0
        self._worst, self._best = Remarkable(1), Remarkable(-1)
        self._passages = 0
        self._line, self._column, self._letter = 1, 0, 0

    @property
    def worst(self) -> list[Passage]:
        """The passages that cost most bits per character, the worst first; half of them, where there are few."""
        return self._worst.passages[: (self._passages + 1) // 2]

    @property
    def best(self) -> list[Passage]:
        """The passages that cost least, the best first, without those that are among the worst."""
        taken = {passage.start for passage in self.worst}
        return [passage for passage in self._best.passages if passage.start not in taken]

    def totals(self) -> dict[str, float | None]:
        """Surprisal in bits, characters, and the mean of these; a document's end is one, written or not."""
        chars = self.chars + self._unwritten
        return {"surprisal": self.bits, "chars": chars, "per_char": self.bits / chars if chars else None}

    def push(self, spans: ScoredSpans) -> None:
        """Count further text; it goes on where the last one ended, and no passage crosses the border."""
        self.histogram += np.bincount(np.minimum(spans.bits / BIN, BINS - 1).astype(np.int64), minlength=BINS)
        self.spans += len(spans)
        self.bits += math.fsum(spans.bits)
        codes = code_points(spans.text)
        newlines, spaces = codes == NEWLINE, white(codes)
        first = np.append(0, spans.ends[:-1])[: len(spans)]
        there = first < codes.size  # the end of a document that no character stands for is nowhere
        self._unwritten += int((~there).sum())
        first, ends, bits = first[there], spans.ends[there], spans.bits[there]
        if not codes.size:
            return
        columns, letters = columns_of(newlines, self._column), letters_of(spaces, self._letter)
        self.by_column.push(columns[first], bits)
        # White space in front of a piece is no letter: the piece is where its first letter is.
        lettered = np.append(np.flatnonzero(letters), codes.size)
        inked = lettered[np.searchsorted(lettered, first)]
        self.by_letter.push(np.where(inked < ends, np.append(letters, 0)[inked], 0), bits)
        self._cut(spans, newlines, spaces)
        self._column = 0 if newlines[-1] else int(columns[-1]) + 1
        self._letter = int(letters[-1])
        self._line += int(newlines.sum())
        self.chars += codes.size

    def end_line(self) -> None:
        """What is pushed next stands in another line, also where the text does not say so: a field, a last line."""
        if self._column:
            self._line, self._column, self._letter = self._line + 1, 0, 0

    def _cut(self, spans: ScoredSpans, newlines: Marks, spaces: Marks) -> None:
        """Look at the passages; those of white space alone are none."""
        lines = np.cumsum(newlines)
        for first, end in cuts(spans.ends, newlines, spaces):
            start, part = spans.start(first), spans[first:end]
            if part.text.strip():
                line = self._line + (int(lines[start - 1]) if start else 0)
                passage = Passage(self.chars + start, line, part)
                self._worst.push(passage)
                self._best.push(passage)
                self._passages += 1


def cuts(ends: Ids, newlines: Marks, spaces: Marks) -> Iterator[tuple[int, int]]:
    """The first span of every passage and the one behind its last, by spans' ends (S,); characters are marked (C,)."""
    ended = np.append(False, newlines)[ends], np.append(False, spaces)[ends], np.full(ends.size, True)
    borders = [(of := np.flatnonzero(marked), ends[of]) for marked in ended]
    first = start = 0
    while first < ends.size:
        last = ends.size - 1
        # At a line's end that is near enough, else at white space, else anywhere.
        for spans, places in borders:
            found = np.searchsorted(places, start + PASSAGE)
            if found < places.size and places[found] <= start + 2 * PASSAGE:
                last = int(spans[found])
                break
        if ends[-1] - ends[last] < PASSAGE // 2:  # what is left would be too short
            last = ends.size - 1
        yield first, last + 1
        first, start = last + 1, int(ends[last])


def columns_of(newlines: Marks, before: int = 0) -> Ids:
    """Characters that stand before each in its line (C,), `before` of them before the first; a line end is its last."""
    places = np.arange(newlines.size)
    starts = np.where(np.append(False, newlines[:-1]), places, -before)
    return places - np.maximum.accumulate(starts)


def letters_of(spaces: Marks, before: int = 0) -> Ids:
    """The place of each character in its word (C,), from 1, `before` of it having been read; 0 at white space."""
    places = np.arange(1, spaces.size + 1)
    return places - np.maximum.accumulate(np.where(spaces, places, -before))


def white(codes: npt.NDArray[np.uint32]) -> Marks:
    """White space (C,), which is what stands between words."""
    found, inverse = np.unique(codes, return_inverse=True)
    return np.array([chr(code).isspace() for code in found.tolist()], bool)[inverse]
