"""What counts remember between two readings, row by row; zeros before any token. Shapes: B rows, L lengths."""

from typing import NamedTuple, Self

import numpy as np

from charrnn.models.counts.trie import Places
from charrnn.models.counts.words import WORDS_BEFORE, WordMemory, nothing_read


class CountMemory(NamedTuple):
    """Integers of 64 bits, so that whoever holds a network's memory holds this as well."""

    places: Places
    """(B, L): of the contexts of 1, 2 … symbols, from 1; 0: unknown."""
    words: Places
    """(B, 5): a `WordMemory`, its hashes as signed numbers."""

    @classmethod
    def empty(cls, rows: int, lengths: int) -> Self:
        """That of so many rows that have read nothing."""
        return cls(np.zeros((rows, lengths), np.int64), cls.of_words(nothing_read(rows)))

    @staticmethod
    def of_words(memory: WordMemory) -> Places:
        """A memory of words as one array."""
        hashes = np.column_stack([memory.so_far, memory.alike, memory.words])
        return np.column_stack([hashes.view(np.int64), memory.kind])

    @property
    def word_memory(self) -> WordMemory:
        """The memory of words."""
        hashes = np.ascontiguousarray(self.words[:, :-1]).view(np.uint64)
        return WordMemory(hashes[:, 0], hashes[:, 1], hashes[:, 2 : 2 + WORDS_BEFORE], self.words[:, -1])
