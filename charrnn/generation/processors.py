"""Temperature, top-k, top-p, min-p, repetition penalty: (logits, history) -> logits.

logits (B, V) float64; history (B, V) bool, the symbols that a row has used. A filter returns new logits, a dropped
symbol's are -inf, and at least one symbol stays. Filters run in the order that users of the field know: penalty,
temperature, top-k, top-p, min-p.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from charrnn.config import SampleConfig

Logits = npt.NDArray[np.float64]
History = npt.NDArray[np.bool_]
Filter = Callable[[Logits, History], Logits]

DROPPED = -np.inf
LEAST_TEMPERATURE = 1e-300


def repetition_penalty(penalty: float) -> Filter:
    """Make symbols that were used less likely: l / penalty where l > 0, else l penalty (Keskar et al. 2019)."""

    def apply(logits: Logits, history: History) -> Logits:
        return np.where(history, np.where(logits > 0, logits / penalty, logits * penalty), logits)

    return apply


def temperature(t: float) -> Filter:
    """Divide by t. At 0, the greedy choice: only the likeliest symbol stays, the first of equals.

    So it is for a t that no logit can be divided by without leaving the range of numbers.
    """

    def apply(logits: Logits, history: History) -> Logits:
        if t > LEAST_TEMPERATURE:
            return logits / t
        return _only(logits.argmax(axis=-1)[:, None], np.zeros_like(logits))

    return apply


def top_k(k: int) -> Filter:
    """Keep the k likeliest symbols, exactly k also among equals (the first of them); all when k exceeds V."""

    def apply(logits: Logits, history: History) -> Logits:
        return _only(_likeliest_first(logits)[:, :k], logits)

    return apply


def top_p(p: float) -> Filter:
    """Keep the smallest set of likeliest symbols whose probability reaches p (Holtzman et al. 2020)."""

    def apply(logits: Logits, history: History) -> Logits:
        order = _likeliest_first(logits)
        ordered = np.take_along_axis(logits, order, axis=-1)
        weight = _weights(ordered)
        # A symbol stays while those before it have not reached p: the first always does.
        before = weight.cumsum(axis=-1) - weight
        kept = np.where(before < p * weight.sum(axis=-1, keepdims=True), ordered, DROPPED)
        result = np.empty_like(logits)
        np.put_along_axis(result, order, kept, axis=-1)
        return result

    return apply


def min_p(p: float) -> Filter:
    """Keep symbols at least p times as likely as the likeliest (Nguyen et al. 2024)."""

    def apply(logits: Logits, history: History) -> Logits:
        # The likeliest symbol has weight 1.
        return np.where(_weights(logits) >= p, logits, DROPPED)

    return apply


def compose(config: SampleConfig) -> Filter:
    """All filters of this sampling, in order; those that are None are left out."""
    chosen: list[Filter] = []
    if config.repetition_penalty is not None:
        chosen.append(repetition_penalty(config.repetition_penalty))
    chosen.append(temperature(config.temperature))
    if config.top_k is not None:
        chosen.append(top_k(config.top_k))
    if config.top_p is not None:
        chosen.append(top_p(config.top_p))
    if config.min_p is not None:
        chosen.append(min_p(config.min_p))

    def apply(logits: Logits, history: History) -> Logits:
        for one in chosen:
            logits = one(logits, history)
        return logits

    return apply


def draw(logits: Logits, uniforms: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """One symbol for each row by inverting its cumulative distribution.

    logits (B, V), uniforms (B,) in [0, 1) -> (B,). A symbol of probability 0 is never drawn.
    """
    reached = np.add.accumulate(_weights(logits), 1)
    # Scaled by the last sum, whatever its rounding, a place lies inside the support.
    places = uniforms * reached[:, -1]
    if len(places) == 1:  # a search costs less than a comparison with all
        return np.asarray(reached[0].searchsorted(places, "right"))
    return np.asarray(np.add.reduce(reached <= places[:, None], 1))


def _weights(logits: Logits) -> Logits:
    """Probabilities but for a factor: the likeliest symbol's is 1."""
    shifted = logits - np.maximum.reduce(logits, 1, keepdims=True)
    return np.exp(shifted, shifted)


def _likeliest_first(logits: Logits) -> npt.NDArray[np.int64]:
    return np.argsort(-logits, axis=-1, kind="stable")


def _only(kept: npt.NDArray[np.int64], logits: Logits) -> Logits:
    """The logits of these symbols (B, k); the others are dropped."""
    result = np.full_like(logits, DROPPED)
    np.put_along_axis(result, kept, np.take_along_axis(logits, kept, axis=-1), axis=-1)
    return result
