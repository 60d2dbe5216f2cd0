"""Where a run stands in its budget of steps, epochs or seconds, and what the wall clock has to say about it."""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

from charrnn.config import TrainConfig
from charrnn.training.progress import Position, Spent
from charrnn.training.step_plan import StepPlan
from charrnn.training.world import ALONE

# The share of a time budget that may be spent on all that is no step, the last validation and the end included.
MOST_OVERHEAD = 0.15


class AtEnd(NamedTuple):
    """What whoever trains will need behind the last step, beside the budget's own: seconds, and so many validations."""

    seconds: float = 0.0
    validations: float = 0.0


class TimeBudget:
    """The budget of a configuration and what is `spent` of it; `epochs` tells how many passes a position stands for."""

    def __init__(
        self, config: TrainConfig, epochs: Callable[[Position], float], clock: Callable[[], float] = ALONE.now
    ) -> None:
        self.config, self._clock = config, clock
        self.spent = Spent()
        self.at_end = AtEnd()
        self._epochs = epochs
        self.start()

    def start(self) -> None:
        """What passes from here on is the run's."""
        self._ticked = self._clock()

    def tick(self, *, overhead: bool = False, validation: bool = False) -> None:
        """Count the time since the last tick: spent on steps, or beside them, of which the last validation is known."""
        now = self._clock()
        passed, self._ticked = now - self._ticked, now
        self.spent = dataclasses.replace(
            self.spent,
            seconds=self.spent.seconds + passed,
            overhead_seconds=self.spent.overhead_seconds + passed * (overhead or validation),
            validation_seconds=passed if validation else self.spent.validation_seconds,
        )

    def lose_since(self, failed: Spent) -> None:
        """Steps were given up, when so much was spent: the time is gone all the same."""
        lost = failed.seconds - self.spent.seconds
        self.spent = dataclasses.replace(
            self.spent, seconds=failed.seconds, overhead_seconds=self.spent.overhead_seconds + lost
        )

    def share(self, position: Position) -> float:
        """How much of the budget is spent, 0 … 1."""
        config = self.config
        if config.steps is not None:
            return position.step / config.steps
        if config.epochs is not None:
            return self._epochs(position) / config.epochs
        assert config.seconds is not None
        if self.spent.plan.total is None:
            # Reading the text is no part of the warm-up.
            return min(1.0, self.spent.stepping / config.seconds)
        return self.spent.plan.share_at(position.step)

    def replan(self, position: Position) -> None:
        """With a budget of seconds: fix the number of steps once the speed is known, and anew where it has changed."""
        budget, plan, stepping = self.config.seconds, self.spent.plan, self.spent.stepping
        if budget is None or not plan.due(position.step, stepping, budget):
            return
        left = budget - self.spent.seconds - self._overhead_left(position)
        plan = plan.measure(position.step, stepping).fix(position.step, self.share(position), left, budget)
        self.spent = dataclasses.replace(self.spent, plan=plan)

    def seconds_left(self, position: Position) -> float:
        """What the steps that are planned and the validations will take; without a plan, reckoned from the share."""
        plan = self.spent.plan
        if plan.total is not None and plan.step_seconds is not None:
            return (plan.total - position.step) * plan.step_seconds + self._overhead_left(position)
        if self.config.seconds is not None:
            return max(0.0, self.config.seconds - self.spent.seconds)
        share = self.share(position)
        return self.spent.seconds * (1 - share) / max(share, 1e-6)

    def validation_due(self, position: Position) -> bool:
        """Whether it is time to score the validation part."""
        if self.config.eval_every is not None:
            return position.step % self.config.eval_every == 0
        if self._validations_by(position) <= self.spent.validations:
            return False
        # Those that can be afforded come evenly over what is left.
        behind = self.spent.validations / self.config.evaluations
        return self.share(position) - behind >= (1 - behind) / (self._affordable() + 1)

    def count_validation(self, position: Position) -> None:
        """One validation more is behind, and with it all that should have been by now."""
        count = max(self.spent.validations + 1, self._validations_by(position))
        self.spent = dataclasses.replace(self.spent, validations=count)

    def _validations_by(self, position: Position) -> int:
        """How many validations should have been by now, where they come evenly over the budget."""
        return int(min(1.0, self.share(position)) * self.config.evaluations)

    def _affordable(self) -> float:
        """How many validations more, each as long as the last, leave time for the end; a budget of steps has no say."""
        each = self.spent.validation_seconds
        if self.config.seconds is None or each == 0:
            return math.inf
        left = MOST_OVERHEAD * self.config.seconds - self.spent.overhead_seconds - self._end_seconds()
        return max(0, int(left / each))

    def _end_seconds(self) -> float:
        """The last validation, of the weights' mean as well, and measuring and saving, which take as long as one."""
        validations = 2 + (self.config.average is not None) + self.at_end.validations
        return validations * self.spent.validation_seconds + self.at_end.seconds

    def _overhead_left(self, position: Position) -> float:
        """Seconds that will not be spent on steps."""
        every, each, end = self.config.eval_every, self.spent.validation_seconds, self._end_seconds()
        if every is not None:
            return ((self.spent.plan.total or position.step) - position.step) // every * each + end
        return min(max(0, self.config.evaluations - self.spent.validations - 1), self._affordable()) * each + end


def with_new_budget(spent: Spent, step: int) -> Spent:
    """What is spent stays; under another budget the steps that are left are planned anew."""
    return dataclasses.replace(spent, plan=StepPlan(measured_step=step, measured_at=spent.stepping))
