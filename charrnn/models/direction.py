"""What reads a text in one direction: recurrent layers and a head over the vectors of its symbols.

Shapes: B batch, T time, E embedding, H hidden, V vocabulary (predicted symbols).
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from charrnn.config import ModelConfig
from charrnn.models.cells import CELLS, States
from charrnn.models.connections import DENSE, connection
from charrnn.models.layers import ConnectionLayer, LockedDropout, Recurrent, time_major
from charrnn.models.weights import head_inputs

HEAD_SCALE = 4.0
# A symbol's vector is all that the network sees of it: dropping as much of that as between layers costs more than it
# brings (docs/experiments.md).
INPUT_DROPOUT = 0.25


class Direction(nn.Module):
    """Embedding -> recurrent layers -> head, called as a model is: logits, states = direction(tokens, states).

    The embedding belongs to the model, whose two directions share it, and is no parameter of a direction's own.
    """

    def __init__(self, config: ModelConfig, embedding: nn.Embedding) -> None:
        super().__init__()
        self.config = config
        # In a tuple, for torch would register it as this module's too.
        self._shared = (embedding,)
        cell, sizes = CELLS[config.cell], [config.embedding] + [config.hidden] * (config.layers - 1)
        # A ModuleList is a sequence of what it was given; its own type knows of modules alone.
        self.layers = cast(
            "Sequence[Recurrent]",
            nn.ModuleList(Recurrent(cell, size, config.hidden, config.weight_drop) for size in sizes),
        )
        kinds = [connection(config.skip, layer) for layer in range(config.layers)]
        self.connections = cast(
            "Sequence[ConnectionLayer]",
            nn.ModuleList(ConnectionLayer(kind, config.hidden, norm=config.norm) for kind in kinds),
        )
        self.input_dropout = LockedDropout(config.dropout and INPUT_DROPOUT * config.dropout)
        self.dropout = LockedDropout(config.dropout)
        # A tied head uses the embedding matrix itself: there is no second parameter.
        self.head = None if config.tie else nn.Parameter(torch.empty(config.vocab_size, head_inputs(config)))
        self.bias = nn.Parameter(torch.empty(config.vocab_size))

    @property
    def embedding(self) -> nn.Embedding:
        """The model's."""
        return self._shared[0]

    def head_weight(self) -> Tensor:
        """The head (V, H), or of all layers (V, layers x H); where it is tied, the embedding's first rows."""
        return self.embedding.weight[: self.config.vocab_size] if self.head is None else self.head

    def initialise(self, generator: torch.Generator, spectral_radius: float | None = None) -> None:
        """Fresh weights of layers and head, each by its own rule, or recurrent matrices of this spectral radius."""
        for layer in self.layers:
            layer.initialise(generator, spectral_radius)
        for between in self.connections:
            between.initialise(generator)
        if self.head is not None:
            nn.init.normal_(self.head, std=head_scale(self.config), generator=generator)
        nn.init.zeros_(self.bias)

    def initial_states(self, batch: int) -> States:
        """The memory before any token, layer by layer: zeros (B, H)."""
        return tuple(layer.initial_state(batch) for layer in self.layers)

    def forward(self, tokens: Tensor, states: States) -> tuple[Tensor, States]:
        """tokens (B, T), as this direction reads them, states -> logits (B, T, V), states."""
        _, x, states = self.hidden_states(tokens, states)
        return time_major(F.linear(time_major(x), self.head_weight(), self.bias)), states

    def hidden_states(self, tokens: Tensor, states: States) -> tuple[list[Tensor], Tensor, States]:
        """tokens (B, T), states -> each layer's h (B, T, H) behind every token, what the head reads, states."""
        x = self.input_dropout(time_major(self.embedding(tokens.t())))
        new, outputs, handed_on = [], [], []
        for layer, between, state in zip(self.layers, self.connections, states, strict=True):
            y, state = layer(x, state)
            x = self.dropout(between(y, x))
            new.append(state)
            outputs.append(y)
            handed_on.append(x)
        if self.config.skip == DENSE:
            x = torch.cat(handed_on, dim=-1)
        return outputs, x, tuple(new)


def head_scale(config: ModelConfig) -> float:
    """The standard deviation of fresh heads, and of embeddings that are heads too."""
    return HEAD_SCALE / math.sqrt(head_inputs(config))
