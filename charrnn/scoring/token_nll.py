"""token_logprobs: what a network says of every token of a text, the one primitive that a Score is made of.

Every token is scored exactly once, the first and the tail included, at temperature 1. Shapes: N tokens scored,
S spans scored side by side, T window.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charrnn.config import require
from charrnn.errors import CorpusError
from charrnn.models.ensemble import Predictor
from charrnn.models.language_model import select_rows
from charrnn.models.loss import cross_entropy
from charrnn.models.states import NetworkState
from charrnn.scoring.figures import Logprobs, Score
from charrnn.text.corpus import Facts
from charrnn.text.dataset import Part, Tokens

Positions = npt.NDArray[np.int64]

WINDOW = 256
BATCH = 32
LOGITS_AT_ONCE = 1 << 24
WARM_UP = 256
SHORTEST_CHUNK = 1024


def score(
    model: Predictor,
    part: Part,
    facts: Facts,
    *,
    reset_every: int | None = None,
    batch_size: int = BATCH,
    temperature: float = 1.0,
) -> Score:
    """Score a tokenized text, at temperature 1 unless something else is to be reported apart.

    Raises CorpusError when it is empty, ConfigError when documents are to be reset inside as well.
    """
    require(
        part.starts is None or reset_every is None,
        "lines and documents begin from a fresh state already: leave out --reset-every",
    )
    if not part.tokens.size:
        raise CorpusError("there is no text to score: it is empty")
    state = "carried"
    if part.starts is not None:
        state = "reset at each line or document"
    if reset_every is not None:
        state = f"reset every {reset_every} tokens"
    logprobs = token_logprobs(
        model, part.tokens, part.starts, reset_every=reset_every, batch_size=batch_size, temperature=temperature
    )
    return Score(
        logprobs=logprobs,
        chars=facts.chars,
        bytes=facts.bytes,
        words=facts.words,
        state=state,
        unknown=part.tokens == model.config.start_id + 1,
        temperature=temperature,
    )


@torch.inference_mode()
def token_logprobs(
    model: Predictor,
    tokens: Tokens,
    starts: Positions | None = None,
    *,
    reset_every: int | None = None,
    batch_size: int = BATCH,
    window: int = WINDOW,
    chunks: int = 1,
    temperature: float = 1.0,
) -> Logprobs:
    """log p in nats of every token (N,), each once.

    One stream: the first token follows the start id and the initial state, which is carried to the end. With
    `reset_every`, the state is reset before every so many tokens, the input still being the token before. With
    `starts` (D,), documents: each begins with the start id and the initial state. The id start_id + 1, a character
    that the vocabulary lacks, costs ln V and is read as the start id.

    `batch_size` (of documents, of pieces between resets) and `window` change the time it takes, not the figures (to
    about 1e-7 relative). `chunks` cuts one stream into so many pieces side by side, each warmed up on the 256 tokens
    before it: an estimate (about 1e-5 relative) for validation while training, several times as fast. `temperature`
    divides the logits; a figure at any other than 1 is to be reported as what it is.
    """
    was_training = model.training
    model.eval()
    try:
        reader = _Reader(model, tokens, window, temperature)
        if starts is not None:
            return reader.independent(starts, np.append(starts[1:], tokens.size), True, batch_size)
        if reset_every is not None:
            firsts = np.arange(0, tokens.size, reset_every)
            return reader.independent(firsts, np.append(firsts[1:], tokens.size), False, batch_size)
        return reader.stream(chunks)
    finally:
        model.train(was_training)


class _Reader:
    """Reads spans of one token array side by side."""

    def __init__(self, model: Predictor, tokens: Tokens, window: int, temperature: float) -> None:
        self.model, self.tokens, self.window, self.temperature = model, tokens, window, temperature
        self.device = next(model.parameters()).device

    def independent(self, firsts: Positions, ends: Positions, documents: bool, batch_size: int) -> Logprobs:
        """Spans that each begin in the initial state, the longest first so that a batch is of like length."""
        result = np.empty(self.tokens.size)
        order = np.argsort(firsts - ends, kind="stable")
        for at in range(0, len(order), batch_size):
            some = order[at : at + batch_size]
            states = self.model.initial_states(len(some))
            self._read(firsts[some], ends[some], states, result, from_start=documents)
        return result

    def stream(self, chunks: int) -> Logprobs:
        """One stream, or equal chunks of it side by side, each from the state that its neighbour's tail leads to."""
        result = np.empty(self.tokens.size)
        chunks = max(1, min(chunks, self.tokens.size // SHORTEST_CHUNK))
        length = self.tokens.size // chunks
        firsts = np.arange(chunks) * length
        ends = firsts + length
        states = self.model.initial_states(chunks)
        if chunks > 1:
            states = select_rows(
                self._read(ends - WARM_UP, ends, states, None), torch.arange(-1, chunks - 1, device=self.device)
            )
        states = self._read(firsts, ends, states, result)
        if length * chunks < self.tokens.size:
            last = select_rows(states, torch.tensor([chunks - 1], device=self.device))
            self._read(ends[-1:], np.array([self.tokens.size]), last, result)
        return result

    def _read(
        self,
        firsts: Positions,
        ends: Positions,
        states: NetworkState,
        result: Logprobs | None,
        *,
        from_start: bool = False,
    ) -> NetworkState:
        """Read the spans [first, end) into result; the states returned are theirs where all are equally long."""
        longest = int((ends - firsts).max())
        window = max(1, min(self.window, LOGITS_AT_ONCE // (len(firsts) * self.model.config.vocab_size)))
        for begin in range(0, longest, window):
            positions = firsts[:, None] + np.arange(begin, min(begin + window, longest))[None, :]
            inside = positions < ends[:, None]
            inputs, targets = inputs_and_targets(self.model, self.tokens, positions, inside)
            if begin == 0 and from_start:
                inputs[:, 0] = self.model.config.start_id
            logits, states = self.model(inputs, states)
            if result is not None:
                if self.temperature != 1.0:
                    logits /= self.temperature
                result[positions[inside]] = -target_nll(logits, targets, self.model.config.start_id)[inside]
        return states


def inputs_and_targets(
    model: Predictor, tokens: Tokens, positions: Positions, inside: npt.NDArray[np.bool_]
) -> tuple[Tensor, Tensor]:
    """Token ids (B, T) before and at these positions; `start_id` outside, and in front of a text."""
    start_id, device = model.config.start_id, next(model.parameters()).device
    before = positions - 1

    def at(positions: Positions, known: npt.NDArray[np.bool_]) -> Tensor:
        ids = np.where(known, tokens[np.where(known, positions, 0)].astype(np.int64), start_id)
        return torch.from_numpy(ids).to(device)

    # A character that the vocabulary lacks is read as the start id.
    return at(before, inside & (before >= 0)).clamp(max=start_id), at(positions, inside)


def target_nll(logits: Tensor, targets: Tensor, start_id: int) -> Logprobs:
    """Nats that the targets (B, T) cost under logits (B, T, V), in float64.

    A character that the vocabulary lacks costs ln V; the end of a document that the network does not know, infinity.
    """
    known = logits.shape[-1]
    losses = cross_entropy(logits, targets.clamp(max=known - 1)).double()
    losses[targets == start_id] += 0.0 if known > start_id else math.inf
    losses[targets > start_id] = math.log(known)
    return losses.cpu().numpy()
