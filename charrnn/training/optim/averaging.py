"""The mean of the weights over the last part of a run (Polyak & Juditsky 1992, Izmailov et al. 2018).

Where a text is read many times, weights that still move at a good pace and are then averaged generalise better than
weights that have been brought to rest by a small learning rate.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

PREFIX = "average."


class Average:
    """The running mean of a network's weights over the steps that were `add`ed."""

    def __init__(self, network: nn.Module) -> None:
        self._weights = dict(network.named_parameters())
        self.count = 0
        self._means: dict[str, Tensor] = {}

    @torch.no_grad()
    def add(self) -> None:
        """Take in the weights as they are."""
        self.count += 1
        for name, weight in self._weights.items():
            if self.count == 1:
                self._means[name] = weight.detach().clone()
            else:
                self._means[name].lerp_(weight, 1 / self.count)

    def clear(self) -> None:
        """Begin anew."""
        self.count, self._means = 0, {}

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network has the mean as its weights; nothing changes where nothing was added."""
        with torch.no_grad():
            kept = {name: self._weights[name].clone() for name in self._means}
            for name, mean in self._means.items():
                self._weights[name].copy_(mean)
            try:
                yield
            finally:
                for name, weight in kept.items():
                    self._weights[name].copy_(weight)

    def tensors(self) -> dict[str, Tensor]:
        """The means under the names that a snapshot has for them."""
        return {PREFIX + name: mean for name, mean in self._means.items()}

    def restore(self, tensors: Mapping[str, Tensor], count: int) -> None:
        """Go on from what `tensors` gave."""
        self.count = count
        self._means = {
            name: tensors[PREFIX + name].clone().to(weight) for name, weight in self._weights.items() if count
        }
