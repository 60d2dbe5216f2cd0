"""A run against the clock: its steps, its validations, what an interruption costs. All clocks are simulated."""

import dataclasses
import json
import math
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from charrnn.config import ModelConfig, TrainConfig
from charrnn.training import loop, world
from charrnn.training.batches import Batch
from charrnn.training.events import Event, Note, Report, Stopped
from charrnn.training.loop import Trainer
from charrnn.training.optim import learning_rate
from charrnn.training.progress import Position, Progress, Rescue, Snapshot
from charrnn.training.step_plan import LEAST_STEPS, MEASURED, StepPlan
from charrnn.training.time_budget import TimeBudget

from .test_loop import Cycle, Saved, make, reports, weights

BUDGET = 400.0
TINY = ModelConfig(vocab_size=4, start_id=4, embedding=2, hidden=2, layers=1)


class Clock:
    """Stands in for `time` in the loop: it goes only where it is told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now


class Timed(Cycle):
    """Each window takes `cost(step)` seconds; what the trainer says of itself as it asks is kept."""

    def __init__(self, clock: Clock, cost: Callable[[int], float]) -> None:
        super().__init__()
        self.clock, self.cost = clock, cost
        self.trainer: Trainer | None = None
        self.shares: list[float] = []
        self.rates: list[float] = []
        self.totals: list[int | None] = []

    def window(self, epoch: int, index: int) -> Batch:
        assert self.trainer is not None
        self.shares.append(self.trainer._share())
        self.rates.append(self.trainer._lr())
        self.totals.append(self.trainer.time.spent.plan.total)
        self.clock.now += self.cost(self.trainer.position.step)
        return super().window(epoch, index)

    def plans(self) -> list[int]:
        """The numbers of steps that were planned, each once."""
        known = [total for total in self.totals if total is not None]
        return [total for place, total in enumerate(known) if place == 0 or total != known[place - 1]]


def taught(trainer: Trainer) -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    """Stands in for a step, of which nothing matters here but that its loss is as broken as the weights are."""
    bias = dict(trainer._train_step.precision.model.named_parameters())["forwards.bias"]

    def learn(windows: list[Batch], tokens: int, *, lr: float, number: int) -> tuple[Tensor, Tensor, Tensor]:
        loss = bias.detach().sum() * 0 + 1
        return loss, loss, torch.zeros(())

    return learn


@dataclasses.dataclass
class Simulation:
    """A trainer on a clock of its own."""

    trainer: Trainer
    clock: Clock
    streams: Timed
    saved: Saved
    saving: float
    validated: list[int] = dataclasses.field(default_factory=list)
    validated_at: list[float] = dataclasses.field(default_factory=list)

    def finish(self) -> list[Event]:
        """Run to the end; the clock and the trainer agree on what has passed before the last save."""
        began, before = self.clock.now, self.trainer.time.spent.seconds
        events = list(self.trainer.run())
        assert events[-1] == Stopped("done")
        assert self.trainer.time.spent.seconds - before == pytest.approx(self.clock.now - self.saving - began)
        return events


Simulate = Callable[..., Simulation]


@pytest.fixture
def simulate(monkeypatch: pytest.MonkeyPatch) -> Simulate:
    """Make a trainer whose steps, validations and saves take the seconds that they are told to."""

    def build(
        cost: Callable[[int], float] = lambda step: 1.0,
        *,
        validation: float | None = None,
        saving: float = 0.0,
        losses: Callable[[int], float] = lambda step: 1.0,
        **fields: float | int | None,
    ) -> Simulation:
        clock = Clock()
        for module in (loop, world):
            monkeypatch.setattr(module, "time", clock)
        config: dict[str, float | int | None] = {"seconds": BUDGET, "report_every": 1, "patience": None, **fields}
        streams = Timed(clock, cost)
        saved = Saved()

        def validate() -> float:
            simulation.validated.append(simulation.trainer.position.step)
            simulation.validated_at.append(simulation.trainer._share())
            clock.now += validation or 0.0
            return losses(simulation.trainer.position.step)

        def save(snapshot: Snapshot, best: bool) -> None:
            clock.now += saving
            saved(snapshot, best)

        trainer = make(
            TrainConfig(seed=0, **config),  # type: ignore[arg-type]
            validate=None if validation is None else validate,
            model=TINY,
        )
        trainer._save = save
        trainer.streams = streams
        trainer._train_step.learn = taught(trainer)  # type: ignore[method-assign]
        streams.trainer = trainer
        simulation = Simulation(trainer, clock, streams, saved, saving)
        return simulation

    return build


def assert_ends_in_time(run: Simulation, budget: float = BUDGET) -> None:
    assert run.trainer.time.spent.seconds == pytest.approx(budget, rel=0.05)
    assert run.trainer.progress.finished


def assert_learning_rate_is_one_curve(run: Simulation, *, steepest: float) -> None:
    """The share never goes back nor leaps, ends at 1, and the learning rate is what its schedule says there."""
    shares = np.array([*run.streams.shares, run.trainer._share()])
    rises = np.diff(shares)
    assert shares[0] < 0.02 and (rises > 0).all() and rises.max() <= steepest
    assert shares[-1] == pytest.approx(1.0, abs=1e-9)
    for share, rate in zip(shares, run.streams.rates, strict=False):
        assert rate == learning_rate(run.trainer.config, share)
    highest = int(np.argmax(run.streams.rates))
    assert run.streams.rates[highest] > 0.95 * run.trainer.config.lr
    assert all(np.diff(run.streams.rates[:highest]) >= 0) and all(np.diff(run.streams.rates[highest:]) <= 0)


@pytest.mark.parametrize("each", [0.37, 3.0])
def test_at_a_constant_speed_the_number_of_steps_is_fixed_once(simulate: Simulate, each: float) -> None:
    run = simulate(lambda step: each)
    run.finish()
    assert run.streams.plans() == [run.trainer.position.step]
    assert run.trainer.position.step == pytest.approx(BUDGET / each, abs=1)
    assert_ends_in_time(run)
    assert_learning_rate_is_one_curve(run, steepest=1.02 * each / BUDGET)
    # Before the first plan the share is the time's.
    unplanned = run.streams.totals.index(run.streams.plans()[0])
    assert unplanned == max(LEAST_STEPS, math.ceil(MEASURED * BUDGET / each))
    assert run.streams.shares[:unplanned] == pytest.approx([step * each / BUDGET for step in range(unplanned)])


def test_a_speed_that_wavers_changes_nothing(simulate: Simulate) -> None:
    run = simulate(lambda step: 1.5 if step % 2 else 0.5)
    run.finish()
    assert len(run.streams.plans()) == 1
    assert_ends_in_time(run)


@pytest.mark.parametrize(("times", "part"), [(3.0, 0.25), (1 / 3, 0.5), (3.0, 0.75)])
def test_a_machine_that_becomes_slower_or_faster_still_ends_in_time(
    simulate: Simulate, times: float, part: float
) -> None:
    run = simulate(lambda step: 1.0 if step < part * BUDGET else times)
    run.finish()
    assert len(run.streams.plans()) >= 2
    by_hand = part * BUDGET + (1 - part) * BUDGET / times
    assert run.trainer.position.step == pytest.approx(by_hand, rel=0.06)
    assert_ends_in_time(run)
    assert_learning_rate_is_one_curve(run, steepest=8 * max(times, 1.0) / BUDGET)


def test_a_new_plan_goes_on_from_the_share_where_the_old_one_stood(
    simulate: Simulate, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, leaps = TimeBudget.replan, []

    def watched(budget: TimeBudget, position: Position) -> None:
        share, total = budget.share(position), budget.spent.plan.total
        keep(budget, position)
        if budget.spent.plan.total != total:
            leaps.append(budget.share(position) - share)

    monkeypatch.setattr(TimeBudget, "replan", watched)
    for times in (3.0, 1 / 3):
        leaps.clear()
        simulate(lambda step, times=times: 1.0 if step < 0.5 * BUDGET else times).finish()
        assert len(leaps) >= 3, times
        assert leaps == pytest.approx([0.0] * len(leaps), abs=1e-12), times


def even(step: int) -> float:
    return 1.0


def ever_slower(step: int) -> float:
    return 0.5 + step / 400


@pytest.mark.parametrize(
    ("cost", "validation", "saving"),
    [(even, 3.0, 0.0), (ever_slower, 2.0, 0.0), (even, 0.0, 3.0), (ever_slower, 1.0, 2.0)],
)
def test_validations_and_saves_that_take_long_are_reckoned_with(
    simulate: Simulate, cost: Callable[[int], float], validation: float, saving: float
) -> None:
    run = simulate(cost, validation=validation, saving=saving)
    run.finish()
    assert_ends_in_time(run)
    # They come evenly over the budget, the last at the end.
    steps = run.trainer.position.step
    assert run.validated_at == pytest.approx([k / 15 for k in range(1, 16)], abs=0.01)
    assert run.validated[-1] == steps
    assert run.trainer.time.spent.stepping == pytest.approx(sum(cost(step) for step in range(steps)))
    assert_learning_rate_is_one_curve(run, steepest=8 / BUDGET)


def test_time_is_set_aside_for_what_comes_after_the_last_step(simulate: Simulate) -> None:
    """Measuring and saving take as long as another validation: with it the budget is met."""
    run = simulate(validation=12.0)
    run.finish()
    assert run.trainer.time.spent.seconds + 12.0 == pytest.approx(BUDGET, rel=0.02)


@pytest.mark.parametrize(("validation", "average", "validations"), [(6.0, None, 9), (10.0, 0.3, 4), (14.0, None, 3)])
def test_what_is_spent_beside_the_steps_is_bounded_whatever_a_validation_takes(
    simulate: Simulate, validation: float, average: float | None, validations: int
) -> None:
    run = simulate(validation=validation, average=average)
    run.finish()
    spent = run.trainer.time.spent
    assert spent.overhead_seconds <= 0.15 * BUDGET
    assert_ends_in_time(run)
    # As many as there is time for, the first early, the others evenly between it and the end.
    places = sorted(set(run.validated_at))
    assert len(places) == validations and places[0] == pytest.approx(1 / 15, abs=0.01)
    assert np.diff(places) == pytest.approx(np.full(validations - 1, np.diff(places).mean()), abs=0.08)


def test_the_plan_is_for_the_time_that_validations_leave(simulate: Simulate) -> None:
    """Once a validation has been timed, the steps are those of the budget without what remains to be validated."""
    run = simulate(validation=3.0)
    run.finish()
    assert run.trainer.position.step == pytest.approx(BUDGET - 16 * 3.0, abs=0.02 * BUDGET)
    assert len(run.streams.plans()) == 2


def test_validations_at_steps_of_the_users_choice_are_reckoned_with(simulate: Simulate) -> None:
    for eval_every in (7, 40):
        run = simulate(validation=6.0, eval_every=eval_every)
        run.finish()
        assert run.validated == list(range(eval_every, run.trainer.position.step + 1, eval_every))
        assert_ends_in_time(run)


def test_there_are_as_many_validations_as_were_planned(simulate: Simulate) -> None:
    for evaluations in (1, 3, 15):
        run = simulate(validation=1.0, evaluations=evaluations)
        run.finish()
        assert len(run.validated) == evaluations
        assert_ends_in_time(run)


def test_a_run_that_began_with_its_text_has_less_time_to_train(simulate: Simulate) -> None:
    run = simulate()
    run.trainer.begin(100.0, trained=False)
    run.finish()
    assert_ends_in_time(run)
    assert run.trainer.position.step == pytest.approx(300, abs=1)
    assert run.streams.plans() == [run.trainer.position.step]
    assert run.streams.shares[0] == 0.0, "the warm-up begins with the first step"


def test_judging_weights_that_were_trained_is_no_step(simulate: Simulate) -> None:
    run = simulate(validation=2.0)
    run.trainer.begin(5.0, trained=True)
    run.finish()
    assert run.validated[0] == 0 and len(run.validated) == 16
    assert_ends_in_time(run)
    assert run.trainer.time.spent.stepping == run.trainer.position.step
    # The first plan knows already what a validation takes.
    assert len(run.streams.plans()) == 1
    assert run.streams.shares[0] == 0.0


@pytest.mark.parametrize(("validation", "later"), [(6.0, 1.0), (0.0, 0.985), (6.0, 1.015)])
def test_the_time_left_is_what_the_run_still_takes(simulate: Simulate, validation: float, later: float) -> None:
    """Also where the run ends a little beside its time, for the machine's speed is not quite what it was."""
    timed = simulate(lambda step: 1.0 if step < 100 else later, validation=validation)
    found = reports(timed.finish())
    end = timed.trainer.time.spent.seconds + validation
    for report in found:
        assert report.progress == pytest.approx(report.seconds / BUDGET, abs=0.06)
        if report.seconds > BUDGET / 2:
            assert report.seconds_left == pytest.approx(end - report.seconds, abs=0.005 * BUDGET)
    assert report.seconds_left == pytest.approx(2 * validation, abs=1e-6), "the last validation, and what comes after"


