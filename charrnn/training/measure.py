"""How fast this machine trains this network, now: a few steps of it on random text, before anything is planned.

In company the steps that count are those on the threads that are the best in it, which training then begins with.
A GPU is given one step after another, as in training, and waited for now and then.
Processes that will train together make these steps together; the first has the clock and the say.
"""

import dataclasses
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from charrnn.config import ModelConfig, TrainConfig
from charrnn.machine import Machine
from charrnn.machine.memory import told_when_short
from charrnn.machine.threads import AdaptiveThreads
from charrnn.models.ensemble import build
from charrnn.training.batches import Batch
from charrnn.training.reading import Reading
from charrnn.training.sharing import shared
from charrnn.training.sizing import OPERATIONS, directions, weight_count
from charrnn.training.teacher import Teacher
from charrnn.training.train_step import TrainStep
from charrnn.training.world import ALONE, World

# Seconds that a measurement takes, and the share of a time budget where that is less; slow networks take longer.
# A GPU, which takes some milliseconds for a step, is measured in several ways.
SECONDS, SHARE, LONGEST = 1.0, 0.03, 3.0
SECONDS_OF_GPU, STEPS_BETWEEN_WAITS = 0.3, 10
# The first steps lay out weights and find the optimiser's bases, and load a GPU's libraries: slow once.
UNTIMED, LEAST_TIMED = 2, 2
# What steps have of a run's time: the rest goes into validations, saves, reading and the end.
LEFT_FOR_STEPS = 0.9


@dataclass(frozen=True)
class Measurement:
    """Operations a second that a run on this machine does: six for each weight (as a plan counts them) and token."""

    machine: Machine
    threads: AdaptiveThreads
    world: World = ALONE
    teacher: ModelConfig | None = None

    def __call__(self, network: ModelConfig, reading: Reading) -> float:
        """Train one such network for about a second. torch's random numbers are left as they were.

        Raises DeviceMemoryError where a GPU's memory does not suffice.
        """
        seconds = min(SECONDS_OF_GPU if self._gpu else SECONDS, SHARE * (reading.seconds or math.inf))
        weights = directions(network) * weight_count(network.hidden, network.cell, network.layers)
        # One for each process, where each will train its own.
        models = shared(network.ensemble, self.machine.precision, self.world)[0].size
        network = dataclasses.replace(network, ensemble=models)
        rows, window = reading.batch_size, max(1, round(reading.window))
        self.world.told(json.dumps({"measure": [network.to_json(), rows, window]}))
        with self._undisturbing():
            step = self._step_seconds(self._step(network, rows, window), seconds)
            self.world.any(False)  # after a failure the others wait elsewhere, and the launcher ends them
        # Of the places that a step computes, so many are text in the mean.
        return LEFT_FOR_STEPS * OPERATIONS * models * weights * reading.a_step / step

    @property
    def _gpu(self) -> bool:
        return self.machine.device.type == "cuda"

    def follow(self, network: dict[str, Any], rows: int, window: int) -> None:
        """What another process than the first does meanwhile, which is told of which network."""
        with self._undisturbing():
            learn = self._step(ModelConfig.from_json(network), rows, window)
            while self.world.any(False):
                learn()

    @contextmanager
    def _undisturbing(self) -> Iterator[None]:
        with torch.random.fork_rng([self.machine.device] if self._gpu else []), told_when_short():
            yield

    def _step(self, network: ModelConfig, rows: int, window: int) -> Callable[[], None]:
        """One step of training, again and again."""
        config = TrainConfig(seed=0, steps=1, batch_size=rows, bptt=window, precision=self.machine.precision)
        model = build(network).to(self.machine.device)
        generator = torch.Generator(self.machine.device).manual_seed(0)
        for weight in model.parameters():
            nn.init.normal_(weight, std=0.05, generator=generator)  # what they are takes no time
        teacher = None
        if self.teacher is not None:
            teacher = Teacher.like(self.teacher, config.precision, self.machine.device)
        step = TrainStep(model, config, self.machine, rows, self.world, teacher)
        inputs, targets = np.random.default_rng(0).integers(0, network.start_id, (2, rows, window))
        windows = [Batch(torch.from_numpy(inputs), torch.from_numpy(targets))] * directions(network)
        numbers = itertools.count()

        def learn() -> None:
            number = next(numbers)
            loss, *_ = step.learn(windows, rows * window, lr=config.lr, number=number)
            if not self._gpu or number < UNTIMED or number % STEPS_BETWEEN_WAITS == 0:
                loss.item()  # waits for the device

        return learn

    def _step_seconds(self, step: Callable[[], None], seconds: float) -> float:
        """Of a step, in which the others are told to follow."""

        def learn() -> None:
            self.world.any(True)
            step()

        began = time.perf_counter()
        for _ in range(UNTIMED):
            started = time.perf_counter()
            learn()
            now = time.perf_counter()
            if not self._gpu and now - began > LONGEST * seconds:
                return now - started
        return self.threads.measure(learn, seconds, LEAST_TIMED)
