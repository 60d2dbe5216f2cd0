"""How far a gradient reaches back: the norm of dL(t)/dh(t - k), which vanishes or explodes (Bengio et al. 1994).

Shapes: N positions of a text, K + 1 steps back, B rows.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from charrnn.analysis.steps import embed, step
from charrnn.config import require
from charrnn.errors import CorpusError
from charrnn.models.language_model import LanguageModel
from charrnn.text.token_files import Tokens

Norms = npt.NDArray[np.float64]

POSITIONS, REACH, WARM_UP = 64, 100, 64
LOW, MIDDLE, HIGH = 10, 50, 90
# Below what float64 holds nothing is known of a slope.
LEAST = 1e-300


@dataclass(frozen=True)
class GradientFlow:
    """Norms of dL(t)/dh(t - k) of one network: (layers, K + 1, N), k = 0 first; L is the loss of one token in nats."""

    name: str
    norms: Norms

    def band(self, layer: int) -> tuple[Norms, Norms, Norms]:
        """The 10th, 50th and 90th percentile over the positions, (K + 1,) each."""
        low, middle, high = np.percentile(self.norms[layer], (LOW, MIDDLE, HIGH), axis=1)
        return low, middle, high

    def half_life(self, layer: int) -> float | None:
        """Steps back in which the median halves, by least squares on its logarithm from k = 1; None: it never does."""
        _, middle, _ = self.band(layer)
        known = np.flatnonzero(middle[1:] > LEAST) + 1
        if known.size < 2:
            return None
        slope = float(np.polyfit(known, np.log2(middle[known]), 1)[0])
        return -1 / slope if slope < 0 else None

    def to_json(self) -> dict[str, Any]:
        """Bands and half-lives, layer by layer."""
        layers = []
        for layer in range(len(self.norms)):
            bands = zip(("low", "median", "high"), self.band(layer), strict=True)
            # JSON has no infinity, which a gradient that explodes may come to.
            plain = {name: [x if np.isfinite(x) else None for x in band.tolist()] for name, band in bands}
            layers.append({**plain, "half_life": self.half_life(layer)})
        return {"network": self.name, "positions": self.norms.shape[2], "layers": layers}


def gradient_flow(
    model: LanguageModel,
    tokens: Tokens,
    *,
    name: str = "",
    reach: int = REACH,
    positions: int = POSITIONS,
    warm_up: int = WARM_UP,
    seed: int = 0,
) -> GradientFlow:
    """The gradient of a token's loss with respect to what each layer gave up to `reach` steps before, in float64.

    At positions drawn from the text, after `warm_up` tokens that give the network a state. The derivative is the whole
    one, through every later step and layer. Raises ConfigError on a reach below 1, CorpusError on too short a text.
    """
    require(reach >= 1 and positions >= 1, "gradients need a reach and a number of positions from 1")
    length = warm_up + reach + 2
    if tokens.size < length:
        raise CorpusError(
            f"the text has {tokens.size} tokens where {length} are needed: name a longer one, or a smaller `reach`"
        )
    starts = np.random.default_rng(seed).integers(0, tokens.size - length + 1, positions)
    # A character that the vocabulary lacks is read as the start id.
    rows = np.minimum(tokens[starts[:, None] + np.arange(length)].astype(np.int64), model.config.start_id)
    network = _in_doubles(model)
    windows = torch.from_numpy(rows)
    states = network.initial_states(positions)
    with torch.no_grad():
        for t in range(warm_up):
            _, states = step(network, embed(network, windows[:, t]), states)
    given = []
    for t in range(warm_up, length - 1):
        logits, states = step(network, embed(network, windows[:, t]), states)
        given.append([state[0] for state in states])
    target = windows[:, -1].clamp(max=network.config.vocab_size - 1)
    loss = F.cross_entropy(logits, target, reduction="sum")
    flat = [h for at in reversed(given) for h in at]
    found = torch.autograd.grad(loss, flat, materialize_grads=True)
    layers = len(network.forwards.layers)
    norms = torch.stack([gradient.norm(dim=1) for gradient in found]).view(reach + 1, layers, positions)
    return GradientFlow(name, norms.transpose(0, 1).numpy())


def _in_doubles(model: LanguageModel) -> LanguageModel:
    """A copy in float64, dropping nothing."""
    network = LanguageModel(model.config)
    network.load_state_dict(model.state_dict())
    return network.double().eval()
