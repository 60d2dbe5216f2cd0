"""Temperature, top-k, top-p, min-p, repetition penalty: (logits, history) -> logits.

logits (B, V) float64; history (B, V) bool, the symbols that a row has used. A filter returns new logits, a dropped
symbol's are -inf, and at least one symbol stays. Filters run in the order that users of the field know: penalty,
temperature, top-k, top-p, min-p.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from charrnn.config import SampleConfig

Filter = Callable[[Tensor, Tensor], Tensor]

DROPPED = float("-inf")
LEAST_TEMPERATURE = 1e-300


def repetition_penalty(penalty: float) -> Filter:
    """Make symbols that were used less likely: l / penalty where l > 0, else l penalty (Keskar et al. 2019)."""

    def apply(logits: Tensor, history: Tensor) -> Tensor:
        return torch.where(history, torch.where(logits > 0, logits / penalty, logits * penalty), logits)

    return apply


def temperature(t: float) -> Filter:
    """Divide by t. At 0, the greedy choice: only the likeliest symbol stays, the first of equals.

    So it is for a t that no logit can be divided by without leaving the range of numbers.
    """

    def apply(logits: Tensor, history: Tensor) -> Tensor:
        if t > LEAST_TEMPERATURE:
            return logits / t
        best = logits.argmax(dim=-1, keepdim=True)
        return torch.full_like(logits, DROPPED).scatter(-1, best, 0.0)

    return apply


def top_k(k: int) -> Filter:
    """Keep the k likeliest symbols, exactly k also among equals (the first of them); all when k exceeds V."""

    def apply(logits: Tensor, history: Tensor) -> Tensor:
        order = logits.sort(dim=-1, descending=True, stable=True).indices[..., :k]
        return torch.full_like(logits, DROPPED).scatter(-1, order, logits.gather(-1, order))

    return apply


def top_p(p: float) -> Filter:
    """Keep the smallest set of likeliest symbols whose probability reaches p (Holtzman et al. 2020)."""

    def apply(logits: Tensor, history: Tensor) -> Tensor:
        ordered, order = logits.sort(dim=-1, descending=True, stable=True)
        probability = ordered.softmax(dim=-1)
        # A symbol stays while those before it have not reached p: the first always does.
        before = probability.cumsum(dim=-1) - probability
        kept = torch.where(before < p, ordered, DROPPED)
        return torch.full_like(logits, DROPPED).scatter(-1, order, kept)

    return apply


def min_p(p: float) -> Filter:
    """Keep symbols at least p times as likely as the likeliest (Nguyen et al. 2024)."""

    def apply(logits: Tensor, history: Tensor) -> Tensor:
        probability = logits.softmax(dim=-1)
        return torch.where(probability >= p * probability.amax(dim=-1, keepdim=True), logits, DROPPED)

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

    def apply(logits: Tensor, history: Tensor) -> Tensor:
        for one in chosen:
            logits = one(logits, history)
        return logits

    return apply


def draw(logits: Tensor, uniforms: Tensor) -> Tensor:
    """One symbol for each row by inverting its cumulative distribution.

    logits (B, V) float64, uniforms (B,) in [0, 1) -> (B,) int64. A symbol of probability 0 is never drawn.
    """
    cumulative = logits.softmax(dim=-1).cumsum(dim=-1)
    # The last sum may fall short of 1 by rounding; scaling by it keeps the place inside the support.
    places = uniforms.unsqueeze(-1) * cumulative[..., -1:]
    return torch.searchsorted(cumulative, places, right=True).squeeze(-1)
