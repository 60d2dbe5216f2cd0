"""A log-linear mixture of distributions over the whole alphabet, whose weights a gate chooses at every place.

    log p = sum_k w_k log p_k - log Z,    w = constants + outward tanh(inward f + bias)

Z makes the sum over all V symbols one (Hinton 2002, products of experts). f are what can be seen of the experts before
the symbol is: the entropy and the largest log-probability of each, and the divergence of each from the first, KL(p_k ||
p_0), which is the network's. A weight may be negative: what that expert knows is then taken away.

Shapes: K experts, the network's distribution first; N places, V symbols, F = 3K - 1 features, H units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Gate:
    """`constants` (K,); `mean` and `scale` (F,) of features; `inward` (F, H), `bias` (H,), `outward` (H, K)."""

    constants: Rows
    mean: Rows
    scale: Rows
    inward: Rows
    bias: Rows
    outward: Rows

    @classmethod
    def constant(cls, weights: Sequence[float]) -> Self:
        """The gate that looks at nothing."""
        experts = len(weights)
        seen = 3 * experts - 1
        none = np.zeros((seen, 0)), np.zeros(0), np.zeros((0, experts))
        return cls(np.array(weights, float), np.zeros(seen), np.ones(seen), *none)

    def weights(self, log_p: Rows) -> Rows:
        """Log-probabilities (K, N, V) -> weights (N, K)."""
        return self.opened((features(log_p) - self.mean) / self.scale)

    def opened(self, seen: Rows) -> Rows:
        """Features (N, F), of mean 0 and scale 1 -> weights (N, K)."""
        weights: Rows = np.tanh(seen @ self.inward + self.bias) @ self.outward + self.constants
        return weights


def features(log_p: Rows) -> Rows:
    """What a gate sees (N, F): entropies (K), largest log-probabilities (K), divergences from the first (K - 1)."""
    p = np.exp(log_p)
    entropies = -np.einsum("knv,knv->nk", p, log_p)
    crosses = np.einsum("knv,nv->nk", p[1:], log_p[0])
    return np.concatenate([entropies, log_p.max(axis=2).T, -entropies[:, 1:] - crosses], axis=1)


def mixed(log_p: Rows, weights: Rows) -> Rows:
    """Log-probabilities (K, N, V) by weights (N, K) -> those of the mixture (N, V)."""
    logits: Rows = np.einsum("nk,knv->nv", weights, log_p)
    logits -= logits.max(axis=1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return logits
