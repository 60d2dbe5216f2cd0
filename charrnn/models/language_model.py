"""Embedding -> recurrent layers -> head. State in, state out.

Shapes: B batch, T time, E embedding, H hidden, V vocabulary (predicted symbols).
"""

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from charrnn.config import ModelConfig
from charrnn.models.cells import States
from charrnn.models.connections import DENSE, connection
from charrnn.models.initialisation import initialise
from charrnn.models.layers import LAYERS, LockedDropout, Recurrent, time_major
from charrnn.models.unroll import TorchOperations
from charrnn.models.weights import head_inputs, weight_shapes

HEAD_SCALE = 4.0
# A symbol's vector is all that the network sees of it: dropping as much of that as between layers costs more than it
# brings (docs/experiments.md).
INPUT_DROPOUT = 0.25


class Between(nn.Module):
    """What stands between a layer and what reads it, with its weights: y, x (B, T, H) -> (B, T, H)."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.formula = connection(config.skip, layer)
        self.table = self.formula.table(config.norm)
        for name, weight in self.table.items():
            self.register_parameter(name, nn.Parameter(torch.empty(weight.shape(config.hidden, config.hidden))))

    def initialise(self, generator: torch.Generator) -> None:
        """Fresh weights, as the formula's table says."""
        for name, weight in self.table.items():
            initialise(self.get_parameter(name), weight, None, generator)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        """A layer's output and its input -> what the layer above reads."""
        joined: Tensor = self.formula({name: self.get_parameter(name) for name in self.table}, TorchOperations())(y, x)
        return joined


class LanguageModel(nn.Module):
    """Predicts the next token from all tokens before it.

    logits (B, T, V), states = model(tokens (B, T), states). Tokens are ids up to `start_id`; logits are over the
    first V ids. Weights are not initialised: `initialise` does, or a checkpoint.
    """

    def __init__(self, config: ModelConfig) -> None:
        """Raises ConfigError on a cell or a connection that is not in its table."""
        weight_shapes(config)
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.start_id + 1, config.embedding)
        sizes = [config.embedding] + [config.hidden] * (config.layers - 1)
        self.layers = nn.ModuleList(LAYERS[config.cell](size, config.hidden, config.weight_drop) for size in sizes)
        self.connections = nn.ModuleList(Between(config, number) for number in range(config.layers))
        self.input_dropout = LockedDropout(config.dropout and INPUT_DROPOUT * config.dropout)
        self.dropout = LockedDropout(config.dropout)
        # A tied head uses the embedding matrix itself: there is no second parameter.
        self.head = None if config.tie else nn.Parameter(torch.empty(config.vocab_size, head_inputs(config)))
        self.bias = nn.Parameter(torch.empty(config.vocab_size))

    @property
    def stack(self) -> list[Recurrent]:
        """The recurrent layers, from the input up."""
        return cast("list[Recurrent]", list(self.layers))

    def initialise(self, generator: torch.Generator) -> None:
        """Fresh weights: normal embedding and head, each layer by its own rule.

        The scales were found by measurement (docs/experiments.md): with smaller ones, three passes over a text end
        where one does with these.
        """
        head = HEAD_SCALE / math.sqrt(head_inputs(self.config))
        nn.init.normal_(self.embedding.weight, std=head if self.config.tie else 1.0, generator=generator)
        for layer in self.stack:
            layer.initialise(generator)
        for between in cast("list[Between]", list(self.connections)):
            between.initialise(generator)
        if self.head is not None:
            nn.init.normal_(self.head, std=head, generator=generator)
        nn.init.zeros_(self.bias)

    def initial_states(self, batch: int) -> States:
        """The memory before any token: zeros (B, H)."""
        return tuple(layer.initial_state(batch) for layer in self.stack)

    def head_weight(self) -> Tensor:
        """(V, H), or of all layers (V, layers x H)."""
        return self.embedding.weight[: self.config.vocab_size] if self.head is None else self.head

    def forward(self, tokens: Tensor, states: States) -> tuple[Tensor, States]:
        """tokens (B, T), states -> logits (B, T, V), states."""
        x = self.input_dropout(time_major(self.embedding(tokens.t())))
        new, handed_on = [], []
        for layer, between, state in zip(self.stack, self.connections, states, strict=True):
            y, state = layer(x, state)
            x = self.dropout(between(y, x))
            new.append(state)
            handed_on.append(x)
        if self.config.skip == DENSE:
            x = torch.cat(handed_on, dim=-1)
        logits = F.linear(time_major(x), self.head_weight(), self.bias)
        return time_major(logits), tuple(new)


def nats(logits: Tensor, targets: Tensor, *, ignored: int = -100) -> Tensor:
    """Surprisal in nats of each target: logits (B, T, V), targets (B, T) -> (B, T), float32; 0 where ignored."""
    flat = time_major(logits).flatten(0, 1).float()
    losses = F.cross_entropy(flat, targets.t().flatten(), ignore_index=ignored, reduction="none")
    return losses.view(targets.shape[1], targets.shape[0]).t()


def detach(states: States) -> States:
    """The same memory, cut from the graph: truncated back-propagation through time."""
    return tuple(tuple(part.detach() for part in state) for state in states)


def carry(states: States, rows: Tensor) -> States:
    """Row b of the result is row rows[b] of the states (B, H), or zeros where rows[b] < 0."""
    kept = (rows >= 0).unsqueeze(1)
    index = rows.clamp(min=0)
    return tuple(tuple(torch.where(kept, part[index], 0) for part in state) for state in states)


def parameter_count(model: nn.Module) -> int:
    """How many numbers the weights are."""
    return sum(parameter.numel() for parameter in model.parameters())
