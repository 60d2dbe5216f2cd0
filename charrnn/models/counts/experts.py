"""Several experts that are counted from one text, and what each holds likely, side by side.

Each gives a whole distribution at every place. Over characters and bytes: a Kneser-Ney n-gram of order 9 for long
memory, words over one of order 5, and one of order 4, which a mixture is likely to take away: what a short context
says, a network knows. Over pieces of several letters the orders are lower, and there is no expert for words.

They share their tables: a gram stands once, and has shares of its own where it is an expert's longest.
Shapes: K experts, N places of a text, V predicted symbols, C contexts of a place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from charrnn.config import require
from charrnn.models.counts import words
from charrnn.models.counts.functions import Floats, log
from charrnn.models.counts.grams import Grams
from charrnn.models.counts.hashes import Hashes
from charrnn.models.counts.kneser_ney import KneserNey
from charrnn.models.counts.level import MOST_IDS, Level
from charrnn.models.counts.memory import CountMemory
from charrnn.models.counts.trie import NOWHERE, Ids, Places, Symbols

# The order of the longest grams, of those below words, and of the short ones.
HIGH, MIDDLE, LOW = 9, 5, 4
HIGH_OF_PIECES, LOW_OF_PIECES = 5, 2
# Longer grams, and words behind others, are left out where they were seen once alone.
CUT, CUT_OF_PIECES = 6, 2

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Words:
    """The sorted hashes (C,) of contexts of words, and what follows them."""

    hashes: Hashes
    level: Level

    def find(self, wanted: Hashes, known: words.Mask) -> Places:
        """The places (N,) of contexts by their hashes; -1 where one is not known."""
        places = np.searchsorted(self.hashes, wanted)
        inside = np.minimum(places, max(0, self.hashes.size - 1))
        there = known & (places < self.hashes.size)
        return np.where(there & (np.append(self.hashes, words.UNKNOWN)[inside] == wanted), places, NOWHERE)


@dataclass(frozen=True, eq=False)
class Expert:
    """Which of a place's contexts it looks at, the shortest first, and its levels for them."""

    name: str
    contexts: tuple[int, ...]
    levels: tuple[Level, ...]


