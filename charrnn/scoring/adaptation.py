"""Dynamic evaluation: a copy of the network goes on learning from the text that it is scored on.

Source: Krause et al. 2018, "Dynamic Evaluation of Neural Sequence Models"; the mean of squared gradients is taken over
what has been read of this text, where they take it over the training text.

Every token is scored before the network learns from it. It is no figure of the model as its file has it: report it
beside the plain one, never instead. Shapes: N tokens scored, T segment.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from charrnn.config import require
from charrnn.models.ensemble import Network, build
from charrnn.models.language_model import detach
from charrnn.models.loss import IGNORED, cross_entropy
from charrnn.scoring.figures import Nats, Score
from charrnn.scoring.token_nll import Take, inputs_and_targets, target_nll
from charrnn.text.part import Part

SEGMENT = 32
RATE = 2e-4
# The share of the way back to the trained weights that each segment goes.
PULL = 1e-3
LEAST_RMS = 1e-5


def adapted_token_nll(
    model: Network,
    part: Part,
    *,
    rate: float = RATE,
    pull: float = PULL,
    segment: int = SEGMENT,
    take: Take | None = None,
) -> Nats:
    """Nats of every token (N,), each scored by weights that have learned from all segments before its own.

    After each segment w += rate * -g / rms(g) + pull * (trained - w), rms over all segments so far. The state is
    carried, or begins anew with each document; the weights go on from document to document. `model` itself is left
    as it is. With `rate` 0 the figures are the plain ones. `take` is handed what is predicted in each segment (1, T).
    """
    require(
        rate >= 0 and 0 <= pull < 1 and segment >= 1,
        "adaptation needs a `rate` from 0, a `pull` in [0, 1), a `segment` from 1",
    )
    network = _undropped(model)
    learner = _Learner(network, rate, pull)
    tokens, start_id = part.tokens, model.config.start_id
    starts = np.array([0]) if part.starts is None else part.starts
    result = np.empty(tokens.size)
    for first, end in zip(starts, [*starts[1:], tokens.size], strict=True):
        states = network.initial_states(1)
        for begin in range(first, end, segment):
            positions = np.arange(begin, min(begin + segment, end))[None, :]
            inside = np.ones_like(positions, bool)
            inputs, targets = inputs_and_targets(network, tokens, positions, inside)
            if begin == first:
                inputs[:, 0] = start_id
            logits, states = network(inputs, detach(states))
            result[positions] = target_nll(logits.detach(), targets, start_id)
            if take is not None:
                take(positions, inside, logits.detach(), targets)
            # What has no logit cannot be learned.
            learner.learn(cross_entropy(logits, targets.where(targets < logits.shape[-1], IGNORED)).mean())
    return result


def _undropped(model: Network) -> Network:
    """A copy in training mode, which cuDNN wants for gradients, that drops nothing and reads forwards alone."""
    network = build(replace(model.config, dropout=None, weight_drop=None, bidirectional=False))
    own = network.state_dict().keys()
    network.load_state_dict({name: weight for name, weight in model.state_dict().items() if name in own})
    return network.to(next(model.parameters())).train()


def adapted(model: Network, part: Part, plain: Score, take: Take | None = None) -> Score:
    """The score of the same text when the network learns from it as it goes."""
    return replace(plain, token_nll=adapted_token_nll(model, part, take=take), state=f"{plain.state}, weights adapted")


class _Learner:
    """Gradient steps measured in the gradient's own root mean square, and a pull back to where the weights began."""

    def __init__(self, network: Network, rate: float, pull: float) -> None:
        self.rate, self.pull = rate, pull
        self.weights = list(network.parameters())
        self.trained = [weight.detach().clone() for weight in self.weights]
        self.squares = [torch.zeros_like(weight) for weight in self.weights]
        self.segments = 0

    def learn(self, loss: Tensor) -> None:
        """One step on one segment's mean loss (nats)."""
        gradients = torch.autograd.grad(loss, self.weights)
        self.segments += 1
        with torch.no_grad():
            for weight, trained, square, gradient in zip(
                self.weights, self.trained, self.squares, gradients, strict=True
            ):
                square.addcmul_(gradient, gradient)
                rms = (square / self.segments).sqrt_().clamp_(min=LEAST_RMS)
                weight.lerp_(trained, self.pull).addcdiv_(gradient, rms, value=-self.rate)
