"""Engines of several models that are read as one in a vocabulary of all their symbols: mixed, or one against another.

Shapes: B rows, U symbols of the shared vocabulary (with the end of a document, where one of them knows it), V of one.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from charrnn.inference.base import BackEnd, Engine, EngineState, Ids, of_all
from charrnn.inference.compiled import CompiledNetwork
from charrnn.inference.products import Floats, Matrix

NEVER = np.float32("-inf")

# log p (B, U) of each model, -inf for symbols that it lacks -> logits (B, U).
Combine = Callable[[Sequence[Floats]], Floats]


class Part(NamedTuple):
    """One of the models, and how its symbols are those of all."""

    engine: Engine
    reads: Ids
    """(symbols + 1,): its id of each shared token, the start last; of a symbol that it lacks, the start."""
    places: Ids
    """(V,): the shared id of each of its own."""


def part(engine: Engine, places: Ids, symbols: int) -> Part:
    """An engine among others: `places` (v,) are the shared ids of its v symbols, of `symbols` in all."""
    start = engine.config.start_id
    reads = np.full(symbols + 1, start, np.int64)
    reads[places] = np.arange(start)
    ends = [symbols] * engine.config.documents
    return Part(engine, reads, np.array([*places, *ends], np.int64))


class BlendEngine(Engine):
    """Several engines read the same tokens side by side, each by its own ids; `combine` makes one of what they say."""

    def __init__(self, parts: Sequence[Part], combine: Combine) -> None:
        first, symbols = parts[0].engine.config, len(parts[0].reads) - 1
        size = symbols + any(each.engine.config.documents for each in parts)
        super().__init__(replace(first, vocab_size=size, start_id=symbols, ensemble=1))
        self._parts, self._combine = tuple(parts), combine

    @property
    def matrices(self) -> list[Matrix]:
        return [matrix for each in self._parts for matrix in each.engine.matrices]

    @property
    def compiled(self) -> Sequence[CompiledNetwork]:
        return of_all([each.engine for each in self._parts])

    def use(self, back_end: BackEnd) -> None:
        for each in self._parts:
            each.engine.use(back_end)

    def initial_state(self, rows: int) -> tuple[EngineState, ...]:
        return tuple(each.engine.initial_state(rows) for each in self._parts)

    def step(self, tokens: Ids, state: tuple[EngineState, ...]) -> tuple[Floats, tuple[EngineState, ...]]:
        new, found = [], []
        for each, own in zip(self._parts, state, strict=True):
            logits, after = each.engine.step(each.reads[tokens], own)
            log_p = np.full((len(tokens), self.config.vocab_size), NEVER, np.float32)
            log_p[:, each.places] = log_softmax(logits)
            new.append(after)
            found.append(log_p)
        return self._combine(found), tuple(new)


def log_softmax(logits: Floats) -> Floats:
    """Logits (B, V) -> log p (B, V)."""
    log_p = logits - np.maximum.reduce(logits, 1, keepdims=True)
    log_p -= np.log(np.add.reduce(np.exp(log_p), 1, keepdims=True))
    return log_p


def mean_of(shares: Sequence[float]) -> Combine:
    """The logarithm of the mean of the probabilities by these shares; what a model lacks has probability 0 there."""
    logs = [np.float32(np.log(share / sum(shares))) for share in shares]

    def combine(found: Sequence[Floats]) -> Floats:
        weighed = np.stack([log_p + log for log_p, log in zip(found, logs, strict=True)])
        largest = np.maximum.reduce(weighed, 0)
        mixture: Floats = largest + np.log(np.add.reduce(np.exp(weighed - largest), 0))
        return mixture

    return combine


def contrast_of(weight: float) -> Combine:
    """log p_A - weight log p_B (after Li et al. 2023), not normalised.

    A symbol that B lacks counts there as its least likely; one that A lacks stays out.
    """
    taken = np.float32(weight)

    def combine(found: Sequence[Floats]) -> Floats:
        own, other = found
        floor = np.where(other == NEVER, np.float32("inf"), other).min(axis=1, keepdims=True)
        difference: Floats = own - taken * np.maximum(other, floor)
        return difference

    return combine
