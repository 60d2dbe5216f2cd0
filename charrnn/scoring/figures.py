"""Score: every figure of a text is arithmetic on one thing, what each of its tokens costs, and on counts of the text.

A figure is one function below: its name, its help (definition and unit), its place in `Score.figures`, the choice of
`eval` and its entry in the reference all come from there. Nothing here loads numpy.

Cross-entropy, negative log-likelihood (NLL) and surprisal are one thing: -log p(token | all before it), in nats with
the natural logarithm, in bits with that to the base of 2. Perplexity is its exponential (Jelinek et al. 1977).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, TypeVar, overload

from charrnn.markup import table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from charrnn.scoring.baselines import Baselines

Nats: TypeAlias = "npt.NDArray[np.float64]"
Value = TypeVar("Value", bound=float | None, covariant=True)

# All figures by name, in the order in which they are listed.
FIGURES: "dict[str, Figure[float | None]]" = {}


class Figure(Generic[Value]):
    """A property of `Score` that knows its name and explains itself.

    `metric`: it says how good the model is on the text, so that it can be asked for alone and stands beside the same
    of another score. `of_oov`: it is listed only where characters were not in the vocabulary.
    """

    def __init__(self, compute: "Callable[[Score], Value]", help: str, metric: bool, of_oov: bool) -> None:
        self.name, self.help, self.__doc__ = compute.__name__, help, help
        self.metric, self.of_oov = metric, of_oov
        self.compute = compute

    @overload
    def __get__(self, score: None, owner: type) -> Self: ...

    @overload
    def __get__(self, score: "Score", owner: type) -> Value: ...

    def __get__(self, score: "Score | None", owner: type) -> "Self | Value":
        return self if score is None else self.compute(score)


def figure(
    help: str, *, metric: bool = True, of_oov: bool = False
) -> "Callable[[Callable[[Score], Value]], Figure[Value]]":
    """Make a function of a score one of `FIGURES`, under its own name."""

    def made(compute: "Callable[[Score], Value]") -> "Figure[Value]":
        found = Figure(compute, help, metric, of_oov)
        FIGURES[found.name] = found
        return found

    return made


@dataclass(frozen=True, eq=False, repr=False)
class Score:
    """A scored text.

    `token_nll` (T,) are the nats of its tokens in order, each once; `unknown` (T,) marks the characters that the
    vocabulary lacks. C `chars` (code points), B `bytes` (of UTF-8) and W `words` (between white space) are counts of
    the text that the tokens stand for; of anything else that was read, `notes` say how much it is. `state` says from
    what memory tokens were predicted.
    """

    token_nll: Nats
    chars: int
    bytes: int
    words: int
    state: str
    unknown: "npt.NDArray[np.bool_]"
    temperature: float = 1.0
    # The same text under other conditions, never part of the figures of this one. Of a bidirectional model: read from
    # its end; by dynamic evaluation; at the temperature at which this very text costs least.
    backward: "Score | None" = None
    adapted: "Score | None" = None
    fitted: "Score | None" = None
    # By the network alone, where counts of its training text stand beside it.
    network: "Score | None" = None
    # Of counters that begin with the training text and learn as the network does, mixed with it as it is in its file,
    # and as it learns too.
    adapted_counts: "Score | None" = None
    adapted_both: "Score | None" = None
    # Bits per byte by compressors and an n-gram model.
    baselines: "Baselines | None" = None
    # What to know of the text beside its figures, a sentence each.
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __repr__(self) -> str:
        """<Score 14,747 tokens, 1.739 bpc>"""
        return f"<Score {self.tokens:,} tokens, {self.bpc:.3f} bpc>"

    def _repr_html_(self) -> str:
        """For a notebook: its figures, rounded."""
        told = {name: value for name, value in flat(self.figures()) if value is not None}
        return table(repr(self).strip("<>"), {
            name: value if isinstance(value, str) else f"{value:,.6g}" for name, value in told.items()
        })  # fmt: skip

    def __eq__(self, other: object) -> bool:
        return self._numbers() == other._numbers() if isinstance(other, Score) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._numbers())

    def _numbers(self) -> tuple[object, ...]:
        values = (getattr(self, each.name) for each in fields(self) if each.compare)
        return tuple(value.tobytes() if hasattr(value, "tobytes") else value for value in values)

    @property
    def surprisal(self) -> Nats:
        """Bits of each token (T,)."""
        return self.token_nll / math.log(2)

    @property
    def tokens(self) -> int:
        """T"""
        return self.token_nll.size

    @property
    def oov(self) -> int:
        """Characters that are out of vocabulary."""
        return int(self.unknown.sum())

    @figure("total surprisal (negative log-likelihood) of the text in nats, added up in float64")
    def nats(self) -> float:
        return math.fsum(self.token_nll)

    @figure("cross-entropy in nats per token: nats / T")
    def loss(self) -> float:
        return self.nats / self.tokens

    @figure("perplexity per token: exp(loss)")
    def ppl(self) -> float:
        return exp(self.loss)

    @figure("standard error of ppl; approximate, for tokens are not independent; none for one token", metric=False)
    def ppl_se(self) -> float | None:
        return self.ppl * math.sqrt(float(self.token_nll.var()) / (self.tokens - 1)) if self.tokens > 1 else None

    @figure("perplexity over the tokens in the vocabulary; none where none is", metric=False, of_oov=True)
    def ppl_known(self) -> float | None:
        known = self.token_nll[~self.unknown]
        return exp(math.fsum(known) / known.size) if known.size else None

    @figure("bits per token: loss / ln 2")
    def bpt(self) -> float:
        return self.loss / math.log(2)

    @figure("bits per character (Unicode code point) of the text: nats / (C ln 2)")
    def bpc(self) -> float:
        return self.nats / (self.chars * math.log(2))

    @figure("bits per UTF-8 byte of the text: nats / (B ln 2); none where a character is out of vocabulary")
    def bpb(self) -> float | None:
        return None if self.oov else self.nats / (self.bytes * math.log(2))

    @figure("perplexity per word between white space: exp(nats / W); none in a text without words")
    def word_ppl(self) -> float | None:
        return exp(self.nats / self.words) if self.words else None

    def figures(self) -> dict[str, Any]:
        """Counts, every figure, and what stands beside them, under their names; None where one is not defined."""
        return {
            "tokens": self.tokens,
            "chars": self.chars,
            "bytes": self.bytes,
            "words": self.words,
            "oov": self.oov,
            **{name: one.compute(self) for name, one in FIGURES.items() if self.oov or not one.of_oov},
            "state": self.state,
            **({"backward": self.backward.metrics()} if self.backward else {}),
            **({"adapted": self.adapted.metrics()} if self.adapted else {}),
            **({"adapted_counts": self.adapted_counts.metrics()} if self.adapted_counts else {}),
            **({"adapted_both": self.adapted_both.metrics()} if self.adapted_both else {}),
            **({"fitted": {"temperature": self.fitted.temperature, **self.fitted.metrics()}} if self.fitted else {}),
            **({"network": self.network.metrics()} if self.network else {}),
            **({"baselines": self.baselines.figures()} if self.baselines else {}),
        }

    def metrics(self) -> dict[str, float | None]:
        """The figures that can be asked for alone, for a score that stands beside another of the same text."""
        return {name: one.compute(self) for name, one in FIGURES.items() if one.metric}


def flat(figures: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Figures within figures under joined names: adapted_bpc."""
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}_")
        else:
            yield prefix + name, value


def exp(value: float) -> float:
    """exp, and infinity where it overflows."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
