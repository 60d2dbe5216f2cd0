"""A trie of grams as one sorted array of keys for each order, searched for many positions of a text at a time.

A gram is a run of symbols; its *place* is its rank among the grams of its length. The key of a gram of k symbols is
place of its first k - 1 symbols * S + its last symbol, so keys are exact for any alphabet, the symbols that follow a
context lie side by side, and a text is read one order after another: what a gram is at one position is what the
context of the next order is at the position after it.

Shapes: N tokens, M symbols (the tokens, and a start id before each document), S ids of symbols, G grams, C contexts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.integer[Any]]
Places = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# The place of what is not there, and what is no key and nothing that is looked for.
NOWHERE, NO_KEY = -1, -2


@dataclass(frozen=True, eq=False)
class Symbols:
    """A text with a symbol in front of each of its documents, by default the start id: `firsts` (D,) of `ids` (M,)."""

    ids: Places
    firsts: Places

    @classmethod
    def of(cls, tokens: Ids, start_id: int, starts: Places | None = None) -> "Symbols":
        """Those of tokens (N,), whose documents begin at `starts` (D,); None: one stream."""
        firsts = np.zeros(1, np.int64) if starts is None else np.asarray(starts, np.int64)
        ids = np.insert(tokens.astype(np.int64), firsts, start_id)
        return cls(ids, firsts + np.arange(firsts.size))

    @classmethod
    def pieces(cls, tokens: Ids, start_id: int, every: int) -> "Symbols":
        """Those of one stream (N,) in pieces of so many tokens, of which each knows the one token before it alone."""
        firsts = np.arange(0, tokens.size, every)
        before = np.append(start_id, tokens.astype(np.int64))[firsts]
        return cls(np.insert(tokens.astype(np.int64), firsts, before), firsts + np.arange(firsts.size))

    @cached_property
    def depths(self) -> Places:
        """How many symbols each document holds up to each (M,), 1 at its start id."""
        lengths = np.diff(self.firsts, append=self.ids.size)
        return np.arange(1, self.ids.size + 1) - np.repeat(self.firsts, lengths)

    @cached_property
    def predicted(self) -> npt.NDArray[np.bool_]:
        """Which are tokens (M,), N of them."""
        mask = np.ones(self.ids.size, np.bool_)
        mask[self.firsts] = False
        return mask

    def contexts(self, places: Places) -> Places:
        """The contexts of the next order (M,): the grams that end one symbol earlier, none of another document."""
        moved = np.empty_like(places)
        moved[1:] = places[:-1]
        moved[self.firsts] = NOWHERE
        return moved


@dataclass(frozen=True, eq=False)
class Trie:
    """`keys[k - 1]` (G,) are the sorted keys of the grams of k symbols, each symbol below `symbols` (S)."""

    keys: tuple[Places, ...]
    symbols: int

    @property
    def order(self) -> int:
        """How many symbols the longest gram has."""
        return len(self.keys)

    def context_count(self, level: int) -> int:
        """C: the grams that are one symbol shorter; of the shortest, the empty one."""
        return self.keys[level - 1].size if level else 1

    def find(self, level: int, contexts: Places, ids: Ids) -> Places:
        """The places (M,) of contexts followed by symbols; -1 where there is no such gram."""
        keys = self.keys[level]
        wanted = np.where((contexts >= 0) & (ids < self.symbols), contexts * self.symbols + ids, NOWHERE)
        places = np.searchsorted(keys, wanted)
        return np.where(np.append(keys, NO_KEY)[places] == wanted, places, NOWHERE)

    def read(self, text: Symbols) -> Iterator[tuple[Places, Places]]:
        """For each order from 1: places of the contexts of all symbols (M,), and of the grams with these; -1: unknown.

        A context that a document is too short for, or that reaches beyond its beginning, is unknown.
        """
        contexts = np.zeros(text.ids.size, np.int64)
        for level in range(self.order):
            grams = self.find(level, contexts, text.ids)
            yield contexts, grams
            contexts = text.contexts(grams)
