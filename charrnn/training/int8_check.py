"""What generating from 8-bit weights costs a network, measured by the engine itself."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from charrnn.inference.backends import Serving
from charrnn.inference.engine import open_engine
from charrnn.models.ensemble import Network
from charrnn.models.loss import IGNORED, cross_entropy
from charrnn.storage.checkpoint import Weights


def arrays(model: Network) -> Weights:
    """The weights as the engine takes them."""
    return {name: tensor.cpu().numpy() for name, tensor in model.state_dict().items()}


@torch.inference_mode()
def int8_cost(model: Network, tokens: npt.NDArray[Any], rows: int = 64) -> float:
    """Nats per token that generating in 8 bits loses to fp32, on rows of this text read side by side from the start."""
    config = model.config
    length = max(1, tokens.size // rows)
    rows = tokens.size // length
    # A character that the vocabulary lacks is read as the start id, and not asked for.
    ids = tokens[: rows * length].astype(np.int64).reshape(rows, length)
    targets = torch.from_numpy(np.where(ids < config.vocab_size, ids, IGNORED))
    inputs = np.hstack([np.full((rows, 1), config.start_id), np.minimum(ids, config.start_id)[:, :-1]])
    exact, _ = model(torch.from_numpy(inputs), model.initial_states(rows))
    engine = open_engine(config, arrays(model), "int8")
    state, rounded = engine.initial_state(rows), []
    with Serving(engine, rows, length) as serving:
        for t in range(length):
            logits, state = serving.step(inputs[:, t], state)
            rounded.append(torch.from_numpy(logits))
    difference = cross_entropy(torch.stack(rounded, dim=1), targets) - cross_entropy(exact, targets)
    return float(difference.double().sum() / max(1, int((targets >= 0).sum())))
