"""Predictions: what a model held likely in the place of each token, as far as anyone asks to know it.

The nats of a token are always there. Beside them, where asked for: those of "a word boundary comes here", by which a
word owns the boundary after it; rank and entropy; the likeliest alternatives. From logits by NumPy alone, whoever
computed them. Shapes: N tokens, V predicted symbols, K alternatives.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Nats: TypeAlias = npt.NDArray[np.float64]
Ids: TypeAlias = npt.NDArray[np.int64]
Logits: TypeAlias = npt.NDArray[np.float32]

# A probability of 1 in whole numbers.
SHARES = np.float32(1 << 24)
# The rank of what the model cannot predict at all.
NO_RANK = 0


@dataclass(frozen=True, eq=False)
class Asked:
    """What is wanted beside the nats of each token.

    `boundaries` marks ids, the end of a document (id V) included, that begin with a word boundary; `top` is K.
    """

    boundaries: npt.NDArray[np.bool_] | None = None
    rank: bool = False
    entropy: bool = False
    top: int = 0
    shares: bool = False

    @property
    def nothing(self) -> bool:
        """Whether the nats alone are wanted."""
        return self.boundaries is None and not (self.rank or self.entropy or self.top or self.shares)


NATS_ALONE = Asked()


@dataclass(frozen=True, eq=False)
class Predictions:
    """N tokens in order, and what the model held likely in the place of each; None where it was not asked for."""

    tokens: Ids
    """(N,) ids."""
    nll: Nats
    """(N,) nats: -ln p(token | all before it)."""
    boundary: Nats | None = None
    """(N,) nats: -ln p(a word boundary stands here | all before it)."""
    rank: Ids | None = None
    """(N,) 1 for the likeliest; 0 for what the model cannot predict."""
    entropy: Nats | None = None
    """(N,) nats: the expected surprisal in its place."""
    top: Ids | None = None
    """(N, K) ids, the likeliest first."""
    top_nll: Nats | None = None
    """(N, K) nats of these."""
    shares: npt.NDArray[np.uint32] | None = None
    """(N, V) probabilities of all symbols as whole numbers, none of them 0."""

    def __len__(self) -> int:
        return self.nll.size

    def __getitem__(self, some: slice) -> "Predictions":
        """Those of some tokens."""
        columns: dict[str, Any] = {
            name: None if column is None else column[some] for name, column in self._columns().items()
        }
        return Predictions(**columns)

    @staticmethod
    def concatenate(parts: "Sequence[Predictions]") -> "Predictions":
        """Those of one or more runs of tokens, one after another; all were asked for the same."""
        columns: dict[str, Any] = {
            name: None if column is None else np.concatenate([part._columns()[name] for part in parts])
            for name, column in parts[0]._columns().items()
        }
        return Predictions(**columns)

    def _columns(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}


def predictions_of(
    logits: Logits, tokens: Ids, start_id: int, asked: Asked = NATS_ALONE, nll: Nats | None = None
) -> Predictions:
    """What logits (N, V) say of tokens (N,); `nll` where their nats are known already.

    A character that the vocabulary lacks (id start_id + 1) costs ln V; the end of a document (id start_id) that the
    network does not know, infinity. Neither has a rank.
    """
    log_p = logits.astype(np.float64)
    log_p -= log_p.max(axis=1, keepdims=True)
    p = np.exp(log_p)
    total = p.sum(axis=1, keepdims=True)
    log_p -= np.log(total)
    p /= total
    known = log_p.shape[1]
    given = np.where(tokens < known, tokens, 0)
    own = np.take_along_axis(log_p, given[:, None], 1)
    if nll is None:
        nll = np.select([tokens < known, tokens > start_id], [-own[:, 0], np.log(known)], np.inf) + 0.0
    top, top_nll = _top(log_p, min(asked.top, known)) if asked.top else (None, None)
    return Predictions(
        tokens,
        nll,
        boundary=None if asked.boundaries is None else _boundary(p, asked.boundaries[:known]),
        rank=np.where(tokens < known, 1 + (log_p > own).sum(axis=1), NO_RANK) if asked.rank else None,
        entropy=-np.einsum("nv,nv->n", p, np.maximum(log_p, -1e9)) + 0.0 if asked.entropy else None,
        top=top,
        top_nll=top_nll,
        shares=shares_of(p.astype(np.float32)) if asked.shares else None,
    )


def shares_of(p: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """Probabilities (..., V) as whole numbers, none of them 0."""
    return (p * SHARES).astype(np.uint32) + np.uint32(1)


def _boundary(p: Nats, marked: npt.NDArray[np.bool_]) -> Nats:
    """Nats of "one of these" (N,): small ones by the others' probability, which is exact where this is nearly 1."""
    inside, outside = p[:, marked].sum(axis=1), p[:, ~marked].sum(axis=1)
    with np.errstate(divide="ignore"):
        nats: Nats = np.where(inside < 0.5, -np.log(inside), -np.log1p(-np.minimum(outside, 1.0))) + 0.0
    return nats


def _top(log_p: Nats, count: int) -> tuple[Ids, Nats]:
    """The likeliest `count` of each row, equally likely ones by their ids."""
    top = np.argsort(-log_p, axis=1, kind="stable")[:, :count]
    return top, -np.take_along_axis(log_p, top, 1) + 0.0
