"""Single units: what each gives along a text, and which of them follow something that a reader would name.

Source: Karpathy, Johnson & Fei-Fei 2015, "Visualizing and Understanding Recurrent Networks". Shapes: T tokens, L
layers, H hidden.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from charrnn.analysis.properties import Track
from charrnn.analysis.steps import embed, step
from charrnn.errors import CorpusError
from charrnn.models.cells import Operations, States
from charrnn.models.language_model import LanguageModel
from charrnn.text.token_files import Tokens


@torch.no_grad()
def activations(model: LanguageModel, tokens: Tokens, part: int = -1) -> Track:
    """What every unit holds after each token (L, T, H): the last part of the state, an LSTM's cell, or part 0, h.

    Raises CorpusError on an empty text.
    """
    if not tokens.size:
        raise CorpusError("there is no text to look at: it is empty")
    kept = [torch.stack([state[part][0] for state in states]) for states in states_along(model, tokens)]
    return torch.stack(kept, dim=1).double().numpy()


def states_along(model: LanguageModel, tokens: Tokens, operations: Sequence[Operations] = ()) -> Iterator[States]:
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
