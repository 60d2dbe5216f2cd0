"""Embedding -> recurrent layers -> head. State in, state out; several such networks, their predictions averaged.

Shapes: B batch, T time, E embedding, H hidden, V vocabulary (predicted symbols).
"""

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from charrnn.config import ModelConfig, require
from charrnn.models.cells import State, States
from charrnn.models.connections import DENSE, connection
from charrnn.models.initialisation import initialise
from charrnn.models.layers import LAYERS, LockedDropout, Recurrent, time_major
from charrnn.models.unroll import TorchOperations
from charrnn.models.weights import head_inputs, of_member, weight_shapes

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


class Half(nn.Module):
    """What reads a text in one direction: recurrent layers and a head over the vectors of its symbols."""

    def __init__(self, config: ModelConfig, embedding: nn.Embedding | None = None) -> None:
        """The half that reads forwards owns the embedding of both."""
        super().__init__()
        self.config = config
        if embedding is not None:
            self.embedding = embedding
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

    def initialise_half(self, generator: torch.Generator, radius: float | None) -> None:
        """Fresh weights of layers and head, each by its own rule."""
        for layer in self.stack:
            layer.initialise(generator, radius)
        for between in cast("list[Between]", list(self.connections)):
            between.initialise(generator)
        if self.head is not None:
            nn.init.normal_(self.head, std=head_scale(self.config), generator=generator)
        nn.init.zeros_(self.bias)

    def read(self, vectors: Tensor, states: States, embedding: Tensor) -> tuple[Tensor, States]:
        """vectors (B, T, E), states, the embedding matrix for a tied head -> logits (B, T, V), states."""
        x = self.input_dropout(vectors)
        new, handed_on = [], []
        for layer, between, state in zip(self.stack, self.connections, states, strict=True):
            y, state = layer(x, state)
            x = self.dropout(between(y, x))
            new.append(state)
            handed_on.append(x)
        if self.config.skip == DENSE:
            x = torch.cat(handed_on, dim=-1)
        return time_major(F.linear(time_major(x), self.head_over(embedding), self.bias)), tuple(new)

    def head_over(self, embedding: Tensor) -> Tensor:
        """The head (V, H), or of all layers (V, layers x H); where it is tied, the embedding's first rows."""
        return embedding[: self.config.vocab_size] if self.head is None else self.head


class LanguageModel(Half):
    """Predicts the next token from all tokens before it.

    logits (B, T, V), states = model(tokens (B, T), states). Tokens are ids up to `start_id`; logits are over the
    first V ids. Weights are not initialised: `initialise` does, or a checkpoint. A bidirectional model has a second
    half over the same embedding, which reads texts from their end: see `Backwards`.

    An ensemble (Hansen & Salamon 1990) is several networks of which none knows of the others: this one is the first,
    and holds the rest. Its probabilities are the mean of theirs, and its logits the logarithms of these.
    """

    def __init__(self, config: ModelConfig) -> None:
        """Raises ConfigError on a cell or a connection that is not in its table."""
        weight_shapes(config)
        super().__init__(config, nn.Embedding(config.start_id + 1, config.embedding))
        self.reverse = Half(config) if config.bidirectional else None
        self.member = nn.ModuleDict({str(n): LanguageModel(config.single) for n in range(2, config.ensemble + 1)})

    def initialise(self, generator: torch.Generator, radius: float | None = None) -> None:
        """Fresh weights: normal embedding and head, each layer by its own rule, or recurrent matrices of this radius.

        The scales were found by measurement (docs/experiments.md): with smaller ones, three passes over a text end
        where one does with these.
        """
        std = head_scale(self.config) if self.config.tie else 1.0
        for member in self.members:
            nn.init.normal_(member.embedding.weight, std=std, generator=generator)
            for half in member.halves:
                half.initialise_half(generator, radius)

    @property
    def members(self) -> "list[LanguageModel]":
        """The networks of an ensemble, itself the first; itself alone where it is none."""
        return [self, *cast("list[LanguageModel]", list(self.member.values()))]

    def own_parameters(self) -> list[nn.Parameter]:
        """The weights of this network, without those of the other members."""
        return list(of_member(dict(self.named_parameters()), "").values())

    def alone(self) -> "LanguageModel":
        """The first member by itself, its weights the same tensors."""
        if not self.member:
            return self
        with torch.device("meta"):
            model = LanguageModel(self.config.single)
        model.load_state_dict(of_member(self.state_dict(), ""), assign=True)
        return model.train(self.training)

    @property
    def halves(self) -> list[Half]:
        """What reads forwards, and, if the model has it, what reads backwards."""
        return [self] if self.reverse is None else [self, self.reverse]

    @property
    def voices(self) -> "list[Voice]":
        """Who reads forwards."""
        return [Voice(member, member) for member in self.members]

    def head_weight(self) -> Tensor:
        """The forward half's head (V, H), or of all layers (V, layers x H)."""
        return self.head_over(self.embedding.weight)

    def embed(self, tokens: Tensor) -> Tensor:
        """tokens (B, T) -> their vectors (B, T, E)."""
        return time_major(self.embedding(tokens.t()))

    def initial_states(self, batch: int) -> States:
        """The memory before any token, member by member: zeros (B, H)."""
        return initial_states(self.voices, batch)

    def forward(self, tokens: Tensor, states: States) -> tuple[Tensor, States]:
        """tokens (B, T), states -> logits (B, T, V), states."""
        return together(self.voices, tokens, states)


