"""A log-linear mixture of distributions over the whole alphabet, whose weights a gate chooses at every place.

    log p = sum_k w_k log p_k - log Z,    w = constants + outward tanh(inward f + bias)

Z makes the sum over all V symbols one (Hinton 2002, products of experts). f are what can be seen of the experts before
the symbol is: the entropy and the largest log-probability of each, and the divergence of each from the first, KL(p_k ||
p_0), which is the network's. A weight may be negative: what that expert knows is then taken away. Of an ensemble each
network is an expert of its own; of files written before, their mean is one.

Shapes: K experts, of which the first M are networks; N places, V symbols, F = 3K - 1 features, H units.

`Gate.weights` and `mixed` are what a gate is fitted by. `Mixture` is what texts are written and scored by: of single
operations of float32, so that it is the same on every machine, and the compiled part's (native/mixture.h) to the bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from charrnn.config import require
from charrnn.models.counts import functions
from charrnn.models.counts.experts import Experts
from charrnn.models.counts.functions import Floats, lane_sums, padded
from charrnn.models.counts.memory import CountMemory
from charrnn.models.counts.trie import Ids

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

    def arrays(self) -> dict[str, Floats]:
        """All of it in float32, by names."""
        return {field.name: getattr(self, field.name).astype(np.float32) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], experts: int) -> Self:
        """The same back, for so many experts. Raises ConfigError where it is none."""
        units, seen = arrays["bias"].size if "bias" in arrays else 0, 3 * experts - 1
        shapes = {
            "constants": (experts,), "mean": (seen,), "scale": (seen,), "inward": (seen, units), "bias": (units,),
            "outward": (units, experts),
        }  # fmt: skip
        require(
            {name: array.shape for name, array in arrays.items()} == shapes
            and all(np.isfinite(array).all() for array in arrays.values()),
            "the gate of its counts is none",
        )
        return cls(**arrays)

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


# Numbers (K x n x V) that are mixed at a time.
AT_ONCE = 1 << 20


@dataclass(frozen=True, eq=False)
class Mixture:
    """What a network's logits become beside counts."""

    experts: Experts
    gate: Gate

    @property
    def networks(self) -> int:
        """M, how many networks' logits stand side by side."""
        return len(self.gate.constants) - len(self.experts.each)

    def nothing_read(self, rows: int) -> CountMemory:
        """What is remembered of so many rows before any token."""
        return self.experts.nothing_read(rows)

    def read(self, tokens: Ids, logits: Floats, memory: CountMemory) -> tuple[Floats, CountMemory]:
        """Tokens (T, B), what networks hold likely behind each, logits (T x B, M V), memory -> logits, memory."""
        steps, rows = tokens.shape
        ids = np.ascontiguousarray(tokens.T).ravel().astype(np.int64)
        contexts, memory = self.experts.read(ids, np.arange(rows) * steps, memory)
        contexts = contexts.reshape(rows, steps, -1).swapaxes(0, 1).reshape(len(logits), -1)
        return self.behind(contexts, logits), memory

    def behind(self, contexts: Ids, logits: Floats) -> Floats:
        """Contexts (N, C), the networks' logits (N, M V) -> those of the mixture (N, V)."""
        symbols = logits.shape[1] // self.networks
        found = np.empty((len(logits), symbols), logits.dtype)
        at_once = max(1, AT_ONCE // (len(self.gate.constants) * symbols))
        for first in range(0, len(logits), at_once):
            some = slice(first, first + at_once)
            found[some] = self._mixed(logits[some], *self.experts.log_p(contexts[some]))
        return found

    def _mixed(self, logits: Floats, p: Floats, log_p: Floats) -> Floats:
        """Logits (N, M V), probabilities of the others (K - M, N, V) and their logarithms -> logits (N, V)."""
        own = [distribution(each) for each in np.split(logits, self.networks, axis=1)]
        all_p, all_log_p = [*(each for each, _ in own), *p], [*(each for _, each in own), *log_p]
        weights = self._weights(seen(all_p, all_log_p))
        mixture: Floats = weights[:, :1] * all_log_p[0]
        for number, each in enumerate(all_log_p[1:], 1):
            mixture += weights[:, number : number + 1] * each
        return mixture

    def _weights(self, seen: Floats) -> Floats:
        """Features (N, F) -> weights (N, K)."""
        gate = self._gate
        given = (seen - gate["mean"]) / gate["scale"]
        hidden = np.tile(gate["bias"], (len(seen), 1))
        for number, inward in enumerate(gate["inward"]):
            hidden += given[:, number : number + 1] * inward
        hidden = functions.tanh(hidden)
        weights = np.tile(gate["constants"], (len(seen), 1))
        for number, outward in enumerate(gate["outward"]):
            weights += hidden[:, number : number + 1] * outward
        return weights

    @cached_property
    def _gate(self) -> dict[str, Floats]:
        return self.gate.arrays()


def distribution(logits: Floats) -> tuple[Floats, Floats]:
    """Logits (N, V) -> probabilities and log-probabilities (N, V)."""
    below = logits - logits.max(axis=1, keepdims=True)
    shares = functions.exp(below)
    total = lane_sums(filled(shares))[:, None]
    return shares / total, below - functions.log(total)


def seen(p: Sequence[Floats], log_p: Sequence[Floats]) -> Floats:
    """What `features` gives (N, F), of the experts' distributions, each (N, V)."""
    entropies = [-lane_sums(filled(each * log)) for each, log in zip(p, log_p, strict=True)]
    largest = [log.max(axis=1) for log in log_p]
    crosses = [-lane_sums(filled(each * log_p[0])) for each in p[1:]]
    apart = [cross - entropy for cross, entropy in zip(crosses, entropies[1:], strict=True)]
    return np.column_stack([*entropies, *largest, *apart])


def filled(x: Floats) -> Floats:
    """(N, V) with zeros up to whole lanes."""
    return np.pad(x, ((0, 0), (0, padded(x.shape[1]) - x.shape[1])))
