"""Filters: the unlikely is cut off, by rank, by mass, or by how surprising it would be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from charrnn.generation.lazy import LazyModule
from charrnn.generation.processors.base import (
    COUNT,
    DROPPED,
    PROBABILITY,
    Processor,
    likeliest_first,
    only,
    relative_probabilities,
    sampling,
)  # fmt: skip

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from charrnn.generation.processors.base import Logits
    from charrnn.generation.sequence import TextSequence
else:
    np = LazyModule("numpy")


class TopK(Processor):
    """Keep the k likeliest symbols, exactly k also among equals (the first of them); all when k exceeds V."""

    options = (("top_k", int | None, sampling("Top-k: only the k likeliest symbols.", says="off", range=COUNT)),)

    def __init__(self, k: int) -> None:
        self.k = k

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        return only(likeliest_first(logits)[:, : self.k], logits)


class TopP(Processor):
    """Keep the smallest set of likeliest symbols whose probability reaches p (Holtzman et al. 2020)."""

    options = (
        ("top_p", float | None,
         sampling("Top-p (nucleus): only the likeliest symbols that make up this probability.",
                  says="off", range=PROBABILITY)),
    )  # fmt: skip

    def __init__(self, p: float) -> None:
        self.p = p

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        return reaching(self.p, likeliest_first(logits), logits)


class MinP(Processor):
    """Keep symbols at least p times as likely as the likeliest (Nguyen et al. 2024)."""

    options = (
        ("min_p", float | None,
         sampling("Min-p: only symbols at least this share as likely as the likeliest.",
                  says="off", range=PROBABILITY)),
    )  # fmt: skip

    def __init__(self, p: float) -> None:
        self.p = p

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        return np.where(relative_probabilities(logits) >= self.p, logits, DROPPED)


class TypicalP(Processor):
    """Keep the smallest set of symbols about as surprising as is expected here whose probability reaches p.

    Those whose surprisal is nearest to the entropy come first (locally typical sampling, Meister et al. 2022).
    """

    options = (
        ("typical_p", float | None,
         sampling("Typical-p: only symbols about as surprising as expected that make up this probability.",
                  says="off", range=PROBABILITY)),
    )  # fmt: skip

    def __init__(self, p: float) -> None:
        self.p = p

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        log_p, entropy = surprisals(logits)
        far = np.abs(-log_p - entropy)
        return reaching(self.p, np.argsort(far, axis=-1, kind="stable"), logits)


class Eta(Processor):
    """Drop what is less likely than min(e, sqrt(e) exp(-entropy)) (eta sampling, Hewitt et al. 2022)."""

    options = (
        ("eta", float | None,
         sampling("Eta: drop what is less likely than this, or than what the entropy makes of it.",
                  says="off", range=PROBABILITY)),
    )  # fmt: skip

    def __init__(self, eta: float) -> None:
        self.eta = eta

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        log_p, entropy = surprisals(logits)
        least = np.minimum(np.log(self.eta), np.log(self.eta) / 2 - entropy)
        return np.where((log_p >= least) | (logits == logits.max(axis=-1, keepdims=True)), logits, DROPPED)


def reaching(p: float, order: npt.NDArray[np.int64], logits: Logits) -> Logits:
    """Keep the first symbols in this order (B, V) whose probability reaches p: the first always stays."""
    ordered = np.take_along_axis(logits, order, axis=-1)
    share = relative_probabilities(logits)
    share = np.take_along_axis(share, order, axis=-1)
    before = share.cumsum(axis=-1) - share
    kept = np.where(before < p * share.sum(axis=-1, keepdims=True), ordered, DROPPED)
    result = np.empty_like(logits)
    np.put_along_axis(result, order, kept, axis=-1)
    return result


def surprisals(logits: Logits) -> tuple[Logits, Logits]:
    """log p (B, V) and the entropy (B, 1), in nats; what was dropped has p = 0 and no part in it."""
    shifted = logits - np.maximum.reduce(logits, 1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    p = np.exp(log_p)
    return log_p, -np.where(p > 0, p * np.where(p > 0, log_p, 0), 0).sum(axis=-1, keepdims=True)
