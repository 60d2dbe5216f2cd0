"""Random numbers of one training: torch draws dropout from generators that all of a process share.

So each training has their states to itself. They are put in place for a step and put away behind it: what else draws
between two steps, another training or the program around it, changes nothing and is not changed.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

CPU, CUDA = "random", "random.cuda"


class Randomness:
    """The states of torch's generators as one training left them, under the names of the resume file."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._device = device
        before = self._read()
        torch.manual_seed(seed)
        self.states = self._read()
        self._write(before)

    def apart(self, models: int) -> list["Randomness"]:
        """What each of some models draws in a step: of several, from a seed of its own, whatever the others draw."""
        if models == 1:
            return [self]
        with self.in_place():
            seeds = torch.randint(1 << 32, (models,)).tolist()
        return [Randomness(seed, self._device) for seed in seeds]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Draw from here on as this training does; behind it, as before."""
        before = self._read()
        self._write(self.states)
        try:
            yield
        finally:
            self.states = self._read()
            self._write(before)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back, or on, to states that were saved; what a run had on another kind of device is not known here."""
        self.states = {name: tensors.get(name, state).cpu() for name, state in self.states.items()}

    def _read(self) -> dict[str, Tensor]:
        states = {CPU: torch.get_rng_state()}
        if self._device.type == "cuda":
            states[CUDA] = torch.cuda.get_rng_state(self._device)
        return states

    def _write(self, states: Mapping[str, Tensor]) -> None:
        torch.set_rng_state(states[CPU])
        if CUDA in states:
            torch.cuda.set_rng_state(states[CUDA], self._device)
