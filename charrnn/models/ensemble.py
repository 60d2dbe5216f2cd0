"""Several models read as one (Hansen & Salamon 1990). An ensemble holds models and is none.

Shapes: B batch, T time, V vocabulary (predicted symbols).
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Generic, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn

from charrnn.config import ModelConfig, require
from charrnn.models.cells import States
from charrnn.models.direction import Direction
from charrnn.models.language_model import LanguageModel

Member = TypeVar("Member", bound=LanguageModel | Direction)


class Mixture(nn.Module, Generic[Member]):
    """Models of which none knows of the others, called as one: the mean of their probabilities.

    Read `apart`, their logits stand side by side (B, T, M V) instead. A memory is a tuple of theirs.
    """

    def __init__(self, models: Sequence[Member], *, apart: bool = False) -> None:
        super().__init__()
        self._together = partial(torch.cat, dim=-1) if apart else ensemble_logits
        self.config = dataclasses.replace(models[0].config, ensemble=len(models))
        # A ModuleList is a sequence of what it was given; its own type knows of modules alone.
        self.models: Sequence[Member] = cast("Sequence[Member]", nn.ModuleList(models))
        self.training = models[0].training  # as it finds them: they may be in use elsewhere

    def initial_states(self, batch: int) -> tuple[States, ...]:
        """The memory before any token, model by model: zeros (B, H)."""
        return tuple(model.initial_states(batch) for model in self.models)

    def forward(self, tokens: Tensor, states: tuple[States, ...]) -> tuple[Tensor, tuple[States, ...]]:
        """tokens (B, T), states -> log mean p (B, T, V), or logits side by side, states."""
        logits, new = zip(*(model(tokens, own) for model, own in zip(self.models, states, strict=True)), strict=True)
        return self._together(logits), new


class Ensemble(Mixture[LanguageModel]):
    """Models alike but for their weights, called as one."""

    @property
    def first_member(self) -> LanguageModel:
        """One of its models, for what looks at single units."""
        return self.models[0]

    @property
    def backwards(self) -> Mixture[Direction] | None:
        """What reads backwards in its models, read as one; None where they read forwards alone."""
        found = [model.backwards for model in self.models if model.backwards is not None]
        return Mixture(found) if found else None

    def initialise(self, generator: torch.Generator, spectral_radius: float | None = None) -> None:
        """Fresh weights, model by model: the first has those that it would have by itself."""
        for model in self.models:
            model.initialise(generator, spectral_radius)


Network = LanguageModel | Ensemble


class Predictor(Protocol):
    """Whatever is called as a model is: a network, one direction of it, several, a network beside counts."""

    config: ModelConfig
    training: bool

    def __call__(self, tokens: Tensor, states: Any) -> tuple[Tensor, Any]:
        """tokens (B, T), states -> logits (B, T, V), states."""
        ...

    def initial_states(self, batch: int) -> Any:
        """The memory of B rows before any token: zeros."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Its weights."""
        ...

    def eval(self) -> Any:
        """Nothing drops out from here on."""
        ...

    def train(self, mode: bool = True) -> Any:
        """As in training, or not."""
        ...


def build(config: ModelConfig) -> Network:
    """The network of a configuration, its weights not initialised.

    Raises ConfigError on a cell or a connection that is not in its table.
    """
    if config.ensemble == 1:
        return LanguageModel(config)
    return Ensemble([LanguageModel(config.single) for _ in range(config.ensemble)])


def apart(network: "Predictor") -> "Predictor":
    """An ensemble whose networks are read apart; one network as it is."""
    return Mixture(network.models, apart=True) if isinstance(network, Mixture) else network


def backwards_of(network: Network) -> Direction | Mixture[Direction]:
    """What reads backwards in a network. Raises ConfigError when it reads forwards alone."""
    backwards = network.backwards
    require(backwards is not None, "the model reads forwards alone: train one with `bidirectional`")
    assert backwards is not None
    return backwards


def ensemble_logits(logits: Sequence[Tensor]) -> Tensor:
    """log of the mean of the probabilities that each of some logits (B, T, V) stands for (B, T, V)."""
    return torch.stack([one.log_softmax(-1) for one in logits]).logsumexp(0) - math.log(len(logits))
