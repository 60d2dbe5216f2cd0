"""What generating from 8-bit weights costs a network, measured by the decoder itself."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from charrnn.checkpoint import Weights
from charrnn.generation.decoder import Decoder
from charrnn.models.language_model import LanguageModel, nats
from charrnn.text.streams import IGNORED


def arrays(model: LanguageModel) -> Weights:
    """The weights as the decoder takes them."""
    return {name: tensor.cpu().numpy() for name, tensor in model.state_dict().items()}


@torch.inference_mode()
def int8_cost(model: LanguageModel, tokens: npt.NDArray[Any], rows: int = 64) -> float:
    """Nats per token that generating in 8 bits loses to fp32, on rows of this text read side by side from the start."""
    config = model.config
    length = max(1, tokens.size // rows)
    rows = tokens.size // length
    # A character that the vocabulary lacks is read as the start id, and not asked for.
    ids = tokens[: rows * length].astype(np.int64).reshape(rows, length)
    targets = torch.from_numpy(np.where(ids < config.vocab_size, ids, IGNORED))
    inputs = np.hstack([np.full((rows, 1), config.start_id), np.minimum(ids, config.start_id)[:, :-1]])
    exact, _ = model(torch.from_numpy(inputs), model.initial_states(rows))
    decoder = Decoder(config, arrays(model), "int8")
    memory, rounded = decoder.start(rows), []
    with decoder.accelerated(rows, length):
        for t in range(length):
            logits, memory = decoder.step(inputs[:, t], memory)
            rounded.append(torch.from_numpy(logits))
    difference = nats(torch.stack(rounded, dim=1), targets) - nats(exact, targets)
    return float(difference.double().sum() / max(1, int((targets >= 0).sum())))
