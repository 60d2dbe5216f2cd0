"""Where a run stands in its budget of steps, epochs or seconds, and what the wall clock has to say about it."""

import dataclasses
import time
from collections.abc import Callable

from charrnn.config import TrainConfig
from charrnn.training.events import Progress


class TimeBudget:
    """Counts the time of a run and reckons with its budget; `epochs` tells how many passes a progress stands for."""

    def __init__(self, config: TrainConfig, epochs: Callable[[Progress], float]) -> None:
        self.config = config
        self._epochs = epochs
        self.start()

    def start(self) -> None:
        """What passes from here on is the run's."""
        self._ticked = time.monotonic()

    def tick(self, progress: Progress, *, overhead: bool = False, validation: bool = False) -> Progress:
        """Count the time since the last tick: spent on steps, or beside them, of which the last validation is known."""
        now = time.monotonic()
        passed, self._ticked = now - self._ticked, now
        return dataclasses.replace(
            progress,
            seconds=progress.seconds + passed,
            overhead_seconds=progress.overhead_seconds + passed * (overhead or validation),
            validation_seconds=passed if validation else progress.validation_seconds,
        )

    def share(self, progress: Progress) -> float:
        """How much of the budget is spent, 0 … 1."""
        config = self.config
        if config.steps is not None:
            return progress.step / config.steps
        if config.epochs is not None:
            return self._epochs(progress) / config.epochs
        assert config.seconds is not None
        if progress.plan.total is None:
            # Reading the text is no part of the warm-up.
            return min(1.0, (progress.seconds - progress.overhead_seconds) / config.seconds)
        return progress.plan.share_at(progress.step)

    def replan(self, progress: Progress) -> Progress:
        """With a time budget: fix the number of steps once the speed is known, and anew where it has changed."""
        budget = self.config.seconds
        stepping = progress.seconds - progress.overhead_seconds
        if budget is None or not progress.plan.due(progress.step, stepping, budget):
            return progress
        left = budget - progress.seconds - self._overhead_left(progress)
        measured = progress.plan.measure(progress.step, stepping)
        return dataclasses.replace(progress, plan=measured.fix(progress.step, self.share(progress), left, budget))

    def seconds_left(self, progress: Progress) -> float:
        """What the steps that are planned and the validations will take; without a plan, reckoned from the share."""
        pace = progress.plan
        if pace.total is not None and pace.step_seconds is not None:
            return (pace.total - progress.step) * pace.step_seconds + self._overhead_left(progress)
        if self.config.seconds is not None:
            return max(0.0, self.config.seconds - progress.seconds)
        share = self.share(progress)
        return progress.seconds * (1 - share) / max(share, 1e-6)

    def validations(self, progress: Progress) -> int:
        """How many validations should have been by now, where they come evenly over the budget."""
        return int(min(1.0, self.share(progress)) * self.config.evaluations)

    def validation_due(self, progress: Progress) -> bool:
        """Whether it is time to score the validation part."""
        if self.config.eval_every is not None:
            return progress.step % self.config.eval_every == 0
        return self.validations(progress) > progress.evaluations

    def _overhead_left(self, progress: Progress) -> float:
        """Seconds that will not be spent on steps: measuring and saving at the end take as long as a validation."""
        validations = self._validations_left(progress) + 1 + (self.config.average is not None)
        return validations * progress.validation_seconds

    def _validations_left(self, progress: Progress) -> int:
        every = self.config.eval_every
        if every is None:
            return max(0, self.config.evaluations - progress.evaluations)
        return ((progress.plan.total or progress.step) - progress.step) // every + 1
