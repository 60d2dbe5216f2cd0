"""Whole windows in NumPy: torch's own numbers for every cell and every way of standing together, split as one likes."""

from typing import Any

import numpy as np
import torch

from charrnn.config import ModelConfig
from charrnn.inference.windows import NetworkWindows
from charrnn.models.cells import CELLS
from charrnn.models.ensemble import build
from charrnn.models.states import map_state, state_parts
from tests.cases import each

SHAPES: list[dict[str, Any]] = [
    *({"cell": cell} for cell in CELLS),
    {"embedding": 8, "tie": True},
    {"vocab_size": 12},
    {"layers": 3, "skip": "residual"},
    {"layers": 3, "skip": "highway", "norm": True},
    {"layers": 3, "skip": "dense"},
    {"layers": 1, "norm": True},
    {"ensemble": 3},
    {"layers": 3, "skip": "dense", "ensemble": 2},
    {"bidirectional": True},
]


@each("shape", SHAPES)
def test_a_window_is_what_torch_makes_of_it_and_of_its_parts(shape: dict[str, Any]) -> None:
    config = ModelConfig(**{"vocab_size": 11, "start_id": 11, "embedding": 5, "hidden": 8, "layers": 2, **shape})
    model = build(config)
    model.initialise(torch.Generator().manual_seed(1))
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    tokens = np.random.default_rng(0).integers(0, 12, (9, 4))
    with torch.inference_mode():
        logits, states = model.eval()(torch.from_numpy(tokens).t(), model.initial_states(4))
    windows = NetworkWindows(config, weights)
    found, after = windows(tokens, windows.initial_states(4))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.reshape(9, 4, -1), logits.transpose(0, 1).numpy(), rtol=1e-4, atol=1e-5)
    assert [type(part) for part in after] == [type(part) for part in states]
    for ours, theirs in zip(state_parts(after), state_parts(states), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=1e-5)
    head, between = windows(tokens[:4], windows.initial_states(4))
    tail, end = windows(tokens[4:], between)
    np.testing.assert_allclose(np.concatenate([head, tail]), found, rtol=1e-4, atol=1e-5)
    alone, _ = windows(tokens[4:, 2:3], map_state(lambda part: part[2:3], between))
    np.testing.assert_allclose(alone, tail.reshape(5, 4, -1)[:, 2], rtol=1e-4, atol=1e-5)
    assert all(np.allclose(one, other, 1e-4, 1e-5) for one, other in zip(*map(state_parts, (end, after)), strict=True))
