"""Several experts that are counted from one text, and what each holds likely, side by side.

Each gives a whole distribution at every place. Over characters and bytes: a Kneser-Ney n-gram of order 9 for long
memory, words over one of order 5, and one of order 4, which a mixture is likely to take away: what a short context
says, a network knows. Over pieces of several letters the orders are lower, and there is no expert for words.

Shapes: K experts, N tokens, V predicted symbols.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from charrnn.models.counts.grams import Grams
from charrnn.models.counts.kneser_ney import KneserNey
from charrnn.models.counts.table import Table, distributions
from charrnn.models.counts.trie import Floats, Ids, Places, Symbols
from charrnn.models.counts.words import WordCounts

HIGH, MIDDLE, LOW = 9, 5, 4
HIGH_OF_PIECES, LOW_OF_PIECES = 5, 2


class Expert(Protocol):
    """Tables of which each falls back to the one before it, and who finds a text's contexts in them."""

    @property
    def tables(self) -> tuple[Table, ...]:
        """The lowest first."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it takes."""
        ...

    def contexts(self, text: Symbols) -> tuple[Places, ...]:
        """The places (N,) of the contexts of each predicted symbol in each table; -1: unknown."""
        ...


@dataclass(frozen=True, eq=False)
class Experts:
    """Experts by name, all of `vocab_size` symbols."""

    named: Mapping[str, Expert]
    vocab_size: int

    @classmethod
    def count(
        cls, tokens: Ids, start_id: int, starts: Places | None = None, letters: Places | None = None
    ) -> "Experts":
        """Those of tokens (N,), one stream or documents that begin at `starts` (D,).

        `letters` are those of `WordCounts`; None where a token is a piece of several letters. A megabyte takes some
        two seconds.
        """
        vocab_size = start_id if starts is None else start_id + 1
        high, low = (HIGH_OF_PIECES, LOW_OF_PIECES) if letters is None else (HIGH, LOW)
        grams = Grams.count(tokens, start_id, high, starts)

        def ngram(order: int) -> KneserNey:
            return KneserNey.of(grams, vocab_size, order)

        named: dict[str, Expert] = {f"order {high}": ngram(high)}
        if letters is not None:
            named["words"] = WordCounts.count(tokens, letters, ngram(MIDDLE), starts)
        return cls({**named, f"order {low}": ngram(low)}, vocab_size)

    def read(self, text: Symbols) -> "Reading":
        """Where all places of a text are in the tables: some 84 bytes a token."""
        found = (expert.contexts(text) for expert in self.named.values())
        return Reading(self, [[places.astype(np.int32) for places in contexts] for contexts in found])


@dataclass(frozen=True, eq=False)
class Reading:
    """Experts that have read a text, each to be asked at any of its places."""

    experts: Experts
    contexts: Sequence[Sequence[Ids]]

    def log_p(self, positions: Places) -> Floats:
        """Log-probabilities (K, n, V) of all symbols at these places (n,) of the text."""
        size = self.experts.vocab_size
        return np.log(
            [
                distributions(expert.tables, [places[positions] for places in contexts], size)
                for expert, contexts in zip(self.experts.named.values(), self.contexts, strict=True)
            ]
        )
