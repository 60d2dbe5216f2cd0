"""What each prediction rests on: gradient saliency (Simonyan et al. 2014). Shapes: T tokens of one short text."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from charrnn.analysis.steps import embed, step
from charrnn.config import require
from charrnn.models.language_model import LanguageModel
from charrnn.text.token_files import Tokens


@dataclass(frozen=True, eq=False)
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
