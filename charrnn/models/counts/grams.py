"""How often each gram stands in a text, and after how many different symbols: everything that smoothing asks for."""

from dataclasses import dataclass

import numpy as np

from charrnn.config import require
from charrnn.models.counts.trie import Ids, Places, Symbols, Trie


@dataclass(frozen=True, eq=False)
class Grams:
    """The grams of 1 to `order` symbols of a text; models of any lower order are made of the same table.

    For each order, `counts` (G,) say how often a gram stands there; `continuations` (G,) after how many different
    symbols it does, or how often it stands at the beginning of a document, which nothing stands before.
    """

    trie: Trie
    counts: tuple[Places, ...]
    continuations: tuple[Places, ...]

    @classmethod
    def count(cls, tokens: Ids, start_id: int, order: int, starts: Places | None = None) -> "Grams":
        """Those of tokens (N,), ids up to `start_id`: one stream, or documents that begin at `starts` (D,).

        The first token of a stream or document follows the start id, which is itself never predicted; in documents
        the same id may stand for their end. A sort for each order: 1 MB to order 8 takes about a second.
        Raises ConfigError on an order below 1 and on ids beyond the start id.
        """
        require(order >= 1, f"the order of an n-gram model must be at least 1, not {order}")
        require(not tokens.size or int(tokens.max()) <= start_id, f"what is counted holds ids beyond {start_id}")
        text = Symbols.of(tokens, start_id, starts)
        keys: list[Places] = []
        counts: list[Places] = []
        continuations: list[Places] = []
        places, contexts = np.zeros(text.ids.size, np.int64), np.zeros(text.ids.size, np.int64)
        for length in range(1, order + 1):
            inside = text.depths >= length
            found, inverse = np.unique((contexts * (start_id + 1) + text.ids)[inside], return_inverse=True)
            counts.append(np.bincount(inverse[text.predicted[inside]], minlength=found.size))
            shorter = np.zeros(found.size, np.int64)
            shorter[inverse] = places[inside]
            if length > 1:
                continuations[-1] += np.bincount(shorter, minlength=keys[-1].size)
            first = np.zeros(found.size, np.bool_)
            if length > 1:  # the start id alone is no gram that was predicted
                first[inverse[text.depths[inside] == length]] = True
            keys.append(found)
            continuations.append(np.where(first, counts[-1], 0))
            places = np.full(text.ids.size, -1)
            places[inside] = inverse
            contexts = text.contexts(places)
        return cls(Trie(tuple(keys), start_id + 1), tuple(counts), tuple(continuations))

    @property
    def order(self) -> int:
        """How many symbols the longest gram has."""
        return self.trie.order
