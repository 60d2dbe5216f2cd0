"""Gates for a network beside counts of its training text: fitted on what was held out, and honestly measured.

A gate is never reported on a text that it was fitted on: of the held-out part, each half is scored by a gate that was
fitted on the other half. Shapes: K experts, the M networks' distributions first; N tokens, V predicted symbols.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from charrnn.inference.backends import one_blas_thread
from charrnn.inference.counting import Counting
from charrnn.models.counts.experts import Experts
from charrnn.models.counts.fitting import Examples, fit
from charrnn.models.counts.hashes import shared, span_hashes
from charrnn.models.counts.kept import ALL, OF_FIRST_HALF, OF_SECOND_HALF, KeptCounts
from charrnn.models.counts.mixture import Gate
from charrnn.models.counts.trie import Symbols
from charrnn.models.ensemble import Network, Predictor, apart
from charrnn.scoring.counted import Counted
from charrnn.scoring.figures import Nats
from charrnn.scoring.token_nll import BATCH, Inside, Positions, Take, read, target_nll
from charrnn.text.part import Part

Mask = npt.NDArray[np.bool_]

# Tokens of a held-out part that are read for its gates.
MOST_READ = 1 << 16
# Numbers (K x n x V) that are kept of the places that a gate is fitted on.
MOST_FITTED = 1 << 24
# A run of so many tokens, or a document, that stands in two texts is none that a gate may know beforehand.
SHARED_RUN = 32
SAMPLE_SEED = 0

# What did well where it was fitted: of the network and of the experts in their order. Of pieces the same way.
CONSTANTS = (0.66, 0.15, 0.20, -0.10)
CONSTANTS_OF_PIECES = (0.55, 0.38, -0.03)


@dataclass(frozen=True, eq=False)
class Fitted:
    """Counts with their gates, and nats a token of the held-out part: by the network alone, and by both, half by half.

    None where nothing was held out: then the gate is fixed.
    """

    counts: KeptCounts
    alone: float | None = None
    both: float | None = None


def fixed_gate(experts: Experts, networks: int) -> Gate:
    """Weights that did well elsewhere; several networks share the one's."""
    network, *others = CONSTANTS if len(experts.each) == len(CONSTANTS) - 1 else CONSTANTS_OF_PIECES
    return Gate.constant([*[network / networks] * networks, *others])