@dataclass(frozen=True)
class Voice:
    """One half of one network, called as a model is: what is trained by itself and heard together with others."""

    network: LanguageModel
    half: Half

    def initial_states(self, batch: int) -> States:
        """The memory before any token: zeros (B, H)."""
        return tuple(layer.initial_state(batch) for layer in self.half.stack)

    def __call__(self, tokens: Tensor, states: States) -> tuple[Tensor, States]:
        """tokens (B, T), as this half reads them, states -> logits (B, T, V), states."""
        return self.half.read(self.network.embed(tokens), states, self.network.embedding.weight)


def initial_states(voices: list[Voice], batch: int) -> States:
    """The memories of all voices before any token, one behind the other."""
    return tuple(state for voice in voices for state in voice.initial_states(batch))


def together(voices: list[Voice], tokens: Tensor, states: States) -> tuple[Tensor, States]:
    """What the voices say, each by itself or log mean p where they are several (B, T, V); their states in a row."""
    if len(voices) == 1:
        return voices[0](tokens, states)
    found, new, layers = list[Tensor](), list[State](), len(states) // len(voices)
    for number, voice in enumerate(voices):
        logits, own = voice(tokens, states[number * layers : (number + 1) * layers])
        found.append(logits.log_softmax(-1))
        new += own
    return torch.stack(found).logsumexp(0) - math.log(len(voices)), tuple(new)


class Backwards(nn.Module):
    """The half of a bidirectional model that reads from the end, called as a model is: with texts turned round.

    It owns nothing: its weights are those of the model it is a view of.
    """

    def __init__(self, model: LanguageModel) -> None:
        """Raises ConfigError when the model reads forwards alone."""
        require(model.reverse is not None, "the model reads forwards alone: train one with --bidirectional")
        super().__init__()
        self.model = model
        self.config = model.config

    @property
    def voices(self) -> list[Voice]:
        """Who reads backwards."""
        return [Voice(member, member.reverse) for member in self.model.members if member.reverse is not None]

    def initial_states(self, batch: int) -> States:
        """The memory before any token, member by member: zeros (B, H)."""
        return initial_states(self.voices, batch)

    def forward(self, tokens: Tensor, states: States) -> tuple[Tensor, States]:
        """tokens (B, T) from the end on, states -> logits (B, T, V), states."""
        return together(self.voices, tokens, states)


Reader = LanguageModel | Backwards


def head_scale(config: ModelConfig) -> float:
    """The standard deviation of fresh heads, and of embeddings that are heads too."""
    return HEAD_SCALE / math.sqrt(head_inputs(config))


def detach(states: States) -> States:
    """The same memory, cut from the graph: truncated back-propagation through time."""
    return tuple(tuple(part.detach() for part in state) for state in states)


def select_rows(states: States, rows: Tensor) -> States:
    """Row b of the result is row rows[b] of the states (B, H), or zeros where rows[b] < 0."""
    kept = (rows >= 0).unsqueeze(1)
    index = rows.clamp(min=0)
    return tuple(tuple(torch.where(kept, part[index], 0) for part in state) for state in states)


def parameter_count(model: nn.Module) -> int:
    """How many numbers the weights are."""
    return sum(parameter.numel() for parameter in model.parameters())
