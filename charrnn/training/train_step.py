"""What a step does to a network: each of its models learns from a window, by itself.

window -> direction(inputs, detached states) -> nats per token -> backward -> clip -> move the weights. Nothing here
reads a number back from the device.
"""

import torch
from torch import Tensor, nn

from charrnn.config import TrainConfig
from charrnn.machine import Machine
from charrnn.models.cells import States
from charrnn.models.ensemble import Network
from charrnn.models.language_model import LanguageModel, detach, select_rows
from charrnn.models.layers import LockedDropout
from charrnn.models.loss import cross_entropy
from charrnn.models.states import map_state
from charrnn.training.batches import FRESH, Batch
from charrnn.training.mixed_precision import MixedPrecision
from charrnn.training.optim import clip, make_optimizer
from charrnn.training.optim.averaging import Average
from charrnn.training.randomness import Randomness
from charrnn.training.sharing import shared
from charrnn.training.state import TrainingState
from charrnn.training.teacher import Teacher, taught
from charrnn.training.world import ALONE, World


class TrainStep:
    """A network, and all that moves its weights.

    The models of an ensemble go through the same windows side by side, each with its own loss and clipping: so each
    learns, bit for bit, what it would learn alone.
    """

    def __init__(
        self,
        model: Network,
        config: TrainConfig,
        machine: Machine,
        rows: int,
        world: World = ALONE,
        teacher: Teacher | None = None,
    ) -> None:
        """`rows`: how many streams a window has, of which this process of the world has its own.

        A `teacher`, whose memory stands behind those of the models, is for one process alone.
        """
        self._teacher = teacher
        self.config, self.machine, self.rows, self.world = config, machine, rows, world
        self.models_with, self.rows_with = shared(len(model.models), config.precision, world)
        self.precision = MixedPrecision(model, config.precision)
        self._directions = [one.directions for one in self.precision.model.models]
        self._weights = [weights_to_clip(one) for one in model.models]
        self._own = range(len(self._weights))[self.models_with.own]
        self.state = TrainingState(
            model,
            make_optimizer(model, config),
            Average(model),
            torch.amp.GradScaler(machine.device.type, enabled=config.precision == "fp16"),
            Randomness(config.seed, machine.device),
            memories=[
                [direction.initial_states(len(range(rows)[self.rows_with.own])) for direction in own]
                for own in self._directions
            ]
            + ([[states] for states in teacher.initial_states(rows)] if teacher else []),
            rows=rows,
            models_with=self.models_with,
            rows_with=self.rows_with,
        )
        if self.rows_with.size > 1:
            for module in self.precision.model.modules():
                if isinstance(module, LockedDropout):
                    module.rows, module.own = rows, self.rows_with.own

    def learn(self, windows: list[Batch], tokens: int, *, lr: float, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Step `number` (the first is 0) on one window of each direction, which have so many tokens to predict.

        The loss in nats per token, the gradient's norm before clipping, 1 where it was clipped: means over the
        models. Where loss or gradient is not finite, no weight moves.
        """
        self.precision.model.train()
        windows = [self._on_device(window) for window in windows]
        losses = torch.zeros(len(self._weights), device=self.machine.device)
        randomness = self.state.randomness.apart(len(self._weights))
        expected = None if self._teacher is None else self._expected(self._teacher, windows[0])
        for place in self._own:
            with randomness[place].in_place():
                losses[place] = self._differentiate(place, windows, tokens, expected)
        self.rows_with.sum([losses])
        # In the format that they were computed in: one process alone rounds their sum to it too.
        self.rows_with.sum([weight.grad for weight in self.precision.model.parameters() if weight.grad is not None])
        self.precision.hand_over_gradients()
        optimizer = self.state.optimizer
        optimizer.number = number
        for group in optimizer.param_groups:
            group["lr"] = lr
        return self._move(losses)

    @torch.no_grad()
    def finite(self, windows: list[Batch]) -> bool:
        """Whether the loss on these windows is, where there are any: nothing is learned from them or remembered."""
        if not windows:
            return True
        self.precision.model.eval()
        windows = [self._on_device(window) for window in windows]
        losses = [self._loss(place, windows, 1)[0] for place in self._own]
        return not self.world.any(not torch.stack(losses).isfinite().all())

    def average_in(self, begun: bool) -> int:
        """Where averaging has begun, take the weights into their mean; how many are in it now."""
        if begun:
            self.state.average.add()
        else:
            self.state.average.clear()
        return self.state.average.count

    def restore(self, tensors: dict[str, Tensor], averaged: int) -> None:
        """Go back, or on, to what `state.tensors` gave, when so many steps' weights were in their mean."""
        self.state.restore(tensors, averaged)
        self.precision.refresh()

    def _expected(self, teacher: Teacher, window: Batch) -> Tensor:
        """What a teacher holds likely in a window (B, T, V)."""
        first = len(self._weights)
        memories = [memory for (memory,) in self.state.memories[first:]]
        found, after = teacher.probabilities(window, memories, self._continued)
        self.state.memories[first:] = [[states] for states in after]
        return found

    def _differentiate(self, place: int, windows: list[Batch], tokens: int, expected: Tensor | None) -> Tensor:
        """Gradients of one model's nats per token over the windows of its directions; the loss."""
        loss, states = self._loss(place, windows, tokens, expected)
        self.state.memories[place] = [detach(own) for own in states]
        torch.autograd.backward(self.state.scaler.scale(loss))
        return loss.detach()

    def _loss(
        self, place: int, windows: list[Batch], tokens: int, expected: Tensor | None = None
    ) -> tuple[Tensor, list[States]]:
        """One model's nats per token over the windows of its directions, and what each direction then remembers.

        `expected` (B, T, V) is what a teacher expects in the one window that there is.
        """
        total, after = torch.zeros((), device=self.machine.device), []
        memories = self.state.memories[place]
        for direction, memory, window in zip(self._directions[place], memories, windows, strict=True):
            states = memory if window.state_rows is None else self._continued(memory, window.state_rows)
            logits, states = direction(window.inputs, detach(states))
            costs = cross_entropy(logits, window.targets)
            if expected is not None:
                costs = taught(costs, logits, window.targets, expected)
            total = total + costs.sum()
            after.append(states)
        return total / tokens, after

    def _continued(self, memory: States, rows: Tensor) -> States:
        """The memory of this process's rows, where each of all B rows goes on with that of another, or begins."""
        if self.rows_with.size > 1 and ((rows >= 0) & (rows != torch.arange(self.rows, device=rows.device))).any():
            memory = map_state(lambda part: self.rows_with.whole(part, self.rows), memory)
            return select_rows(memory, rows[self.rows_with.own])
        if self.rows_with.size > 1:  # each goes on with its own
            fresh = rows[self.rows_with.own] < 0
            rows = torch.where(fresh, FRESH, torch.arange(len(fresh), device=rows.device))
        return select_rows(memory, rows)

    def _move(self, losses: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Clip and move the master weights, after such losses of the models; what `learn` returns.

        In fp16 a gradient beyond the format's range is no divergence: the scaler skips the step and scales less.
        """
        optimizer, scaler = self.state.optimizer, self.state.scaler
        if scaler.is_enabled():
            scaler.unscale_(optimizer)
        figures = losses.new_zeros(len(losses), 3)
        for place in self._own:
            figures[place] = torch.stack([losses[place], *clip(self._weights[place], self.config)])
        self.models_with.sum([figures])
        loss, norm, clipped = figures.mean(0)
        if scaler.is_enabled():
            scaler.step(optimizer)
            scaler.update()
            norm = norm.nan_to_num(0.0, 0.0, 0.0)
        else:
            # The optimiser looks at this where it stands, on the device.
            optimizer.found_inf = (~(loss.isfinite() & norm.isfinite())).float()
            optimizer.step()
        optimizer.zero_grad()
        self.precision.refresh()
        return loss, norm, clipped

    def _on_device(self, window: Batch) -> Batch:
        carried, own = None if window.state_rows is None else self._moved(window.state_rows), self.rows_with.own
        return Batch(self._moved(window.inputs[own]), self._moved(window.targets[own]), carried)

    def _moved(self, tensor: Tensor) -> Tensor:
        if self.machine.device.type == "cuda":
            return tensor.pin_memory().to(self.machine.device, non_blocking=True)
        return tensor.to(self.machine.device)


def weights_to_clip(model: LanguageModel) -> list[nn.Parameter]:
    """A model's weights, the head and its bias in front: the last bit of their norm depends on the order."""
    first = list(model.forwards.parameters(recurse=False))
    return first + [weight for weight in model.parameters() if not any(weight is one for one in first)]
