"""How much of what came before a network uses: by resetting it, and by asking each prediction what it rests on.

Shapes: N tokens, T tokens of one short text.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charrnn.analysis.steps import embed, step
from charrnn.config import require
from charrnn.errors import CorpusError
from charrnn.models.ensemble import Predictor
from charrnn.models.language_model import LanguageModel
from charrnn.scoring.token_nll import LOGITS_AT_ONCE, inputs_and_targets, target_nll, token_logprobs
from charrnn.text.dataset import Tokens

# How many tokens a network is left its memory for, or may read; None: all.
REACHES: tuple[int | None, ...] = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, None)
BATCH, WINDOW, POSITIONS = 256, 128, 2000


@dataclass(frozen=True)
class ContextCurve:
    """Nats per token by how far the network may look back; the last entry is the state carried from end to end.

    Either its state is reset every so many tokens, or, if `exact`, each token is scored with so many before it.
    """

    name: str
    reaches: tuple[int | None, ...]
    losses: tuple[float, ...]
    tokens_per_char: float
    exact: bool = False

    @property
    def bits(self) -> list[float]:
        """The same in bits per character."""
        return [loss * self.tokens_per_char / float(np.log(2)) for loss in self.losses]

    def to_json(self) -> dict[str, Any]:
        """`reset_every`, or `context` if exact, is null for the state carried from end to end."""
        key = "context" if self.exact else "reset_every"
        return {
            "network": self.name,
            "curve": [{key: reach, "bpc": bits} for reach, bits in zip(self.reaches, self.bits, strict=True)],
        }


def memory_curve(
    model: Predictor, tokens: Tokens, *, name: str = "", chars: int | None = None, batch_size: int = BATCH
) -> ContextCurve:
    """Score the text with the state reset ever more seldom: where the curve is flat, nothing older is used.

    Every token is scored once at each; the input before the first token after a reset is still the token before it.
    Raises CorpusError on an empty text.
    """
    if not tokens.size:
        raise CorpusError("there is no text to remember: it is empty")
    resets = tuple(every for every in REACHES if every is None or every < tokens.size)
    losses = [
        -float(token_logprobs(model, tokens, reset_every=every, batch_size=batch_size).mean()) for every in resets
    ]
    return ContextCurve(name, resets, tuple(losses), tokens.size / (chars or tokens.size))


@torch.inference_mode()
def context_curve(
    model: Predictor, tokens: Tokens, *, name: str = "", chars: int | None = None, positions: int = POSITIONS
) -> ContextCurve:
    """Score the same tokens, evenly spread, with exactly 1, 2, 5, … tokens before each, from no memory.

    A reset costs its start as well, which is paid the more seldom the more seldom it comes; here nothing but what the
    network reads changes, so the curve is flat where it uses nothing older. Raises CorpusError on a text that is
    shorter than any reach.
    """
    reaches = tuple(reach for reach in REACHES if reach is None or 2 * reach < tokens.size)
    furthest = max((reach for reach in reaches if reach is not None), default=0)
    if not furthest:
        raise CorpusError("there is no text to remember: it has fewer than three tokens")
    targets = np.unique(np.linspace(furthest, tokens.size - 1, positions).astype(np.int64))
    carried = -token_logprobs(model, tokens)[targets]
    losses = [float(carried.mean() if reach is None else _after(model, tokens, targets, reach)) for reach in reaches]
    return ContextCurve(name, reaches, tuple(losses), tokens.size / (chars or tokens.size), exact=True)


def _after(model: Predictor, tokens: Tokens, targets: npt.NDArray[np.int64], reach: int) -> float:
    """Mean nats of the tokens at these positions, each read from no memory with so many before it."""
    total = 0.0
    for some in np.split(targets, range(BATCH, len(targets), BATCH)):
        states = model.initial_states(len(some))
        window = max(1, min(WINDOW, LOGITS_AT_ONCE // (len(some) * model.config.vocab_size)))
        for begin in range(0, reach, window):
            positions = some[:, None] - reach + 1 + np.arange(begin, min(begin + window, reach))
            inputs, asked = inputs_and_targets(model, tokens, positions, np.ones_like(positions, bool))
            logits, states = model(inputs, states)
        total += float(target_nll(logits[:, -1:], asked[:, -1:], model.config.start_id).sum())
    return total / len(targets)


@dataclass(frozen=True)
class Saliency:
    """What each prediction of a short text rests on.

    `weights[t, s]` is the norm of the gradient of token t's logit with respect to the vector of the input s positions
    into the text, the start id at 0; nothing rests on what comes later. `probabilities` (T,) are those of the tokens.
    """

    symbols: list[str]
    weights: npt.NDArray[np.float64]
    probabilities: npt.NDArray[np.float64]

    def to_json(self) -> dict[str, Any]:
        """The weights row by row, each up to its own token alone."""
        rows = [row[: t + 1].tolist() for t, row in enumerate(self.weights)]
        return {"symbols": self.symbols, "probabilities": self.probabilities.tolist(), "weights": rows}


def saliency(model: LanguageModel, tokens: Tokens, symbols: list[str]) -> Saliency:
    """Gradients of the logit of every token of a short text with respect to every input before it, from no memory.

    Raises ConfigError on an empty text, or one with characters that the vocabulary lacks.
    """
    require(0 < tokens.size == len(symbols), "name a text to look at")
    require(int(tokens.max()) < model.config.vocab_size, "the text has characters that the vocabulary lacks")
    ids = torch.from_numpy(tokens.astype(np.int64))
    inputs = torch.cat([torch.tensor([model.config.start_id]), ids[:-1]])
    vectors: list[Tensor] = [embed(model, token[None]).detach().requires_grad_() for token in inputs]
    states, logits = model.initial_states(1), list[Tensor]()
    for vector in vectors:
        one, states = step(model, vector, states)
        logits.append(one[0])
    size = len(vectors)
    weights, probabilities = np.zeros((size, size)), np.zeros(size)
    for t, (scores, token) in enumerate(zip(logits, ids, strict=True)):
        found = torch.autograd.grad(scores[token], vectors[: t + 1], retain_graph=True)
        weights[t, : t + 1] = [float(gradient.norm()) for gradient in found]
        probabilities[t] = float(scores.detach().softmax(0)[token])
    return Saliency(symbols, weights, probabilities)
