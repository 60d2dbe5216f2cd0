"""Counts of words: what follows the letters of a word so far, after any word, after one, and after two.

A text is taken for runs of letters, which are words, and runs of what stands between them. A place's contexts are the
run that it goes on, or ends, as far as it is written; the same and the word before it; and two words before. The words
before are alike in upper and lower case. Of a run that begins where a text was cut nothing is known, nor where there is
no word before. Below stands a Kneser-Ney n-gram, and shorter contexts count after how many longer ones a symbol came.

Contexts are told apart by hashes of 64 bits: that any two of a million are taken for one has a chance of 3e-8.
Shapes: N tokens, M symbols (see `Symbols`), R runs, V ids, C contexts.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from charrnn.models.counts.hashes import MULTIPLIER, Hashes, span_hashes
from charrnn.models.counts.kneser_ney import KneserNey
from charrnn.models.counts.table import Table
from charrnn.models.counts.trie import NOWHERE, Ids, Places, Symbols

Mask = npt.NDArray[np.bool_]

NO_LETTER = -1
WORDS_BEFORE = 2


@dataclass(frozen=True, eq=False)
class WordCounts:
    """`tables` are those of the n-gram below and one for each number of words before; `hashes` (C,) sort the contexts.

    `letters` (V,) say of each id below the start id which letter it is, upper and lower case alike; -1: none.
    """

    tables: tuple[Table, ...]
    hashes: tuple[Hashes, ...]
    below: KneserNey
    letters: Places

    @classmethod
    def count(cls, tokens: Ids, letters: Places, below: KneserNey, starts: Places | None = None) -> "WordCounts":
        """Those of tokens (N,), one stream or documents that begin at `starts` (D,), of which `below` is made too."""
        symbols = below.trie.symbols
        found = contexts_of(Symbols.of(tokens, letters.size, starts), letters)
        tables: list[Table] = []
        hashes: list[Hashes] = []
        counted = np.arange(tokens.size)
        for context, known in reversed(found):
            inside = counted[known[counted]]
            distinct, places = np.unique(context[inside], return_inverse=True)
            keys, firsts, counts = np.unique(places * symbols + tokens[inside], return_index=True, return_counts=True)
            tables.append(Table.of(keys, counts, distinct.size, symbols))
            hashes.append(distinct)
            counted = np.concatenate([inside[firsts], counted[~known[counted]]])
        return cls((*below.tables, *reversed(tables)), tuple(reversed(hashes)), below, letters)

    @property
    def vocab_size(self) -> int:
        """V, with the end of a document where there are such."""
        return self.below.vocab_size

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it takes: 16 a gram and 16 a context, 8 of those below."""
        return sum(table.nbytes for table in self.tables) + sum(hashes.nbytes for hashes in self.hashes)

    def contexts(self, text: Symbols) -> tuple[Places, ...]:
        """The places of the contexts (N,) of each predicted symbol, in each table; -1: unknown."""
        found = []
        for hashes, (context, known) in zip(self.hashes, contexts_of(text, self.letters), strict=True):
            places = np.searchsorted(hashes, context)
            there = known & (np.append(hashes, np.uint64(0))[places] == context) & (places < hashes.size)
            found.append(np.where(there, places, NOWHERE))
        return (*self.below.contexts(text), *found)


def contexts_of(text: Symbols, letters: Places) -> list[tuple[Hashes, Mask]]:
    """Hashes (N,) of the contexts of each predicted symbol, and which are known: no word before, one, two."""
    letter = np.append(letters, [NO_LETTER, NO_LETTER])  # neither the start id is one nor what no id stands for
    in_word = letter[text.ids] != NO_LETTER
    begins = np.ones(text.ids.size, np.bool_)
    begins[1:] = in_word[1:] != in_word[:-1]
    begins[text.firsts] = True
    firsts, run = np.flatnonzero(begins), np.cumsum(begins) - 1
    cut = text.ids[text.firsts] != letters.size
    earliest = np.repeat(run[text.firsts] + cut, np.diff(text.firsts, append=text.ids.size))
    here = np.flatnonzero(text.predicted) - 1  # what stands before each
    run, earliest = run[here], earliest[here]
    so_far = span_hashes(text.ids, firsts[run], here + 1)
    words = span_hashes(np.where(in_word, letter[text.ids], text.ids), firsts, np.append(firsts[1:], text.ids.size))
    found, context, before = [(so_far, run >= earliest)], so_far, run - 1 - in_word[here]
    for _ in range(WORDS_BEFORE):
        context = context * MULTIPLIER + words[np.maximum(before, 0)]
        found.append((context, before >= earliest))
        before = before - 2
    return found
