"""Interpolated Kneser-Ney smoothing, modified: three discounts an order (Kneser & Ney 1995; Chen & Goodman 1999).

    p(w | h) = (c(h w) - D(c(h w))) / c(h ·)  +  rest(h) p(w | h without its first symbol)

c are counts at the highest order, below it the numbers of different symbols before (those that begin a document keep
their counts); D is one of D1, D2, D3+ by the count; rest(h) is what the discounts took. Below the single symbols stands
the uniform distribution. An unknown context says nothing: p(w | h) is that of the shorter one.

Shapes: N tokens, V predicted symbols, G grams, C contexts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from charrnn.config import require
from charrnn.models.counts.grams import Grams
from charrnn.models.counts.table import Discounts, Table, distributions
from charrnn.models.counts.trie import Floats, Ids, Places, Symbols, Trie

ROWS_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class KneserNey:
    """A table for each order, from 1.

    V is `vocab_size`: the start id's own number, or one more where it stands for the end of a document as well.
    """

    tables: tuple[Table, ...]
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
        symbols, tables = grams.trie.symbols, []
        kept_contexts = np.ones(1, np.bool_)
        for level in range(order):
            counts = grams.counts[level] if level == order - 1 else grams.continuations[level]
            keys, size = grams.trie.keys[level], grams.trie.context_count(level)
            whole = Table.of(keys, counts, size, symbols, None if discounts is None else discounts[level])
            contexts, last = np.divmod(keys, symbols)
            kept = np.full(keys.size, True) if cut is None or level < cut else grams.counts[level] > 1
            rests = whole.rests + np.bincount(contexts[~kept], whole.shares[~kept], size)
            places = np.cumsum(kept_contexts) - 1  # a gram that is kept has a context that is
            keys = places[contexts[kept]] * symbols + last[kept]
            tables.append(Table(keys, whole.shares[kept], rests[kept_contexts], symbols))
            kept_contexts = kept
        return cls(tuple(tables), vocab_size)

    @cached_property
    def trie(self) -> Trie:
        """What finds the grams of a text."""
        return Trie(tuple(table.keys for table in self.tables), self.tables[0].symbols)

    @property
    def order(self) -> int:
        """How many symbols the longest gram has."""
        return len(self.tables)

    @property
    def size(self) -> int:
        """How many grams the tables hold."""
        return sum(table.keys.size for table in self.tables)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it takes: 16 a gram and 8 a context."""
        return sum(table.nbytes for table in self.tables)

    def nll(self, tokens: Ids, starts: Places | None = None) -> Floats:
        """Nats of each token (N,): -ln p(token | all before it in its document). One beyond the start id costs ln V."""
        text = self._symbols(tokens, starts)
        p = np.full(text.ids.size, 1 / self.vocab_size)
        for (contexts, grams), table in zip(self.trie.read(text), self.tables, strict=True):
            p = p * np.append(table.rests, 1.0)[contexts] + np.append(table.shares, 0.0)[grams]  # -1: the last, unknown
        nats: Floats = -np.log(p[text.predicted])
        nats[tokens >= self.trie.symbols] = np.log(self.vocab_size)
        return nats

    def contexts(self, text: Symbols) -> tuple[Places, ...]:
        """The places of the contexts (N,) of each predicted symbol, in each table; -1: unknown."""
        return tuple(contexts[text.predicted] for contexts, _ in self.trie.read(text))

    def log_p(self, tokens: Ids, starts: Places | None = None) -> Floats:
        """Log-probabilities of all symbols in the place of each token (N, V), in nats."""
        return np.concatenate([np.empty((0, self.vocab_size)), *self.log_p_in_parts(tokens, starts)])

    def log_p_in_parts(self, tokens: Ids, starts: Places | None = None, rows: int = ROWS_AT_ONCE) -> Iterator[Floats]:
        """The same, so many rows at a time (n, V), for texts whose whole (N, V) would be too large."""
        contexts = self.contexts(self._symbols(tokens, starts))
        for first in range(0, tokens.size, rows):
            some = [places[first : first + rows] for places in contexts]
            yield np.log(distributions(self.tables, some, self.vocab_size))

    def _symbols(self, tokens: Ids, starts: Places | None) -> Symbols:
        return Symbols.of(tokens, self.trie.symbols - 1, starts)
