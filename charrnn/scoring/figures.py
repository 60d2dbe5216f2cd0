"""Score: every figure of a text is arithmetic on the log-probabilities of its tokens."""

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

Logprobs = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Score:
    """A scored text: `logprobs` (N,), natural logarithms, of its tokens in order, and the counts of the original text.

    loss = nll / T, ppl = exp(loss), bpt = loss / ln 2, bpc = nll / (C ln 2), bpb = nll / (B ln 2),
    word_ppl = exp(nll / W), with T tokens, C code points, B UTF-8 bytes, W words.
    """

    logprobs: Logprobs
    chars: int
    bytes: int
    words: int
    state: str
    unknown: npt.NDArray[np.bool_]
    temperature: float = 1.0
    # The same text under other conditions, never part of the figures of this one: dynamic evaluation, and the
    # temperature at which this very text costs least.
    # Of a bidirectional model: the same text read from its end.
    backward: "Score | None" = None
    adapted: "Score | None" = None
    fitted: "Score | None" = None

    def __repr__(self) -> str:
        """<Score 14,747 tokens, 1.739 bpc>"""
        return f"<Score {self.tokens:,} tokens, {self.bpc:.3f} bpc>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Score):
            return NotImplemented
        return all(np.array_equal(getattr(self, each.name), getattr(other, each.name)) for each in fields(self))

    def __hash__(self) -> int:
        return hash((self.tokens, self.chars, self.bytes, self.words, self.state, self.temperature))

    @property
    def nll(self) -> float:
        """Total surprisal in nats, added up in float64."""
        return -math.fsum(self.logprobs)

    @property
    def surprisal(self) -> Logprobs:
        """Bits of each token (N,)."""
        return self.logprobs / -math.log(2)

    @property
    def tokens(self) -> int:
        """T"""
        return self.logprobs.size

    @property
    def oov(self) -> int:
        """Characters that the vocabulary lacks."""
        return int(self.unknown.sum())

    @property
    def loss(self) -> float:
        """Nats per token."""
        return self.nll / self.tokens

    @property
    def ppl(self) -> float:
        """Perplexity per token."""
        return _exp(self.loss)

    @property
    def ppl_se(self) -> float | None:
        """Standard error of ppl; approximate, for tokens are not independent. None for a single token."""
        return self.ppl * math.sqrt(float(self.logprobs.var()) / (self.tokens - 1)) if self.tokens > 1 else None

    @property
    def ppl_known(self) -> float | None:
        """Perplexity over the tokens that the vocabulary holds; None when it holds none."""
        known = self.logprobs[~self.unknown]
        return _exp(-math.fsum(known) / known.size) if known.size else None

    @property
    def bpt(self) -> float:
        """Bits per token."""
        return self.loss / math.log(2)

    @property
    def bpc(self) -> float:
        """Bits per code point of the original text."""
        return self.nll / (self.chars * math.log(2))

    @property
    def bpb(self) -> float | None:
        """Bits per UTF-8 byte of the original text; None where a character had no code."""
        return None if self.oov else self.nll / (self.bytes * math.log(2))

    @property
    def word_ppl(self) -> float | None:
        """Perplexity per whitespace-separated word; None in a text without words."""
        return _exp(self.nll / self.words) if self.words else None

    def figures(self) -> dict[str, Any]:
        """All of the above under their names."""
        return {
            "tokens": self.tokens,
            "chars": self.chars,
            "bytes": self.bytes,
            "words": self.words,
            "oov": self.oov,
            "nats": self.nll,
            "loss": self.loss,
            "ppl": self.ppl,
            "ppl_se": self.ppl_se,
            **({"ppl_known": self.ppl_known} if self.oov else {}),
            "bpt": self.bpt,
            "bpc": self.bpc,
            "bpb": self.bpb,
            "word_ppl": self.word_ppl,
            "state": self.state,
            **({"backward": self.backward.brief()} if self.backward else {}),
            **({"adapted": self.adapted.brief()} if self.adapted else {}),
            **({"fitted": {"temperature": self.fitted.temperature, **self.fitted.brief()}} if self.fitted else {}),
        }

    def brief(self) -> dict[str, Any]:
        """The means alone, for a figure that stands beside another of the same text."""
        names = ("nats", "loss", "ppl", "bpt", "bpc", "bpb", "word_ppl")
        return {name: value for name, value in self.figures().items() if name in names}


def _exp(value: float) -> float:
    """exp, and infinity where it overflows."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
