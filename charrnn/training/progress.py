"""Where a run stands, in small records: with the tensors of its `TrainingState`, an exact resume."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor

from charrnn.config import TrainConfig
from charrnn.errors import DivergedError
from charrnn.schema import Schema
from charrnn.training.step_plan import StepPlan

# A validation this much above the best is one of those that `patience` counts; less may be the learning rate's noise.
WORSE = 1.003
MOST_ROLLBACKS = 4


@dataclass(frozen=True, kw_only=True)
class Position(Schema):
    """How far a run has come: steps, tokens learned from, and the window that it reads next."""

    step: int = 0
    tokens: int = 0
    epoch: int = 0
    index: int = 0

    def advance(self, tokens: int, windows: int) -> Self:
        """A step further, behind a window of so many tokens in an epoch of so many windows."""
        last = self.index + 1 == windows
        return dataclasses.replace(
            self,
            step=self.step + 1,
            tokens=self.tokens + tokens,
            epoch=self.epoch + last,
            index=0 if last else self.index + 1,
        )


@dataclass(frozen=True, kw_only=True)
class Accumulators(Schema):
    """Sums since the last report. `loss` in nats over all tokens; `norm` of gradients and `clipped` over steps."""

    loss: float = 0.0
    norm: float = 0.0
    clipped: float = 0.0
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def add(
        self,
        *,
        loss: float = 0.0,
        norm: float = 0.0,
        clipped: float = 0.0,
        steps: int = 0,
        tokens: int = 0,
        seconds: float = 0.0,
    ) -> Self:
        """Each sum with so much more in it."""
        return dataclasses.replace(
            self,
            loss=self.loss + loss,
            norm=self.norm + norm,
            clipped=self.clipped + clipped,
            steps=self.steps + steps,
            tokens=self.tokens + tokens,
            seconds=self.seconds + seconds,
        )

    def means(self, bits: float) -> dict[str, Any]:
        """What a report says of them; `bits` per character in a nat per token."""
        steps, tokens = max(1, self.steps), max(1, self.tokens)
        return {
            "loss": self.loss / tokens,
            "bpc": self.loss / tokens * bits,
            "grad_norm": self.norm / steps,
            "clipped": self.clipped / steps,
            "tokens_per_second": self.tokens / max(self.seconds, 1e-9),
        }


@dataclass(frozen=True, kw_only=True)
class Best(Schema):
    """The least validation loss in nats per token (of training, where nothing is held out), and where it was.

    Early stopping counts `stale`: validations in a row that were worse than the best, not just no better.
    """

    loss: float | None = None
    step: int = 0
    stale: int = 0

    def is_beaten_by(self, loss: float) -> bool:
        """Whether this loss is less; one that is not a number never is."""
        return math.isfinite(loss) and (self.loss is None or loss < self.loss)

    def after(self, loss: float, step: int) -> Self:
        """What stands when this loss was found at this step."""
        if self.is_beaten_by(loss):
            return dataclasses.replace(self, loss=loss, step=step, stale=0)
        worse = self.loss is None or not loss <= self.loss * WORSE
        return dataclasses.replace(self, stale=self.stale + worse)


@dataclass(frozen=True, kw_only=True)
class Spent(Schema):
    """What a run has spent of its time, in seconds, and how the rest of it is planned (see `TimeBudget`).

    Of `seconds`, `overhead_seconds` went into all that is no step: reading the text, validations, saves;
    `validation_seconds` into the last validation. `validations` counts those that are behind.
    """

    seconds: float = 0.0
    overhead_seconds: float = 0.0
    validation_seconds: float = 0.0
    validations: int = 0
    plan: StepPlan = dataclasses.field(default_factory=StepPlan)

    @property
    def stepping(self) -> float:
        """Seconds spent on steps."""
        return self.seconds - self.overhead_seconds


@dataclass(frozen=True, kw_only=True)
class Rescue(Schema):
    """What divergence has cost: `lr_scale` of the schedule's learning rate is left after so many returns in a row."""

    lr_scale: float = 1.0
    rollbacks: int = 0

    def again(self, step: int, config: TrainConfig) -> Self:
        """Once more, at half the rate. Raises DivergedError when returns to the last good state do not help."""
        if self.rollbacks == MOST_ROLLBACKS:
            clipping = "`clip` 1" if config.clip is None else "a smaller `clip`"
            raise DivergedError(
                f"the loss is not finite at step {step}, {MOST_ROLLBACKS} returns to the last good state did not "
                f"help: start again with a lower `lr` or {clipping}; the best model is kept"
            )
        return dataclasses.replace(self, lr_scale=self.lr_scale / 2, rollbacks=self.rollbacks + 1)

    def over(self) -> Self:
        """A validation was reached: the next divergence is another."""
        return dataclasses.replace(self, rollbacks=0)


@dataclass(frozen=True, kw_only=True)
class Progress(Schema):
    """All that a run is besides its tensors. `averaged`: how many steps' weights are in their mean.

    `last_report` has the sums that were last reported: a report so soon behind it takes them in once more.
    """

    position: Position = dataclasses.field(default_factory=Position)
    since_report: Accumulators = dataclasses.field(default_factory=Accumulators)
    last_report: Accumulators = dataclasses.field(default_factory=Accumulators)
    best: Best = dataclasses.field(default_factory=Best)
    time: Spent = dataclasses.field(default_factory=Spent)
    rescue: Rescue = dataclasses.field(default_factory=Rescue)
    averaged: int = 0
    finished: bool = False


@dataclass
class Snapshot:
    """All that exact resume needs. `tensors` are weights, their mean, optimiser slots, states and the generator."""

    progress: Progress
    tensors: dict[str, Tensor]

    def finite(self) -> bool:
        """Whether every number is."""
        return all(bool(tensor.isfinite().all()) for tensor in self.tensors.values())

    def model(self) -> dict[str, Tensor]:
        """The weights that a model is kept with: their mean, where there is one."""
        names = (name.removeprefix("model.") for name in self.tensors if name.startswith("model."))
        return {f"model.{name}": self.tensors.get(f"average.{name}", self.tensors[f"model.{name}"]) for name in names}
