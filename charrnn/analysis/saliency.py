"""What each prediction rests on: gradient saliency (Simonyan et al. 2014).

Shapes: T tokens of a text, P targets of a pass, S steps of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from charrnn.analysis.steps import embed, step
from charrnn.config import require
from charrnn.models.cells import States
from charrnn.models.language_model import LanguageModel
from charrnn.models.states import map_state
from charrnn.text.token_files import Tokens

# Inputs that a prediction is followed back to, targets of one pass, and the longest text: some minutes, some megabytes.
REACH, TARGETS, MOST = 200, 64, 20_000

Weights = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Saliency:
    """What each prediction of a text rests on.

    `weights[t]` are the norms of the gradient of token t's logit with respect to the vectors of the last `REACH` inputs
    or fewer, the last of them the one before token t, the first of all the start id. `probabilities` (T,) are those of
    the tokens.
    """

    symbols: list[str]
    weights: list[Weights]
    probabilities: npt.NDArray[np.float64]

    def to_json(self) -> dict[str, Any]:
        """The weights row by row, each up to its own token alone."""
        rows = [row.tolist() for row in self.weights]
        return {"symbols": self.symbols, "probabilities": self.probabilities.tolist(), "weights": rows}

    def shown(self) -> dict[str, Any]:
        """The same for a picture: weights in hundredths of a row's largest."""
        rows = [np.rint(100 * row / (float(row.max()) or 1.0)).astype(int).tolist() for row in self.weights]
        return {"symbols": self.symbols, "probabilities": self.probabilities.tolist(), "weights": rows}


def saliency(
    model: LanguageModel,
    tokens: Tokens,
    symbols: list[str],
    *,
    reach: int = REACH,
    watcher: Callable[[float], None] | None = None,
) -> Saliency:
    """Gradients of the logit of every token of a text with respect to the `reach` inputs before it, from no memory.

    The `watcher` is told the share that is done. Raises ConfigError on an empty text, one that is too long, or one
    with characters that the vocabulary lacks.
    """
    require(0 < tokens.size == len(symbols), "name a text to look at")
    require(tokens.size <= MOST, f"a text to look at has at most {MOST:,} tokens, not {tokens.size:,}")
    require(int(tokens.max()) < model.config.vocab_size, "the text has characters that the vocabulary lacks")
    ids = torch.from_numpy(tokens.astype(np.int64))
    inputs = torch.cat([torch.tensor([model.config.start_id]), ids[:-1]])
    states, at = model.initial_states(1), 0
    weights, probabilities = list[Weights](), np.zeros(len(ids))
    for first in range(0, len(ids), TARGETS):
        begin, end = max(0, first - reach + 1), min(first + TARGETS, len(ids))
        with torch.no_grad():
            for token in inputs[at:begin]:
                _, states = step(model, embed(model, token[None]), states)
        at = begin
        norms, probabilities[first:end] = _pass(model, inputs[begin:end], ids[first:end], states)
        for t in range(first, end):
            # Of target t, inputs up to its own.
            row = norms[: t + 1 - begin, t - first]
            weights.append(np.ascontiguousarray(row[max(0, row.size - reach) :]))
        if watcher is not None:
            watcher(end / len(ids))
    return Saliency(symbols, weights, probabilities)


def _pass(
    model: LanguageModel, inputs: torch.Tensor, targets: torch.Tensor, states: States
) -> tuple[Weights, npt.NDArray[np.float64]]:
    """Norms (S, P) of the last P logits' gradients with respect to inputs (S,), and what the targets (P,) are given.

    The text is read side by side as often as there are targets, so that one way back finds what each row rests on.
    """
    count = len(targets)
    vectors = [embed(model, token[None]).detach().expand(count, -1).clone().requires_grad_() for token in inputs]
    own = map_state(lambda part: part.expand(count, -1), states)
    chosen, probabilities = torch.zeros(()), np.zeros(count)
    for place, vector in enumerate(vectors):
        logits, own = step(model, vector, own)
        row = place - (len(vectors) - count)
        if row >= 0:
            chosen = chosen + logits[row, targets[row]]
            probabilities[row] = float(logits[row].detach().double().softmax(0)[targets[row]])
    found = torch.autograd.grad(chosen, vectors)
    return torch.stack([gradient.norm(dim=1) for gradient in found]).float().numpy(), probabilities
