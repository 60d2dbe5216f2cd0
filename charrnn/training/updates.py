"""How far one step moves each part of a network, against how long its weights are: about a thousandth is healthy."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from charrnn.training.world import ALONE, World


def part(name: str) -> str:
    """The part that a weight belongs to: 'forwards.layers.0.rnn.weight_hh_l0' -> 'layers.0', 'backwards.head' ->
    'backwards', 'models.1.forwards.head' -> 'models.1'.
    """
    first, *rest = name.removeprefix("forwards.").split(".")
    return f"{first}.{rest[0]}" if rest and rest[0].isdigit() else first


class Updates:
    """The ratio for each part, measured around one step; it stays on the device until it is taken.

    Of models that are shared with others, those of others do not move here.
    """

    def __init__(self, network: nn.Module, models_with: World = ALONE) -> None:
        self._models_with = models_with
        self._parts: dict[str, list[Tensor]] = {}
        for name, weight in network.named_parameters():
            self._parts.setdefault(part(name), []).append(weight)
        self._ratios: dict[str, Tensor] = {}

    @contextmanager
    def measured(self, wanted: bool) -> Iterator[None]:
        """Where it is wanted, measure the step that is done within."""
        before = self._flat() if wanted else {}
        yield
        after = self._flat() if wanted else {}
        for name, weights in before.items():
            self._ratios[name] = (after[name] - weights).norm() / weights.norm()

    @torch.no_grad()
    def _flat(self) -> dict[str, Tensor]:
        return {name: torch.cat([weight.flatten() for weight in weights]) for name, weights in self._parts.items()}

    def take(self) -> dict[str, float] | None:
        """The ratios, once; None where no step was measured since."""
        ratios, self._ratios = self._ratios, {}
        if ratios:
            self._models_with.sum(list(ratios.values()))
        # A part that was zero, as the head's bias is at first, has no length to be compared with.
        return {name: float(ratio) for name, ratio in ratios.items() if ratio.isfinite()} or None
