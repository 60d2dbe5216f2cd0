"""One token at a time by the formulas, against the model's own forward."""

from itertools import cycle
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from charrnn.analysis.steps import embed, step
from charrnn.config import ModelConfig
from charrnn.models.cells import CELLS
from charrnn.models.language_model import LanguageModel

from .cases import each

every_cell = each("cell", list(CELLS))
WAYS: list[dict[str, Any]] = [{}, {"skip": "residual"}, {"skip": "highway", "norm": True}, {"skip": "dense"}]


def network(cell: str = "lstm", **fields: Any) -> LanguageModel:
    """Seven symbols, float64, fresh weights: far from zero, far from running away."""
    chosen: dict[str, Any] = {"vocab_size": 7, "start_id": 7, "embedding": 4, "hidden": 5, "layers": 2} | fields
    model = LanguageModel(ModelConfig(cell=cell, **chosen)).double().eval()
    model.initialise(torch.Generator().manual_seed(2))
    return model


def text(count: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 7, count).astype(np.uint8)


@each("cell, ways", zip(CELLS, cycle(WAYS)))
def test_steps_are_the_models_own_forward(cell: str, ways: dict[str, Any]) -> None:
    model, tokens = network(cell, layers=3, **ways), torch.from_numpy(text(24).reshape(2, 12).astype(np.int64))
    expected, left = model(tokens, model.initial_states(2))
    states = model.initial_states(2)
    for t in range(12):
        logits, states = step(model, embed(model, tokens[:, t]), states)
        assert (logits - expected[:, t]).abs().max() < 1e-10
    for state, own in zip(states, left, strict=True):
        assert all((part - other).abs().max() < 1e-10 for part, other in zip(state, own, strict=True))
