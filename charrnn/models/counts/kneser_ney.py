"""Interpolated Kneser-Ney smoothing, modified: three discounts an order (Kneser & Ney 1995; Chen & Goodman 1999).

    p(w | h) = (c(h w) - D(c(h w))) / c(h ·)  +  rest(h) p(w | h without its first symbol)

c are counts at the highest order, below it the numbers of different symbols before (those that begin a document keep
their counts); D is one of D1, D2, D3+ by the count; rest(h) is what the discounts took. Below the single symbols stands
the uniform distribution. An unknown context says nothing: p(w | h) is that of the shorter one.

Shapes: N tokens, V predicted symbols, G grams, C contexts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.config import require
from charrnn.models.counts.grams import Grams
from charrnn.models.counts.trie import Floats, Ids, Places, Symbols, Trie

Discounts = tuple[float, float, float]

# Where a text has too few grams to estimate an order's discounts; kenlm falls back to the same.
FALLBACK: Discounts = (0.5, 1.0, 1.5)
ROWS_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class KneserNey:
    """For each order, `shares` (G,) are the discounted parts of grams, `rests` (C,) what a context leaves to the next.

    V is `vocab_size`: the start id's own number, or one more where it stands for the end of a document as well.
    """

    trie: Trie
    shares: tuple[Floats, ...]
    rests: tuple[Floats, ...]
    vocab_size: int

    @classmethod
    def count(
        cls, tokens: Ids, start_id: int, order: int, starts: Places | None = None, *, cut: int | None = None
    ) -> "KneserNey":
        """The model of tokens (N,), one stream or documents that begin at `starts` (see `Grams.count` and `of`)."""
        grams = Grams.count(tokens, start_id, order, starts)
        return cls.of(grams, start_id if starts is None else start_id + 1, cut=cut)

    @classmethod
    def of(
        cls,
        grams: Grams,
        vocab_size: int,
        order: int | None = None,
        *,
        discounts: Sequence[Discounts] | None = None,
        cut: int | None = None,
    ) -> "KneserNey":
        """The model of counts, of a lower order where one is given.

        `discounts` are D1, D2, D3+ for each order from 1, estimated by default. Grams of more than `cut` symbols that
        were seen once are left out, and their part goes to the shorter context: a smaller table, a little worse.
        Raises ConfigError when the order is not to be had.
        """
        order = grams.order if order is None else order
        require(1 <= order <= grams.order, f"the order must be from 1 to {grams.order}, what was counted, not {order}")
        require(cut is None or cut >= 1, f"single symbols are never left out: `cut` must be at least 1, not {cut}")
        symbols, keys, shares, rests = grams.trie.symbols, [], [], []
        kept_contexts = np.ones(1, np.bool_)
        for level in range(order):
            counts = grams.counts[level] if level == order - 1 else grams.continuations[level]
            contexts, last = np.divmod(grams.trie.keys[level], symbols)
            discount = estimate_discounts(counts) if discounts is None else discounts[level]
            taken = np.array([0.0, *discount])[np.minimum(counts, 3)]
            size = grams.trie.context_count(level)
            total = np.bincount(contexts, counts, size)
            total, followed = np.maximum(total, 1), total > 0
            share = (counts - taken) / total[contexts]
            rest = np.where(followed, np.bincount(contexts, taken, size) / total, 1.0)
            kept = np.full(share.size, True) if cut is None or level < cut else grams.counts[level] > 1
            rest += np.bincount(contexts[~kept], share[~kept], size)
            places = np.cumsum(kept_contexts) - 1  # a gram that is kept has a context that is
            keys.append(places[contexts[kept]] * symbols + last[kept])
            shares.append(share[kept])
            rests.append(rest[kept_contexts])
            kept_contexts = kept
        return cls(Trie(tuple(keys), symbols), tuple(shares), tuple(rests), vocab_size)

    @property
    def order(self) -> int:
        """How many symbols the longest gram has."""
        return self.trie.order

    @property
    def size(self) -> int:
        """How many grams the table holds."""
        return sum(keys.size for keys in self.trie.keys)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it takes: 16 a gram and 8 a context."""
        return sum(array.nbytes for arrays in (self.trie.keys, self.shares, self.rests) for array in arrays)

    def nll(self, tokens: Ids, starts: Places | None = None) -> Floats:
        """Nats of each token (N,): -ln p(token | all before it in its document). One beyond the start id costs ln V."""
        text = self._symbols(tokens, starts)
        p = np.full(text.ids.size, 1 / self.vocab_size)
        for (contexts, grams), share, rest in zip(self.trie.read(text), self.shares, self.rests, strict=True):
            p = p * np.append(rest, 1.0)[contexts] + np.append(share, 0.0)[grams]  # -1 is the last: unknown
        nats: Floats = -np.log(p[text.predicted])
        nats[tokens >= self.trie.symbols] = np.log(self.vocab_size)
        return nats

    def log_p(self, tokens: Ids, starts: Places | None = None) -> Floats:
        """Log-probabilities of all symbols in the place of each token (N, V), in nats."""
        return np.concatenate([np.empty((0, self.vocab_size)), *self.log_p_in_parts(tokens, starts)])

    def log_p_in_parts(self, tokens: Ids, starts: Places | None = None, rows: int = ROWS_AT_ONCE) -> Iterator[Floats]:
        """The same, so many rows at a time (n, V), for texts whose whole (N, V) would be too large."""
        text = self._symbols(tokens, starts)
        known = [contexts[text.predicted] for contexts, _ in self.trie.read(text)]
        for first in range(0, tokens.size, rows):
            yield np.log(self._p([contexts[first : first + rows] for contexts in known]))

    def _p(self, known: list[Places]) -> Floats:
        """Probabilities (n, V) after contexts that are given by their places (n,) at each order."""
        p = np.full((known[0].size, self.trie.symbols), 1 / self.vocab_size)
        for level, contexts in enumerate(known):
            rows = np.flatnonzero(contexts >= 0)
            which, symbols, places = self.trie.followers(level, contexts[rows])
            p[rows] *= self.rests[level][contexts[rows], None]
            p[rows[which], symbols] += self.shares[level][places]
        return p[:, : self.vocab_size]

    def _symbols(self, tokens: Ids, starts: Places | None) -> Symbols:
        return Symbols.of(tokens, self.trie.symbols - 1, starts)


def estimate_discounts(counts: Places) -> Discounts:
    """D1, D2, D3+ from how many grams were counted once, twice, three and four times (Chen & Goodman 1999, eq. 26)."""
    once, twice, thrice, four = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].tolist()
    if not (once and twice and thrice):
        return FALLBACK
    y = once / (once + 2 * twice)
    found = (1 - 2 * y * twice / once, 2 - 3 * y * thrice / twice, 3 - 4 * y * four / thrice)
    return found if all(0 < each <= number for number, each in enumerate(found, 1)) else FALLBACK
