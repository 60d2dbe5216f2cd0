"""A network that predicts the next token from all tokens before it. State in, state out.

Shapes: B batch, T time, V vocabulary (predicted symbols).
"""

from typing import TypeVar

import torch
from torch import Tensor, nn

from charrnn.config import ModelConfig, require
from charrnn.models.cells import States
from charrnn.models.direction import Direction, head_scale
from charrnn.models.states import map_state
from charrnn.models.weights import weight_shapes

Memory = TypeVar("Memory")


class LanguageModel(nn.Module):
    """logits (B, T, V), states = model(tokens (B, T), states): an embedding, and what reads forwards over it.

    Tokens are ids up to `start_id`; logits are over the first V ids. Weights are not initialised: `initialise` does, or
    a checkpoint. A bidirectional model reads texts from their end as well, in layers of their own over the same
    embedding: its `backwards` is called as a model is, with texts that are reversed.
    """

    def __init__(self, config: ModelConfig) -> None:
        """Raises ConfigError on a cell or a connection that is not in its table, and on an ensemble's configuration."""
        weight_shapes(config)
        require(config.ensemble == 1, f"one model is no ensemble of {config.ensemble}: `build` makes one")
        super().__init__()
        self.config = config
        # Of weights given it draws none: to do that without memory, torch would load its compiler, for a second.
        weights = torch.empty(config.start_id + 1, config.embedding)
        self.embedding = nn.Embedding.from_pretrained(weights, freeze=False)  # type: ignore[no-untyped-call]
        self.forwards = Direction(config, self.embedding)
        self.backwards: Direction | None = Direction(config, self.embedding) if config.bidirectional else None

    @property
    def directions(self) -> list[Direction]:
        """What reads forwards, and, if the model has it, what reads backwards."""
        return [self.forwards] if self.backwards is None else [self.forwards, self.backwards]

    @property
    def models(self) -> "list[LanguageModel]":
        """As of an ensemble: itself alone."""
        return [self]

    @property
    def first_member(self) -> "LanguageModel":
        """As of an ensemble: itself."""
        return self

    def initialise(self, generator: torch.Generator, spectral_radius: float | None = None) -> None:
        """Fresh weights: normal embedding and head, each layer by its own rule, or recurrent matrices of this radius.

        The scales were found by measurement (docs/experiments.md): with smaller ones, three passes over a text end
        where one does with these.
        """
        std = head_scale(self.config) if self.config.tie else 1.0
        nn.init.normal_(self.embedding.weight, std=std, generator=generator)
        for direction in self.directions:
            direction.initialise(generator, spectral_radius)

    def initial_states(self, batch: int) -> States:
        """The memory before any token, layer by layer: zeros (B, H)."""
        return self.forwards.initial_states(batch)

    def forward(self, tokens: Tensor, states: States) -> tuple[Tensor, States]:
        """tokens (B, T), states -> logits (B, T, V), states."""
        logits, states = self.forwards(tokens, states)
        return logits, states


def detach(states: Memory) -> Memory:
    """The same memory, cut from the graph: truncated back-propagation through time."""
    return map_state(Tensor.detach, states)


def select_rows(states: Memory, rows: Tensor) -> Memory:
    """Row b of the result is row rows[b] of the states (B, H), or zeros where rows[b] < 0."""
    kept = (rows >= 0).unsqueeze(1)
    index = rows.clamp(min=0)
    return map_state(lambda part: torch.where(kept, part[index], 0), states)
