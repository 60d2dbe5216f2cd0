"""token_logprobs -> Score: every figure is arithmetic on one primitive.

Every token is scored exactly once, the first and the tail included, at temperature 1. Shapes: N tokens scored,
S spans scored side by side, T window.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charrnn.config import require
from charrnn.errors import CorpusError
from charrnn.models.cells import States
from charrnn.models.language_model import LanguageModel, carry, nats
from charrnn.text.corpus import Facts
from charrnn.text.dataset import Part, Tokens

Logprobs = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

WINDOW = 256
BATCH = 32
LOGITS_AT_ONCE = 1 << 24
WARM_UP = 256
SHORTEST_CHUNK = 1024


@dataclass(frozen=True)
class Score:
    """A scored text: `logprobs` (N,), natural logarithms, of its tokens in order, and the counts of the original text.

    loss = nll / T, ppl = exp(loss), bpt = loss / ln 2, bpc = nll / (C ln 2), bpb = nll / (B ln 2),
    word_ppl = exp(nll / W), with T tokens, C code points, B UTF-8 bytes, W words.
    """

    logprobs: Logprobs
    chars: int
    bytes: int
    words: int
    state: str
    unknown: npt.NDArray[np.bool_]
    temperature: float = 1.0
    # The same text under other conditions, never part of the figures of this one: dynamic evaluation, and the
    # temperature at which this very text costs least.
    adapted: "Score | None" = None
    fitted: "Score | None" = None

    @property
    def nll(self) -> float:
        """Total surprisal in nats, added up in float64."""
        return -math.fsum(self.logprobs)

    @property
    def surprisal(self) -> Logprobs:
        """Bits of each token (N,)."""
        return self.logprobs / -math.log(2)

    @property
    def tokens(self) -> int:
        """T"""
        return self.logprobs.size

    @property
    def oov(self) -> int:
        """Characters that the vocabulary lacks."""
        return int(self.unknown.sum())

    @property
    def loss(self) -> float:
        """Nats per token."""
        return self.nll / self.tokens

    @property
    def ppl(self) -> float:
        """Perplexity per token."""
        return _exp(self.loss)

    @property
    def ppl_se(self) -> float | None:
        """Standard error of ppl; approximate, for tokens are not independent. None for a single token."""
        return self.ppl * math.sqrt(float(self.logprobs.var()) / (self.tokens - 1)) if self.tokens > 1 else None

    @property
    def ppl_known(self) -> float | None:
        """Perplexity over the tokens that the vocabulary holds; None when it holds none."""
        known = self.logprobs[~self.unknown]
        return _exp(-math.fsum(known) / known.size) if known.size else None

    @property
    def bpt(self) -> float:
        """Bits per token."""
        return self.loss / math.log(2)

    @property
    def bpc(self) -> float:
        """Bits per code point of the original text."""
        return self.nll / (self.chars * math.log(2))

    @property
    def bpb(self) -> float | None:
        """Bits per UTF-8 byte of the original text; None where a character had no code."""
        return None if self.oov else self.nll / (self.bytes * math.log(2))

    @property
    def word_ppl(self) -> float | None:
        """Perplexity per whitespace-separated word; None in a text without words."""
        return _exp(self.nll / self.words) if self.words else None

    def figures(self) -> dict[str, Any]:
        """All of the above under their names."""
        return {
            "tokens": self.tokens,
            "chars": self.chars,
            "bytes": self.bytes,
            "words": self.words,
            "oov": self.oov,
            "nats": self.nll,
            "loss": self.loss,
            "ppl": self.ppl,
            "ppl_se": self.ppl_se,
            **({"ppl_known": self.ppl_known} if self.oov else {}),
            "bpt": self.bpt,
            "bpc": self.bpc,
            "bpb": self.bpb,
            "word_ppl": self.word_ppl,
            "state": self.state,
            **({"adapted": self.adapted.brief()} if self.adapted else {}),
            **({"fitted": {"temperature": self.fitted.temperature, **self.fitted.brief()}} if self.fitted else {}),
        }

    def brief(self) -> dict[str, Any]:
        """The means alone, for a figure that stands beside another of the same text."""
        names = ("nats", "loss", "ppl", "bpt", "bpc", "bpb", "word_ppl")
        return {name: value for name, value in self.figures().items() if name in names}


def _exp(value: float) -> float:
    """exp, and infinity where it overflows."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def score(
    model: LanguageModel,
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
    model: LanguageModel,
    tokens: Tokens,
    starts: Places | None = None,
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

    def __init__(self, model: LanguageModel, tokens: Tokens, window: int, temperature: float) -> None:
        self.model, self.tokens, self.window, self.temperature = model, tokens, window, temperature
        self.device = next(model.parameters()).device

    def independent(self, firsts: Places, ends: Places, documents: bool, batch_size: int) -> Logprobs:
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
            states = carry(
                self._read(ends - WARM_UP, ends, states, None), torch.arange(-1, chunks - 1, device=self.device)
            )
        states = self._read(firsts, ends, states, result)
        if length * chunks < self.tokens.size:
            last = carry(states, torch.tensor([chunks - 1], device=self.device))
            self._read(ends[-1:], np.array([self.tokens.size]), last, result)
        return result

    def _read(
        self, firsts: Places, ends: Places, states: States, result: Logprobs | None, *, from_start: bool = False
    ) -> States:
        """Read the spans [first, end) into result; the states returned are theirs where all are equally long."""
        longest = int((ends - firsts).max())
        window = max(1, min(self.window, LOGITS_AT_ONCE // (len(firsts) * self.model.config.vocab_size)))
        for begin in range(0, longest, window):
            places = firsts[:, None] + np.arange(begin, min(begin + window, longest))[None, :]
            inside = places < ends[:, None]
            inputs, targets = inputs_and_targets(self.model, self.tokens, places, inside)
            if begin == 0 and from_start:
                inputs[:, 0] = self.model.config.start_id
            logits, states = self.model(inputs, states)
            if result is not None:
                result[places[inside]] = -prices(logits / self.temperature, targets, self.model.config.start_id)[inside]
        return states


def inputs_and_targets(
    model: LanguageModel, tokens: Tokens, places: Places, inside: npt.NDArray[np.bool_]
) -> tuple[Tensor, Tensor]:
    """Token ids (B, T) before and at these places; what is not inside, and what stands before a text, is `start_id`."""
    start_id, device = model.config.start_id, next(model.parameters()).device
    before = places - 1

    def at(places: Places, known: npt.NDArray[np.bool_]) -> Tensor:
        ids = np.where(known, tokens[np.where(known, places, 0)].astype(np.int64), start_id)
        return torch.from_numpy(ids).to(device)

    # A character that the vocabulary lacks is read as the start id.
    return at(before, inside & (before >= 0)).clamp(max=start_id), at(places, inside)


def prices(logits: Tensor, targets: Tensor, start_id: int) -> Logprobs:
    """Nats that the targets (B, T) cost under logits (B, T, V), in float64.

    A character that the vocabulary lacks costs ln V; the end of a document that the network does not know, infinity.
    """
    known = logits.shape[-1]
    losses = nats(logits, targets.clamp(max=known - 1)).double()
    losses[targets == start_id] += 0.0 if known > start_id else math.inf
    losses[targets > start_id] = math.log(known)
    return losses.cpu().numpy()
