"""Single units: what each gives along a text, and which of them follow something that a reader would name.

Source: Karpathy, Johnson & Fei-Fei 2015, "Visualizing and Understanding Recurrent Networks". Shapes: T tokens, L
layers, H hidden, G gates.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from charrnn.analysis.properties import Track
from charrnn.analysis.steps import embed, step
from charrnn.errors import CorpusError
from charrnn.models.cells import CELLS, Operations, States
from charrnn.models.language_model import LanguageModel
from charrnn.models.unroll import TorchOperations
from charrnn.text.token_files import Tokens

# A gate below or above these is shut or open.
SHUT, OPEN = 0.1, 0.9


@torch.no_grad()
def activations(model: LanguageModel, tokens: Tokens, part: int = -1) -> Track:
    """What every unit holds after each token (L, T, H): the last part of the state, an LSTM's cell, or part 0, h.

    Raises CorpusError on an empty text.
    """
    if not tokens.size:
        raise CorpusError("there is no text to look at: it is empty")
    kept = [torch.stack([state[part][0] for state in states]) for states in _states(model, tokens)]
    return torch.stack(kept, dim=1).double().numpy()


def _states(model: LanguageModel, tokens: Tokens, operations: Sequence[Operations] = ()) -> Iterator[States]:
    """The states behind each token of a text, one row; what the vocabulary lacks is read as the start id."""
    states = model.initial_states(1)
    for token in torch.from_numpy(np.minimum(tokens, model.config.start_id).astype(np.int64)):
        _, states = step(model, embed(model, token[None]), states, operations)
        yield states


@dataclass(frozen=True)
class UnitCorrelation:
    """A unit, and the correlation of what it holds with a property, in [-1, 1]."""

    layer: int
    unit: int
    correlation: float


def correlated_units(tracks: Track, truth: Track, count: int = 5) -> list[UnitCorrelation]:
    """The units (L, T, H) that follow a property (T,) best, by the size of Pearson's correlation.

    None where the property does not change along the text.
    """
    if np.ptp(truth) == 0:
        return []
    centred = tracks - tracks.mean(axis=1, keepdims=True)
    aim = truth - truth.mean()
    spread = np.sqrt((centred**2).sum(axis=1) * (aim**2).sum())
    # A unit that never changes follows nothing.
    shared = np.einsum("lth,t->lh", centred, aim)
    found = np.divide(shared, spread, out=np.zeros_like(spread), where=spread > 0)
    best = np.argsort(-np.abs(found), axis=None, kind="stable")[:count]
    positions = [np.unravel_index(position, found.shape) for position in best]
    return [UnitCorrelation(int(layer), int(unit), float(found[layer, unit])) for layer, unit in positions]


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
def saturation(model: LanguageModel, tokens: Tokens) -> list[Saturation]:
    """How often each gate of each layer is shut or open along a text; empty for cells without gates."""
    names = CELLS[model.config.cell].sigmoids
    watched = [_Watched() for _ in model.forwards.layers]
    for _ in _states(model, tokens, watched):
        pass
    found = []
    for layer, operations in enumerate(watched):
        # What is called once a step, every so many calls.
        for call, gates in enumerate(names):
            values = torch.cat(operations.seen[call :: len(names)])
            for gate, part in zip(gates, values.chunk(len(gates), dim=1), strict=True):
                if gate:
                    shut, open_ = float((part < SHUT).float().mean()), float((part > OPEN).float().mean())
                    found.append(Saturation(layer, gate, shut, open_))
    return found