def test_without_a_plan_the_time_left_is_reckoned_from_the_share(simulate: Simulate) -> None:
    counted = simulate(lambda step: 2.0, seconds=None, steps=50)
    left = [report.seconds_left for report in reports(counted.finish())]
    assert left == pytest.approx([2.0 * (50 - step) for step in range(1, 51)])


def test_without_a_time_budget_nothing_is_planned(simulate: Simulate) -> None:
    run = simulate(lambda step: 1.0 + step, seconds=None, steps=30)
    run.finish()
    assert run.trainer.position.step == 30
    assert run.trainer.time.spent.plan == StepPlan()
    assert run.streams.shares == [step / 30 for step in range(30)]


# -- interruption and divergence -------------------------------------------------------------------------------------


def changing(step: int) -> float:
    return 1.0 if step < 150 else 2.0


@pytest.mark.parametrize("at", [1, 60, 152])
def test_a_run_that_is_restored_goes_on_with_the_same_plan(simulate: Simulate, at: int) -> None:
    whole = simulate(changing, validation=2.0)
    whole.finish()

    first = simulate(changing, validation=2.0)
    for event in first.trainer.run():
        if isinstance(event, Report) and event.step >= at:
            first.trainer.stop = True
    kept = first.saved.snapshots[-1]
    assert kept.progress.position.step == at
    record = json.loads(json.dumps(kept.progress.to_json()))

    again = simulate(changing, validation=2.0)
    again.clock.now = 7e6  # next month
    again.trainer.restore(Snapshot(Progress.from_json(record), kept.tensors))
    again.finish()
    assert again.streams.totals == whole.streams.totals[at:]
    assert again.streams.shares == whole.streams.shares[at:]
    assert again.trainer.time.spent.plan == whole.trainer.time.spent.plan
    assert again.trainer.time.spent.seconds == pytest.approx(whole.trainer.time.spent.seconds)
    assert all(torch.equal(tensor, weights(again.trainer)[name]) for name, tensor in weights(whole.trainer).items())


