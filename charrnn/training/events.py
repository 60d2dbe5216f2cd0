"""What a training says while it runs, and where it stands: plain records, for whoever follows it and for its files."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from charrnn.schema import Schema
from charrnn.training.step_plan import StepPlan


@dataclass(frozen=True, kw_only=True)
class Progress(Schema):
    """Where a run stands. Losses are nats per token; `best` is the least validation loss (training, without one)."""

    step: int = 0
    tokens: int = 0
    epoch: int = 0
    index: int = 0
    seconds: float = 0.0
    evaluations: int = 0
    best: float | None = None
    best_step: int = 0
    stale: int = 0
    lr_scale: float = 1.0
    # How many steps' weights are in their mean.
    averaged: int = 0
    rollbacks: int = 0
    # Of `seconds`, what validations and saves took, and the last validation.
    overhead_seconds: float = 0.0
    validation_seconds: float = 0.0
    plan: StepPlan = dataclasses.field(default_factory=StepPlan)
    # Since the last report:
    summed_loss: float = 0.0
    summed_norm: float = 0.0
    summed_steps: int = 0
    summed_clipped: float = 0.0
    summed_tokens: int = 0
    summed_seconds: float = 0.0
    finished: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """Means since the last report; with the last fields, a validation. `clipped` is a share of steps."""

    step: int
    tokens: int
    epoch: float
    loss: float
    bpc: float
    lr: float
    grad_norm: float
    clipped: float
    tokens_per_second: float
    seconds: float
    progress: float
    seconds_left: float
    valid_loss: float | None = None
    valid_bpc: float | None = None
    best: bool | None = None
    # Now and then: how far a step moved each part of the network, over the length of its weights.
    updates: dict[str, float] | None = None
    # The last validation of a run whose weights were averaged: what the last step's weights alone would give.
    unaveraged: float | None = None
    sample: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The event as `metrics.jsonl` has it: the validation's fields only where there was one."""
        fields = dataclasses.asdict(self)
        del fields["progress"], fields["seconds_left"]
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True)
class Note:
    """Something to say in one line; what should not be overlooked is a warning."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Stopped:
    """The end: 'done', 'no improvement' or 'interrupted'."""

    reason: str


Event = Report | Note | Stopped


@dataclass
class Snapshot:
    """All that exact resume needs. `tensors` are weights, their mean, optimiser slots, states and the generator."""

    progress: Progress
    tensors: dict[str, Tensor]

    def model(self) -> dict[str, Tensor]:
        """The weights that a model is kept with: their mean, where there is one."""
        names = (name.removeprefix("model.") for name in self.tensors if name.startswith("model."))
        return {f"model.{name}": self.tensors.get(f"average.{name}", self.tensors[f"model.{name}"]) for name in names}