def fit_gates(
    model: Network, experts: Experts, held_out: Part | None, chunks: int = 1, most: int = MOST_READ
) -> Fitted:
    """The gates for a network beside counts; of a long held-out part each half is read as far as `most` tokens allow.

    `chunks`: of `token_nll`, whose estimates are as good here.
    """
    networks = model.config.ensemble
    fixed = fixed_gate(experts, networks)
    if held_out is None or held_out.tokens.size < 2:
        return Fitted(KeptCounts(experts, {ALL: fixed}))
    halves = (half.beginning(most // 2) for half in held_out.parted(middle(held_out)))
    first, second = (examples_of(model, experts, half, networks, chunks) for half in halves)
    both = Examples(np.concatenate([first.log_p, second.log_p], axis=1), np.concatenate([first.tokens, second.tokens]))
    # Small products, for which several threads would only wait; the three gates need nothing of each other.
    with one_blas_thread, ThreadPoolExecutor(3) as workers:
        found = workers.map(lambda some: fit(some, fixed), (second, first, both))
        gates = dict(zip((OF_FIRST_HALF, OF_SECOND_HALF, ALL), found, strict=True))
    mixed = first.cost(gates[OF_FIRST_HALF]) + second.cost(gates[OF_SECOND_HALF])
    alone = -float(mean_of(both.own[:, :networks]).sum())
    count = max(1, both.tokens.size)
    return Fitted(KeptCounts(experts, gates), alone / count, mixed / count)


def mean_of(log_p: npt.NDArray[np.floating[Any]]) -> Nats:
    """Of what several networks hold likely, log p (N, M), the log of the mean (N,)."""
    return np.asarray(np.logaddexp.reduce(log_p, axis=1, dtype=np.float64) - math.log(log_p.shape[1]))


def examples_of(
    model: Predictor, experts: Experts, part: Part, networks: int, chunks: int = 1, reset_every: int | None = None
) -> Examples:
    """As many places of a part as a gate is fitted on, read as `token_nll` does; so many networks are read apart."""
    shape, start_id = (networks + len(experts.each), model.config.vocab_size), model.config.start_id
    chosen, random = np.flatnonzero(part.tokens < shape[1]), np.random.default_rng(SAMPLE_SEED)
    chosen = np.sort(random.permutation(chosen)[: MOST_FITTED // math.prod(shape)])
    text = Symbols.of(part.tokens, start_id, part.starts)
    if reset_every is not None:
        text = Symbols.pieces(part.tokens, start_id, reset_every)
    contexts, _ = experts.read(text.ids, text.firsts, experts.nothing_read(text.firsts.size))
    contexts = contexts[np.flatnonzero(text.predicted) - 1]
    slots = np.full(part.tokens.size, -1)
    slots[chosen] = np.arange(chosen.size)
    log_p = np.empty((shape[0], chosen.size, shape[1]), np.float32)

    def take(positions: Positions, inside: Inside, logits: torch.Tensor, targets: torch.Tensor) -> None:
        places = np.where(inside, positions, 0)
        wanted = inside & (slots[places] >= 0)
        each = torch.log_softmax(logits.float().reshape(*logits.shape[:2], networks, -1), dim=-1).cpu().numpy()
        log_p[:networks, slots[places[wanted]]] = each[wanted].swapaxes(0, 1)

    reader = apart(model) if networks > 1 else model
    read(reader, part.tokens, part.starts, take, chunks=chunks, reset_every=reset_every)
    log_p[networks:] = experts.log_p(contexts[chosen])[1]
    return Examples(log_p, part.tokens[chosen].astype(np.int64), chosen)


@dataclass(frozen=True, eq=False)
class CountedNats:
    """Nats of every token (N,): by the network alone, and beside counts."""

    alone: Nats
    both: Nats


def counted_nll(
    model: Predictor,
    mixtures: Sequence[Counting],
    part: Part,
    *,
    reset_every: int | None = None,
    batch_size: int = BATCH,
    temperature: float = 1.0,
) -> CountedNats:
    """As `token_nll`, in one reading. Of two mixtures, the first is for what stands before the middle of the part."""
    alone, both = np.zeros(part.tokens.size), np.zeros(part.tokens.size)
    start_id, symbols = model.config.start_id, model.config.vocab_size

    def keep(nats: Nats) -> Take:
        def take(positions: Positions, inside: Inside, logits: torch.Tensor, targets: torch.Tensor) -> None:
            nats[positions[inside]] = target_nll(logits / temperature, targets, start_id)[inside]

        return take

    mixed = by_place(keep(both), border(part, mixtures), symbols)

    def take(positions: Positions, inside: Inside, logits: torch.Tensor, targets: torch.Tensor) -> None:
        keep(alone)(positions, inside, logits[..., :symbols], targets)
        mixed(positions, inside, logits[..., symbols:], targets)

    counted = Counted(model, mixtures, alone=True)
    read(counted, part.tokens, part.starts, take, reset_every=reset_every, batch_size=batch_size)
    return CountedNats(alone, both)


def border(part: Part, mixtures: Sequence[Counting]) -> int:
    """Before which token the first of two mixtures counts; 0 where there is one for all of a part."""
    return middle(part) if len(mixtures) > 1 else 0


def by_place(take: Take, border: int, symbols: int) -> Take:
    """Of logits that stand side by side (B, T, n V), hand on the first before a place in the text, then the last."""

    def chosen(positions: Positions, inside: Inside, logits: torch.Tensor, targets: torch.Tensor) -> None:
        first, last = logits[..., :symbols], logits[..., -symbols:]
        early = torch.from_numpy(positions < border).to(logits.device)
        take(positions, inside, torch.where(early[..., None], first, last), targets)

    return chosen


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
