"""The loop: one straight path that yields events. It prints nothing and draws nothing.

window -> model(inputs, detached states) -> nats per token -> backward -> finite? -> clip -> step -> report; every so
often: score the validation part, save. All that changes while it runs stands in `Progress`, the weights, the optimiser,
the states and one random generator: saving those is an exact resume.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from charrnn.config import TrainConfig
from charrnn.errors import DivergedError
from charrnn.models.language_model import LanguageModel, carry, detach, nats
from charrnn.text.streams import IGNORED, Streams
from charrnn.training.events import Event, Note, Progress, Report, Snapshot, Stopped
from charrnn.training.optim import clip, learning_rate, make_optimizer
from charrnn.training.precision import Machine, Shadow

EVALUATIONS = 15
MOST_ROLLBACKS = 4
SAVE_SECONDS = 60.0


class Trainer:
    """Trains one model on one stream of windows, within the budget of its configuration.

    `validate` returns the validation loss of the fp32 weights, or is None; `save` is given a snapshot and whether its
    weights are the best so far. Set `stop` to end after the step that is running, with everything saved.
    """

    def __init__(
        self,
        model: LanguageModel,
        streams: Streams,
        config: TrainConfig,
        machine: Machine,
        *,
        tokens_per_char: float = 1.0,
        validate: Callable[[], float] | None,
        save: Callable[[Snapshot, bool], None],
    ) -> None:
        self.model, self.streams, self.config, self.machine = model, streams, config, machine
        self.stop = False
        self.progress = Progress()
        self.bits = tokens_per_char / math.log(2)
        self._validate, self._save = validate, save
        self._shadow = Shadow(model, config.precision)
        self._optimizer = make_optimizer(model, config)
        self._states = self._shadow.model.initial_states(streams.batch_size)
        self._good: Snapshot | None = None
        self._spent_validating = 0.0
        self._ticked = time.monotonic()
        torch.manual_seed(config.seed)

    # -- what a run is made of, as tensors ---------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """A copy of everything, as it stands between two steps."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for slot, value in self._optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{name}.{slot}"] = value
        for number, state in enumerate(self._states):
            for part, value in enumerate(state):
                tensors[f"state.{number}.{part}"] = value
        tensors["random"] = torch.get_rng_state()
        return Snapshot(self.progress, {name: tensor.detach().clone() for name, tensor in tensors.items()})

    def restore(self, snapshot: Snapshot) -> None:
        """Go back, or on, to a snapshot."""
        tensors = snapshot.tensors
        self.progress = snapshot.progress
        self.model.load_state_dict({n: tensors[f"model.{n}"] for n in self.model.state_dict()})
        for name, parameter in self.model.named_parameters():
            self._optimizer.state[parameter] = _slots(tensors, f"optimizer.{name}.", parameter.device)
        self._states = tuple(
            tuple(tensors[f"state.{number}.{part}"].to(value) for part, value in enumerate(state))
            for number, state in enumerate(self._states)
        )
        torch.set_rng_state(tensors["random"].cpu())
        self._shadow.refresh()

    # -- the loop ----------------------------------------------------------------------------------------------------

    def run(self) -> Iterator[Event]:
        """Train until the budget is spent, validation no longer improves, or `stop` is set.

        Raises DivergedError when no finite loss is found again after a few returns to the last good state.
        """
        self._ticked = time.monotonic()
        self._keep(best=self.progress.step == 0)
        saved_at = time.monotonic()
        while True:
            if self._share() >= 1:
                yield from self._finish("done")
                return
            if self.stop:
                self._keep(best=self.progress.best is None)
                yield Stopped("interrupted")
                return
            if not self._step():
                yield self._roll_back()
                continue
            self._tick()
            step = self.progress.step
            if self._validation_due():
                yield from self._validation()
                saved_at = time.monotonic()
                if self.config.patience is not None and self.progress.stale >= self.config.patience:
                    yield from self._finish("no improvement")
                    return
            elif step % self.config.report_every == 0:
                yield self._report()
            every = self.config.save_every
            if step % every == 0 if every else time.monotonic() - saved_at > SAVE_SECONDS:
                self._keep(best=self._validate is None)
                saved_at = time.monotonic()

    def _step(self) -> bool:
        """One window; False, and no weight moved, when loss or gradient is not finite."""
        started = time.monotonic()
        config, model, progress = self.config, self._shadow.model.train(), self.progress
        window = self.streams.window(progress.epoch, progress.index)
        states = self._states if window.carry is None else carry(self._states, window.carry.to(self.machine.device))
        inputs, targets = window.inputs.to(self.machine.device), window.targets.to(self.machine.device)
        count = int((window.targets != IGNORED).sum())

        logits, states = model(inputs, detach(states))
        loss = nats(logits, targets).sum() / count
        torch.autograd.backward(loss)
        self._shadow.hand_over_gradients()
        norm, clipped = clip(self.model.parameters(), config)
        value = float(loss.detach())
        if not (math.isfinite(value) and math.isfinite(norm)):
            self._optimizer.zero_grad()
            return False
        lr = self._lr()
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._shadow.refresh()

        self._states = detach(states)
        last = progress.index + 1 == self.streams.windows(progress.epoch)
        self.progress = dataclasses.replace(
            progress,
            step=progress.step + 1,
            tokens=progress.tokens + count,
            epoch=progress.epoch + last,
            index=0 if last else progress.index + 1,
            summed_loss=progress.summed_loss + value * count,
            summed_norm=progress.summed_norm + norm,
            summed_steps=progress.summed_steps + 1,
            summed_clipped=progress.summed_clipped + clipped,
            summed_tokens=progress.summed_tokens + count,
            summed_seconds=progress.summed_seconds + time.monotonic() - started,
        )
        return True

    # -- time --------------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Count the wall-clock time since the last tick, whatever it was spent on."""
        now = time.monotonic()
        self.progress = dataclasses.replace(self.progress, seconds=self.progress.seconds + now - self._ticked)
        self._ticked = now

    def _epochs(self) -> float:
        return self.progress.epoch + self.progress.index / self.streams.windows(self.progress.epoch)

    def _share(self) -> float:
        """How much of the budget is spent, 0 … 1; a last validation's time is set aside."""
        config, progress = self.config, self.progress
        if config.steps is not None:
            return progress.step / config.steps
        if config.epochs is not None:
            return self._epochs() / config.epochs
        assert config.seconds is not None
        left = max(config.seconds - self._spent_validating, 0.5 * config.seconds)
        return progress.seconds / left

    def _lr(self) -> float:
        return learning_rate(self.config, self._share()) * self.progress.lr_scale

    # -- reports, validation, saving ---------------------------------------------------------------------------------

    def _report(self) -> Report:
        p = self.progress
        steps = max(1, p.summed_steps)
        report = Report(
            step=p.step,
            tokens=p.tokens,
            epoch=self._epochs(),
            loss=p.summed_loss / max(1, p.summed_tokens),
            bpc=p.summed_loss / max(1, p.summed_tokens) * self.bits,
            lr=self._lr(),
            grad_norm=p.summed_norm / steps,
            clipped=p.summed_clipped / steps,
            tokens_per_second=p.summed_tokens / max(p.summed_seconds, 1e-9),
            seconds=p.seconds,
            progress=min(1.0, self._share()),
        )
        self.progress = dataclasses.replace(
            p, summed_loss=0.0, summed_norm=0.0, summed_steps=0, summed_clipped=0, summed_tokens=0, summed_seconds=0.0
        )
        return report

    def _validation_due(self) -> bool:
        if self.config.eval_every is not None:
            return self.progress.step % self.config.eval_every == 0
        return int(min(1.0, self._share()) * EVALUATIONS) > self.progress.evaluations

    def _validation(self) -> Iterator[Event]:
        """Score the validation part, keep what is best, save."""
        started = time.monotonic()
        report = self._report()
        loss = report.loss if self._validate is None else self._validate()
        p = self.progress
        better = math.isfinite(loss) and (p.best is None or loss < p.best)
        self._spent_validating = time.monotonic() - started
        self.progress = dataclasses.replace(
            p,
            evaluations=max(p.evaluations + 1, int(min(1.0, self._share()) * EVALUATIONS)),
            best=loss if better else p.best,
            best_step=p.step if better else p.best_step,
            stale=0 if better or self._validate is None else p.stale + 1,
            rollbacks=0,
        )
        self._keep(best=better or self._validate is None)
        if self._validate is not None:
            report = dataclasses.replace(report, valid_loss=loss, valid_bpc=loss * self.bits, best=better)
        yield report

    def _finish(self, reason: str) -> Iterator[Event]:
        if self.progress.summed_steps:
            yield from self._validation()
        self.progress = dataclasses.replace(self.progress, finished=True)
        self._keep(best=False)
        yield Stopped(reason)

    def _keep(self, *, best: bool) -> None:
        self._good = self.snapshot()
        self._save(self._good, best)

    def _roll_back(self) -> Note:
        assert self._good is not None
        tries = self.progress.rollbacks + 1
        if tries > MOST_ROLLBACKS:
            raise DivergedError(
                f"the loss is not finite at step {self.progress.step + 1}, {MOST_ROLLBACKS} returns to the last good "
                "state did not help: start again with a lower --lr or a smaller --clip; the best model is kept"
            )
        scale = self.progress.lr_scale / 2
        failed = self.progress.step + 1
        self.restore(self._good)
        self.progress = dataclasses.replace(self.progress, lr_scale=scale, rollbacks=tries)
        return Note(
            f"loss or gradient is not finite at step {failed}: back to step {self.progress.step}, learning rate halved"
        )


def _slots(tensors: Mapping[str, Tensor], prefix: str, device: torch.device) -> dict[str, Tensor]:
    """One parameter's optimiser slots; AdamW keeps its step count as a tensor too."""
    return {
        name.removeprefix(prefix): tensor.clone().to(device)
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
