"""Counts of words: what follows the letters of a word so far, after any word, after one, and after two.

A text is taken for runs of letters, which are words, and runs of what stands between them. A place's contexts are the
run that it goes on, or ends, as far as it is written; the same and the word before it; and two words before. The words
before are alike in upper and lower case. Of a run that begins where a text was cut nothing is known, nor where there is
no word before. Below stands a Kneser-Ney n-gram, and shorter contexts count after how many longer ones a symbol came.

Contexts are told apart by hashes of 64 bits: that any two of a million are taken for one has a chance of 3e-8.
Shapes: N tokens, M symbols (see `Symbols`), D segments of a text, each of which may go on from a memory, V ids.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from charrnn.models.counts.hashes import BASE, MULTIPLIER, Hashes, powers, span_hashes
from charrnn.models.counts.table import Table
from charrnn.models.counts.trie import Ids, Places, Symbols

Mask = npt.NDArray[np.bool_]

NO_LETTER = -1
WORDS_BEFORE = 2
# What a memory says of the run that is being read: that there is one, that it is a word, that its beginning is unknown.
BEGUN, IN_WORD, CUT = 1, 2, 4
UNKNOWN = np.uint64(0)


class WordMemory(NamedTuple):
    """What is remembered of words between two readings, in each of D segments; zeros before any symbol."""

    so_far: Hashes
    """(D,): the run that is being read."""
    alike: Hashes
    """(D,): the same, upper and lower case alike."""
    words: Hashes
    """(D, 2): the last word that was ended, and the one before it; 0: unknown."""
    kind: Places
    """(D,)"""


class WordContexts(NamedTuple):
    """The contexts behind each of M symbols: with no word before, one, two; and what is remembered at the end."""

    hashes: Hashes
    """(3, M)"""
    known: Mask
    """(3, M)"""
    memory: WordMemory


def count(text: Symbols, tokens: Ids, letters: Places) -> list[tuple[Hashes, Table]]:
    """For each number of words before, the sorted hashes (C,) of the contexts, and what followed them, as a table.

    Contexts behind other words that were met once are left out: they are most of all, and say little. `letters` (V,)
    say of each id below the start id which letter it is, upper and lower case alike; -1: none.
    """
    symbols, behind = letters.size + 1, np.flatnonzero(text.predicted) - 1
    found = read(text.ids, text.firsts, letters, None)
    counted, tables = np.arange(tokens.size), list[tuple[Hashes, Table]]()
    for before in reversed(range(WORDS_BEFORE + 1)):
        context, known = found.hashes[before, behind], found.known[before, behind]
        inside = counted[known[counted]]
        distinct, places, met = np.unique(context[inside], return_inverse=True, return_counts=True)
        keys, firsts, counts = np.unique(places * symbols + tokens[inside], return_index=True, return_counts=True)
        table = Table.of(keys, counts, distinct.size, symbols)
        kept = met > (1 if before else 0)
        tables.append((distinct[kept], table.of_contexts(kept)))
        counted = np.concatenate([inside[firsts], counted[~known[counted]]])
    return tables[::-1]


def nothing_read(segments: int) -> WordMemory:
    """The memory of so many segments before any symbol."""
    zeros = np.zeros(segments, np.uint64)
    return WordMemory(zeros, zeros, np.zeros((segments, WORDS_BEFORE), np.uint64), np.zeros(segments, np.int64))


def read(ids: Ids, firsts: Places, letters: Places, memory: WordMemory | None) -> WordContexts:
    """The contexts behind each of ids (M,), in segments that begin at `firsts` (D,), none of them empty."""
    memory = nothing_read(firsts.size) if memory is None else memory
    lasts = np.append(firsts[1:], ids.size) - 1
    letter = np.append(letters, NO_LETTER)[np.minimum(ids, letters.size)]  # the start id is none, nor what is unknown
    in_word = letter != NO_LETTER
    begun, was_word = memory.kind & BEGUN > 0, memory.kind & IN_WORD > 0
    goes_on = begun & (was_word == in_word[firsts])

    begins = np.append(True, in_word[1:] != in_word[:-1])
    begins[firsts] = True
    run_firsts, run = np.flatnonzero(begins), np.cumsum(begins) - 1
    cut = np.where(goes_on, memory.kind & CUT > 0, ~begun & (ids[firsts] != letters.size))
    known = np.ones(run_firsts.size, np.bool_)
    known[run[firsts]] = ~cut

    def behind(symbols: Ids, before: Hashes, places: Places) -> Hashes:
        """The hash of the run up to each of these places, with what a memory says of its beginning."""
        own = run[places]
        hashes = span_hashes(symbols, run_firsts[own], places + 1)
        carried = np.zeros(run_firsts.size, np.uint64)
        carried[run[firsts]] = np.where(goes_on, before, UNKNOWN)
        hashes += carried[own] * powers(BASE, ids.size + 1)[places + 1 - run_firsts[own]]
        return np.where(known[own], hashes, UNKNOWN)

    so_far = behind(ids, memory.so_far, np.arange(ids.size))
    folded = np.where(in_word, letter, ids)
    whole = behind(folded, memory.alike, np.append(run_firsts[1:], ids.size) - 1)
    words = _last_words(memory, goes_on, run[firsts], in_word[run_firsts], whole)[run]
    one = so_far * MULTIPLIER + words[:, 0]
    two = one * MULTIPLIER + words[:, 1]
    there = np.array([known[run], known[run] & (words[:, 0] > 0), known[run] & (words[:, 1] > 0)])
    kind = BEGUN + IN_WORD * in_word[lasts] + CUT * ~known[run[lasts]]
    after = WordMemory(so_far[lasts], whole[run[lasts]], words[lasts], kind.astype(np.int64))
    return WordContexts(np.array([so_far, one, two]), there, after)


def _last_words(memory: WordMemory, goes_on: Mask, first_runs: Places, is_word: Mask, hashes: Hashes) -> Hashes:
    """For each run (R,), the last two words (R, 2) that ended before it.

    All words stand in one line, those of a segment behind the two or three that its memory knows.
    """
    ended = ~goes_on & (memory.kind & IN_WORD > 0)
    earlier = np.where(
        ended[:, None],
        np.column_stack([memory.words[:, 1], memory.words[:, 0], memory.alike]),
        np.column_stack([np.zeros(len(ended), np.uint64), memory.words[:, 1], memory.words[:, 0]]),
    )
    segment = np.repeat(np.arange(first_runs.size), np.diff(first_runs, append=is_word.size))
    words_before: Places = np.cumsum(is_word) - is_word  # in all segments
    line = np.insert(hashes[is_word], np.repeat(words_before[first_runs], 3), earlier.ravel())
    last = words_before + 3 * (segment + 1) - 1
    return np.column_stack([line[last], line[last - 1]])
