"""Mixed precision: fp32 master weights that the optimiser moves, and a copy in bf16 or fp16 that a step computes with.

Validation, sampling and checkpoints use the fp32 weights alone.
"""

import copy

import torch
from torch import Tensor

from charrnn.machine import PRECISIONS
from charrnn.models.ensemble import Network


class MixedPrecision:
    """The network as a training step computes it: the master itself in fp32, else a copy in fewer bits."""

    def __init__(self, master: Network, precision: str) -> None:
        self.master = master
        self.model = master
        if precision != "fp32":
            self.model = copy.deepcopy(master).to(PRECISIONS[precision])
        self._masters: list[Tensor] = list(master.parameters())
        self._computing: list[Tensor] = list(self.model.parameters())

    def refresh(self) -> None:
        """Copy the master's weights into the copy that computes."""
        if self.model is not self.master:
            with torch.no_grad():
                torch._foreach_copy_(self._computing, self._masters)

    def hand_over_gradients(self) -> None:
        """Move the computing copy's gradients to the master, in fp32."""
        if self.model is not self.master:
            for master, computing in zip(self._masters, self._computing, strict=True):
                master.grad = None if computing.grad is None else computing.grad.to(master.dtype)
                computing.grad = None
