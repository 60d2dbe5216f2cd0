"""A network beside counts, called as a network is. Shapes: B batch, T time, V vocabulary."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from charrnn.inference.counted import CountedState
from charrnn.inference.counting import Counting
from charrnn.inference.products import Floats
from charrnn.models.counts.memory import CountMemory
from charrnn.models.ensemble import Predictor, apart, ensemble_logits
from charrnn.models.states import map_state


class Counted(nn.Module):
    """What a network and counts hold likely; by several gates, or beside the network alone, side by side.

    Without gradients: it is for scoring.
    """

    def __init__(self, network: Predictor, mixtures: Sequence[Counting], *, alone: bool = False) -> None:
        """All mixtures are of the same counts."""
        super().__init__()
        self.network, self.config = network, network.config
        self.training = network.training
        self._mixtures, self._alone = tuple(mixtures), alone
        self._networks = mixtures[0].mixture.networks
        self._read = apart(network) if mixtures[0].apart else network

    def initial_states(self, batch: int) -> CountedState:
        """The memory before any token: zeros."""
        counts = map_state(self._tensor, self._mixtures[0].nothing_read(batch))
        return CountedState(self.network.initial_states(batch), counts)

    def forward(self, tokens: Tensor, states: CountedState) -> tuple[Tensor, CountedState]:
        """tokens (B, T), states -> logits (B, T, V), states; of several the logits stand side by side (B, T, n V)."""
        logits, network = self._read(tokens, states.network)
        flat = self._time_major(logits)
        ids = tokens.t().cpu().numpy()
        before: CountMemory = map_state(lambda part: part.cpu().numpy(), states.counts)
        found = []
        if self._alone:
            together = logits if self._read is self.network else ensemble_logits(logits.chunk(self._networks, -1))
            found.append(self._time_major(together))
        after = before
        for mixture in self._mixtures:
            mixed, after = mixture.read(ids, flat, before)
            found.append(mixed)
        side_by_side = np.concatenate(found, axis=1).reshape(*ids.shape, -1)
        mixed_logits = self._tensor(side_by_side).transpose(0, 1)
        return mixed_logits, CountedState(network, map_state(self._tensor, after))

    def _time_major(self, logits: Tensor) -> Floats:
        """(B, T, ·) -> (T x B, ·)"""
        return np.ascontiguousarray(logits.detach().float().transpose(0, 1).flatten(0, 1).cpu().numpy())

    def _tensor(self, array: Any) -> Tensor:
        return torch.from_numpy(array).to(next(iter(self.network.parameters())).device)
