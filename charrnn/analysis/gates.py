"""The gates of a network along a text: how often they are shut or open, and what they let through of a gradient.

Shapes: T tokens, H hidden.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from charrnn.analysis.neurons import states_along
from charrnn.models.cells import CELLS
from charrnn.models.cells.gru import GRU, LayerNormGRU
from charrnn.models.language_model import LanguageModel
from charrnn.models.unroll import TorchOperations
from charrnn.text.token_files import Tokens

# A gate below or above these is shut or open.
SHUT, OPEN = 0.1, 0.9


@dataclass(frozen=True)
class Saturation:
    """Of a layer's gates, by name: the share of values below 0.1 and above 0.9 along a text."""

    layer: int
    gate: str
    shut: float
    open: float

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"layer": self.layer, "gate": self.gate, "shut": self.shut, "open": self.open}


class _Watched(TorchOperations):
    """Torch's operations; what every sigmoid gave is kept, call by call."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def sigmoid(self, x: Tensor) -> Tensor:  # type: ignore[override]
        y = torch.sigmoid(x)
        self.seen.append(y)
        return y


@torch.no_grad()
def gate_values(model: LanguageModel, tokens: Tokens) -> Iterator[tuple[int, str, Tensor]]:
    """Each gate of each layer along a text: its layer, its name, values (T, H); none of cells without gates."""
    names = CELLS[model.config.cell].sigmoids
    watched = [_Watched() for _ in model.forwards.layers]
    for _ in states_along(model, tokens, watched):
        pass
    for layer, operations in enumerate(watched):
        # What is called once a step, every so many calls.
        for call, gates in enumerate(names):
            values = torch.cat(operations.seen[call :: len(names)])
            for gate, part in zip(gates, values.chunk(len(gates), dim=1), strict=True):
                if gate:
                    yield layer, gate, part


def saturation(model: LanguageModel, tokens: Tokens) -> list[Saturation]:
    """How often each gate of each layer is shut or open along a text; empty for cells without gates."""
    return [
        Saturation(layer, gate, float((values < SHUT).float().mean()), float((values > OPEN).float().mean()))
        for layer, gate, values in gate_values(model, tokens)
    ]


@dataclass(frozen=True)
class FreshGates:
    """A fresh GRU's gates: the share `kept` of a state at each step, z, and the `reset` gate r, means over a text.

    Where they hardly differ from unit to unit, and U is a rotation, a step hands on z I + (1 - z) r U of a gradient:
    the root of z^2 + (1 - z)^2 r^2 of its length where U turns it aside, z + (1 - z) r at most, where U does not.
    """

    kept: float
    reset: float

    @property
    def half_lives(self) -> tuple[float, float]:
        """The steps in which a gradient halves, at least and at most."""
        through = (1 - self.kept) * self.reset
        least, most = (
            math.log(0.5) / math.log(share) for share in (math.hypot(self.kept, through), self.kept + through)
        )
        return least, most

    def told(self) -> str:
        """Why it is no longer: a line."""
        least, most = self.half_lives
        return (
            f"a fresh update gate stands at z = {self.kept:.2f}: a step keeps that much of a gradient, and (1 - z) r = "
            f"{(1 - self.kept) * self.reset:.2f} by the candidate, so it halves in {least:.1f} to {most:.1f} steps, "
            "little later than a simple network's; training opens the gate"
        )


def fresh_gates(model: LanguageModel, tokens: Tokens) -> FreshGates | None:
    """Those of an untrained network's first layer along a text; None of other cells, and of normed products.

    The recurrent matrices are taken to be rotations, as they begin.
    """
    cell = model.forwards.layers[0].cell()
    if not isinstance(cell, GRU) or isinstance(cell, LayerNormGRU):
        return None
    means = {name: values.mean() for layer, name, values in gate_values(model, tokens) if layer == 0}
    # What is left of a state of 1 beside a candidate of 0: z, or 1 - z, as the cell has it.
    kept = cell.blend(torch.tensor(0.0), means["z"], torch.tensor(1.0))
    return FreshGates(float(kept), float(means["r"]))
