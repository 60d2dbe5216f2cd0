"""How much of what came before a network uses: by resetting it, and by asking each prediction what it rests on.

Shapes: N tokens, T tokens of one short text.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charrnn.config import require
from charrnn.errors import CorpusError
from charrnn.evaluation.scoring import token_logprobs
from charrnn.inspection.steps import embed, step
from charrnn.models.language_model import LanguageModel
from charrnn.text.dataset import Tokens

# How many tokens a network is left its memory for; None: for ever.
RESETS: tuple[int | None, ...] = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, None)
BATCH = 256


@dataclass(frozen=True)
class Memory:
    """Nats per token where the state is reset every so many tokens; the last entry is the state carried on."""

    name: str
    resets: tuple[int | None, ...]
    losses: tuple[float, ...]
    tokens_per_char: float

    @property
    def bits(self) -> list[float]:
        """The same in bits per character."""
        return [loss * self.tokens_per_char / float(np.log(2)) for loss in self.losses]

    def to_json(self) -> dict[str, Any]:
        """`reset_every` null is the state carried from end to end."""
        curve = [{"reset_every": every, "bpc": bits} for every, bits in zip(self.resets, self.bits, strict=True)]
        return {"network": self.name, "curve": curve}


def memory_curve(
    model: LanguageModel, tokens: Tokens, *, name: str = "", chars: int | None = None, batch_size: int = BATCH
) -> Memory:
    """Score the text with the state reset ever more seldom: where the curve is flat, nothing older is used.

    Every token is scored once at each; the input before the first token after a reset is still the token before it.
    Raises CorpusError on an empty text.
    """
    if not tokens.size:
        raise CorpusError("there is no text to remember: it is empty")
    resets = tuple(every for every in RESETS if every is None or every < tokens.size)
    losses = [
        -float(token_logprobs(model, tokens, reset_every=every, batch_size=batch_size).mean()) for every in resets
    ]
    return Memory(name, resets, tuple(losses), tokens.size / (chars or tokens.size))


@dataclass(frozen=True)
class Saliency:
    """What each prediction of a short text rests on.

    `weights[t, s]` is the norm of the gradient of token t's logit with respect to the vector of the input s places
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
