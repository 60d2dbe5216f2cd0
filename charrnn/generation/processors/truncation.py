"""Filters: the unlikely is cut off, by rank, by mass, or by how surprising it would be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from charrnn.generation.lazy import LazyModule
from charrnn.generation.processors.base import (
    COUNT,
    DROPPED,
    LEAST_LOGIT,
    PROBABILITY,
    Processor,
    ranked,
    relative_probabilities,
    sampling,
    shift,
    spread,
    without,
)  # fmt: skip

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from charrnn.generation.processors.base import Logits
    from charrnn.generation.sequence import TextSequence
    from charrnn.inference.base import Drawing
else:
    np = LazyModule("numpy")


class TopK(Processor):
    """Keep the k likeliest symbols, exactly k also among equals (the first of them); all when k exceeds V."""

    options = (("top_k", int | None, sampling("Top-k: only the k likeliest symbols.", says="off", range=COUNT)),)

    def __init__(self, k: int) -> None:
        self.k = k

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        result = logits.copy()
        result.reshape(-1)[ranked(-logits)[:, self.k :]] = DROPPED
        return result

    def drawing(self, drawing: Drawing) -> Drawing | None:
        return drawing._replace(top_k=self.k)


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
        share = relative_probabilities(logits)
        return reaching(self.p, ranked(-logits), share, logits)

    def drawing(self, drawing: Drawing) -> Drawing | None:
        return drawing._replace(top_p=self.p)


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
        return without(relative_probabilities(logits) < self.p, logits)

    def drawing(self, drawing: Drawing) -> Drawing | None:
        return drawing._replace(min_p=self.p)


class TypicalP(Processor):
    """Keep the smallest set of symbols about as surprising as is expected here whose probability reaches p.

    Those whose surprisal is nearest to the entropy come first (locally typical sampling, Meister et al. 2022): those
    whose logit is nearest to the mean.
    """

    options = (
        ("typical_p", float | None,
         sampling("Typical-p: only symbols about as surprising as expected that make up this probability.",
                  says="off", range=PROBABILITY)),
    )  # fmt: skip

    def __init__(self, p: float) -> None:
        self.p = p

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        shifted, share = shift(logits), relative_probabilities(logits)
        return reaching(self.p, ranked(np.abs(shifted - spread(mean(shifted, share)))), share, logits)

    def drawing(self, drawing: Drawing) -> Drawing | None:
        return drawing._replace(typical_p=self.p)


class Eta(Processor):
    """Drop what is less likely than min(e, sqrt(e) exp(-entropy)) (eta sampling, Hewitt et al. 2022)."""

    options = (
        ("eta", float | None,
         sampling("Eta: drop what is less likely than this, or than what the entropy makes of it.",
                  says="off", range=PROBABILITY)),
    )  # fmt: skip

    def __init__(self, eta: float) -> None:
        self.eta = eta
        self._half_log = float(np.log(eta)) / 2  # math.log may round in another way

    def __call__(self, logits: Logits, sequences: Sequence[TextSequence]) -> Logits:
        shifted, share = shift(logits), relative_probabilities(logits)
        # Both sides without the logarithm of the sum. The likeliest stays: neither logarithm nor mean is above its 0.
        dropped = share < spread(self.eta * total(share))
        dropped &= shifted < spread(self._half_log + mean(shifted, share))
        return without(dropped, logits)

    def drawing(self, drawing: Drawing) -> Drawing | None:
        return drawing._replace(eta=self.eta)


def reaching(p: float, order: npt.NDArray[np.int64], share: Logits, logits: Logits) -> Logits:
    """Keep the first symbols in this order whose probability reaches p: the first always stays.

    `order` as `ranked` gives it, `share` the relative probabilities, (B, V) all. Added up one after another, as
    those do who have them one by one.
    """
    ordered = share.take(order)
    before = np.add.accumulate(ordered, 1)
    before -= ordered
    result = logits.copy()
    result.reshape(-1)[order[before >= spread(p * total(share))]] = DROPPED
    return result


def total(share: Logits) -> Logits:
    """The sum of each row (B, V) -> (B,), one after another as the compiled draw adds them up."""
    return np.asarray(np.add.accumulate(share, 1)[:, -1])


def mean(shifted: Logits, share: Logits) -> Logits:
    """The mean of logits (B, V) of which the largest is 0, by their relative probabilities (B, V) -> (B,).

    It is the entropy but for the sign and for the logarithm of the sum, which makes logits of them; what was dropped
    has no part in it.
    """
    weighted = share * np.maximum(shifted, LEAST_LOGIT)  # 0 times what is finite
    return total(weighted) / total(share)
