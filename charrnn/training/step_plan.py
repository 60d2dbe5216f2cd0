"""How many steps a time budget pays for: measured, fixed, and fixed anew only where the machine's speed has changed."""

import dataclasses
from dataclasses import dataclass
from typing import Self

from charrnn.schema import Schema

# Shares of the budget: how long a measurement lasts, and how far off its end a plan may drift before it is mended.
MEASURED = 0.02
SLACK = 0.02
LEAST_STEPS = 4
# A busy minute should not undo the plan, a machine that is slow from now on should.
NEWEST = 0.3


@dataclass(frozen=True, kw_only=True)
class StepPlan(Schema):
    """A straight line from (step, share of the budget) to (total, 1), and the speed that it was drawn from.

    `total` is None until the speed has been measured. `measured_at` is the time spent on steps, in seconds, when
    `measured_step` was reached.
    """

    total: int | None = None
    step: int = 0
    share: float = 0.0
    step_seconds: float | None = None
    measured_step: int = 0
    measured_at: float = 0.0

    def share_at(self, step: int) -> float:
        """How much of the budget is spent after so many steps, 0 … 1. Only once `total` is fixed."""
        assert self.total is not None
        return 1 - (1 - self.share) * ((self.total - step) / (self.total - self.step))

    def due(self, step: int, seconds: float, budget: float) -> bool:
        """Whether enough has passed since the last measurement: `seconds` is the time spent on steps."""
        return step - self.measured_step >= LEAST_STEPS and seconds - self.measured_at >= MEASURED * budget

    def measure(self, step: int, seconds: float) -> Self:
        """Take in the speed since the last measurement."""
        new = (seconds - self.measured_at) / (step - self.measured_step)
        mean = new if self.step_seconds is None else self.step_seconds + NEWEST * (new - self.step_seconds)
        return dataclasses.replace(self, step_seconds=mean, measured_step=step, measured_at=seconds)

    def fix(self, step: int, share: float, left: float, budget: float) -> Self:
        """The plan for the `left` seconds: as it stands while it ends within 2% of the budget, else a new one."""
        assert self.step_seconds is not None
        affordable = max(1, round(left / self.step_seconds))
        if self.total is not None:
            drift = (self.total - step - affordable) * self.step_seconds
            if abs(drift) <= SLACK * budget:
                return self
        return dataclasses.replace(self, total=step + affordable, step=step, share=share)
