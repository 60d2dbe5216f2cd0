"""The loss: cross-entropy in nats, token by token. Shapes: B batch, T time, V vocabulary."""

import torch.nn.functional as F
from torch import Tensor

from charrnn.models.layers import time_major

# The target of padding, which costs nothing.
IGNORED = -100


def cross_entropy(logits: Tensor, targets: Tensor, *, ignored: int = IGNORED) -> Tensor:
    """Surprisal in nats of each target: logits (B, T, V), targets (B, T) -> (B, T), float32; 0 where ignored."""
    flat = time_major(logits).flatten(0, 1).float()
    losses = F.cross_entropy(flat, targets.t().flatten(), ignore_index=ignored, reduction="none")
    return losses.view(targets.shape[1], targets.shape[0]).t()
