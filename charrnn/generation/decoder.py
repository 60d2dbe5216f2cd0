"""One token after another: the network as single steps, without autograd or sequence kernels.

`nn.LSTM` lays its weights out anew at every call, which makes one step through it slow; here a step is the cell's
formula, and the first layer's input product is a row of a table computed once. Shapes: B rows, V vocabulary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from charrnn.models.cells import State, States
from charrnn.models.language_model import LanguageModel

PROMPT_WINDOW = 256


def linear_by_rows(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x (B, K), weight (N, K), bias (N,) -> (B, N), each row by a product of its own.

    A matrix library adds up in another order for two rows than for one, and for a row that begins in the middle of a
    cache line; with a product for a copy of each, a row's numbers do not depend on who is beside it.
    """
    return torch.stack([torch.addmv(bias, weight, row.clone()) for row in x.unbind()])


class Decoder:
    """The network's next logits, one token at a time, for B rows that do not touch each other."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        with torch.inference_mode():
            self._cells = [layer.cell(linear_by_rows) for layer in model.stack]
            first = model.stack[0].cell(F.linear)
            self._table = first.project(model.embedding.weight)
            self._head = model.head_weight().contiguous()

    def prime(self, tokens: Tensor) -> tuple[Tensor, States]:
        """Read a prompt (T,), T >= 1, from the initial state -> logits (1, V) after it, states of one row."""
        was_training = self.model.training
        self.model.eval()
        with torch.inference_mode():
            states = self.model.initial_states(1)
            logits = torch.empty(0)
            for window in torch.split(tokens.unsqueeze(0), PROMPT_WINDOW, dim=1):
                logits, states = self.model(window, states)
        self.model.train(was_training)
        return logits[:, -1], states

    def step(self, tokens: Tensor, states: States) -> tuple[Tensor, States]:
        """tokens (B,), states -> logits (B, V) float32, states."""
        with torch.inference_mode():
            new: list[State] = []
            projected = self._table[tokens]
            for cell, state in zip(self._cells, states, strict=True):
                if new:
                    projected = cell.project(new[-1][0])
                new.append(cell.step(projected, state))
            return linear_by_rows(new[-1][0], self._head, self.model.bias), tuple(new)
