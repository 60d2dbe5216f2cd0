"""A text by a network and by counts of its training text, mixed by a gate: what the counts add, honestly measured.

A gate is never reported on a text that it was fitted on. Shapes: K experts, the network's distribution first; N tokens,
V predicted symbols.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from charrnn.inference.backends import one_blas_thread
from charrnn.models.counts.experts import Experts
from charrnn.models.counts.fitting import Examples, fit
from charrnn.models.counts.hashes import shared, span_hashes
from charrnn.models.counts.mixture import Gate, Rows, mixed
from charrnn.models.counts.trie import Symbols
from charrnn.models.ensemble import Predictor
from charrnn.scoring.figures import Nats, Score
from charrnn.scoring.token_nll import BATCH, Inside, Positions, read
from charrnn.text.part import Part

# Of some places (n,): the log-probabilities of all experts (K, n, V) and the tokens (n,).
Take = Callable[[Positions, Rows, Positions], None]
Mask = npt.NDArray[np.bool_]

# Numbers (K x n x V) that are mixed at a time, and at most kept of the places that a gate is fitted on.
AT_ONCE, MOST_FITTED = 1 << 21, 1 << 25
# Tokens of a held-out part that are read to fit a gate for another text.
MOST_READ = 1 << 18
# A run of so many tokens, or a document, that stands in two texts is none that a gate may know beforehand.
SHARED_RUN = 32
SAMPLE_SEED = 0


@dataclass(frozen=True, eq=False)
class Mixture:
    """A network and experts, as they read texts: with the state carried, or reset every so many tokens."""

    model: Predictor
    experts: Experts
    reset_every: int | None = None
    batch_size: int = BATCH

    def read(self, part: Part, take: Take) -> None:
        """Hand on what is held likely in the place of every token, once; no expert sees what the network may not."""
        start_id = self.model.config.start_id
        if self.reset_every is None:
            text = Symbols.of(part.tokens, start_id, part.starts)
        else:
            text = Symbols.pieces(part.tokens, start_id, self.reset_every)
        counted = self.experts.read(text)
        rows = max(1, AT_ONCE // ((1 + len(self.experts.named)) * self.model.config.vocab_size))

        def keep(positions: Positions, inside: Inside, logits: torch.Tensor, targets: torch.Tensor) -> None:
            network = torch.log_softmax(logits.float(), dim=-1).cpu().numpy()[inside]
            places, tokens = positions[inside], targets.cpu().numpy()[inside]
            for first in range(0, places.size, rows):
                some = slice(first, first + rows)
                take(places[some], np.concatenate([network[None, some], counted.log_p(places[some])]), tokens[some])

        with one_blas_thread:
            read(self.model, part.tokens, part.starts, keep, reset_every=self.reset_every, batch_size=self.batch_size)

    def examples(self, part: Part, sets: Sequence[Mask]) -> list[Examples]:
        """Of each set, which says of every token (N,) whether it is in it, as many places as a gate is fitted on."""
        shape = 1 + len(self.experts.named), self.model.config.vocab_size
        most, random = MOST_FITTED // math.prod(shape), np.random.default_rng(SAMPLE_SEED)
        known = part.tokens < shape[1]
        chosen = [np.flatnonzero(one & known) for one in sets]
        chosen = [np.sort(random.permutation(one)[:most]) for one in chosen]
        kept = [np.empty((shape[0], one.size, shape[1]), np.float32) for one in chosen]

        slots = [np.full(part.tokens.size, -1) for _ in sets]
        for slot, places in zip(slots, chosen, strict=True):
            slot[places] = np.arange(places.size)

        def take(positions: Positions, log_p: Rows, tokens: Positions) -> None:
            for rows, slot in zip(kept, slots, strict=True):
                wanted = slot[positions] >= 0
                rows[:, slot[positions[wanted]]] = log_p[:, wanted]

        self.read(part, take)
        return [Examples(rows, part.tokens[places].astype(np.int64)) for rows, places in zip(kept, chosen, strict=True)]

    def token_nll(self, part: Part, gates: Sequence[Gate], border: int = 0) -> tuple[Nats, Nats]:
        """Nats of every token (N,), and the mean weights (K,).

        The last gate is for what stands from `border` on, the first for what stands before. A character that the
        vocabulary lacks costs ln V.
        """
        symbols = self.model.config.vocab_size
        nats, total = np.full(part.tokens.size, math.log(symbols)), np.zeros(1 + len(self.experts.named))

        def take(positions: Positions, log_p: Rows, tokens: Positions) -> None:
            nonlocal total
            for gate, own in ((gates[0], positions < border), (gates[-1], positions >= border)):
                rows, some = log_p[:, own], tokens[own]
                weights = gate.weights(rows)
                total += weights.sum(axis=0)
                known = np.flatnonzero(some < symbols)
                nats[positions[own][known]] = -mixed(rows, weights)[known, some[known]] + 0.0

        self.read(part, take)
        return nats, total / part.tokens.size


@dataclass(frozen=True, eq=False)
class WithCounts:
    """The score of a text by network and counts, the mean weight of each, and what the gate was fitted on."""

    score: Score
    weights: dict[str, float]
    fitted: str


def with_counts(mixture: Mixture, part: Part, plain: Score, held_out: Part | None, constants: Gate) -> WithCounts:
    """The same score as `plain` by the mixture, whose gate begins at constants.

    Of the held-out part itself each half is scored by a gate that is fitted on the other half. Any other text is scored
    by one that is fitted on the held-out part, but for what the two share. Where there is none, by the constants.
    """
    if held_out is None:
        gates, border, fitted = [constants], 0, "no text was held out: by weights that did well elsewhere"
    elif np.array_equal(held_out.tokens, part.tokens):
        border = middle(part)
        second = np.arange(part.tokens.size) >= border
        gates = [fit(half, constants) for half in mixture.examples(part, [second, ~second])]
        fitted = "each half of the held-out part by weights fitted on the other half"
    else:
        held_out, border = held_out.beginning(MOST_READ), 0
        alike = alike_in(held_out, part)
        examples = mixture.examples(held_out, [~alike])[0]
        gates = [fit(examples, constants)]
        fitted = f"weights fitted on {examples.tokens.size:,} tokens of the held-out part"
        if alike.any():
            fitted += f", none of the {np.count_nonzero(alike):,} that the text has in common with it"
    nats, weights = mixture.token_nll(part, gates, border)
    score = replace(plain, token_nll=nats, state=f"{plain.state}, with counts")
    return WithCounts(score, dict(zip(["network", *mixture.experts.named], weights.tolist(), strict=True)), fitted)


def middle(part: Part) -> int:
    """The token in the middle, or the first of the document that begins next to it."""
    half = part.tokens.size // 2
    if part.starts is None:
        return half
    return int(part.starts[np.abs(part.starts - half).argmin()])


def alike_in(part: Part, other: Part) -> Mask:
    """Which tokens (N,) of a part stand in another as well: in a document of the same tokens, or in a long run."""
    alike = shared(part.tokens, other.tokens, SHARED_RUN)
    if part.starts is not None and other.starts is not None:
        hashes, known = (
            span_hashes(each.tokens, starts, np.append(starts[1:], each.tokens.size))
            for each, starts in ((part, part.starts), (other, other.starts))
        )
        lengths = np.diff(part.starts, append=part.tokens.size)
        alike |= np.repeat(np.isin(hashes, known), lengths)
    return alike
