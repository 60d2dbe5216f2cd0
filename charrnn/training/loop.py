"""The loop: one straight path that yields events. It prints nothing and draws nothing.

window -> step (`TrainStep`) -> finite? -> report; every so often: score the validation part, save. All that changes
while it runs stands in `Progress` and in its `TrainingState`: saving those is an exact resume.

A step reads nothing back from the device: sums stay there until they are reported, and a step whose numbers are not
finite moves no weight by the device's own decision. So a GPU is never waited for inside the loop.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator

import torch

from charrnn.config import TrainConfig
from charrnn.errors import DivergedError
from charrnn.machine import Machine
from charrnn.models.ensemble import Network
from charrnn.models.loss import IGNORED
from charrnn.training.batches import Streams
from charrnn.training.events import Event, Note, Progress, Report, Snapshot, Stopped
from charrnn.training.optim import learning_rate
from charrnn.training.time_budget import TimeBudget
from charrnn.training.train_step import TrainStep
from charrnn.training.updates import Updates

# A validation this much above the best is one of those that `patience` counts; less may be the learning rate's noise.
WORSE = 1.003
MOST_ROLLBACKS = 4
# A large model takes a while to save: then more seldom, so that saving takes no more than this share of the time.
SAVE_SECONDS, SAVE_SHARE = 60.0, 0.01
# Measuring how far a step moves the weights copies them: at one report of so many.
REPORTS_TO_MEASURE = 10
# What a step adds up on the device, as `Progress` has it.
SUMS = ("summed_loss", "summed_norm", "summed_clipped")


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
        *,
        tokens_per_char: float = 1.0,
        validate: Callable[[], float] | None,
        save: Callable[[Snapshot, bool], None],
        reverse: Streams | None = None,
    ) -> None:
        """`reverse`: of a bidirectional model, the same text from its end, in windows as many as `streams` has."""
        self.model, self.streams, self.config, self.machine = model, streams, config, machine
        self.stop = False
        self.progress = Progress()
        self._judge_first = False
        self._save_seconds = SAVE_SECONDS
        self.bits = tokens_per_char / math.log(2)
        self._validate, self._save = validate, save
        self._train_step = TrainStep(model, config, machine, streams.batch_size)
        self._updates = Updates(model)
        exact = torch.float32 if machine.device.type == "mps" else torch.float64  # which Apple's GPUs lack
        self._sums = torch.zeros(len(SUMS), dtype=exact, device=machine.device)
        # On a CPU there is nothing to wait for: every step is looked at.
        self._waits = machine.device.type != "cpu"
        self._reverse = reverse
        self._clock = TimeBudget(config, self._epochs)
        self._good: Snapshot | None = None
        torch.manual_seed(config.seed)

    @property
    def _halves(self) -> list[Streams]:
        """What the halves of a network read."""
        return [self.streams] if self._reverse is None else [self.streams, self._reverse]

    def begin(self, seconds: float, *, trained: bool) -> None:
        """A new run that has spent so many seconds of its budget on its text; `trained` weights are judged first."""
        self.progress = Progress(seconds=seconds, overhead_seconds=seconds)
        self._judge_first = trained

    def snapshot(self) -> Snapshot:
        """A copy of everything, as it stands between two steps."""
        return Snapshot(self.progress, self._train_step.state.tensors())

    def restore(self, snapshot: Snapshot) -> None:
        """Go back, or on, to a snapshot."""
        self.progress = snapshot.progress
        self._train_step.restore(snapshot.tensors, self.progress.averaged)
        self._sums.zero_()

    # -- the loop ----------------------------------------------------------------------------------------------------

    def run(self) -> Iterator[Event]:
        """Train until the budget is spent, validation no longer improves, or `stop` is set.

        Raises DivergedError when no finite loss is found again after a few returns to the last good state.
        """
        self._clock.start()
        if self._judge_first and self._validate is not None:
            loss = self._validate()
            self._tick(validation=True)
            self.progress = dataclasses.replace(self.progress, best=loss)
            yield Note(f"before the first step: valid {loss:.4f} nats per token")
        self._keep(best=self.progress.step == 0)
        self._tick(overhead=True)
        saved_at = time.monotonic()
        while True:
            done, stop = self._share() >= 1, self.stop
            if (done or stop) and self._waits and not self._settle():
                yield self._roll_back()
                continue
            if done:
                yield from self._finish("done")
                return
            if stop:
                self._keep(best=self.progress.best is None)
                yield Stopped("interrupted")
                return
            self._step()
            every = self.config.save_every
            step = self.progress.step
            reporting = step % self.config.report_every == 0
            saving = step % every == 0 if every else time.monotonic() - saved_at > self._save_seconds
            validating = self._clock.validation_due(self.progress)
            if (reporting or saving or validating or not self._waits) and not self._settle():
                yield self._roll_back()
                continue
            self._tick()
            self.progress = self._clock.replan(self.progress)
            if validating:
                yield from self._validation()
                saved_at = time.monotonic()
                if self.config.patience is not None and self.progress.stale >= self.config.patience:
                    yield from self._finish("no improvement")
                    return
            elif reporting:
                yield self._report()
            if saving and not (validating and every is None):
                self._keep(best=self._validate is None)
                self._tick(overhead=True)
                saved_at = time.monotonic()

    def _step(self) -> None:
        """One window of each half of the model."""
        started = time.monotonic()
        progress = self.progress
        windows = [streams.window(progress.epoch, progress.index) for streams in self._halves]
        count = sum(int((window.targets != IGNORED).sum()) for window in windows)
        measured = (progress.step + 1) % (REPORTS_TO_MEASURE * self.config.report_every) == 0
        if measured:
            self._updates.before()
        loss, norm, clipped = self._train_step.learn(windows, count, lr=self._lr(), number=progress.step)
        if measured:
            self._updates.after()
        average = self.config.average
        averaged = self._train_step.average_in(average is not None and self._share() >= 1 - average)

        self._sums += torch.stack([loss * count, norm, clipped]).to(self._sums)
        last = progress.index + 1 == self.streams.windows(progress.epoch)
        self.progress = dataclasses.replace(
            progress,
            step=progress.step + 1,
            tokens=progress.tokens + count // len(windows),
            epoch=progress.epoch + last,
            index=0 if last else progress.index + 1,
            averaged=averaged,
            summed_steps=progress.summed_steps + 1,
            summed_tokens=progress.summed_tokens + count,
            summed_seconds=progress.summed_seconds + time.monotonic() - started,
        )

    def _settle(self) -> bool:
        """Read the sums back from the device; False when they are not finite."""
        started = time.monotonic()
        sums = self._sums.tolist()
        self._sums.zero_()
        p = self.progress
        added = {name: getattr(p, name) + value for name, value in zip(SUMS, sums, strict=True)}
        waited = time.monotonic() - started
        self.progress = dataclasses.replace(p, **added, summed_seconds=p.summed_seconds + waited)
        return all(map(math.isfinite, sums))

    # -- time --------------------------------------------------------------------------------------------------------

    def _tick(self, *, overhead: bool = False, validation: bool = False) -> None:
        self.progress = self._clock.tick(self.progress, overhead=overhead, validation=validation)

    def _share(self) -> float:
        return self._clock.share(self.progress)

    def _epochs(self, progress: Progress) -> float:
        return progress.epoch + progress.index / self.streams.windows(progress.epoch)

    def _lr(self) -> float:
        return learning_rate(self.config, self._share()) * self.progress.lr_scale

    # -- reports, validation, saving ---------------------------------------------------------------------------------

    def _report(self) -> Report:
        p = self.progress
        steps = max(1, p.summed_steps)
        report = Report(
            step=p.step,
            tokens=p.tokens,
            epoch=self._epochs(p),
            loss=p.summed_loss / max(1, p.summed_tokens),
            bpc=p.summed_loss / max(1, p.summed_tokens) * self.bits,
            lr=self._lr(),
            grad_norm=p.summed_norm / steps,
            clipped=p.summed_clipped / steps,
            tokens_per_second=p.summed_tokens / max(p.summed_seconds, 1e-9),
            seconds=p.seconds,
            progress=min(1.0, self._share()),
            seconds_left=self._clock.seconds_left(p),
            updates=self._updates.take(),
        )
        self.progress = dataclasses.replace(
            p, summed_loss=0.0, summed_norm=0.0, summed_steps=0, summed_clipped=0, summed_tokens=0, summed_seconds=0.0
        )
        return report

    def _validation(self) -> Iterator[Event]:
        """Score the validation part, keep what is best, save."""
        report = self._report()
        loss = report.loss if self._validate is None else self._judge()
        p = self.progress
        better = math.isfinite(loss) and (p.best is None or loss < p.best)
        self.progress = dataclasses.replace(
            p,
            evaluations=max(p.evaluations + 1, self._clock.validations(p)),
            best=loss if better else p.best,
            best_step=p.step if better else p.best_step,
            stale=0 if better or self._validate is None else p.stale + self._is_worse(loss),
            rollbacks=0,
        )
        self._keep(best=better or self._validate is None)
        self._tick(validation=True)
        if self._validate is not None:
            report = dataclasses.replace(report, valid_loss=loss, valid_bpc=loss * self.bits, best=better)
            if self._train_step.state.average.count and self._share() >= 1:
                report = dataclasses.replace(report, unaveraged=self._validate())
        yield report
        if report.unaveraged is not None:
            yield Note(
                f"weights averaged over {self._train_step.state.average.count:,} steps: valid {loss:.4f} nats per "
                f"token; the last step's alone: {report.unaveraged:.4f}"
            )

    def _judge(self) -> float:
        """Validation of what would be saved: the mean of the weights, where there is one."""
        assert self._validate is not None
        with self._train_step.state.average.in_place():
            return self._validate()

    def _is_worse(self, loss: float) -> bool:
        return self.progress.best is None or not loss <= self.progress.best * WORSE

    def _finish(self, reason: str) -> Iterator[Event]:
        if self.progress.summed_steps:
            yield from self._validation()
        self.progress = dataclasses.replace(self.progress, finished=True)
        self._keep(best=False)
        yield Stopped(reason)

    def _keep(self, *, best: bool) -> None:
        started = time.monotonic()
        self._good = self.snapshot()
        self._save(self._good, best)
        self._save_seconds = max(SAVE_SECONDS, (time.monotonic() - started) / SAVE_SHARE)

    def _roll_back(self) -> Note:
        assert self._good is not None
        tries = self.progress.rollbacks + 1
        if tries > MOST_ROLLBACKS:
            clipping = "--clip 1" if self.config.clip is None else "a smaller --clip"
            raise DivergedError(
                f"the loss is not finite at step {self.progress.step}, {MOST_ROLLBACKS} returns to the last good "
                f"state did not help: start again with a lower --lr or {clipping}; the best model is kept"
            )
        failed = self.progress
        self.restore(self._good)
        p = self.progress
        self.progress = dataclasses.replace(
            p,
            lr_scale=failed.lr_scale / 2,
            rollbacks=tries,
            # The time is gone all the same.
            seconds=failed.seconds,
            overhead_seconds=p.overhead_seconds + failed.seconds - p.seconds,
        )
        return Note(
            f"loss or gradient is not finite at step {failed.step}: back to step {self.progress.step}, learning rate "
            "halved",
            warning=True,
        )
