"""What reading a text finds: counts, its characters, hashes, and what looks wrong.

A text is surveyed stretch by stretch (`stretches.py`), each by itself, wherever that is done; `united` makes one of
them. Shapes: T code points of a chunk.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import numpy.typing as npt

from charrnn.text.stretches import Found, Stretch
from charrnn.text.tokenizers.char import CODE_POINTS, code_points

CHECKED_LINES = 200_000
MANY_DUPLICATES = 0.3

# What a code point is to the survey; UNSEEN is added to those that have not come yet.
_OTHER, _SPACE, _CONTROL, _UNSEEN = 0, 1, 2, 4
_SPACES = [code for code in range(0x3001) if chr(code).isspace()]
_CONTROLS = sorted({*range(32), 0x7F} - set(map(ord, "\t\n\r\f\x1b")))


@dataclass
class TextStatistics:
    """What reading a text found: counts of the original text, and what was normalised or looks wrong.

    `chars` are Unicode code points, `bytes` those of UTF-8, `words` are separated by white space; `kept` are the code
    points that are left once line ends are normalised.
    """

    chars: int = 0
    bytes: int = 0
    words: int = 0
    kept: int = 0
    sha256: str = ""
    """Of the bytes of the only source; of several, of their hashes."""
    hashes: tuple[str, ...] = ()
    """Of each source."""
    notes: list[str] = field(default_factory=list)
    lengths: tuple[int, ...] = ()
    """What is kept of each stretch."""
    alphabets: tuple[str, ...] = ()
    """The characters of each stretch, in code point order."""


class Survey:
    """Looks at a stretch that comes in chunks, line ends normalised; `found` is complete after `finish`."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self._kinds = _kinds().copy()
        self._begins: bool | None = None
        self._in_word = False

    def see(self, text: str) -> None:
        """One more chunk, not empty."""
        points = code_points(text)
        kinds = self._kinds.take(points)
        if kinds.max() >= _UNSEEN:
            self._kinds[points[kinds >= _UNSEEN]] &= ~np.uint8(_UNSEEN)
            kinds &= ~np.uint8(_UNSEEN)
        in_word = kinds != _SPACE
        self._found.words += int(np.count_nonzero(in_word[1:] > in_word[:-1])) + int(in_word[0] and not self._in_word)
        self._found.controls += int(np.count_nonzero(kinds == _CONTROL))
        self._begins = bool(in_word[0]) if self._begins is None else self._begins
        self._in_word = bool(in_word[-1])

    def finish(self) -> None:
        """No more comes."""
        self._found.edges = bool(self._begins), self._in_word
        self._found.alphabet = "".join(map(chr, np.flatnonzero(self._kinds < _UNSEEN)))


def looked_at(stretch: Stretch, found: Found, digest: "hashlib._Hash | None") -> Iterator[str]:
    """The text of a stretch; `found` is complete, and `digest` knows its bytes, behind it."""
    survey = Survey(found)
    for chunk in stretch.read(found, digest):
        survey.see(chunk)
        yield chunk
    survey.finish()


@cache
def _kinds() -> npt.NDArray[np.uint8]:
    """What each code point is, none of them seen."""
    kinds = np.full(CODE_POINTS, _OTHER + _UNSEEN, np.uint8)
    kinds[_SPACES] = _SPACE + _UNSEEN
    kinds[_CONTROLS] = _CONTROL + _UNSEEN
    return kinds


class Repeats:
    """How many of the first lines, where they are not short, stood before."""

    def __init__(self) -> None:
        self._lines = self._duplicates = 0
        self._seen: set[int] = set()

    @property
    def enough(self) -> bool:
        """Whether no more lines are wanted."""
        return self._lines >= CHECKED_LINES

    def see(self, text: str) -> None:
        """One more chunk."""
        if not self.enough:
            lines = [line for line in text.split("\n") if len(line) > 20]
            self._lines += len(lines)
            hashes = {hash(line) for line in lines}
            self._duplicates += len(lines) - len(hashes - self._seen)
            self._seen |= hashes

    def notes(self) -> list[str]:
        """What is said of them, if anything."""
        if self._lines < 10 or self._duplicates <= MANY_DUPLICATES * self._lines:
            return []
        share = self._duplicates / self._lines
        return [f"{share:.0%} of its lines occur more than once: a model will learn them by heart"]


def united(sources: Iterable[tuple[str, str, list[Found]]], repeats: Repeats) -> TextStatistics:
    """What the sources of a text hold: of each its name, its hash and what its stretches hold, in order."""
    statistics, controls, in_word = TextStatistics(), 0, False
    for name, sha256, stretches in sources:
        statistics.hashes += (sha256,)
        for found in stretches:
            statistics.chars += found.chars
            statistics.bytes += found.bytes
            statistics.kept += found.kept
            statistics.words += found.words - (in_word and found.edges[0])
            # An empty stretch ends no word.
            in_word = found.edges[1] if found.kept else in_word
            controls += found.controls
            statistics.notes += found.notes
            statistics.lengths += (found.kept,)
            statistics.alphabets += (found.alphabet,)
        windows, old_mac = sum(found.windows for found in stretches), sum(found.old_mac for found in stretches)
        if windows + old_mac:
            statistics.notes.append(f"{name}: {windows} CR LF and {old_mac} CR line ends read as LF")
    hashes = statistics.hashes
    statistics.sha256 = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    if controls:
        statistics.notes.append(f"the text holds {controls} control {'character' if controls == 1 else 'characters'}")
    statistics.notes += repeats.notes()
    return statistics
