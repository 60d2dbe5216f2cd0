"""Counts beside a network, by whoever does it fastest: the compiled part, or NumPy, which gives the same to the bit.

Shapes: B rows, T steps, V vocabulary.
"""

import ctypes
from itertools import takewhile
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn.inference.base import Ids
from charrnn.inference.compiled import address_of, require_fitting
from charrnn.inference.products import Floats
from charrnn.models.counts.experts import Expert, Words
from charrnn.models.counts.level import Level
from charrnn.models.counts.memory import CountMemory
from charrnn.models.counts.mixture import Mixture, filled
from charrnn.native import (
    BegunRecord,
    CountsRecord,
    ExpertRecord,
    LevelRecord,
    Library,
    WordsRecord,
    library,
)  # fmt: skip

# Contexts of words that have their first bits in common, about.
HASHES_A_BUCKET, MOST_BITS = 4, 24
# Numbers that are computed beforehand for the contexts of one length: half a megabyte, which stays in a core's cache.
MOST_BEGUN = 1 << 17
# The arrays of a gate in the order of the record.
GATE = ("mean", "scale", "inward", "bias", "outward", "constants")


class Counting:
    """A mixture at hand; `compiled` is its record, where the library has it; `apart`: it wants several networks so."""

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture
        self.nothing_read, self.apart = mixture.nothing_read, mixture.networks > 1
        found = library()
        self.compiled = None if found is None else CompiledCounts(found, mixture)

    def read(self, tokens: Ids, logits: Floats, memory: CountMemory) -> tuple[Floats, CountMemory]:
        """Tokens (T, B), what networks hold likely behind each, logits (T x B, M V), memory -> logits, memory."""
        if self.compiled is None:
            return self.mixture.read(tokens, logits, memory)
        return self.compiled.read(tokens, logits, memory)


class CompiledCounts:
    """Counts laid out for the library: arrays that it holds, and a record of where they are."""

    def __init__(self, library: Library, mixture: Mixture) -> None:
        self.library, self._kept = library, list[Any]()
        experts, gate = mixture.experts, mixture.gate.arrays()
        self.symbols, self.lengths, self._networks = experts.vocab_size, len(experts.grams) - 1, mixture.networks
        levels = [self._level(level) for level in experts.grams[:-1]]
        words = [self._words(word) for word in experts.words]
        each = [self._expert(*pair) for pair in zip(experts.each, [*experts.each[1:], None], strict=True)]
        begun = [self._begun(rows) for rows in experts.beginnings(MOST_BEGUN)]
        self.record = CountsRecord(
            self.symbols, experts.start_id + 1, self.lengths, len(words), self._networks, len(each), len(gate["bias"]),
            len(begun), self._several(LevelRecord, levels), self._several(WordsRecord, words),
            None if experts.letters is None else self._hold(experts.letters, np.int64),
            self._several(ExpertRecord, each), self._several(BegunRecord, begun),
            *(self._hold(gate[name], np.float32) for name in GATE),
        )  # fmt: skip
        self.address = ctypes.addressof(self.record)

    def read(self, tokens: Ids, logits: Floats, memory: CountMemory) -> tuple[Floats, CountMemory]:
        """As `Counting.read`."""
        ids, given = np.ascontiguousarray(tokens, np.int64), np.ascontiguousarray(logits, np.float32)
        places, words = self.writable(memory)
        require_fitting(given.shape == (ids.size, self._networks * self.symbols) and len(places) == ids.shape[1])
        found = np.empty((ids.size, self.symbols), np.float32)
        self.library.call(
            "charrnn_count",
            self.address,
            ids.shape[1],
            len(ids),
            *(address_of(array) for array in (ids, places, words, given, found)),
        )
        return found, CountMemory(places, words)

    def writable(self, memory: CountMemory) -> CountMemory:
        """A copy of a memory that the library may change."""
        places, words = (np.array(part, np.int64, order="C") for part in memory)
        empty = CountMemory.empty(len(places), self.lengths)
        require_fitting(places.shape == empty.places.shape and words.shape == empty.words.shape)
        return CountMemory(places, words)

    def _hold(self, array: npt.NDArray[Any], dtype: Any) -> int:
        held = np.require(array, dtype, ["C", "A"])
        self._kept.append(held)
        return address_of(held)

    def _several(self, kind: type[Any], records: list[Any]) -> Any:
        return (kind * len(records))(*records)

    def _level(self, level: Level) -> LevelRecord:
        return LevelRecord(
            level.rests.size, self._hold(level.firsts, np.uint32), self._hold(level.symbols, np.uint16),
            self._hold(level.shares, np.float32), self._hold(level.rests, np.float32),
        )  # fmt: skip

    def _words(self, words: Words) -> WordsRecord:
        bits = min(MOST_BITS, max(1, words.hashes.size // HASHES_A_BUCKET).bit_length())
        borders = np.arange(1 << bits, dtype=np.uint64) << np.uint64(64 - bits)
        buckets = np.append(np.searchsorted(words.hashes, borders), words.hashes.size)
        hashes = self._hold(words.hashes, np.uint64)
        return WordsRecord(words.hashes.size, hashes, self._hold(buckets, np.uint32), 64 - bits)

    def _begun(self, rows: Floats) -> BegunRecord:
        """Rows (C, S), each from a whole vector to the next."""
        return BegunRecord(len(rows), self._hold(filled(rows), np.float32))

    def _expert(self, expert: Expert, behind: Expert | None) -> ExpertRecord:
        levels = self._several(LevelRecord, [self._level(level) for level in expert.levels])
        both = zip(expert.levels, behind.levels if behind else (), strict=False)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1], both))
        return ExpertRecord(len(levels), shared, self._hold(np.array(expert.contexts), np.int64), levels)
