"""An n-gram of words, smoothed as Kneser and Ney do, of sentences: what a network's grammar is measured beside."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np

from charrnn.models.counts import KneserNey
from charrnn.models.counts.trie import Floats, Places
from charrnn.scoring.pairs import PairScores
from charrnn.text.pairs import Pair

ORDER = 5
WORD = re.compile(r"[\w'’-]+|[^\w\s]")
UNKNOWN = 0


class WordGrams:
    """Of all words that the text has twice or more; what it has once, or not at all, is one word, unknown."""

    def __init__(self, sentences: Iterable[str], order: int = ORDER) -> None:
        found = [WORD.findall(sentence) for sentence in sentences]
        often = [word for word, count in Counter(chain.from_iterable(found)).items() if count > 1]
        self.ids = {word: number for number, word in enumerate(often, UNKNOWN + 1)}
        tokens, starts = self._encoded(found)
        self.model = KneserNey.count(tokens, self._end, order, starts)

    def pairs(self, pairs: Sequence[Pair]) -> PairScores:
        """Both sentences of each, their ends included."""
        good, bad = (self.log_p(texts) for texts in zip(*((pair.good, pair.bad) for pair in pairs), strict=True))
        return PairScores(pairs, good, bad)

    def log_p(self, sentences: Iterable[str]) -> Floats:
        """Log-probabilities of the sentences (D,), in nats."""
        tokens, starts = self._encoded([WORD.findall(sentence) for sentence in sentences])
        summed: Floats = np.add.reduceat(self.model.nll(tokens, starts), starts)
        return -summed

    @property
    def _end(self) -> int:
        return len(self.ids) + 1

    def _encoded(self, sentences: list[list[str]]) -> tuple[Places, Places]:
        """Tokens (N,), an end behind each sentence, and where sentences begin (D,)."""
        ids = [[*(self.ids.get(word, UNKNOWN) for word in words), self._end] for words in sentences]
        lengths = np.array([len(each) for each in ids])
        return np.fromiter(chain.from_iterable(ids), np.int64), np.cumsum(lengths) - lengths
