"""token_nll: what every token of a text costs, the one primitive that a Score is made of.

It is the surprisal of each token in nats, -ln p(token | all before it): its negative log-likelihood, the cross-entropy
before any mean is taken. Every token is scored exactly once, the first and the tail included, at temperature 1.
Shapes: N tokens scored, S spans scored side by side, B batch, T window, V vocabulary.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charrnn.machine.threads import watched
from charrnn.models.ensemble import Predictor
from charrnn.models.language_model import select_rows
from charrnn.models.loss import cross_entropy
from charrnn.models.states import NetworkState
from charrnn.scoring.figures import Nats
from charrnn.text.token_files import Tokens

Positions = npt.NDArray[np.int64]
Inside = npt.NDArray[np.bool_]
# Of a window: positions (B, T) in the text, which of them are inside it, logits (B, T, V), targets (B, T).
Take = Callable[[Positions, Inside, Tensor, Tensor], None]

WINDOW = 256
BATCH = 32
LOGITS_AT_ONCE = 1 << 24
WARM_UP = 256
SHORTEST_CHUNK = 256
WHOLE = slice(None)


def token_nll(
    model: Predictor,
    tokens: Tokens,
    starts: Positions | None = None,
    *,
    reset_every: int | None = None,
    batch_size: int = BATCH,
    window: int = WINDOW,
    chunks: int = 1,
    temperature: float = 1.0,
    own: slice = WHOLE,
) -> Nats:
    """Nats of every token (N,), each once.

    One stream: the first token follows the start id and the initial state, which is carried to the end. With
    `reset_every`, the state is reset before every so many tokens, the input still being the token before. With
    `starts` (D,), documents: each begins with the start id and the initial state. The id start_id + 1, a character
    that the vocabulary lacks, costs ln V and is read as the start id.

    `batch_size` (of documents, of pieces between resets) and `window` change the time it takes, not the figures (to
    about 1e-7 relative). `chunks` cuts one stream into so many pieces side by side, each warmed up on the 256 tokens
    before it: an estimate (about 1e-5 relative) for validation while training, several times as fast. `temperature`
    divides the logits; a figure at any other than 1 is to be reported as what it is. `own`: which of the pieces or
    documents are to be scored, where others score the rest, which is 0.
    """
    result, start_id = np.zeros(tokens.size), model.config.start_id

    def keep(positions: Positions, inside: Inside, logits: Tensor, targets: Tensor) -> None:
        if temperature != 1.0:
            logits /= temperature
        result[positions[inside]] = target_nll(logits, targets, start_id)[inside]

    read(
        model,
        tokens,
        starts,
        keep,
        reset_every=reset_every,
        batch_size=batch_size,
        window=window,
        chunks=chunks,
        own=own,
    )
    return result


@torch.inference_mode()
def read(
    model: Predictor,
    tokens: Tokens,
    starts: Positions | None,
    take: Take,
    *,
    reset_every: int | None = None,
    batch_size: int = BATCH,
    window: int = WINDOW,
    chunks: int = 1,
    own: slice = WHOLE,
) -> None:
    """Read a text as `token_nll` does, and hand on what is predicted of each token, once."""
    was_training = model.training
    model.eval()
    try:
        reader = _Reader(model, tokens, window, take)
        if starts is not None:
            reader.independent(starts[own], np.append(starts[1:], tokens.size)[own], True, batch_size)
        elif reset_every is not None:
            firsts = np.arange(0, tokens.size, reset_every)
            reader.independent(firsts[own], np.append(firsts[1:], tokens.size)[own], False, batch_size)
        else:
            reader.stream(chunks, own)
    finally:
        model.train(was_training)


class _Reader:
    """Reads spans of one token array side by side."""

    def __init__(self, model: Predictor, tokens: Tokens, window: int, take: Take) -> None:
        self.model, self.tokens, self.window, self.take = model, tokens, window, take
        self.device = next(model.parameters()).device

    def independent(self, firsts: Positions, ends: Positions, documents: bool, batch_size: int) -> None:
        """Spans that each begin in the initial state, the longest first so that a batch is of like length."""
        order = np.argsort(firsts - ends, kind="stable")
        for at in range(0, len(order), batch_size):
            some = order[at : at + batch_size]
            states = self.model.initial_states(len(some))
            self._read(firsts[some], ends[some], states, self.take, from_start=documents)

    def stream(self, chunks: int, own: slice) -> None:
        """One stream, or equal chunks of it side by side, each from the state that its neighbour's tail leads to."""
        chunks = max(1, min(chunks, self.tokens.size // SHORTEST_CHUNK))
        length, chosen = self.tokens.size // chunks, np.arange(chunks)[own]
        if not chosen.size:
            return
        states, rows = self.model.initial_states(len(chosen)), torch.arange(len(chosen), device=self.device)
        if chunks > 1:
            # Nothing stands before the first.
            tails = np.maximum(chosen, 1) * length
            states = self._read(tails - WARM_UP, tails, states, None)
            states = select_rows(states, torch.where(torch.from_numpy(chosen > 0).to(self.device), rows, -1))
        states = self._read(chosen * length, (chosen + 1) * length, states, self.take)
        if chosen[-1] == chunks - 1 and length * chunks < self.tokens.size:
            self._read(
                np.array([length * chunks]), np.array([self.tokens.size]), select_rows(states, rows[-1:]), self.take
            )

    def _read(
        self,
        firsts: Positions,
        ends: Positions,
        states: NetworkState,
        take: Take | None,
        *,
        from_start: bool = False,
    ) -> NetworkState:
        """Read the spans [first, end) and hand on; the states returned are theirs where all are equally long."""
        longest = int((ends - firsts).max())
        window = max(1, min(self.window, LOGITS_AT_ONCE // (len(firsts) * self.model.config.vocab_size)))
        for begin in range(0, longest, window):
            positions = firsts[:, None] + np.arange(begin, min(begin + window, longest))[None, :]
            inside = positions < ends[:, None]
            inputs, targets = inputs_and_targets(self.model, self.tokens, positions, inside)
            if begin == 0 and from_start:
                inputs[:, 0] = self.model.config.start_id
            logits, states = watched(partial(self.model, inputs, states))
            if take is not None:
                take(positions, inside, logits, targets)
        return states


def inputs_and_targets(model: Predictor, tokens: Tokens, positions: Positions, inside: Inside) -> tuple[Tensor, Tensor]:
    """Token ids (B, T) before and at these positions; `start_id` outside, and in front of a text."""
    start_id, device = model.config.start_id, next(model.parameters()).device
    before = positions - 1

    def at(positions: Positions, known: Inside) -> Tensor:
        ids = np.where(known, tokens[np.where(known, positions, 0)].astype(np.int64), start_id)
        return torch.from_numpy(ids).to(device)

    # A character that the vocabulary lacks is read as the start id.
    return at(before, inside & (before >= 0)).clamp(max=start_id), at(positions, inside)


def target_nll(logits: Tensor, targets: Tensor, start_id: int) -> Nats:
    """Nats that the targets (B, T) cost under logits (B, T, V), in float64.

    A character that the vocabulary lacks costs ln V; the end of a document that the network does not know, infinity.
    What is certain costs 0.0: adding 0 takes away the sign of a logarithm that is -0.0.
    """
    known = logits.shape[-1]
    losses = cross_entropy(logits, targets.clamp(max=known - 1)).double() + 0.0
    losses[targets == start_id] += 0.0 if known > start_id else math.inf
    losses[targets > start_id] = math.log(known)
    return losses.cpu().numpy()
