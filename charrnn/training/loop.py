"""The loop: one straight path that yields events. It prints nothing and draws nothing.

window -> step (`TrainStep`) -> finite? -> report; every so often: score the validation part, save. All that changes
while it runs stands in `Progress` and in its `TrainingState`: saving those is an exact resume.

A step reads nothing back from the device: sums stay there until they are reported, and a step whose numbers are not
finite moves no weight by the device's own decision. So a GPU is never waited for inside the loop.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Generator, Iterator

import torch

from charrnn.config import TrainConfig
from charrnn.errors import DivergedError
from charrnn.machine import Machine
from charrnn.machine.threads import AdaptiveThreads
from charrnn.models.ensemble import Network
from charrnn.models.loss import IGNORED
from charrnn.training.batches import Batch, Streams
from charrnn.training.events import Event, Note, Report, Stopped
from charrnn.training.optim import learning_rate
from charrnn.training.progress import Accumulators, Best, Position, Progress, Rescue, Snapshot, Spent
from charrnn.training.save_schedule import SaveSchedule
from charrnn.training.teacher import Teacher
from charrnn.training.time_budget import TimeBudget
from charrnn.training.train_step import TrainStep
from charrnn.training.updates import Updates
from charrnn.training.world import ALONE, World

# Measuring how far a step moves the weights copies them: at one report of so many.
REPORTS_TO_MEASURE = 10


class Trainer:
    """Trains one model on one stream of windows, within the budget of its configuration.

    `validate` returns the validation loss of the fp32 weights, or is None; `save` is given a snapshot and whether its
    weights are the best so far. Set `stop` to end after the step that is running, with everything saved.
    """

    def __init__(
        self,
        model: Network,
        streams: Streams,
        config: TrainConfig,
        machine: Machine,
        threads: AdaptiveThreads | None = None,
        *,
        tokens_per_char: float = 1.0,
        validate: Callable[[], float] | None,
        save: Callable[[Snapshot, bool], None],
        reverse: Streams | None = None,
        teacher: Teacher | None = None,
        world: World = ALONE,
    ) -> None:
        """`reverse`: of a bidirectional model, the same text from its end, in windows as many as `streams` has."""
        self.world, self.model, self.streams, self.config, self.machine = world, model, streams, config, machine
        self.stop = False
        self.bits = tokens_per_char / math.log(2)
        self.time = TimeBudget(config, self.epochs, world.now)
        self._stand_at(Progress())
        self.trained = False
        self._validate, self._save, self._saves = validate, save, SaveSchedule.of(config, world.now)
        self._train_step = TrainStep(model, config, machine, streams.batch_size, world, teacher)
        self._updates = Updates(model, self._train_step.models_with)
        self._threads = threads or AdaptiveThreads(machine)
        exact = torch.float32 if machine.device.type == "mps" else torch.float64  # which Apple's GPUs lack
        # Loss, norm and clipped steps, added up on the device.
        self._sums = torch.zeros(3, dtype=exact, device=machine.device)
        # On a CPU there is nothing to wait for: every step is looked at.
        self._waits = machine.device.type != "cpu"
        self._reverse = reverse
        self._good: Snapshot | None = None
        self._read: list[Batch] = []

    def begin(self, seconds: float, *, trained: bool) -> None:
        """A new run that has spent so many seconds of its budget on its text; `trained` weights are judged first."""
        self._stand_at(Progress(time=Spent(seconds=seconds, overhead_seconds=seconds)))
        self.trained = trained

    @property
    def progress(self) -> Progress:
        """Where the run stands."""
        return Progress(
            position=self.position,
            since_report=self.since_report,
            last_report=self.last_report,
            best=self.best,
            time=self.time.spent,
            rescue=self._rescue,
            averaged=self._train_step.state.average.count,
            finished=self._finished,
        )

    def snapshot(self) -> Snapshot:
        """A copy of everything, as it stands between two steps."""
        return Snapshot(self.progress, self._train_step.state.tensors())

    def restore(self, snapshot: Snapshot) -> None:
        """Go back, or on, to a snapshot."""
        self._stand_at(snapshot.progress)
        self._train_step.restore(snapshot.tensors, snapshot.progress.averaged)
        self._sums.zero_()

    def _stand_at(self, progress: Progress) -> None:
        """All of a progress but what the weights' mean counts by itself."""
        self.position: Position = progress.position
        self.since_report: Accumulators = progress.since_report
        self.last_report: Accumulators = progress.last_report
        self.best: Best = progress.best
        self.time.spent = progress.time
        self._rescue: Rescue = progress.rescue
        self._finished = progress.finished

    # -- the loop ----------------------------------------------------------------------------------------------------

    def run(self) -> Iterator[Event]:
        """Train until the budget is spent, validation no longer improves, or `stop` is set.

        Raises DivergedError when no finite loss is found again after a few returns to the last good state.
        """
        self.time.start()
        if self.trained and self._validate is not None:
            self.best = Best(loss=self._validate())
            self.time.tick(validation=True)
            yield Note(f"before the first step: valid {self.best.loss:.4f} nats per token")
        self._keep(best=self.position.step == 0)
        self.time.tick(overhead=True)
        while True:
            done, stop = self._share() >= 1, self.world.any(self.stop)
            if (done or stop) and self._waits and not self._settle():
                yield self._roll_back()
                continue
            if done:
                if (yield from self._finish("done")):
                    return
                continue
            if stop:
                if not self._keep(best=self.best.loss is None):
                    yield self._roll_back()
                    continue
                yield Stopped("interrupted")
                return
            self._threads.watch(self._step)
            reporting = self.position.step % self.config.report_every == 0
            saving = self._saves.due(self.position.step)
            validating = self.time.validation_due(self.position)
            if (reporting or saving or validating or not self._waits) and not self._settle():
                yield self._roll_back()
                continue
            self.time.tick()
            self.time.replan(self.position)
            yield from map(Note, self._threads.notes())
            if validating:
                if not (yield from self._validation()):
                    continue
                if self.config.patience is not None and self.best.stale >= self.config.patience:
                    if (yield from self._finish("no improvement")):
                        return
                    continue
            elif reporting:
                yield self._report()
            if saving and not (validating and self.config.save_every is None):
                if not self._keep(best=self._validate is None):
                    yield self._roll_back()
                    continue
                self.time.tick(overhead=True)

    def _step(self) -> None:
        """One window of each direction of the model."""
        started, position = time.monotonic(), self.position
        streams = [self.streams] if self._reverse is None else [self.streams, self._reverse]
        windows = [stream.window(position.epoch, position.index) for stream in streams]
        count = sum(int((window.targets != IGNORED).sum()) for window in windows)
        self._read = windows
        with self._updates.measured((position.step + 1) % (REPORTS_TO_MEASURE * self.config.report_every) == 0):
            loss, norm, clipped = self._train_step.learn(windows, count, lr=self._lr(), number=position.step)
        average = self.config.average
        self._train_step.average_in(average is not None and self._share() >= 1 - average)

        self._sums += torch.stack([loss * count, norm, clipped]).to(self._sums)
        self.position = position.advance(count // len(windows), self.streams.windows(position.epoch))
        self.since_report = self.since_report.add(steps=1, tokens=count, seconds=time.monotonic() - started)

    def _settle(self) -> bool:
        """Read the sums back from the device; False when they are not finite."""
        started = time.monotonic()
        loss, norm, clipped = sums = self._sums.tolist()
        self._sums.zero_()
        self.since_report = self.since_report.add(
            loss=loss, norm=norm, clipped=clipped, seconds=time.monotonic() - started
        )
        return all(map(math.isfinite, sums))

    def _share(self) -> float:
        return 1.0 if self.streams.ended else self.time.share(self.position)

    def epochs(self, position: Position) -> float:
        """Passes over the text that a position stands for."""
        return position.epoch + position.index / self.streams.windows(position.epoch)

    def _lr(self) -> float:
        return learning_rate(self.config, self._share()) * self._rescue.lr_scale

    # -- reports, validation, saving, divergence ---------------------------------------------------------------------

    def _report(self) -> Report:
        position, sums = self.position, self.since_report
        if sums.steps < self.config.report_every:  # the mean of a step or two cannot be compared with that of ten
            sums = sums.add(**dataclasses.asdict(self.last_report))
        self.last_report, self.since_report = sums, Accumulators()
        return Report(
            step=position.step,
            tokens=position.tokens,
            epoch=self.epochs(position),
            **sums.means(self.bits),
            lr=self._lr(),
            seconds=self.time.spent.seconds,
            progress=min(1.0, self._share()),
            seconds_left=self.time.seconds_left(position),
            updates=self._updates.take(),
        )

    def _validation(self) -> Generator[Event, None, bool]:
        """Score the validation part, keep what is best (early stopping), save; False where it went back instead."""
        report, average, step = self._report(), self._train_step.state.average, self.position.step
        loss, last, count = report.loss, None, average.count
        if self._validate is not None:
            # What would be saved is judged: the mean of the weights, where there is one.
            with average.in_place():
                loss = averaged = self._validate()
            if average.count and self._share() >= 1:
                last = self._validate()
                if last < averaged:
                    loss = last
                    average.clear()
        better = self.best.is_beaten_by(loss)
        self.best = self.best.after(loss, step)
        if self._validate is None:  # nothing is held out, so nothing can be stale
            self.best = dataclasses.replace(self.best, stale=0)
        self.time.count_validation(self.position)
        rescue, self._rescue = self._rescue, self._rescue.over()
        if not (math.isfinite(loss) and self._keep(best=better or self._validate is None)):
            self._rescue = rescue
            yield self._roll_back()
            return False
        self.time.tick(validation=True)
        if self._validate is not None:
            report = dataclasses.replace(
                report, valid_loss=loss, valid_bpc=loss * self.bits, best=better, unaveraged=last
            )
        yield report
        if last is not None:
            yield Note(
                f"valid {averaged:.4f} nats per token by the mean of the weights over {count:,} steps, {last:.4f} by "
                f"the last step's: {'the mean is' if average.count else 'those are'} kept"
            )
        self.time.tick(overhead=True)  # whoever follows may have written a sample
        return True

    def _finish(self, reason: str) -> Generator[Event, None, bool]:
        """Validate and save for the last time; False where it went back instead."""
        if self.since_report.steps and not (yield from self._validation()):
            return False
        self._finished = True
        if not self._keep(best=False):
            yield self._roll_back()
            return False
        yield Stopped(reason)
        return True

    def _keep(self, *, best: bool) -> bool:
        """Save where it stands; False, and nothing is kept, where a number is not finite, or what it gives is not."""
        started = self._saves.clock()
        snapshot = self.snapshot()
        if self._good is None:
            if not snapshot.finite():
                raise DivergedError(
                    "the weights are not finite before the first step: nothing can be learned from them"
                )
        elif not (snapshot.finite() and self._train_step.finite(self._read)):
            return False
        self._good = snapshot
        self._save(snapshot, best)
        self._saves.saved(started)
        return True

    def _roll_back(self) -> Note:
        """Back to the last good state, at half the learning rate. Raises DivergedError after a few times."""
        assert self._good is not None
        failed, spent, rescue = self.position.step, self.time.spent, self._rescue.again(self.position.step, self.config)
        self.restore(self._good)
        self._rescue = rescue
        self.time.lose_since(spent)
        at = f"at step {failed}: back to step {self.position.step}"
        return Note(f"loss or gradient is not finite {at}, learning rate halved", warning=True)