@dataclass(frozen=True, eq=False)
class Experts:
    """`grams` hold those of 1, 2 … symbols, `longest` the shares of those that are an expert's longest, by length.

    `letters` (V,) are those of `words.count`, without which there are no words.
    """

    grams: tuple[Level, ...]
    longest: Mapping[int, Level]
    words: tuple[Words, ...]
    letters: Places | None
    vocab_size: int
    start_id: int

    @classmethod
    def count(cls, tokens: Ids, start_id: int, starts: Places | None = None, letters: Places | None = None) -> Self:
        """Those of tokens (N,), one stream or documents that begin at `starts` (D,).

        `letters`: None where a token is a piece of several letters. A megabyte takes some two seconds. Raises
        ConfigError where the vocabulary is larger than 2^16.
        """
        require(start_id < MOST_IDS, f"counts are kept of vocabularies of up to {MOST_IDS:,} symbols, not {start_id:,}")
        vocab_size = start_id if starts is None else start_id + 1
        high, cut, lower = (
            (HIGH, CUT, [MIDDLE, LOW]) if letters is not None else (HIGH_OF_PIECES, CUT_OF_PIECES, [LOW_OF_PIECES])
        )
        grams = Grams.count(tokens, start_id, high, starts)
        whole = KneserNey.of(grams, vocab_size, cut=cut)
        levels = tuple(Level.of(table) for table in whole.tables)
        longest = {order: KneserNey.of(grams, vocab_size, order).tables[-1] for order in lower}
        found: list[Words] = []
        if letters is not None:
            text = Symbols.of(tokens, start_id, starts)
            found = [Words(hashes, Level.of(table)) for hashes, table in words.count(text, tokens, letters)]
        return cls(
            levels,
            {order: levels[order - 1].shared_as(table) for order, table in longest.items()},
            tuple(found),
            letters,
            vocab_size,
            start_id,
        )

    @cached_property
    def each(self) -> tuple[Expert, ...]:
        """The experts: the longest grams, words, the shortest grams."""
        orders = sorted(self.longest, reverse=True)
        found = [self._of_grams(len(self.grams), self.grams[-1])]
        if self.words:
            below = self._of_grams(orders[0], self.longest[orders[0]])
            places = range(len(self.grams) - 1, len(self.grams) - 1 + len(self.words))
            levels = (word.level for word in self.words)
            found.append(Expert("words", (*below.contexts, *places), (*below.levels, *levels)))
        return (*found, self._of_grams(orders[-1], self.longest[orders[-1]]))

    def _of_grams(self, order: int, last: Level) -> Expert:
        return Expert(f"order {order}", tuple(range(order - 1)), (*self.grams[1 : order - 1], last))

    @property
    def names(self) -> tuple[str, ...]:
        """What each is called, K of them."""
        return tuple(expert.name for expert in self.each)

    @cached_property
    def base(self) -> Floats:
        """What is likely where nothing is known (V,): single symbols, and the uniform distribution below them."""
        p = np.full((1, self.start_id + 1), 1 / self.vocab_size, np.float32)
        self.grams[0].climb(p, np.zeros(1, np.int64))
        return p[0, : self.vocab_size].copy()

    def beginnings(self, most: int) -> list[Floats]:
        """What all experts begin with behind every context (C, S) of 0, 1 … symbols: the levels that all of them have.

        Only as many lengths as need no more than so many numbers each.
        """
        rows = np.zeros((1, self.start_id + 1), np.float32)
        rows[0, : self.vocab_size] = self.base
        found, behind = [rows], np.zeros(1, np.int64)
        for length in range(1, min(self.longest) - 1):
            # Contexts of this length are the grams of the level below; what each falls back to is one symbol shorter.
            contexts = self.grams[length - 1]
            if contexts.symbols.size * rows.shape[1] > most:
                break
            before = np.repeat(behind, np.diff(contexts.firsts))
            behind = np.zeros_like(before) if length == 1 else self.grams[length - 2].find(before, contexts.symbols)
            if (behind < 0).any():
                break
            rows = found[-1][behind]
            self.grams[length].climb(rows, np.arange(len(rows)))
            found.append(rows)
        return found

    @property
    def nbytes(self) -> int:
        """Bytes of memory that all tables take."""
        return sum(array.nbytes for array in self.arrays().values())

    # -- reading ------------------------------------------------------------------------------------------------------

    def nothing_read(self, rows: int) -> CountMemory:
        """What is remembered of so many rows before any token."""
        return CountMemory.empty(rows, len(self.grams) - 1)

    def read(self, ids: Places, firsts: Places, memory: CountMemory) -> tuple[Ids, CountMemory]:
        """The places of the contexts (M, C) behind each of ids (M,), -1 an unknown one, and the memory after them.

        The text is in segments that begin at `firsts` (D,), none empty; the memory before is theirs, row by row.
        """
        lasts = np.append(firsts[1:], ids.size) - 1
        before, contexts = np.zeros(ids.size, np.int64), list[Places]()
        for level, carried in zip(self.grams[:-1], [None, *memory.places.T[:-1]], strict=True):
            if carried is not None:
                before = np.append(NOWHERE, contexts[-1][:-1])
                before[firsts] = carried - 1
            contexts.append(level.find(before, ids))
        after = memory.words
        if self.letters is not None:
            found = words.read(ids, firsts, self.letters, memory.word_memory)
            for word, hashes, known in zip(self.words, found.hashes, found.known, strict=True):
                contexts.append(word.find(hashes, known))
            after = CountMemory.of_words(found.memory)
        places = np.array(contexts[: len(self.grams) - 1])[:, lasts].T + 1
        return np.array(contexts, np.int32).T, CountMemory(np.ascontiguousarray(places), after)

    def log_p(self, contexts: Ids) -> tuple[Floats, Floats]:
        """Probabilities and log-probabilities (K, N, V) of all symbols behind contexts (N, C)."""
        p = np.zeros((len(self.each), len(contexts), self.start_id + 1), np.float32)
        for own, expert in zip(p, self.each, strict=True):
            own[:, : self.vocab_size] = self.base
            for context, level in zip(expert.contexts, expert.levels, strict=True):
                level.climb(own, contexts[:, context])
        p = p[:, :, : self.vocab_size]
        return p, log(p)

    # -- files --------------------------------------------------------------------------------------------------------

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All tables by names."""
        found: dict[str, npt.NDArray[Any]] = {}
        for order, level in enumerate(self.grams, 1):
            found |= {f"grams.{order}.{name}": array for name, array in level.arrays().items()}
        for order, level in self.longest.items():
            found |= {f"longest.{order}.shares": level.shares, f"longest.{order}.rests": level.rests}
        for number, word in enumerate(self.words):
            found |= {f"words.{number}.{name}": array for name, array in word.level.arrays().items()}
            found[f"words.{number}.hashes"] = word.hashes
        if self.letters is not None:
            found["letters"] = self.letters
        return found

    @classmethod
    def from_arrays(cls, arrays: Arrays, vocab_size: int, start_id: int) -> Self:
        """The same back. Raises ConfigError where they do not belong together."""
        groups: dict[str, dict[str, npt.NDArray[Any]]] = {}
        for name, array in arrays.items():
            group, _, own = name.rpartition(".")
            groups.setdefault(group, {})[own] = array

        def level(group: str) -> Level:
            own = groups[group]
            return Level(own["firsts"], own["symbols"], own["shares"], own["rests"])

        kinds = [group.partition(".") for group in groups]
        try:
            grams = tuple(level(f"grams.{n + 1}") for n in range(sum(kind == "grams" for kind, *_ in kinds)))
            longest = {
                int(order): replace(grams[int(order) - 1], **groups[f"longest.{order}"])
                for kind, _, order in kinds
                if kind == "longest"
            }
            numbers = range(sum(kind == "words" for kind, *_ in kinds))
            found = tuple(Words(groups[f"words.{n}"]["hashes"], level(f"words.{n}")) for n in numbers)
            experts = cls(grams, longest, found, arrays.get("letters"), vocab_size, start_id)
            whole = experts.arrays().keys() == arrays.keys() and experts._fits()
        except (KeyError, ValueError, IndexError, TypeError):
            whole = False
        require(whole, "its counts do not fit together")
        return experts

    def _fits(self) -> bool:
        """Whether all tables are what they say they are."""
        ids, contexts = self.start_id + 1, 1
        if len(self.grams) < 2 or not self.longest or not 1 < min(self.longest) <= max(self.longest) < len(self.grams):
            return False
        for level in self.grams:
            if not level.fits(contexts, ids):
                return False
            contexts = level.symbols.size
        words_fit = (self.letters is None) != bool(self.words) and len(self.words) in (0, words.WORDS_BEFORE + 1)
        letters = np.zeros(self.start_id, np.int64) if self.letters is None else self.letters
        return (
            words_fit
            and all(level.fits(level.rests.size, ids) for level in self.longest.values())
            and all(self.longest[order].rests.size == self.grams[order - 1].rests.size for order in self.longest)
            and all(each.level.fits(each.hashes.size, ids) and each.hashes.dtype == np.uint64 for each in self.words)
            and letters.dtype == np.int64
            and letters.shape == (self.start_id,)
        )
