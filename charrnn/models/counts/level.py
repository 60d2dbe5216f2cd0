"""What follows each of many contexts, as it stands in a file: packed, sorted, and searched without unpacking.

    p(w | c) = share(c w) + rest(c) p(w | what c falls back to)

Shapes: N places of a text, S ids of symbols, G grams (a context and what followed it), C contexts.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from charrnn.models.counts.functions import Floats
from charrnn.models.counts.table import Table
from charrnn.models.counts.trie import NO_KEY, NOWHERE, Ids, Places

# What an id is kept in.
MOST_IDS = 1 << 16


@dataclass(frozen=True, eq=False)
class Level:
    """`firsts` (C + 1,): where the grams of each context begin; `symbols` (G,), sorted in each; `shares`, `rests`."""

    firsts: npt.NDArray[np.uint32]
    symbols: npt.NDArray[np.uint16]
    shares: Floats
    """(G,)"""
    rests: Floats
    """(C,)"""

    @classmethod
    def of(cls, table: Table) -> Self:
        """The same as a table."""
        return cls(
            table.rows.astype(np.uint32),
            (table.keys % table.symbols).astype(np.uint16),
            table.shares.astype(np.float32),
            table.rests.astype(np.float32),
        )

    def shared_as(self, table: Table) -> Self:
        """The same grams, of which another table has other shares."""
        return replace(self, shares=table.shares.astype(np.float32), rests=table.rests.astype(np.float32))

    @cached_property
    def keys(self) -> Places:
        """(G + 1,): place of the context * 2^16 + symbol, and behind them what is no key."""
        keys = np.repeat(np.arange(self.rests.size), np.diff(self.firsts)) * MOST_IDS + self.symbols
        return np.append(keys, NO_KEY)

    def find(self, contexts: Ids, ids: Ids) -> Places:
        """The places (N,) of contexts, -1 an unknown one, followed by ids; -1 where there is no such gram."""
        known = (contexts >= 0) & (ids < MOST_IDS)
        wanted = np.where(known, contexts.astype(np.int64) * MOST_IDS + ids, NOWHERE)
        places = np.searchsorted(self.keys[:-1], wanted)
        return np.where(self.keys[places] == wanted, places, NOWHERE)

    def climb(self, p: Floats, contexts: Ids) -> None:
        """Probabilities (N, S) of what is fallen back to become those behind contexts (N,), -1 an unknown one."""
        known = np.flatnonzero(contexts >= 0)
        places = contexts[known]
        begin = self.firsts[places].astype(np.int64)
        lengths = self.firsts[places + 1].astype(np.int64) - begin
        ends = np.cumsum(lengths)
        grams = np.arange(lengths.sum()) + np.repeat(begin - (ends - lengths), lengths)
        p[known] *= self.rests[places][:, None]
        p.ravel()[np.repeat(known * p.shape[1], lengths) + self.symbols[grams]] += self.shares[grams]

    def fits(self, contexts: int, ids: int) -> bool:
        """Whether it is what it says, for so many contexts and symbols, so that nothing is looked for beyond an end."""
        grams = self.symbols.size
        return (
            [array.dtype for array in self.arrays().values()] == [np.uint32, np.uint16, np.float32, np.float32]
            and [array.shape for array in self.arrays().values()] == [(contexts + 1,), (grams,), (grams,), (contexts,)]
            and int(self.firsts[0]) == 0
            and int(self.firsts[-1]) == grams
            and bool((self.firsts[1:] >= self.firsts[:-1]).all())
            and int(self.symbols.max(initial=0)) < ids
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All of it, by names."""
        return {name: getattr(self, name) for name in ("firsts", "symbols", "shares", "rests")}
