"""How far one step moves each part of a network, against how long its weights are: about a thousandth is healthy."""

import torch
from torch import Tensor, nn


def part(name: str) -> str:
    """The part that a weight belongs to: 'forwards.layers.0.rnn.weight_hh_l0' -> 'layers.0', 'backwards.head' ->
    'backwards', 'models.1.forwards.head' -> 'models.1'.
    """
    first, *rest = name.removeprefix("forwards.").split(".")
    return f"{first}.{rest[0]}" if rest and rest[0].isdigit() else first


class Updates:
    """The ratio for each part, measured around one step; it stays on the device until it is taken."""

    def __init__(self, network: nn.Module) -> None:
        self._parts: dict[str, list[Tensor]] = {}
        for name, weight in network.named_parameters():
            self._parts.setdefault(part(name), []).append(weight)
        self._before: dict[str, Tensor] = {}
        self._ratios: dict[str, Tensor] = {}

    @torch.no_grad()
    def before(self) -> None:
        """Remember the weights as they stand in front of the step."""
        self._before = {name: _flat(weights) for name, weights in self._parts.items()}

    @torch.no_grad()
    def after(self) -> None:
        """Compare them with the weights behind it."""
        for name, before in self._before.items():
            self._ratios[name] = (_flat(self._parts[name]) - before).norm() / before.norm()
        self._before = {}

    def take(self) -> dict[str, float] | None:
        """The ratios, once; None where no step was measured since."""
        ratios, self._ratios = self._ratios, {}
        # A part that was zero, as the head's bias is at first, has no length to be compared with.
        return {name: float(ratio) for name, ratio in ratios.items() if ratio.isfinite()} or None


def _flat(weights: list[Tensor]) -> Tensor:
    return torch.cat([weight.flatten() for weight in weights])
