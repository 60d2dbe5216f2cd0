"""The network one token at a time, by its formulas, so that every state in between can be looked at.

Shapes: B rows, H hidden, V vocabulary.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from charrnn.models.cells import Operations, State, States
from charrnn.models.connections import DENSE
from charrnn.models.language_model import LanguageModel
from charrnn.models.unroll import TorchOperations


def embed(model: LanguageModel, tokens: Tensor) -> Tensor:
    """tokens (B,) -> their vectors (B, E)."""
    vectors: Tensor = model.embedding(tokens)
    return vectors


def step(
    model: LanguageModel, vectors: Tensor, states: States, operations: Sequence[Operations] = ()
) -> tuple[Tensor, States]:
    """Vectors (B, E), states -> logits (B, V), states: the model's own numbers outside training, without its kernels.

    What a layer gives is the very tensor that its state has: so the gradient with respect to that state is the whole.
    `operations` may be given to watch them, one for each layer.
    """
    x, new, handed_on, direction = vectors, list[State](), list[Tensor](), model.forwards
    given = operations or [TorchOperations()] * len(direction.layers)
    for layer, between, state, own in zip(direction.layers, direction.connections, states, given, strict=True):
        cell = layer.cell(own)
        state = cell.step(cell.project(x), cell.recur(state[0]), state)
        x = between(state[0], x)
        new.append(state)
        handed_on.append(x)
    read = torch.cat(handed_on, dim=-1) if model.config.skip == DENSE else x
    return F.linear(read, direction.head_weight(), direction.bias), tuple(new)
