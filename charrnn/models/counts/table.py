"""What follows each of many contexts, smoothed: a part of its own for each symbol seen there, a rest for those below.

    p(w | c) = share(c w) + rest(c) p(w | what c falls back to)

The discounts that make the rest are those of modified Kneser-Ney smoothing (Chen & Goodman 1999).
Shapes: N positions, S ids of symbols, G grams (a context and what followed it), C contexts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from charrnn.models.counts.trie import Floats, Ids, Places

Discounts = tuple[float, float, float]

# Where a text has too few grams to estimate an order's discounts; kenlm falls back to the same.
FALLBACK: Discounts = (0.5, 1.0, 1.5)


@dataclass(frozen=True, eq=False)
class Table:
    """`keys` (G,), sorted, are place of the context * S + symbol; `shares` (G,) and `rests` (C,) as above."""

    keys: Places
    shares: Floats
    rests: Floats
    symbols: int

    @classmethod
    def of(
        cls, keys: Places, counts: Places, contexts: int, symbols: int, discounts: Discounts | None = None
    ) -> "Table":
        """That of so many contexts, whose grams `keys` (G,), sorted, stand there `counts` (G,) times.

        D1, D2 and D3+ are estimated by default. A context that nothing followed leaves all to what it falls back to.
        """
        place = keys // symbols
        discount = estimate_discounts(counts) if discounts is None else discounts
        taken = np.array([0.0, *discount])[np.minimum(counts, 3)]
        total = np.bincount(place, counts, contexts)
        rests = np.where(total > 0, np.bincount(place, taken, contexts) / np.maximum(total, 1), 1.0)
        return cls(keys, (counts - taken) / np.maximum(total, 1)[place], rests, symbols)

    def of_contexts(self, kept: npt.NDArray[np.bool_]) -> "Table":
        """Those contexts alone, of all (C,)."""
        contexts, symbols = np.divmod(self.keys, self.symbols)
        inside = kept[contexts]
        places = (np.cumsum(kept) - 1)[contexts[inside]]
        return Table(places * self.symbols + symbols[inside], self.shares[inside], self.rests[kept], self.symbols)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it takes: 16 a gram and 8 a context."""
        return self.keys.nbytes + self.shares.nbytes + self.rests.nbytes

    @cached_property
    def rows(self) -> Places:
        """Where the grams of each context begin (C + 1,)."""
        return np.searchsorted(self.keys, np.arange(self.rests.size + 1) * self.symbols)

    def give(self, p: Floats, left: Floats, contexts: Ids) -> None:
        """Add to p (N, S) the shares of contexts (N,), -1 an unknown one, of what is `left` (N,); that is less then."""
        known = np.flatnonzero(contexts >= 0)
        places = contexts[known]
        firsts, lengths = self.rows[places], self.rows[places + 1] - self.rows[places]
        ends = np.cumsum(lengths)
        grams = np.arange(lengths.sum()) + np.repeat(firsts - (ends - lengths), lengths)
        p.ravel()[np.repeat(known * self.symbols, lengths) + self.keys[grams] % self.symbols] += (
            np.repeat(left[known], lengths) * self.shares[grams]
        )
        left[known] *= self.rests[places]


def distributions(tables: Sequence[Table], contexts: Sequence[Ids], vocab_size: int) -> Floats:
    """Probabilities (N, V) after contexts, given by their places (N,) in each table; the lowest table comes first.

    Below the lowest stands the uniform distribution.
    """
    size = contexts[0].size
    p, left = np.zeros((size, tables[0].symbols)), np.ones(size)
    for table, places in zip(reversed(tables), reversed(contexts), strict=True):
        table.give(p, left, places)
    p += left[:, None] / vocab_size
    return p[:, :vocab_size]


def estimate_discounts(counts: Places) -> Discounts:
    """D1, D2, D3+ from how many grams were counted once, twice, three and four times (Chen & Goodman 1999, eq. 26)."""
    once, twice, thrice, four = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].tolist()
    if not (once and twice and thrice):
        return FALLBACK
    y = once / (once + 2 * twice)
    found = (1 - 2 * y * twice / once, 2 - 3 * y * thrice / twice, 3 - 4 * y * four / thrice)
    return found if all(0 < each <= number for number, each in enumerate(found, 1)) else FALLBACK