def poison_once(run: Simulation, steps: set[int]) -> None:
    """Let the loss be NaN at these steps, once each."""
    window = run.streams.window

    def poisoned(epoch: int, index: int) -> Batch:
        if run.trainer.position.step in steps:
            steps.discard(run.trainer.position.step)
            with torch.no_grad():
                run.trainer._train_step.precision.model.first_member.forwards.bias.fill_(math.nan)
        return window(epoch, index)

    run.trainer.streams = SimpleNamespace(window=poisoned, windows=run.streams.windows, batch_size=2, ended=False)


@pytest.mark.parametrize(("at", "save_every"), [(20, 1000), (120, 90), (320, 90), (320, 1000)])
def test_time_that_was_lost_is_gone_and_the_run_ends_in_time(simulate: Simulate, at: int, save_every: int) -> None:
    run = simulate(save_every=save_every, saving=0.5)
    poison_once(run, {at})
    notes = [event for event in run.finish() if isinstance(event, Note)]
    assert [note.text.split(":")[0] for note in notes] == [f"loss or gradient is not finite at step {at + 1}"]
    assert_ends_in_time(run)
    # The speed is still a second a step: lost steps count neither as steps nor as their time.
    assert run.trainer.time.spent.plan.step_seconds == pytest.approx(1.0, rel=0.02)
    assert run.trainer.position.step < BUDGET - 10


def test_rolling_back_keeps_the_time_and_counts_it_as_spent_beside_the_steps(simulate: Simulate) -> None:
    run = simulate(save_every=10, eval_every=1000)
    poison_once(run, {37})
    before: Progress | None = None
    for event in run.trainer.run():
        if isinstance(event, Note):
            break
        before = run.trainer.progress
    after = run.trainer.progress
    assert before is not None and before.position.step == 37
    assert (after.position.step, after.rescue) == (30, Rescue(lr_scale=0.5, rollbacks=1))
    assert before.time.seconds <= after.time.seconds <= run.clock.now - 1000.0
    assert after.time.stepping == 30.0


def test_a_budget_that_a_loss_of_steps_has_used_up_ends_soon(simulate: Simulate) -> None:
    run = simulate(save_every=380, eval_every=1000, seconds=400.0)
    poison_once(run, {395, 381})
    run.finish()
    assert run.trainer.time.spent.seconds < 1.06 * BUDGET + 16
