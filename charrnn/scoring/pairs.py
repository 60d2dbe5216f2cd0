"""Minimal pairs: of two sentences that differ in one thing, does the model hold the good one likelier?

It is right where the log-probability of the whole good sentence is the higher; a tie is wrong (Warstadt et al. 2020,
as lm-evaluation-harness counts). Shapes: N pairs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn.errors import VocabularyError
from charrnn.models.ensemble import Predictor
from charrnn.scoring.figures import Nats
from charrnn.scoring.texts import TEXTS_AT_ONCE, ends_of, log_probabilities
from charrnn.text.characters import named_all
from charrnn.text.pairs import Pair
from charrnn.text.tokenizers import Tokenizer

# Log-probabilities that differ by less of themselves differ by rounding, which depends on the rows read beside.
ROUNDING = 1e-6
# Of the normal distribution, for 95%.
Z = 1.959963984540054
RESAMPLES, SEED = 2000, 0
RESAMPLED_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False, repr=False)
class PairScores:
    """N scored pairs: `good` and `bad` (N,) are the log-probabilities of their sentences in nats, ends included.

    `oov` counts the characters that the vocabulary lacks, at ln V nats each, in sentences of both kinds.
    """

    scored: Sequence[Pair]
    good: Nats
    bad: Nats
    oov: int = 0

    def __repr__(self) -> str:
        """<PairScores 67,000 pairs, accuracy 0.698>"""
        return f"<PairScores {self.pairs:,} pairs, accuracy {self.accuracy:.3f}>"

    @property
    def pairs(self) -> int:
        """N"""
        return len(self.scored)

    @cached_property
    def differences(self) -> Nats:
        """(N,) bits by which the good sentence is the likelier; 0 where they differ by rounding alone."""
        nats = self.good - self.bad
        return np.where(np.abs(nats) <= ROUNDING * np.abs(self.good), 0.0, nats) / math.log(2)

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """(N,) where the good sentence is the likelier."""
        return self.differences > 0

    @property
    def ties(self) -> int:
        """Pairs whose sentences are equally likely; they are wrong."""
        return int((self.differences == 0).sum())

    @property
    def accuracy(self) -> float:
        """The share of pairs that are right."""
        return float(self.right.mean())

    @property
    def mean_difference(self) -> float:
        """Bits by which good sentences are likelier in the mean."""
        return math.fsum(self.differences) / self.pairs

    @property
    def interval(self) -> tuple[float, float]:
        """95% of the accuracy by Wilson's score (1927), which unlike resampling holds where all or none are right."""
        # Of independent pairs; those made of one template are less than that.
        n, share = self.pairs, self.accuracy
        middle, weight = (share + Z**2 / (2 * n)), 1 + Z**2 / n
        half = Z * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
        low, high = (middle - half) / weight, (middle + half) / weight
        return 0.0 if share == 0 else low, 1.0 if share == 1 else high

    @cached_property
    def mean_difference_interval(self) -> tuple[float, float]:
        """95% of the mean difference in bits: percentiles of 2,000 bootstrap samples (Efron 1979), of a fixed seed."""
        generator, rows = np.random.default_rng(SEED), max(1, RESAMPLED_AT_ONCE // self.pairs)
        means = [
            self.differences[generator.integers(self.pairs, size=(min(rows, RESAMPLES - begin), self.pairs))].mean(1)
            for begin in range(0, RESAMPLES, rows)
        ]
        low, high = np.percentile(np.concatenate(means), [2.5, 97.5]).tolist()
        return low, high

    @cached_property
    def by(self) -> "dict[str, dict[str, PairScores]]":
        """The pairs of each group, of each kind: by["UID"]["wh_island"]; groups that are numbers in their order."""
        kinds: dict[str, dict[str, list[int]]] = {}
        for number, pair in enumerate(self.scored):
            for kind, group in pair.groups.items():
                kinds.setdefault(kind, {}).setdefault(group, []).append(number)
        return {
            kind: {group: self._some(groups[group]) for group in sorted(groups, key=_in_order)}
            for kind, groups in kinds.items()
        }

    def _some(self, numbers: list[int]) -> "PairScores":
        return PairScores([self.scored[number] for number in numbers], self.good[numbers], self.bad[numbers])

    def figures(self) -> dict[str, Any]:
        """Every figure under its name; `by` holds those of each group."""
        return {
            **self._plain(),
            "mean_difference_interval": list(self.mean_difference_interval),
            "oov": self.oov,
            "by": {
                kind: {group: scores._plain() for group, scores in groups.items()} for kind, groups in self.by.items()
            },
        }

    def _plain(self) -> dict[str, Any]:
        return {
            "accuracy": self.accuracy,
            "pairs": self.pairs,
            "ties": self.ties,
            "mean_difference": self.mean_difference,
            "interval": list(self.interval),
        }


def _in_order(group: str) -> tuple[float, str]:
    return (float(group) if group.isdecimal() else math.inf, group)


def score_pairs(
    model: Predictor,
    tokenizer: Tokenizer,
    pairs: Sequence[Pair],
    *,
    documents: str = "stream",
    end: bool = True,
    unknown: bool = False,
    batch_size: int = TEXTS_AT_ONCE,
) -> PairScores:
    """Score the sentences of all pairs, each once however often it occurs, with their ends unless `end` is False.

    Raises VocabularyError on a character that the vocabulary lacks, with its place, unless `unknown` is set.
    """
    places = {text: number for number, text in enumerate(dict.fromkeys(t for pair in pairs for t in _sentences(pair)))}
    encoded = [tokenizer.encode(text, unknown=True) for text in places]
    lacking = np.array([int((ids > tokenizer.size).sum()) for ids in encoded])
    good, bad = (np.array([places[text] for text in texts]) for texts in zip(*map(_sentences, pairs), strict=True))
    oov = int(lacking[good].sum() + lacking[bad].sum())
    if oov and not unknown:
        raise VocabularyError(_complaint(tokenizer, pairs, (lacking[good] + lacking[bad]) > 0))
    if end:
        closing = ends_of(tokenizer, documents)
        encoded = [np.append(ids, closing) for ids in encoded]
    found = log_probabilities(model, encoded, batch_size)
    return PairScores(pairs, found[good], found[bad], oov)


def _sentences(pair: Pair) -> tuple[str, str]:
    return pair.good, pair.bad


def _complaint(tokenizer: Tokenizer, pairs: Sequence[Pair], lacking: npt.NDArray[np.bool_]) -> str:
    """Which characters the vocabulary lacks, in how many pairs, and in which first."""
    some = [pairs[number] for number in np.flatnonzero(lacking).tolist()]
    characters = {character for pair in some for character in pair.good + pair.bad}
    names = named_all(each for each in characters if (tokenizer.encode(each, unknown=True) > tokenizer.size).any())
    return (
        f"the model's vocabulary has no {names} (in {len(some):,} of {len(pairs):,} pairs, the first in "
        f"{some[0].place}): it was not in the training text"
    )
